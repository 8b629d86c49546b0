"""The command that asks models questions, grades the answers and writes records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_result, print_warning, show_progress
from .options import (
    CONCURRENCY,
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
)
from .train import read_prices

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..collecting.estimate import Estimate
    from ..collecting.questions import Question
    from ..collecting.types import CollectionResult, ModelUnderTest
    from ..pricing.tariff import PriceSchedule
    from .adapters import Adapter

__all__ = [
    "NamedModels",
    "collect",
    "contract_prices",
    "load_collecting",
    "model_specs",
    "provider_limits",
]


@dataclass(frozen=True)
class NamedModels:
    """The models that the command line names.

    Attributes:
        adapter: Adapter of the framework that makes them.
        specs: ``provider:model`` by id.
        models_from: Where to load more models from, or None.
        prices: Contract prices by id, in US dollars per million tokens.
    """

    adapter: Adapter
    specs: dict[str, str]
    models_from: str | None
    prices: dict[str, Any]

    def under_test(self, system: str = "", **options: Any) -> list[ModelUnderTest]:
        """All models, ready to be asked.

        Args:
            system: System message for all of them.
            options: Parameters that are sent with each request, unless they are None.
        """
        options = {name: value for name, value in options.items() if value is not None}
        models = {**self.specs, **self._loaded()}
        return [
            self.adapter.model_under_test(name, model, price=self.prices.get(name), system=system, **options)
            for name, model in models.items()
        ]

    def judge(self, name: str | None) -> ModelUnderTest | None:
        """The model that grades, if one is named."""
        if name is None:
            return None
        return self.adapter.model_under_test(name, name, price=self.prices.get(name))

    def price_schedules(self, system: str) -> dict[str, PriceSchedule]:
        """Prices by id, without making the models that are only named."""
        schedules = {name: self.price_schedule(name, spec) for name, spec in self.specs.items()}
        loaded = NamedModels(self.adapter, {}, self.models_from, self.prices)
        return schedules | {model.id: model.tariff for model in loaded.under_test(system)}

    def price_schedule(self, name: str, spec: str) -> PriceSchedule:
        """Prices of a model that is named, from the contract or else from genai-prices."""
        from ..pricing.tariff import PriceSchedule

        price_ids = () if name in self.prices else (self.adapter.price_id(spec),)
        return PriceSchedule.find(price_ids, self.prices.get(name))

    def _loaded(self) -> dict[str, Any]:
        from .._utils.objects import load_object

        if self.models_from is None:
            return {}
        loaded = load_object(self.models_from)
        if not isinstance(loaded, dict):
            raise ValueError(f"{self.models_from}: must be a mapping from ids to models, not {type(loaded).__name__}")
        return loaded


def collect(
    questions: Annotated[Path, typer.Argument(help="JSONL, CSV or TSV file of questions, or a folder of such files.")],
    model: ModelsOption = None,
    models_from: ModelsFromOption = None,
    framework: FrameworkOption = "langchain",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Records to write; the journal of the run lies beside them.")
    ] = Path("records.jsonl"),
    grader: Annotated[
        str,
        typer.Option(
            help="How answers are graded: exact, numeric, choice, regex, json_schema, code, final, json, sql, "
            "tool_calls, constraints, file, judge, or a function as file.py:function or module:function."
        ),
    ] = "exact",
    judge: Annotated[
        str | None, typer.Option(help="Model that grades if the grader is judge, as provider:model.")
    ] = None,
    system: Annotated[str, typer.Option(help="System message for all models.")] = "",
    temperature: Annotated[
        float | None, typer.Option(help="Temperature of each request. Default: the provider's.")
    ] = None,
    max_tokens: MaxTokensOption = None,
    prices: ContractOption = None,
    max_cost: Annotated[
        float | None,
        typer.Option(help="Stop before all runs together cost this many US dollars. Default: no limit."),
    ] = None,
    concurrency: ConcurrencyOption = None,
    retries: Annotated[int, typer.Option(help="Tries after the first one, for failures that may pass.")] = 5,
    timeout: TimeoutOption = 120.0,
    output_tokens: OutputTokensOption = 500,
    code_timeout: Annotated[
        float, typer.Option(help="Time limit for a program that a model wrote, in seconds.")
    ] = 10.0,
    grader_timeout: Annotated[
        float, typer.Option(help="Time limit for grading one answer, in seconds; a judge has --timeout.")
    ] = 60.0,
    no_sandbox: NoSandboxFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what the run would cost, and ask nothing.")] = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask your models your questions, grade the answers, and write records to train a router on.

    A run that is stopped, at any moment and in any way, continues when it is started again.
    """
    from ..collecting.questions import read_questions
    from ..collecting.runner import collect as run
    from ..collecting.types import CollectionPlan

    asked = read_questions(questions)
    models = NamedModels(
        load_collecting(framework), model_specs(model or [], models_from), models_from, contract_prices(prices)
    )
    if dry_run:
        print_result(_estimate(asked, models, judge, max_tokens or output_tokens, system), _estimate_view, as_json)
        return
    sent = {"temperature": temperature, "max_tokens": max_tokens}
    models_under_test = models.under_test(system, **sent)
    plan = CollectionPlan(
        grader=grader,
        judge=models.judge(judge),
        concurrency=provider_limits(concurrency or []),
        retries=retries,
        timeout=timeout,
        max_cost=max_cost,
        output_tokens=max_tokens or output_tokens,
        code_timeout=code_timeout,
        grader_timeout=grader_timeout,
        sandboxed=not no_sandbox,
        settings={"system": system, **sent},
    )
    with show_progress(quiet or as_json) as progress:
        outcome = run(asked, models_under_test, output, plan, progress=progress)
    print_result(_outcome(outcome, output), _outcome_view, as_json)
    if not as_json:
        _warn(outcome)
    if not outcome.complete:
        raise typer.Exit(1)


