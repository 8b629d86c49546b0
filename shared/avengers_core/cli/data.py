"""Commands that make and keep records: collect, feedback, records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from .console import ArtifactOption, JsonFlag, Quiet, err, out, print_json, print_table, show_progress

data = typer.Typer()
records_app = typer.Typer(no_args_is_help=True, help="Look at records, or make them of a ledger.")
data.add_typer(records_app, name="records")

LedgerOption = Annotated[
    str | None, typer.Option(help="SQLite file or SQLAlchemy URL. Default: $AVENGERS_LEDGER, or the user's file.")
]


@records_app.command("check")
def records_check(
    files: Annotated[list[Path], typer.Argument(help="JSONL files, plain or gzip, or folders of them.")],
    as_json: JsonFlag = False,
) -> None:
    """Validate records, and show datasets, models, coverage, mean score and cost."""
    import numpy as np

    from ..evaluation.evaluate import dataset_weights
    from ..records.table import load_records

    table = load_records(files)
    known = ~np.isnan(table.scores)
    costs = ~np.isnan(table.cost)
    models = []
    for column, name in enumerate(table.models):
        rows = known[:, column]
        part = table.rows(rows)
        models.append(
            {
                "model": name,
                "answers": int(rows.sum()),
                "coverage": float(rows.mean()),
                "mean_score": float(part.scores[:, column].mean(dtype=np.float64)),
                "mean_score_over_datasets": float(part.scores[:, column].astype(float) @ dataset_weights(part)),
                "cost": float(table.cost[costs[:, column], column].sum()) if costs[:, column].any() else None,
                "cost_known": float((known & costs)[:, column].sum() / rows.sum()),
                "tokens_known": float(np.isfinite(part.tokens[:, column, :2]).all(axis=1).mean()),
            }
        )
    datasets = [
        {
            "dataset": name,
            "queries": int((table.dataset == code).sum()),
            "coverage": float(known[table.dataset == code].mean()),
            "mean_score": float(np.nanmean(table.scores[table.dataset == code], dtype=np.float64)),
        }
        for code, name in enumerate(table.datasets)
    ]
    if as_json:
        print_json({"queries": len(table), "datasets": datasets, "models": models})
        return
    title = f"{len(table):,} queries, {len(datasets)} datasets, {len(models)} models"
    print_table(
        title,
        ("dataset", "queries", "coverage", "mean score"),
        [(d["dataset"], f"{d['queries']:,}", f"{d['coverage']:.1%}", f"{d['mean_score']:.4f}") for d in datasets],
    )
    print_table(
        "models",
        ("model", "answers", "coverage", "mean score", "over datasets", "total cost $", "cost known"),
        [
            (
                m["model"],
                f"{m['answers']:,}",
                f"{m['coverage']:.1%}",
                f"{m['mean_score']:.4f}",
                f"{m['mean_score_over_datasets']:.4f}",
                "unknown" if m["cost"] is None else f"{m['cost']:.4f}",
                f"{m['cost_known']:.1%}",
            )
            for m in models
        ],
    )


@records_app.command("from-ledger")
def from_ledger(
    url: Annotated[
        str | None, typer.Argument(help="SQLite file or SQLAlchemy URL. Default: $AVENGERS_LEDGER, or the user's file.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Records, as .jsonl or .jsonl.gz.")] = Path(
        "live.jsonl"
    ),
    key: Annotated[str | None, typer.Option(help="Which feedback counts. Default: the mean over all keys.")] = None,
    score: Annotated[
        str | None, typer.Option(help="module:function or file.py:function of a row, in place of feedback.")
    ] = None,
    feedback: Annotated[
        Path | None, typer.Option(help="JSON lines of run_id (or call), key and score, beside the ledger's own.")
    ] = None,
    since: Annotated[str, typer.Option(help="First day, as 2026-11-24 (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    dataset: Annotated[str, typer.Option(help="Name of the records' dataset.")] = "live",
    correct: Annotated[
        bool, typer.Option(help="Weight answers by one over the probability that the router chose their model.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Turn logged calls with feedback into records, corrected for what the router chose to see.

    Only calls whose text the ledger kept (store_prompts) can be used.
    """
    from .._utils.objects import load_object
    from ..collecting.from_ledger import read_feedback, records_from_ledger
    from ..errors import RecordError
    from ..ledger.factory import open_existing
    from ..records.io import write_records

    harvest = records_from_ledger(
        open_existing(url),
        key=key,
        score=None if score is None else load_object(score),
        feedback=None if feedback is None else read_feedback(feedback),
        since=since or None,
        until=until or None,
        dataset=dataset,
        correct=correct,
    )
    left_out = harvest.left_out
    if not harvest.records:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in left_out.items())
        raise RecordError(
            f"no logged call can be used ({counts}): keep texts with Ledger(store_prompts=True), add feedback"
            + (", or take what has no known probability with --no-correct" if harvest.without_choice else "")
        )
    write_records(output, harvest.records)
    if as_json:
        print_json({"output": str(output), **harvest.to_dict()})
        return
    out.print(f"{output}: {len(harvest.records):,} records; left out: {left_out}", highlight=False)
    print_table(
        "models",
        ("model", "scored calls", "worth answers", "mean score", "corrected"),
        [
            (name, f"{one.calls:,}", f"{one.effective:,.0f}", f"{one.mean_score:.4f}", f"{one.corrected_score:.4f}")
            for name, one in harvest.models.items()
        ],
    )
    if correct and not harvest.explored:
        err.print(
            "The router never explored in these calls, so each model was seen only on what it was chosen for, and no "
            "weight can correct that. Let it explore: ChatAvengers(exploration=0.02).",
            style="yellow",
            highlight=False,
        )


