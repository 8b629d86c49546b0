"""The command that learns what a user's models can do from questions that the package makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    NoSandboxFlag,
    OutputTokensOption,
    QuietFlag,
    TimeoutOption,
    split_names,
)

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..calibrating.types import Calibration

__all__ = ["calibrate"]

#: US dollars that a run may cost, unless --max-cost says otherwise.
MAX_COST = 2.0


def calibrate(
    model: ModelsOption = None,
    models_from: ModelsFromOption = None,
    framework: FrameworkOption = "langchain",
    artifact: ArtifactOption = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Artifact to write; its name must end in .zip. The records with their journal and the page lie "
            "beside it.",
        ),
    ] = Path("calibrated.zip"),
    alpha: Annotated[
        float | None, typer.Option(help="Alpha that choices are made with. Default: the artifact's.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="JSONL or CSV file of what your users ask (field query), which choices are judged by."),
    ] = None,
    kinds: Annotated[
        str, typer.Option(help="Kinds of questions, separated by commas. Default: all that can be graded here.")
    ] = "",
    max_cost: Annotated[
        float, typer.Option(help="Stop before all runs together cost this many US dollars.")
    ] = MAX_COST,
    max_regret: Annotated[
        float,
        typer.Option(help="Stop when the best choices are expected to gain less than this, in points of score."),
    ] = 0.02,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the questions. Default: that of the run to be continued, or a new one.")
    ] = None,
    max_tokens: MaxTokensOption = None,
    prices: ContractOption = None,
    concurrency: ConcurrencyOption = None,
    timeout: TimeoutOption = 120.0,
    output_tokens: OutputTokensOption = 500,
    no_sandbox: NoSandboxFlag = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what questions would cost, and ask nothing.")
    ] = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Learn what your models can do from generated questions, and write an artifact that knows it.

    The questions are made as they are needed, with programs that grade the answers. Each round asks what could change
    the router's choices most for its money. A run that is stopped, in any way, continues when it is started again.
    """
    from ..calibrating.page import write_page
    from ..calibrating.questions import QuestionBank, earlier_seed, new_seed
    from ..calibrating.runner import calibrate as run
    from ..calibrating.runner import question_costs
    from ..calibrating.types import CalibrationPlan
    from ..collecting.questions import read_questions
    from ..collecting.types import CollectionPlan
    from ..dispatch.factory import open_router
    from ..routing.artifact import check_destination, save_artifact

    if output.suffix != ".zip":
        raise typer.BadParameter(f"--output {output}: give a name that ends in .zip")
    check_destination(output)
    contract = contract_prices(prices)
    named = NamedModels(load_collecting(framework), model_specs(model or [], models_from), models_from, contract)
    records, page = output.with_suffix(".records.jsonl"), output.with_suffix(".html")
    chosen = split_names(kinds) or _gradable(sandboxed=not no_sandbox)
    if seed is None:
        found = earlier_seed(records.with_name(records.name + ".journal"))
        seed = new_seed() if found is None else found
    under_test = named.under_test(max_tokens=max_tokens)
    collection = CollectionPlan(
        grader="final",
        concurrency=provider_limits(concurrency or []),
        timeout=timeout,
        max_cost=max_cost,
        output_tokens=max_tokens or output_tokens,
        sandboxed=not no_sandbox,
        settings={"seed": seed, "max_tokens": max_tokens},
    )
    router = open_router(artifact)
    plan = CalibrationPlan(
        alpha=router.artifact.manifest.settings.alpha if alpha is None else alpha,
        kinds=_checked_kinds(chosen),
        seed=seed,
        max_regret=max_regret,
        queries=[] if prompts is None else [question.query for question in read_questions(prompts)],
    )
    if dry_run:
        costs = question_costs(under_test, QuestionBank(chosen, seed), collection)
        rows = [
            {"model": one.id, "cost_usd_per_question": None if mean != mean else float(mean)}
            for one, mean in zip(under_test, costs.mean(axis=1), strict=True)
        ]
        print_result({"models": rows, "kinds": chosen, "max_cost": max_cost}, _estimate_view, as_json)
        return
    with show_progress(quiet or as_json) as progress:
        made, result = run(router, under_test, records, plan, collection, prices=contract, progress=progress)
    save_artifact(made, output)
    write_page(result, page)
    files = {"artifact": str(output), "records": str(records), "page": str(page)}
    if as_json:
        print_json({**files, **result.to_dict()})
    else:
        print_result(result, _view, as_json=False)
        for what, path in files.items():
            print_path(f"{what}: {path}")
        if result.reason == "money":
            print_warning("stopped at the limit on costs; the same command with a higher --max-cost continues")


def _gradable(*, sandboxed: bool) -> list[str]:
    """All kinds of questions, without those whose answers cannot be graded here."""
    from ..bank import KINDS
    from ..collecting.sandbox import bubblewrap_command

    if sandboxed and bubblewrap_command() is None:
        print_warning(
            "bubblewrap does not work here, so no questions of the kind code are asked (or give --no-sandbox)"
        )
        return [name for name in KINDS if name != "code"]
    return list(KINDS)


def _checked_kinds(names: Sequence[str]) -> Sequence[str]:
    from ..bank import KINDS

    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise typer.BadParameter(f"--kinds: {unknown[0]!r} is not one of {', '.join(KINDS)}")
    return names


def _estimate_view(result: dict[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    rows = result["models"]
    known = [row["cost_usd_per_question"] for row in rows]
    yield Table(
        "what questions would cost (nothing was asked)",
        ("model", "$ per 100 questions"),
        [
            (row["model"], "unknown" if cost is None else f"{cost * 100:.4f}")
            for row, cost in zip(rows, known, strict=True)
        ],
    )
    yield f"{len(result['kinds'])} kinds of questions; the run stops before it costs ${result['max_cost']:g}"


def _view(result: Calibration) -> Iterator[Table | str]:
    from .._utils.results import Table
    from ..calibrating.page import findings

    yield from findings(result)
    yield Table(
        "expected score (answers)",
        ("kind", *result.models),
        [
            (
                kind,
                *(
                    f"{one.expected:.2f} ({one.answers})"
                    for one in (next(r for r in result.of(name) if r.kind == kind) for name in result.models)
                ),
            )
            for kind in result.kinds
        ],
    )
    yield Table(
        "choices for other queries",
        ("queries", "before", "now", "$ per 1K now", "best single $ per 1K"),
        [
            (
                one.queries,
                ", ".join(f"{name} {share:.0%}" for name, share in one.before.items()),
                ", ".join(f"{name} {share:.0%}" for name, share in one.after.items()),
                "unknown" if one.cost_after is None else f"{one.cost_after * 1000:.3f}",
                "unknown" if one.best_single_cost is None else f"{one.best_single_cost * 1000:.3f}",
            )
            for one in result.changes
        ],
    )
