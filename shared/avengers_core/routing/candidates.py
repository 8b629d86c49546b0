"""Which models may be chosen for a request, and why the others may not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..catalog.catalog import default_catalog
from ..errors import NoCandidateError
from .capabilities import Require, as_needs, lacking
from .manifest import Artifact, ModelInfo
from .statistics import Array

__all__ = ["EXCLUDED", "UNPRICED", "UNTIMED", "Candidates", "Eligibility", "exclusion_reasons"]

#: Why a model is left out that the caller excludes without a reason.
EXCLUDED = "excluded by the caller"

#: Why a model is left out whose cost is unknown.
UNPRICED = "its cost is unknown: give it a price, or alpha 1"

#: Why a model is left out whose speed is unknown.
UNTIMED = "its speed is unknown: update the artifact with records that tell seconds, such as those of a ledger"


@dataclass(frozen=True)
class Candidates:
    """The models that may be chosen.

    Attributes:
        columns: (c,) their columns in the artifact's arrays, ascending.
        names: Their ids, in that order.
        every: Whether they are all of the artifact's models.
        ineligible: The models that may not be chosen, each with the reason.
    """

    columns: NDArray[np.intp]
    names: tuple[str, ...]
    every: bool
    ineligible: Mapping[str, str]

    def take(self, values: Array) -> Array:
        """(..., c) the candidates' part of (..., m) values of all models."""
        return values if self.every else values[..., self.columns]

    def known_cost(self, known: NDArray[np.bool_]) -> Candidates:
        """Those among them whose cost is known.

        Args:
            known: (m,) whether a model's cost is known.
        """
        keep = known[self.columns]
        return self if keep.all() else self._only(keep, [UNPRICED] * len(keep))

    def within_cost(self, costs: Array, max_cost: float) -> Candidates:
        """Those among them that are expected to cost no more than a limit.

        Args:
            costs: (c,) their expected US dollars, NaN if unknown.
            max_cost: The limit in US dollars.
        """
        return self._within(
            costs, max_cost, f"expected to cost ${{:.3g}}, more than max_cost (${max_cost:g})", UNPRICED
        )

    def within_seconds(self, seconds: Array, max_seconds: float) -> Candidates:
        """Those among them that are expected to take no longer than a limit.

        Args:
            seconds: (c,) their expected seconds, NaN if unknown.
            max_seconds: The limit.
        """
        slow = f"expected to take {{:.3g}} s, more than max_seconds ({max_seconds:g} s)"
        return self._within(seconds, max_seconds, slow, UNTIMED)

    def _within(self, values: Array, limit: float, above: str, unknown: str) -> Candidates:
        """Those among them whose values are known and no higher than a limit.

        Args:
            values: (c,) their values, NaN if unknown.
            limit: The limit.
            above: Why one is left out that is above it, with a place for its value.
            unknown: Why one is left out whose value is unknown.
        """
        keep = values <= limit
        if keep.all():
            return self
        return self._only(keep, [unknown if np.isnan(value) else above.format(value) for value in values.tolist()])

    def _only(self, keep: NDArray[np.bool_], reasons: Sequence[str]) -> Candidates:
        """Some of them; the others are ineligible.

        Args:
            keep: (c,) whether each is kept.
            reasons: Why each would not be.
        """
        rows = list(zip(self.names, keep.tolist(), reasons, strict=True))
        ineligible = {name: why for name, kept, why in rows if not kept}
        names = tuple(name for name, kept, _ in rows if kept)
        return Candidates(self.columns[keep], names, False, {**self.ineligible, **ineligible})

    def require_any(self) -> Candidates:
        """Themselves.

        Raises:
            NoCandidateError: If there are none; the message gives the reason for each model.
        """
        if not self.names:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.ineligible.items())
            raise NoCandidateError(f"no model can be chosen: {reasons or 'none given'}", dict(self.ineligible))
        return self


class Eligibility:
    """Decides which of an artifact's models may be chosen.

    A model with fewer answers than the artifact's ``min_records`` never is, unless it was added for what the catalogue
    knows of it.

    Args:
        artifact: A trained artifact.

    Attributes:
        default: The models that may be chosen if nothing is asked for.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._models = artifact.manifest.models
        self._columns = {model.id: column for column, model in enumerate(self._models)}
        self._spellings: dict[str, str] = {}
        self._too_few = _too_few_records(artifact)
        self.default = self._select(self._columns, {}, {})

    def select(
        self,
        models: Iterable[str] | None = None,
        exclude_models: Iterable[str] | Mapping[str, str] = (),
        require: Require = (),
    ) -> Candidates:
        """The models that may be chosen.

        Args:
            models: Ids to choose from; None: all.
            exclude_models: Ids of models that may not be chosen, or a mapping from id to the reason.
            require: Capabilities that each must have; see `avengers_core.routing.capabilities`.

        Raises:
            NoCandidateError: If the artifact has no model of that id.
        """
        if models is None and not exclude_models and not require:
            return self.default
        named = None if models is None else list(models)
        reasons = exclusion_reasons(exclude_models)
        if named is not None:
            named = [self._find(name) for name in named]
        reasons = {self._find(name): why for name, why in reasons.items()}
        return self._select(self._columns if named is None else named, reasons, as_needs(require))

    def _select(self, named: Iterable[str], excluded: Mapping[str, str], needs: Mapping[str, bool | int]) -> Candidates:
        columns: list[int] = []
        ineligible: dict[str, str] = {}
        for column in sorted({self._columns[name] for name in named}):
            model = self._models[column]
            if reason := self._reason(model, excluded, needs):
                ineligible[model.id] = reason
            else:
                columns.append(column)
        names = tuple(self._models[column].id for column in columns)
        return Candidates(np.array(columns, dtype=np.intp), names, len(columns) == len(self._models), ineligible)

    def _reason(self, model: ModelInfo, excluded: Mapping[str, str], needs: Mapping[str, bool | int]) -> str:
        """Why a model may not be chosen; empty if it may."""
        if model.id in excluded:
            return excluded[model.id] or EXCLUDED
        return self._too_few.get(model.id, "") or (lacking(model.capabilities, needs) if needs else "")

    def _find(self, name: str) -> str:
        """The artifact's id of a model that may be spelled otherwise.

        Raises:
            NoCandidateError: If the artifact does not have it.
        """
        if name in self._columns:
            return name
        if name in self._spellings:
            return self._spellings[name]
        catalog = default_catalog()
        if (wanted := catalog.find(name)) is not None:
            for known in self._columns:
                if str(catalog.find(known)) == str(wanted):
                    self._spellings[name] = known
                    return known
        raise NoCandidateError(f"the artifact has no model {name!r}{self._hint(name)}")

    def _hint(self, name: str) -> str:
        ids = [model.id for model in self._models]
        close = difflib.get_close_matches(name, ids, 1)
        return f"; did you mean {close[0]!r}?" if close else f": it has {', '.join(ids)}"


def exclusion_reasons(exclude_models: Iterable[str] | Mapping[str, str]) -> Mapping[str, str]:
    """The reason for each model that is excluded, by id.

    Args:
        exclude_models: Ids, or a mapping from id to the reason.
    """
    return exclude_models if isinstance(exclude_models, Mapping) else dict.fromkeys(exclude_models, EXCLUDED)


def _too_few_records(artifact: Artifact) -> dict[str, str]:
    least = artifact.manifest.settings.min_records
    answers = artifact.statistics.n_answers.sum(axis=0).tolist()
    return {
        model.id: f"only {n:.0f} records (min_records {least})"
        for model, n in zip(artifact.manifest.models, answers, strict=True)
        if n < least and not model.assumed_from
    }
