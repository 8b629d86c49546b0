"""Commands that look at records, make them from a ledger, or choose questions from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_path, print_result, print_warning
from .options import JsonFlag, LedgerArgument, RecordsArgument, SeedOption, SinceOption, UntilOption

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..collecting.from_ledger import LedgerRecords
    from ..collecting.questions import Question
    from ..records.summary import RecordsSummary
    from ..records.table import RecordTable

__all__ = ["records_app"]

records_app = typer.Typer(no_args_is_help=True, help="Look at records, make them from a ledger, or choose from them.")


@records_app.command("check")
def check(files: RecordsArgument, as_json: JsonFlag = False) -> None:
    """Check records, and show their datasets, models, coverage, mean scores and costs."""
    from ..records.summary import summarize_records
    from ..records.table import load_records

    print_result(summarize_records(load_records(files)), _records_view, as_json)


def _records_view(summary: RecordsSummary) -> Iterator[Table]:
    from .._utils.results import Table

    yield Table(
        f"{summary.queries:,} queries, {len(summary.datasets)} datasets, {len(summary.models)} models",
        ("dataset", "queries", "coverage", "mean score"),
        [(row.dataset, f"{row.queries:,}", f"{row.coverage:.1%}", f"{row.mean_score:.4f}") for row in summary.datasets],
    )
    yield Table(
        "models",
        ("model", "answers", "coverage", "mean score", "over datasets", "total cost $", "cost known"),
        [
            (
                row.model,
                f"{row.answers:,}",
                f"{row.coverage:.1%}",
                f"{row.mean_score:.4f}",
                f"{row.mean_score_over_datasets:.4f}",
                "unknown" if row.cost_usd is None else f"{row.cost_usd:.4f}",
                f"{row.cost_known:.1%}",
            )
            for row in summary.models
        ],
    )


@records_app.command("from-ledger")
def from_ledger(
    url: LedgerArgument = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Records to write, as .jsonl or .jsonl.gz.")] = Path(
        "live.jsonl"
    ),
    key: Annotated[
        str | None, typer.Option(help="Use the feedback with this key only. Default: the mean over all keys.")
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Function that scores a row of the ledger, in place of feedback: module:function or file.py:function."
        ),
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(help="More feedback, as JSON lines with run_id (or call), key and score."),
    ] = None,
    since: SinceOption = "",
    until: UntilOption = "",
    dataset: Annotated[str, typer.Option(help="Name of the records' dataset.")] = "live",
    correct: Annotated[
        bool,
        typer.Option(help="Weight each answer by one over the probability with which the router chose its model."),
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Turn logged calls with feedback into records, corrected for the router's own choices.

    Only calls whose text the ledger kept (store_prompts) can be used.
    """
    from .._utils.objects import load_object
    from ..collecting.from_ledger import read_feedback, records_from_ledger
    from ..ledger.factory import open_existing
    from ..records.io import write_records

    found = records_from_ledger(
        open_existing(url),
        key=key,
        score=None if score is None else load_object(score),
        feedback=None if feedback is None else read_feedback(feedback),
        since=since or None,
        until=until or None,
        dataset=dataset,
        correct=correct,
    )
    _check_some(found)
    write_records(output, found.records)
    print_result({"output": str(output), **found.to_dict()}, _ledger_view, as_json)
    if correct and not found.explored and not as_json:
        print_warning(
            "The router never explored in these calls, so each model was only seen on what it was chosen for, and no "
            "weight can correct that. Let it explore: ChatAvengers(exploration=0.02)."
        )


def _check_some(found: LedgerRecords) -> None:
    from ..errors import RecordError

    if found.records:
        return
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.left_out.items())
    raise RecordError(
        f"no logged call can be used ({counts}): keep texts with Ledger(store_prompts=True), add feedback"
        + (", or take what has no known probability with --no-correct" if found.without_choice else "")
    )


def _ledger_view(result: dict[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    left_out = ", ".join(f"{result[name]} {name.replace('_', ' ')}" for name in result if name.startswith("without_"))
    yield f"{result['output']}: {result['records']:,} records; left out: {left_out}"
    yield Table(
        "models",
        ("model", "scored calls", "worth answers", "mean score", "corrected"),
        [
            (
                name,
                f"{row['calls']:,}",
                f"{row['effective']:,.0f}",
                f"{row['mean_score']:.4f}",
                f"{row['corrected_score']:.4f}",
            )
            for name, row in result["models"].items()
        ],
    )


@records_app.command("choose")
def choose(
    files: RecordsArgument,
    count: Annotated[int, typer.Option("--count", "-n", help="Number of questions to choose.")] = 50,
    questions: Annotated[
        Path | None,
        typer.Option(help="File of the questions with their references; the chosen ones are copied from it."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Questions to write, as JSON lines.")] = Path(
        "chosen.jsonl"
    ),
    random_state: SeedOption = 42,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder: wordllama or openai:<model>. Default: wordllama.")
    ] = None,
) -> None:
    """Choose the questions that say most about a new model, for collect and then update."""
    import msgspec

    from ..collecting.questions import Question, read_questions
    from ..collecting.selection import choose_questions
    from ..embedders.base import embed_all
    from ..embedders.factory import make_embedder
    from ..records.io import write_lines
    from ..records.table import load_records

    table = load_records(files)
    by_name: dict[tuple[str, str], Question] = {}
    if questions is not None:
        by_name = {(question.dataset, str(question.index)): question for question in read_questions(questions)}
        table = _named_records(table, by_name, questions)
    vectors = embed_all(make_embedder(embedder), table.queries)
    rows = sorted(choose_questions(table.scores, vectors, count, random_state).tolist())
    chosen = [
        by_name.get(name) or Question(table.queries[row], index=name[1], dataset=name[0])
        for row, name in ((row, _name(table, row)) for row in rows)
    ]
    plain = [
        {field: value for field, value in msgspec.to_builtins(question).items() if value not in (None, "")}
        for question in chosen
    ]
    write_lines(output, map(msgspec.json.encode, plain))
    print_path(f"{output}: {len(chosen)} of {len(table):,} questions")


def _name(table: RecordTable, row: int) -> tuple[str, str]:
    """Dataset and index of a record."""
    return table.datasets[table.dataset[row]], table.index[row]


def _named_records(table: RecordTable, names: dict[tuple[str, str], Question], path: Path) -> RecordTable:
    """The records of the named questions."""
    import numpy as np

    rows = [row for row in range(len(table)) if _name(table, row) in names]
    if not rows:
        raise ValueError(f"{path}: no question has the dataset and index of a record")
    return table.rows(np.array(rows, dtype=np.intp))
