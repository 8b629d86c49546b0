"""The command that asks other models what users asked, and judges the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .collect import NamedModels, contract_prices, load_collecting, model_specs, provider_limits
from .console import print_json, print_path, print_result, print_warning, show_progress
from .options import (
    ArtifactOption,
    ConcurrencyOption,
    ContractOption,
    FrameworkOption,
    JsonFlag,
    MaxTokensOption,
    ModelsFromOption,
    ModelsOption,
    QuietFlag,
    SeedOption,
    SinceOption,
    TimeoutOption,
    UntilOption,
)

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..shadowing.types import ShadowResult

__all__ = ["shadow"]


def shadow(
    requests: Annotated[
        str,
        typer.Argument(
            help="Ledger with prompts (a path or a URL), or a JSONL file with query and perhaps prompt, answer, model."
        ),
    ],
    model: ModelsOption = None,
    models_from: ModelsFromOption = None,
    framework: FrameworkOption = "langchain",
    judge: Annotated[
        str | None, typer.Option(help="Model that compares the answers two by two, as provider:model.")
    ] = None,
    grader: Annotated[
        str | None, typer.Option(help="Function that grades an answer in place of a judge, as module:function.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Records to write; the journal of the run lies beside them.")
    ] = Path("shadow.jsonl"),
    sample: Annotated[int, typer.Option(help="Number of requests to ask again.")] = 100,
    artifact: ArtifactOption = None,
    max_cost: Annotated[float, typer.Option(help="Stop before all runs together cost this many US dollars.")] = 1.0,
    max_tokens: MaxTokensOption = None,
    prices: ContractOption = None,
    concurrency: ConcurrencyOption = None,
    timeout: TimeoutOption = 120.0,
    seed: SeedOption = 42,
    since: SinceOption = "",
    until: UntilOption = "",
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask other models what your users asked, judge all answers, and write records that update takes.

    The sample holds each kind of task and each model in proportion. Answers are compared in both orders, and what else
    than quality may have decided (order, length, the judge's own provider) is measured and said.
    """
    from ..collecting.types import CollectionPlan
    from ..dispatch.factory import open_router
    from ..shadowing.requests import read_requests
    from ..shadowing.runner import shadow as run
    from ..shadowing.sampling import stratified_sample

    found = read_requests(requests, since or None, until or None)
    contract = contract_prices(prices)
    named = NamedModels(load_collecting(framework), model_specs(model or [], models_from), models_from, contract)
    router = open_router(artifact)
    weights, _ = router.mixtures([request.query for request in found])
    sampled = stratified_sample(found, weights.argmax(axis=1), sample, seed)
    plan = CollectionPlan(
        grader=grader or "judge",
        judge=None if grader else named.judge(judge),
        concurrency=provider_limits(concurrency or []),
        timeout=timeout,
        max_cost=max_cost,
        output_tokens=max_tokens or 500,
        settings={"max_tokens": max_tokens, "judge": judge, "grader": grader},
    )
    under_test = named.under_test(max_tokens=max_tokens)
    with show_progress(quiet or as_json) as progress:
        result = run(sampled, under_test, output, plan, progress=progress)
    if as_json:
        print_json({"output": str(output), **result.to_dict()})
        return
    print_result(result, _view, as_json=False)
    print_path(f"records: {output} (avengers update ARTIFACT {output})")
    for warning in result.bias.warnings() if result.bias else []:
        print_warning(warning)
    if result.capped:
        print_warning("stopped at the limit on costs; the same command with a higher --max-cost continues")


def _view(result: ShadowResult) -> Iterator[Table | str]:
    from .._utils.results import Table

    yield f"{result.requests:,} requests, {result.records:,} records, ${result.spent_usd:.4f} spent"
    yield Table(
        "answers",
        ("model", "judged", "given before", "score", "$ of those asked", "seconds"),
        [
            (
                name,
                f"{model.answers:,}",
                f"{model.given:,}",
                "" if model.score is None else f"{model.score:.3f}",
                f"{model.cost_usd:.4f}",
                "" if model.seconds is None else f"{model.seconds:.1f}",
            )
            for name, model in result.models.items()
        ],
    )
    if result.bias is not None:
        bias = result.bias
        yield Table(
            "the judge",
            ("what may bias it", "measured", "without bias"),
            [
                ("verdicts for the first answer", _share(bias.first, bias.verdicts), "50%"),
                ("both orders agree", _share(bias.agreement, bias.verdicts // 2), "100%"),
                ("the longer answer wins", _share(bias.longer, bias.pairs_of_lengths), "unknown"),
                ("its own provider's models win", _share(bias.own, bias.own_pairs), "unknown"),
            ],
        )


def _share(share: float | None, count: int) -> str:
    return "none" if share is None else f"{share:.0%} of {count:,}"
