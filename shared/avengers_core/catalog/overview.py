"""The models that can be called, or all that are known, as rows for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._utils.results import Result
from .available import Framework, available_models
from .catalog import default_catalog
from .types import CatalogEntry

__all__ = ["ListedModel", "ModelOverview", "listed_model", "model_overview"]


@dataclass(frozen=True)
class ListedModel(Result):
    """What a list shows of a model.

    Attributes:
        id: Its id.
        input: US dollars per million input tokens; None if unknown.
        output: US dollars per million output tokens; None if unknown.
        max_input_tokens: Its context window; None if unknown.
        tools: Whether it can call tools; None if unknown.
        images: Whether it reads images; None if unknown.
        efforts: Reasoning efforts that it takes.
        release: When it came out; empty if unknown.
        published_scores: How many published scores of it are known.
        answers: How many answers of it the artifact has learned from.
        expected: Expected score by kind of task; empty if no router was asked.
    """

    id: str
    input: float | None
    output: float | None
    max_input_tokens: int | None
    tools: bool | None
    images: bool | None
    efforts: tuple[str, ...]
    release: str
    published_scores: int
    answers: int
    expected: Mapping[str, float]


@dataclass(frozen=True)
class ModelOverview(Result):
    """A list of models.

    Attributes:
        models: The models.
        reasons: Why other providers' models are not offered, by id of the provider.
    """

    models: list[ListedModel]
    reasons: Mapping[str, str]


def model_overview(
    framework: Framework,
    *,
    every: bool = False,
    provider: str = "",
    answers: Mapping[str, float] | None = None,
    expected: Mapping[str, Mapping[str, float]] | None = None,
    limit: int = 5,
) -> ModelOverview:
    """The models that can be called now, or all chat models of the catalogue.

    Args:
        framework: ``langchain`` or ``llamaindex``.
        every: All models of the catalogue, be they callable or not.
        provider: Id of the only provider. Default: all providers.
        answers: Answers that an artifact has learned from, by id.
        expected: Expected scores by kind of task, by id.
        limit: Models of each provider, at most, unless all are asked for.
    """
    catalog, found = default_catalog(), available_models(framework, limit=limit)
    entries: Sequence[CatalogEntry] = found.models
    ids: Sequence[str] = found.ids
    if every:
        entries = [entry for entry in catalog.entries() if entry.chat]
        ids = [entry.id for entry in entries]
    rows = [
        listed_model(name, entry, (answers or {}).get(entry.id, 0.0), (expected or {}).get(name, {}))
        for name, entry in zip(ids, entries, strict=True)
        if provider in ("", entry.provider, name.partition("/")[0])
    ]
    reasons = {} if every else {name: why for name, why in found.reasons.items() if provider in ("", name)}
    return ModelOverview(rows, reasons)


def listed_model(name: str, entry: CatalogEntry, answers: float, expected: Mapping[str, float]) -> ListedModel:
    """What a list shows of a model.

    Args:
        name: Its id.
        entry: What the catalogue has of it.
        answers: Answers of it that an artifact has learned from.
        expected: Expected scores by kind of task.
    """
    catalog = default_catalog()
    price, able = catalog.price(entry.id), catalog.capabilities(entry.id)
    window, tools, images = able.get("max_input_tokens"), able.get("tools"), able.get("images")
    return ListedModel(
        id=name,
        input=None if price is None else price.input,
        output=None if price is None else price.output,
        max_input_tokens=None if window is None else int(window),
        tools=None if tools is None else bool(tools),
        images=None if images is None else bool(images),
        efforts=entry.efforts,
        release=entry.release,
        published_scores=len(catalog.published_scores(entry.id)),
        answers=int(answers),
        expected=expected,
    )
