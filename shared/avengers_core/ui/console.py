"""What the console looks at: a ledger, an artifact, files of judged records. It is read, and nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..catalog.available import routable_models, why_not_callable
from ..catalog.catalog import default_catalog
from ..catalog.overview import ListedModel, listed_model
from ..catalog.providers import providers
from ..dispatch.factory import expected_by_task, open_router, router_over
from ..ledger.reader import LedgerReader
from ..pricing.tariff import PriceSchedule
from ..routing.decision import Decision
from ..routing.options import RouteOverrides
from .spending import Comparison, compare_with
from .typed import TypedRequest

__all__ = ["Console", "OfferedModel", "Trial"]

Framework = Literal["langchain", "llamaindex"]

#: Alphas, or shares of the best score, that a trial shows the choice at.
STEPS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True)
class OfferedModel:
    """A current model of a maker.

    Attributes:
        listed: What is known of it.
        provider: Its maker's name.
        reason: Why it cannot be called here; empty if it can.
    """

    listed: ListedModel
    provider: str
    reason: str


@dataclass(frozen=True)
class Trial:
    """A choice, and how it would change.

    Attributes:
        needs: Capabilities that a model had to have.
        decision: The choice.
        runs: The models that are chosen as the knob is turned from 0 to 1, each with the first and last step.
    """

    needs: dict[str, bool | int]
    decision: Decision
    runs: list[tuple[str, float, float]]


class Console:
    """What the pages show. Threads may share it.

    Args:
        ledger: URL or path of the ledger. Default: ``$AVENGERS_LEDGER``, else the user's ledger.
        artifact: Path or pretrained name of the artifact. Default: the packaged one.
        records: Files of records that ``calibrate`` or ``shadow`` wrote.
        framework: Whose integrations count.

    Raises:
        ArtifactError: If the artifact cannot be read.
        FileNotFoundError: If the ledger does not exist.
        LedgerError: If the ledger cannot be read.
    """

    def __init__(
        self,
        ledger: str | None = None,
        artifact: str | None = None,
        records: Sequence[Path] = (),
        framework: Framework = "langchain",
    ) -> None:
        self.reader = LedgerReader(ledger)
        self.router = open_router(artifact)
        self.artifact, self.records, self.framework = artifact, tuple(records), framework

    @property
    def default_models(self) -> list[str]:
        """The models that a request is tried with: those of a given artifact, else current ones (see ``route``)."""
        return self.router.models if self.artifact else routable_models()

    def try_request(
        self, request: TypedRequest, models: Sequence[str], require: Mapping[str, bool | int], options: RouteOverrides
    ) -> Trial:
        """Route a request, and see how the choice changes with the knob.

        Args:
            request: The request.
            models: Candidates. Default: `default_models`.
            require: Further capabilities that a model must have.
            options: The options of the choice.

        Raises:
            NoCandidateError: If no model is left.
            UnknownModelError: If a model is not known.
            ValueError: If an option is out of its range.
        """
        names = list(models) or self.default_models
        router, needs = router_over(self.router, names), {**request.needs, **require}
        vectors, texts = router.embed([request.text]), [request.text]

        def route(given: RouteOverrides) -> Decision:
            return next(
                router.route_vectors(
                    vectors, texts, models=names, require=needs, input_tokens=request.input_tokens, **given
                )
            )

        decision = route(options)
        knob = "alpha" if options.get("min_quality") is None else "min_quality"
        runs: list[tuple[str, float, float]] = []
        for step in STEPS:
            changed: RouteOverrides = {**options, knob: step}  # type: ignore[misc]
            chosen = route(changed).model
            if runs and runs[-1][0] == chosen:
                runs[-1] = (chosen, runs[-1][1], step)
            else:
                runs.append((chosen, step, step))
        return Trial(needs, decision, runs)

    def compare(self, rows: Sequence[Mapping[str, Any]]) -> Comparison | None:
        """What the best single model of a period would have cost; None if that is not known.

        Args:
            rows: From `LedgerReader.totals`.
        """
        catalog = default_catalog()
        used = dict.fromkeys(row["model"] for row in rows if row["routed"])
        known = [name for name in used if name in self.router.models or catalog.knows(name)]
        if not known:
            return None
        router = router_over(self.router, known)
        best = router.best_single(known)
        info = next(info for info in router.artifact.manifest.models if info.id == best)
        return compare_with(best, PriceSchedule.find((info.price_id,), info.price), rows)

    @cached_property
    def _answers(self) -> dict[str, float]:
        counts = self.router.artifact.statistics.n_answers.sum(axis=0).tolist()
        return dict(zip(self.router.models, counts, strict=True))

    def offered_models(self) -> list[OfferedModel]:
        """Current models of all makers, callable ones first."""
        found: list[OfferedModel] = []
        catalog = default_catalog()
        makers = [one for one in providers() if one.keys and not one.host]
        entries = {maker.id: catalog.current_models(maker.id) for maker in makers}
        expected = expected_by_task(self.router, [entry.id for group in entries.values() for entry in group])
        for maker in makers:
            reason = why_not_callable(maker, self.framework, os.environ)
            for entry in entries[maker.id]:
                listed = listed_model(entry.id, entry, self._answers.get(entry.id, 0.0), expected[entry.id])
                found.append(OfferedModel(listed, maker.id, reason))
        return sorted(found, key=lambda one: bool(one.reason))

    def all_models(self, words: str = "", limit: int = 200) -> list[ListedModel]:
        """Chat models of the catalogue whose id has these words in it.

        Args:
            words: Parts of the id, separated by spaces. Default: all models.
            limit: How many, at most.
        """
        parts = words.lower().split()
        entries = [
            entry
            for entry in default_catalog().entries()
            if entry.chat and all(part in entry.id.lower() for part in parts)
        ]
        return [listed_model(entry.id, entry, self._answers.get(entry.id, 0.0), {}) for entry in entries[:limit]]