@records_app.command("choose")
def choose(
    files: Annotated[list[Path], typer.Argument(help="Records of the models that are known.")],
    count: Annotated[int, typer.Option("--count", "-n", help="Questions to choose.")] = 50,
    questions: Annotated[
        Path | None, typer.Option(help="The questions with their references; the chosen ones are written as they are.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Questions, as JSON lines.")] = Path("chosen.jsonl"),
    random_state: Annotated[int, typer.Option("--random-state", "--seed", help="Seed.")] = 42,
    embedder: Annotated[str | None, typer.Option(help="wordllama (default) or openai:<model>.")] = None,
) -> None:
    """Choose the questions that tell most of a new model, for collect and then update."""
    import msgspec

    from ..collecting.questions import Question, read_questions
    from ..collecting.selection import choose_questions
    from ..embedders.base import embed_all
    from ..embedders.factory import make_embedder
    from ..records.io import write_lines
    from ..records.table import load_records

    table = load_records(files)
    offered = np.arange(len(table))
    by_name = {}
    if questions is not None:
        by_name = {(q.dataset, str(q.index)): q for q in read_questions(questions)}
        names = [(table.datasets[code], index) for code, index in zip(table.dataset, table.index, strict=True)]
        offered = np.array([row for row, name in enumerate(names) if name in by_name], dtype=np.intp)
        if not len(offered):
            raise ValueError(f"{questions}: no question has the dataset and index of a record")
    part = table.rows(offered)
    vectors = embed_all(make_embedder(embedder), part.queries)
    rows = sorted(choose_questions(part.scores, vectors, count, random_state).tolist())
    made = []
    for row in rows:
        name = (part.datasets[part.dataset[row]], part.index[row])
        question = by_name.get(name) or Question(part.queries[row], index=name[1], dataset=name[0])
        made.append({field: value for field, value in msgspec.to_builtins(question).items() if value not in (None, "")})
    write_lines(output, map(msgspec.json.encode, made))
    out.print(f"{output}: {len(made)} of {len(part):,} questions", highlight=False)


