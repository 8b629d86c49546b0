"""Commands that look at records, make them from a ledger, or choose questions from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import out, print_path, print_result, print_warning
from .options import JsonFlag, LedgerArgument, RecordsArgument, SeedOption, SinceOption, SourceFromFile, UntilOption

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..collecting.from_ledger import LedgerRecords
    from ..collecting.questions import Question
    from ..records.check import KnownModel
    from ..records.table import RecordTable

__all__ = ["records_app"]

#: Exit code of ``records check --exit-code`` if something spoils the records.
FINDINGS = 3

records_app = typer.Typer(no_args_is_help=True, help="Look at records, make them from a ledger, or choose from them.")


@records_app.command("check")
def check(
    files: RecordsArgument,
    source_from_file: SourceFromFile = False,
    min_answers: Annotated[int, typer.Option(help="Number of answers that a model should have.")] = 20,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with exit code 3 if something spoils the records.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check records, and show what is in them by source and by model, and what spoils them, with what to do.

    Found are repeated texts, models with two ids, sources that grade on another scale or all models alike, dollars that
    cannot be compared, agent runs among calls, models without a price, and models with few answers.
    """
    from ..records.check import check_records
    from ..records.loading import load_records
    from .check_view import check_view

    table = load_records(files, source_from_file=source_from_file)
    found = check_records(table, _known_models(table.models), min_answers=min_answers)
    print_result(found, lambda found: check_view(found, out.width), as_json)
    if exit_code and found.findings:
        raise typer.Exit(FINDINGS)


def _known_models(models: list[str]) -> dict[str, KnownModel]:
    """What the catalogue knows of models, by their ids in the records."""
    from ..catalog import default_catalog
    from ..records.check import KnownModel

    catalog, known = default_catalog(), {}
    for model in models:
        found = catalog.find(model)
        if found is not None:
            price = catalog.price(found)
            prices = (None, None) if price is None else (price.input, price.output)
            known[model] = KnownModel(str(found), *prices)
    return known


@records_app.command("merge")
def merge(
    files: RecordsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Records to write, as .jsonl or .jsonl.gz.")],
    source_from_file: SourceFromFile = False,
) -> None:
    """Write the records of several files into one, checked, and with their sources and kinds."""
    from ..records.io import read_records, write_records

    count = write_records(output, read_records(files, source_from_file=source_from_file))
    print_path(f"{output}: {count:,} records")


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
    source: Annotated[
        str | None, typer.Option(help="Source of the records: who graded the answers. Default: the dataset.")
    ] = None,
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
        source=source,
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

    from ..collecting.questions import read_questions
    from ..collecting.selection import choose_questions
    from ..embedders.base import embed_all
    from ..embedders.factory import make_embedder
    from ..records.io import write_lines
    from ..records.loading import load_records

    table = load_records(files)
    by_name: dict[tuple[str, str], Question] = {}
    if questions is not None:
        by_name = {(question.dataset, str(question.index)): question for question in read_questions(questions)}
        table = _named_records(table, by_name, questions)
    vectors = embed_all(make_embedder(embedder), table.queries)
    rows = sorted(choose_questions(table.scores, vectors, count, random_state).tolist())
    chosen = [_question(table, row, by_name) for row in rows]
    plain = [
        {field: value for field, value in msgspec.to_builtins(question).items() if value not in (None, "")}
        for question in chosen
    ]
    write_lines(output, map(msgspec.json.encode, plain))
    print_path(f"{output}: {len(chosen)} of {len(table):,} questions")


def _name(table: RecordTable, row: int) -> tuple[str, str]:
    """Dataset and index of a record."""
    return table.datasets[table.dataset[row]], table.index[row]


def _question(table: RecordTable, row: int, by_name: dict[tuple[str, str], Question]) -> Question:
    """The question of a record, as it was given or else made from the record, with the record's source."""
    import msgspec

    from ..collecting.questions import Question

    dataset, index = _name(table, row)
    source = table.sources[table.source[row]]
    question = by_name.get((dataset, index)) or Question(table.queries[row], index=index, dataset=dataset)
    if question.source or source == dataset:
        return question
    return msgspec.structs.replace(question, source=source)


def _named_records(table: RecordTable, names: dict[tuple[str, str], Question], path: Path) -> RecordTable:
    """The records of the named questions."""
    import numpy as np

    rows = [row for row in range(len(table)) if _name(table, row) in names]
    if not rows:
        raise ValueError(f"{path}: no question has the dataset and index of a record")
    return table.rows(np.array(rows, dtype=np.intp))
