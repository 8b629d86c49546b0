"""Commands that show models: which can be routed among today, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from .columns import align
from .console import out, print_result
from .options import ArtifactOption, IntegrationsOption, JsonFlag

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..catalog.overview import ListedModel, ModelOverview

__all__ = ["models_app"]

models_app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="List the models that can be routed among today, or show all that is known of one.",
)

#: Published scores that are shown of a model.
SHOWN_SCORES = 12


@models_app.callback()
def models(
    context: typer.Context,
    every: Annotated[
        bool, typer.Option("--all", help="List all chat models of the catalogue, whether they can be called or not.")
    ] = False,
    provider: Annotated[str, typer.Option(help="List this provider's models only, such as openai.")] = "",
    framework: IntegrationsOption = "langchain",
    artifact: ArtifactOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the models whose key is set and whose integration is installed, with prices and evidence."""
    if context.invoked_subcommand is not None:
        return
    from ..catalog.available import available_models
    from ..catalog.overview import model_overview
    from ..dispatch.factory import expected_by_task
    from ..routing.router import Router

    router = Router.load(artifact)
    answers = dict(zip(router.models, router.artifact.statistics.n_answers.sum(axis=0).tolist(), strict=True))
    ids = () if every else available_models(framework).ids  # type: ignore[arg-type]
    overview = model_overview(
        framework,  # type: ignore[arg-type]
        every=every,
        provider=provider,
        answers=answers,
        expected=expected_by_task(router, ids),
    )
    print_result(overview, _overview_view, as_json)


@models_app.command()
def show(
    model: Annotated[str, typer.Argument(help="Any spelling, such as gpt-5.2@low or anthropic/claude-opus-4-5.")],
    as_json: JsonFlag = False,
) -> None:
    """Show all that is known of a model, and from where."""
    from ..catalog.catalog import default_catalog

    catalog = default_catalog()
    found = catalog.resolve(model)
    facts = catalog.describe(model)
    facts["effort_arguments"] = {
        effort: {framework: _arguments(catalog, found, effort, framework) for framework in ("langchain", "llamaindex")}
        for effort in catalog.efforts(model)
    }
    print_result({"spelling": model, "resolved": str(found), **facts}, _model_view, as_json)


def _arguments(catalog: Any, model: Any, effort: str, framework: str) -> dict[str, Any] | None:
    """Arguments for an effort; None if the framework's integration has none."""
    try:
        return dict(catalog.effort_arguments(model, effort, framework))
    except ValueError:
        return None


def _overview_view(overview: ModelOverview) -> Iterator[Table | Text | str]:
    rows = overview.models
    if rows:
        heads = ("model", "$ in", "$ out", "context", "scores", "answers", "can")
        head, *lines = align(heads, [_cells(row) for row in rows], out.width)
        yield Text(head, style="bold")
        yield from map(Text, lines)
        yield Text("$ per million tokens; scores: published ones; answers: those of the artifact", style="dim")
        if rows[0].expected:
            yield from _by_task(rows)
    else:
        yield "no model can be called"
    for provider, reason in overview.reasons.items():
        yield f"not offered: {provider}: {reason}"


def _cells(row: ListedModel) -> tuple[str, ...]:
    abilities = (("tools", row.tools), ("images", row.images), ("efforts", row.efforts))
    return (
        row.id,
        _dollars(row.input),
        _dollars(row.output),
        "?" if row.max_input_tokens is None else _thousands(row.max_input_tokens),
        str(row.published_scores),
        f"{row.answers:,}",
        " ".join(name for name, able in abilities if able),
    )


def _by_task(rows: Sequence[ListedModel]) -> Iterator[Table]:
    """Expected scores of the models by kind of task, one line a task."""
    from .._utils.results import Table

    yield Table(
        "expected score by kind of task, in percent; models in the order above",
        ("kind of task", *(str(number) for number in range(1, len(rows) + 1))),
        [(task, *(f"{row.expected[task] * 100:.0f}" for row in rows)) for task in rows[0].expected],
    )


def _model_view(facts: Mapping[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    yield f"{facts['spelling']} is {facts['resolved']}; its provider calls it {facts['name']}"
    price = facts["price"]
    listed = "unknown" if price is None else f"${price['input']:g} in, ${price['output']:g} out ({price['source']})"
    yield f"price per million tokens: {listed}"
    yield f"release: {facts['release'] or 'unknown'}; status: {facts['status']}; facts from: {facts['source']}"
    yield f"predecessor: {facts['predecessor'] or 'none is known'}"
    if facts["aliases"]:
        yield f"also called: {', '.join(facts['aliases'])}"
    yield Table(
        "capabilities",
        ("capability", "value", "from"),
        [
            (name, f"{value:,}" if not isinstance(value, bool) else str(value), facts["capability_sources"][name])
            for name, value in facts["capabilities"].items()
        ],
    )
    if facts["effort_arguments"]:
        yield Table(
            f"efforts (default: {facts['default_effort'] or 'unknown'})",
            ("effort", "LangChain", "LlamaIndex"),
            [
                (effort, str(given["langchain"]), str(given["llamaindex"]))
                for effort, given in facts["effort_arguments"].items()
            ],
        )
    scores = facts["published_scores"]
    if scores:
        yield Table(
            f"published scores ({len(scores)}, of which {min(len(scores), SHOWN_SCORES)} are shown; --json has all)",
            ("benchmark", "effort", "score", "measured by", "date"),
            [
                (one["benchmark"], one["effort"], f"{one['score']:.4g}", one["harness"], one["date"])
                for one in scores[:SHOWN_SCORES]
            ],
        )


def _dollars(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _thousands(value: int) -> str:
    return f"{value / 1e6:.3g}M" if value >= 1_000_000 else f"{value / 1000:.0f}K"