@data.command()
def update(
    artifact: Annotated[str, typer.Argument(help="Artifact: path or pretrained name.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Records to add.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The new artifact.")] = Path("avengers.zip"),
    prices: Annotated[
        str | None, typer.Option(help="latest (genai-prices'), or a JSON file of {id: {input, output}}.")
    ] = None,
    price_id: Annotated[
        list[str] | None, typer.Option(help="id=provider:model of a new model, for prices. May be repeated.")
    ] = None,
    quiet: Quiet = False,
    as_json: JsonFlag = False,
) -> None:
    """Add records, models or prices to an artifact; its clusters stay."""
    from ..pricing.catalog import latest_prices
    from ..routing.artifact import load_artifact, save_artifact
    from ..routing.pretrained import find_artifact
    from ..training.updating import update_artifact

    before = load_artifact(find_artifact(artifact))
    ids = dict(one.split("=", 1) for one in price_id or () if "=" in one)
    with show_progress(quiet or as_json) as progress:
        after = update_artifact(before, list(files) if files else None, price_ids=ids, progress=progress)
    if prices == "latest":
        after = update_artifact(after, prices=latest_prices({m.id: m.price_id or m.id for m in after.manifest.models}))
    elif prices is not None:
        after = update_artifact(after, prices=_prices(Path(prices)))
    save_artifact(after, output)
    answers = after.statistics.n_answers.sum(axis=0)
    had = dict(zip(before.models, before.statistics.n_answers.sum(axis=0), strict=True))
    was = {model.id: model.price for model in before.manifest.models}
    rows: list[dict[str, Any]] = [
        {
            "model": model.id,
            "new": model.id not in had,
            "answers": float(count),
            "added": float(count - had.get(model.id, 0.0)),
            "price": None if model.price is None else {"input": model.price.input, "output": model.price.output},
            "price_changed": model.price != was.get(model.id),
        }
        for model, count in zip(after.manifest.models, answers, strict=True)
    ]
    if as_json:
        print_json({"artifact": str(output), "queries": after.manifest.n_records, "models": rows})
        return
    out.print(f"{output}: {after.manifest.n_records:,} queries, {len(rows)} models", highlight=False)
    print_table(
        "models",
        ("model", "answers", "added", "price $ per 1M in / out", ""),
        [
            (
                row["model"],
                f"{row['answers']:,.0f}",
                f"{row['added']:,.0f}",
                "unknown" if row["price"] is None else f"{row['price']['input']:g} / {row['price']['output']:g}",
                "new" if row["new"] else "new price" if row["price_changed"] else "",
            )
            for row in rows
        ],
    )


