"""`AvengersSelector`: which query engine a question goes to, without an LLM's help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from avengers_core import RouteOptions, Router
from avengers_core._utils.threads import off_loop
from avengers_core.catalog.catalog import default_catalog
from avengers_core.dispatch.factory import open_router, router_over
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.schema import QueryBundle
from llama_index.core.tools.types import ToolMetadata

from .embeddings import as_embedder

__all__ = ["AvengersSelector"]


class AvengersSelector(BaseSelector):
    """Selects by what each choice is expected to score and cost, or by what its description says.

    If all choices are named by models, the router decides, as it decides between models. The names are ids of the
    artifact (which may be trained on records in which the "models" are your query engines), or any spelling of a model
    that the catalogue knows; ``models`` maps other names to these. Otherwise the choices whose descriptions are most
    like the question win, by the router's embedder. No text is generated, so none can be malformed.

    Args:
        artifact: Path or pretrained name of a trained router, or a `Router`. Default: the packaged router.
        alpha: From 0 (cost only) to 1 (quality only). Default: the artifact's.
        min_quality: In place of alpha; see `avengers_core.routing.options.RouteOptions`.
        max_cost: US dollars that the first selection may be expected to cost, at most.
        max_seconds: Seconds that it may be expected to take, at most.
        models: Ids of models by the name of a choice.
        embed_model: The embeddings that the artifact was trained with. Default: made from the artifact's id.
        max_selections: How many choices are selected, best first. More than one goes to a summarizer.

    Raises:
        ArtifactError: If the artifact is missing or damaged, or was trained with other embeddings.
        ValueError: If ``models`` names an id that neither the artifact nor the catalogue knows, ``max_selections`` is
            below 1, or another value is out of its range.
    """

    def __init__(
        self,
        artifact: str | Path | Router | None = None,
        *,
        alpha: float | None = None,
        min_quality: float | None = None,
        max_cost: float | None = None,
        max_seconds: float | None = None,
        models: Mapping[str, str] | None = None,
        embed_model: BaseEmbedding | None = None,
        max_selections: int = 1,
    ) -> None:
        self.router = open_router(artifact, None if embed_model is None else as_embedder(embed_model))
        self.options = RouteOptions(alpha=alpha, min_quality=min_quality, max_cost=max_cost, max_seconds=max_seconds)
        self.models = dict(models or {})
        self.max_selections = max_selections
        for name in sorted(self.models.values()):
            if not self._is_known(name):
                listed = ", ".join(self.router.models)
                raise ValueError(
                    f"models: the artifact has no {name!r}, and the catalogue does not know it: it has {listed}"
                )
        if max_selections < 1:
            raise ValueError(f"max_selections must be at least 1, not {max_selections}")

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None: ...

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        if not choices:
            raise ValueError("there is nothing to select from")
        ids = [self.models.get(choice.name or "", choice.name or "") for choice in choices]
        by_model = all(map(self._is_known, ids)) and len(set(ids)) == len(ids)
        ranked = self._by_record(ids, query.query_str) if by_model else self._by_description(choices, query.query_str)
        selections = [SingleSelection(index=index, reason=reason) for index, reason in ranked[: self.max_selections]]
        return SelectorResult(selections=selections)

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        return await off_loop(lambda: self._select(choices, query))

    def _is_known(self, name: str) -> bool:
        return name in self.router.models or default_catalog().knows(name)

    def _by_record(self, ids: list[str], question: str) -> list[tuple[int, str]]:
        decision = router_over(self.router, ids).route(question, self.options, models=ids)
        expected = dict(zip(decision.candidates, zip(decision.scores, decision.costs, strict=True), strict=True))
        return [
            (ids.index(name), f"expected score {expected[name][0]:.2f} for ${expected[name][1]:.2g}")
            for name in decision.ranking
        ]

    def _by_description(self, choices: Sequence[ToolMetadata], question: str) -> list[tuple[int, str]]:
        texts = [f"{choice.name or ''} {choice.description or ''}".strip() for choice in choices]
        query, *descriptions = self.router.embed([question, *texts])
        similarity = np.stack(descriptions) @ query
        order = np.argsort(-similarity, kind="stable").tolist()
        return [(index, f"similarity of its description {similarity[index]:.2f}") for index in order]
