"""Every error that the package raises on purpose. All derive from `AvengersError`."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArtifactError",
    "AvengersError",
    "BudgetError",
    "CollectError",
    "EmbeddingError",
    "EmptyAnswerError",
    "LedgerError",
    "MissingExtraError",
    "NoCandidateError",
    "NotFittedError",
    "QuestionError",
    "RecordError",
    "SandboxError",
    "UnavailableError",
]


class AvengersError(Exception):
    """Base of all errors raised by Avengers."""


class RecordError(AvengersError, ValueError):
    """A benchmark record cannot be used; the message names the file, the line and the field."""


class EmbeddingError(AvengersError, RuntimeError):
    """An embedder is unknown or unreachable, or returned something that is not a matrix of finite numbers."""


class ArtifactError(AvengersError, ValueError):
    """An artifact is missing, damaged, of another schema version or made with another embedder."""


class NoCandidateError(AvengersError, LookupError):
    """No model satisfies a request.

    Attributes:
        reasons: What ruled each model out, by model.
    """

    def __init__(self, message: str, reasons: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reasons = reasons or {}


class MissingExtraError(AvengersError, ImportError):
    """A feature needs an optional dependency; the message says which extra installs it.

    Args:
        feature: What needs it.
        extra: The extras, separated by commas.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'avengers-router[{extra}]'")
        self._needed = feature, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._needed


class LedgerError(AvengersError, RuntimeError):
    """A ledger's database cannot be opened or written."""


class BudgetError(AvengersError, RuntimeError):
    """No model is within a budget; the message says which limit was reached and how much is left."""


class CatalogError(AvengersError, ValueError):
    """A file of aliases, prices, capabilities or published scores cannot be used; the message names the place."""


class UnknownModelError(AvengersError, ValueError):
    """A spelling names no model that is known; `near` holds known ids that are close to it."""

    def __init__(self, message: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.near = near


class UnavailableError(AvengersError, RuntimeError):
    """A model cannot be made: its integration or its key is missing."""


class EmptyAnswerError(AvengersError, ValueError):
    """A model's answer is empty."""


class NotFittedError(AvengersError, ValueError, AttributeError):
    """An estimator was used before ``fit`` was called.

    As in scikit-learn, it is both a ValueError and an AttributeError; if scikit-learn is installed, the error that is
    raised is also a `sklearn.exceptions.NotFittedError`.
    """


class QuestionError(AvengersError, ValueError):
    """A question cannot be used; the message names the file, the line and the field."""


class SandboxError(AvengersError, RuntimeError):
    """Code that a model wrote cannot be run as safely as demanded."""


class CollectError(AvengersError, RuntimeError):
    """A collecting run cannot start or continue; its journal keeps what it has."""