@data.command()
def monitor(
    ledger: Annotated[
        str | None, typer.Argument(help="SQLite file or SQLAlchemy URL. Default: $AVENGERS_LEDGER, or the user's file.")
    ] = None,
    artifact: ArtifactOption = None,
    since: Annotated[str, typer.Option(help="First day, as 2026-11-24 (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 3 where it says to train again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare live queries and their cost with what the artifact was trained on, and say when to train again."""
    from ..evaluation.drift import measure_drift
    from ..ledger.factory import open_existing
    from ..routing.artifact import load_artifact
    from ..routing.inspection import describe
    from ..routing.pretrained import find_artifact

    known = load_artifact(find_artifact(artifact))
    drift = measure_drift(known, open_existing(ledger).entries(since or None, until or None))
    if as_json:
        print_json(vars(drift))
    else:
        _print_drift(drift, describe(known))
    if exit_code and drift.retrain:
        raise typer.Exit(3)


def _print_drift(drift: Any, described: dict[str, Any]) -> None:
    index, unfamiliar, ratio = drift.stability_index, drift.unfamiliar, drift.cost_ratio
    low, high = drift.cost_interval or (0.0, 0.0)
    print_table(
        f"{drift.queries:,} queries of this artifact, {drift.others:,} calls of others left out",
        ("figure", "now", "without drift", "too much"),
        [
            ("stability index of clusters", "unknown" if index is None else f"{index:.3f}", "0", "0.25"),
            ("unfamiliar queries", "unknown" if unfamiliar is None else f"{unfamiliar:.1%}", "1%", "5%"),
            (
                "real cost / expected",
                "unknown" if ratio is None else f"{ratio:.2f} ({low:.2f} to {high:.2f})",
                "1",
                "1.25, or 0.8",
            ),
        ],
    )
    names = {c["cluster"]: ", ".join(list(c["datasets"])[:2]) for c in described["clusters"]}
    print_table(
        "clusters that changed most",
        ("cluster", "in training", "now", "datasets"),
        [(str(c), f"{before:.1%}", f"{now:.1%}", names.get(c, "")) for c, before, now in drift.shares[:5]],
    )
    print_table(
        "cost by model",
        ("model", "calls", "$", "expected $"),
        [
            (name, f"{one['calls']:,}", f"{one['cost_usd']:.6f}", f"{one['expected_cost_usd']:.6f}")
            for name, one in sorted(drift.models.items())
        ],
    )
    for advice in drift.advice or ["nothing to do"]:
        out.print(advice, highlight=False)


@data.command()
def feedback(
    call: Annotated[str, typer.Argument(help="Id of the call (response_metadata) or of the framework's run.")],
    score: Annotated[str, typer.Argument(help="0 to 1, true or false, up or down.")],
    key: Annotated[str, typer.Option(help="What was judged.")] = "user",
    ledger: LedgerOption = None,
) -> None:
    """Say how good a logged answer was."""
    value = {"true": True, "false": False}.get(score.lower(), score)
    from ..ledger.factory import open_existing

    open_existing(ledger).add_feedback(call, value, key)


@data.command()
def collect(
    questions: Annotated[Path, typer.Argument(help="JSONL or CSV of questions, or a folder of such files.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="id=provider:model, or provider:model alone. May be given many times."),
    ] = None,
    models_from: Annotated[
        str | None, typer.Option(help="file.py:name or module:name of a mapping from ids to models of your own.")
    ] = None,
    framework: Annotated[
        str, typer.Option("--with", help="langchain or llamaindex: who makes the models.")
    ] = "langchain",
    output: Annotated[Path, typer.Option("--output", "-o", help="Records; the journal is beside it.")] = Path(
        "records.jsonl"
    ),
    grader: Annotated[
        str, typer.Option(help="exact, numeric, choice, regex, json_schema, code, judge, or module:function.")
    ] = "exact",
    judge: Annotated[str | None, typer.Option(help="provider:model that grades where the grader is judge.")] = None,
    system: Annotated[str, typer.Option(help="System message for all models.")] = "",
    temperature: Annotated[float | None, typer.Option(help="Sent with each request.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Sent with each request.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="JSON of contract prices, {id: {input, output}} in $ per million tokens.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="Stop before this many dollars are spent, all runs taken.")
    ] = None,
    concurrency: Annotated[
        list[str] | None, typer.Option(help="Requests at a time for each provider: 8, or openai=16. May be repeated.")
    ] = None,
    retries: Annotated[int, typer.Option(help="Tries after the first, for failures that may pass.")] = 5,
    timeout: Annotated[float, typer.Option(help="Seconds for each request.")] = 120.0,
    output_tokens: Annotated[int, typer.Option(help="Expected of an answer, for estimates and the cap.")] = 500,
    code_timeout: Annotated[float, typer.Option(help="Seconds that a program under test may take.")] = 10.0,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Run code that models wrote without bubblewrap.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; ask nothing.")] = False,
    quiet: Quiet = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask your models your questions, grade the answers, and write records to train a router on.

    A run that is stopped, at any moment and in any way, goes on where it was when it is started again.
    """
    from ..collecting.estimate import estimate, estimate_judge
    from ..collecting.questions import read_questions
    from ..collecting.runner import collect as run_collection
    from ..collecting.types import CollectionPlan
    from ..pricing.catalog import split_price_id
    from ..pricing.tariff import PriceSchedule

    asked = read_questions(questions)
    adapter = _adapter(framework)
    contract = _prices(prices)
    given = [(name or split_price_id(spec)[1], spec) for name, _, spec in (one.rpartition("=") for one in model or ())]
    named = dict(given)
    if len(named) < len(given):
        raise typer.BadParameter("two models have one id: name them, as in -m small=ollama:llama3.1:8b")
    if not named and models_from is None:
        raise typer.BadParameter("give at least one --model, or --models-from")
    if dry_run:
        tariffs = {
            name: PriceSchedule.find(() if name in contract else (adapter.price_id(spec),), contract.get(name))
            for name, spec in named.items()
        }
        if models_from is not None:
            made = _respondents(adapter, {}, models_from, contract, system, {})
            tariffs |= {one.id: one.tariff for one in made}
        rows = estimate(asked, tariffs, max_tokens or output_tokens, system)
        if judge is not None:
            tariff = PriceSchedule.find(() if judge in contract else (adapter.price_id(judge),), contract.get(judge))
            rows.append(estimate_judge(judge, tariff, asked, len(tariffs), max_tokens or output_tokens))
        _print_estimate(rows, as_json)
        return
    options = {
        name: value for name, value in (("temperature", temperature), ("max_tokens", max_tokens)) if value is not None
    }
    models_under_test = _respondents(adapter, named, models_from, contract, system, options)
    plan = CollectionPlan(
        grader=grader,
        judge=None if judge is None else adapter.model_under_test(judge, judge, price=contract.get(judge)),
        concurrency=_concurrency(concurrency or []),
        retries=retries,
        timeout=timeout,
        max_cost=max_cost,
        output_tokens=max_tokens or output_tokens,
        code_timeout=code_timeout,
        sandboxed=not no_sandbox,
        settings={"system": system, "temperature": temperature, "max_tokens": max_tokens},
    )
    with show_progress(quiet or as_json) as progress:
        outcome = run_collection(asked, models_under_test, output, plan, progress=progress)
    _print_outcome(outcome, output, as_json)
    if not outcome.complete:
        raise typer.Exit(1)


def _adapter(framework: str) -> Any:
    import importlib

    from ..errors import MissingExtraError

    if framework not in ("langchain", "llamaindex"):
        raise typer.BadParameter(f"--with must be langchain or llamaindex, not {framework!r}")
    try:
        return importlib.import_module(f"avengers_{framework}.collecting")
    except ImportError:
        raise MissingExtraError(f"collecting with {framework}", f"collect,{framework}") from None


def _prices(path: Path | None) -> dict[str, Any]:
    import msgspec

    from ..pricing.types import Price

    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Price])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None


def _respondents(
    adapter: Any,
    named: dict[str, str],
    models_from: str | None,
    prices: dict[str, Any],
    system: str,
    options: dict[str, Any],
) -> list[Any]:
    from .._utils.objects import load_object

    models: dict[str, Any] = dict(named)
    if models_from is not None:
        given = load_object(models_from)
        if not isinstance(given, dict):
            raise ValueError(f"{models_from}: must be a mapping from ids to models, not {type(given).__name__}")
        models |= given
    return [
        adapter.model_under_test(name, one, price=prices.get(name), system=system, **options)
        for name, one in models.items()
    ]


def _concurrency(given: list[str]) -> int | dict[str, int]:
    limits: dict[str, int] = {}
    for one in given:
        provider, _, number = one.rpartition("=")
        if not number.isdigit() or not int(number):
            raise typer.BadParameter(f"--concurrency {one}: give a number, or provider=number")
        limits[provider] = int(number)
    return limits.get("", 8) if set(limits) <= {""} else limits


def _print_estimate(rows: list[Any], as_json: bool) -> None:
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    if as_json:
        print_json(
            {"models": [row.to_dict() for row in rows], "cost_usd": sum(known) if len(known) == len(rows) else None}
        )
        return
    print_table(
        "what it would cost (nothing was asked)",
        ("model", "requests", "input tokens", "output tokens, assumed", "$"),
        [
            (
                row.model,
                f"{row.requests:,}",
                f"{row.input_tokens:,}",
                f"{row.output_tokens:,}",
                "unknown" if row.cost_usd is None else f"{row.cost_usd:.4f}",
            )
            for row in rows
        ],
    )
    more = f", and {len(rows) - len(known)} of unknown price" if len(known) < len(rows) else ""
    out.print(f"together ${sum(known):.4f}{more}", highlight=False)


def _print_outcome(outcome: Any, output: Path, as_json: bool) -> None:
    if as_json:
        print_json({"output": str(output), **outcome.to_dict()})
        return
    out.print(f"{output}: {outcome.records:,} records, ${outcome.spent_usd:.4f} spent", highlight=False)
    print_table(
        "models",
        ("model", "answers", "graded", "mean score", "$", "of unknown cost", "failed", "last failure"),
        [
            (
                name,
                f"{one.answers:,} of {one.questions:,}",
                f"{one.graded:,}",
                "none" if one.mean_score is None else f"{one.mean_score:.4f}",
                f"{one.cost_usd:.4f}",
                f"{one.unpriced:,}",
                f"{one.failed:,}",
                one.reason,
            )
            for name, one in outcome.models.items()
        ],
    )
    if outcome.lost_requests:
        err.print(
            f"{outcome.lost_requests:,} requests were cut off and may have been paid (about "
            f"${outcome.lost_cost_usd:.4f}, counted as spent)",
            highlight=False,
        )
    if outcome.capped:
        err.print("stopped at the spend cap; a higher --max-cost goes on", style="yellow", highlight=False)
    elif not outcome.complete:
        err.print("not complete; the same command goes on where this one stopped", style="yellow", highlight=False)