def load_collecting(framework: str) -> Adapter:
    """The adapter of a framework, to make models with.

    Args:
        framework: ``langchain`` or ``llamaindex``.
    """
    from .adapters import load_adapter

    try:
        adapter: Adapter = load_adapter(framework, f"collecting with {framework}", f"collect,{framework}")
        return adapter
    except ValueError as error:
        raise typer.BadParameter(f"--with: {error}") from None


def model_specs(named: list[str], models_from: str | None) -> dict[str, str]:
    """``provider:model`` by id."""
    from ..pricing.catalog import split_price_id

    pairs = [(name or split_price_id(spec)[1], spec) for name, _, spec in (item.rpartition("=") for item in named)]
    specs = dict(pairs)
    if len(specs) < len(pairs):
        raise typer.BadParameter("two models have the same id: name them, as in -m small=ollama:llama3.1:8b")
    if not specs and models_from is None:
        raise typer.BadParameter("give at least one --model, or --models-from")
    return specs


def contract_prices(path: Path | None) -> dict[str, Any]:
    """Contract prices by id, from a file."""
    return {} if path is None else read_prices(path)


def provider_limits(given: list[str]) -> int | dict[str, int]:
    """Requests at a time: one number, or a number by provider.

    Args:
        given: Such as ``8`` or ``openai=16``.
    """
    limits: dict[str, int] = {}
    for item in given:
        provider, _, number = item.rpartition("=")
        if not number.isdigit() or not int(number):
            raise typer.BadParameter(f"--concurrency {item}: give a number, or provider=number")
        limits[provider] = int(number)
    return limits.get("", CONCURRENCY) if set(limits) <= {""} else limits


def _estimate(
    asked: Sequence[Question], models: NamedModels, judge: str | None, output_tokens: int, system: str
) -> dict[str, Any]:
    """What a run is expected to cost."""
    from ..collecting.estimate import estimate, estimate_judge

    schedules = models.price_schedules(system)
    rows: list[Estimate] = estimate(asked, schedules, output_tokens, system)
    if judge is not None:
        schedule = models.price_schedule(judge, judge)
        rows.append(estimate_judge(judge, schedule, asked, len(schedules), output_tokens))
    costs = [row.cost_usd for row in rows]
    known = [cost for cost in costs if cost is not None]
    return {"models": [row.to_dict() for row in rows], "cost_usd": sum(known) if len(known) == len(costs) else None}


def _estimate_view(result: dict[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    rows = result["models"]
    yield Table(
        "what it would cost (nothing was asked)",
        ("model", "requests", "input tokens", "output tokens, assumed", "$"),
        [
            (
                row["model"],
                f"{row['requests']:,}",
                f"{row['input_tokens']:,}",
                f"{row['output_tokens']:,}",
                "unknown" if row["cost_usd"] is None else f"{row['cost_usd']:.4f}",
            )
            for row in rows
        ],
    )
    known = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    more = f", and {len(rows) - len(known)} of unknown price" if len(known) < len(rows) else ""
    yield f"together ${sum(known):.4f}{more}"


def _outcome(outcome: CollectionResult, output: Path) -> dict[str, Any]:
    return {"output": str(output), **outcome.to_dict()}


def _outcome_view(result: dict[str, Any]) -> Iterator[Table | str]:
    from .._utils.results import Table

    yield f"{result['output']}: {result['records']:,} records, ${result['spent_usd']:.4f} spent"
    yield Table(
        "models",
        ("model", "answers", "graded", "score", "$", "unpriced", "failed", "failure"),
        [
            (
                name,
                f"{row['answers']:,} of {row['questions']:,}",
                f"{row['graded']:,}",
                "none" if row["mean_score"] is None else f"{row['mean_score']:.4f}",
                f"{row['cost_usd']:.4f}",
                f"{row['unpriced']:,}",
                f"{row['failed']:,}",
                row["reason"],
            )
            for name, row in result["models"].items()
        ],
    )


def _warn(outcome: CollectionResult) -> None:
    """Say on standard error what the run left open."""
    if outcome.lost_requests:
        print_warning(
            f"{outcome.lost_requests:,} requests were cut off and may have been paid "
            f"(at most about ${outcome.lost_cost_usd:.4f}, counted as spent)"
        )
    if outcome.capped:
        print_warning("stopped at the limit on costs; the same command with a higher --max-cost continues")
    elif not outcome.complete:
        print_warning("not complete; the same command continues where this run stopped")
