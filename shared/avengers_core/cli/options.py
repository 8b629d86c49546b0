"""Arguments and options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..catalog.catalog import Catalog

__all__ = [
    "AliasesOption",
    "AlphaOption",
    "ArtifactOption",
    "CapabilitiesOption",
    "ExchangeOption",
    "IntegrationsOption",
    "JobsOption",
    "JsonFlag",
    "LedgerArgument",
    "LedgerOption",
    "MaxCostOption",
    "MinQualityOption",
    "PublishedOption",
    "QuietFlag",
    "RecordsArgument",
    "ScoringOption",
    "SeedOption",
    "SinceOption",
    "SourceFromFile",
    "UntilOption",
    "given_catalog",
    "parse_bytes",
    "parse_list",
    "split_names",
]


def _check_framework(name: str) -> str:
    if name not in ("langchain", "llamaindex"):
        raise typer.BadParameter(f"{name}: use langchain or llamaindex")
    return name


_LEDGER_HELP = "SQLite file or SQLAlchemy URL of the ledger. Default: $AVENGERS_LEDGER, or else the user's ledger."

RecordsArgument = Annotated[
    list[Path], typer.Argument(help="Records: JSONL files, plain or gzip, or folders of such files.")
]
SourceFromFile = Annotated[
    bool,
    typer.Option(
        "--source-from-file", help="Take the file's name, up to the first period, as source of records without one."
    ),
]
LedgerArgument = Annotated[str | None, typer.Argument(help=_LEDGER_HELP)]
LedgerOption = Annotated[str | None, typer.Option("--ledger", help=_LEDGER_HELP)]
ArtifactOption = Annotated[
    str | None,
    typer.Option(
        "--artifact", "-a", help="Path of an artifact, or name of a pretrained one. Default: the packaged one."
    ),
]
AlphaOption = Annotated[
    float | None,
    typer.Option("--alpha", help="Trade-off from 0 (cost only) to 1 (quality only). Default: the artifact's."),
]
ScoringOption = Annotated[
    str | None,
    typer.Option("--scoring", help="How models are ranked: utility, reference or simple. Default: the artifact's."),
]
ExchangeOption = Annotated[
    str | None,
    typer.Option(
        "--exchange",
        help="What alpha means: even (the share of the way, in log cost, from the cheapest choice to the best one) or "
        "fixed (US dollars per point of score). Default: the artifact's.",
    ),
]
MinQualityOption = Annotated[
    float | None,
    typer.Option(
        "--min-quality",
        help="In place of alpha: the cheapest model is chosen that is expected to reach this share, from 0 to 1, of "
        "the best one's score.",
    ),
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        help="US dollars that a call may be expected to cost. Without an alpha, the best model within it is chosen.",
    ),
]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option(
        "--max-seconds",
        help="Seconds that an answer may be expected to take. Models whose speed is unknown are left out.",
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--random-state", "--seed", help="Seed of the random choices; the same seed gives the same result."),
]
JobsOption = Annotated[int | None, typer.Option("--jobs", help="Number of processes. Default: one per core.")]
SinceOption = Annotated[str, typer.Option("--since", help="First day (UTC), such as 2026-11-24. Default: no limit.")]
UntilOption = Annotated[str, typer.Option("--until", help="Last day (UTC), such as 2026-11-30. Default: no limit.")]
#: Requests at a time to a provider, unless --concurrency gives another number.
CONCURRENCY = 8

ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", help="Model to ask, as id=provider:model or provider:model. May be given several times."
    ),
]
ModelsFromOption = Annotated[
    str | None,
    typer.Option("--models-from", help="Mapping from ids to models of your own, as file.py:name or module:name."),
]
FrameworkOption = Annotated[
    str, typer.Option("--with", help="Framework that makes the models: langchain or llamaindex.")
]
IntegrationsOption = Annotated[
    str,
    typer.Option(
        "--framework",
        callback=_check_framework,
        help="Whose integrations count for models: langchain or llamaindex.",
    ),
]
MaxTokensOption = Annotated[
    int | None, typer.Option("--max-tokens", help="Most output tokens of each request. Default: the provider's.")
]
ContractOption = Annotated[
    Path | None,
    typer.Option(
        "--prices", help="JSON file of contract prices, {id: {input, output}}, in US dollars per million tokens."
    ),
]
ConcurrencyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--concurrency",
        help="Requests at a time to each provider, as 8, or to one, as openai=16. May be given several times. "
        f"Default: {CONCURRENCY}.",
    ),
]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Time limit for each request, in seconds.")]
OutputTokensOption = Annotated[
    int,
    typer.Option(
        "--output-tokens", help="Expected output tokens of an answer, for the estimate and the limit on costs."
    ),
]
NoSandboxFlag = Annotated[
    bool, typer.Option("--no-sandbox", help="Run code that models wrote without a sandbox (bubblewrap).")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")]


AliasesOption = Annotated[
    Path | None,
    typer.Option(help="JSON or CSV file of other names of models: {alias: model}, or columns alias and model."),
]
CapabilitiesOption = Annotated[
    Path | None,
    typer.Option(help="JSON or CSV file of what models can do, such as {model: {tools: true}}."),
]
PublishedOption = Annotated[
    Path | None,
    typer.Option(help="JSON or CSV file of published scores: model, benchmark, score, and perhaps harness and source."),
]


def given_catalog(
    aliases: Path | None = None,
    prices: Path | None = None,
    capabilities: Path | None = None,
    published: Path | None = None,
) -> Catalog | None:
    """The catalogue with what files say; None if there are no files.

    Raises:
        CatalogError: If a file cannot be used; it names the file, the line and the field.
    """
    if aliases is prices is capabilities is published is None:
        return None
    from ..catalog.catalog import default_catalog

    return default_catalog().with_overrides(aliases, prices, capabilities, published)


def split_names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_bytes(text: str, option: str) -> int:
    """Read a size such as ``4GiB``, ``500 MB`` or ``4e9``.

    Args:
        text: The size. Units are powers of 1000, or of 1024 if they have an i.
        option: Name of the option, for the error.

    Raises:
        BadParameter: If it is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e\d{1,2})?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size such as 4GiB or 500MB", param_hint=option)
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** (" kmgt".index(unit or " ")))


def parse_list(text: str, kind: Callable[[str], Any]) -> list[Any]:
    """Read values separated by commas; ``default`` is None, and ``0:10`` counts from 0 to 9.

    Args:
        text: The values.
        kind: Type of the values, such as int.

    Raises:
        BadParameter: If a value is not of this type.
    """
    values: list[Any] = []
    for item in split_names(text):
        start, colon, stop = item.partition(":")
        if colon and start.isdigit() and stop.isdigit():
            values += range(int(start), int(stop))
        elif item == "default":
            values.append(None)
        else:
            try:
                values.append(kind(item))
            except ValueError:
                raise typer.BadParameter(f"{item!r} is not a number") from None
    return values
