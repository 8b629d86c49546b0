"""What an update changed in an artifact."""

from __future__ import annotations

from dataclasses import dataclass

from .._utils.results import Result
from ..routing.manifest import Artifact

__all__ = ["ArtifactChanges", "ModelChange", "artifact_changes"]


@dataclass(frozen=True)
class ModelChange:
    """What changed for one model.

    Attributes:
        model: Its id.
        new: Whether the artifact did not have it before.
        answers: Answers that the artifact has learned from.
        added: How many of these are new.
        price: US dollars per million ``input`` and ``output`` tokens. None if unknown.
        price_changed: Whether the price is not the one before.
    """

    model: str
    new: bool
    answers: float
    added: float
    price: dict[str, float] | None
    price_changed: bool


@dataclass(frozen=True)
class ArtifactChanges(Result):
    """What changed in an artifact.

    Attributes:
        queries: Training queries that it now knows.
        models: One entry per model that it now has.
    """

    queries: int
    models: list[ModelChange]


def artifact_changes(before: Artifact, after: Artifact) -> ArtifactChanges:
    """List what an update changed.

    Args:
        before: The artifact that was updated.
        after: The updated artifact, with at least the same models.
    """
    answers_before = dict(zip(before.models, before.statistics.n_answers.sum(axis=0).tolist(), strict=True))
    prices_before = {model.id: model.price for model in before.manifest.models}
    answers = after.statistics.n_answers.sum(axis=0).tolist()
    models = [
        ModelChange(
            model=model.id,
            new=model.id not in answers_before,
            answers=count,
            added=count - answers_before.get(model.id, 0.0),
            price=None if model.price is None else {"input": model.price.input, "output": model.price.output},
            price_changed=model.price != prices_before.get(model.id),
        )
        for model, count in zip(after.manifest.models, answers, strict=True)
    ]
    return ArtifactChanges(after.manifest.n_records, models)
