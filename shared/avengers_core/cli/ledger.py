"""Commands on a ledger: what calls cost, whether queries have drifted, and feedback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_result
from .options import ArtifactOption, JsonFlag, LedgerArgument, LedgerOption, SinceOption, UntilOption

if TYPE_CHECKING:
    from .._utils.results import Table
    from ..evaluation.drift import Drift
    from ..routing.manifest import Artifact

__all__ = ["feedback", "ledger", "monitor"]

#: Exit code of ``monitor --exit-code`` if the router should be trained again.
RETRAIN = 3


def ledger(
    url: LedgerArgument = None,
    by: Annotated[
        str, typer.Option(help="What to group calls by: model, day, tag, session, provider or status.")
    ] = "model",
    since: SinceOption = "",
    until: UntilOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Show what calls cost, by model, day, tag or session. A call with several tags counts for each of them."""
    from ..ledger.factory import open_existing

    rows = open_existing(url).report(by, since or None, until or None)
    print_result([{**row, "cost_usd": float(row["cost_usd"])} for row in rows], _totals_view(by), as_json)


def _totals_view(by: str) -> Callable[[Sequence[dict[str, Any]]], Iterator[Table]]:
    def view(rows: Sequence[dict[str, Any]]) -> Iterator[Table]:
        from .._utils.results import Table

        yield Table(
            f"calls by {by}",
            (by, "calls", "failed attempts", "input tokens", "output tokens", "$", "seconds", "calls of unknown cost"),
            [
                (
                    row[by],
                    f"{row['calls']:,}",
                    f"{row['failed']:,}",
                    f"{row['input_tokens']:,}",
                    f"{row['output_tokens']:,}",
                    f"{row['cost_usd']:.6f}",
                    "" if row["seconds"] is None else f"{row['seconds']:.2f}",
                    f"{row['unknown']:,}",
                )
                for row in rows
            ],
        )

    return view


def feedback(
    call: Annotated[str, typer.Argument(help="Id of the call (in response_metadata), or of the framework's run.")],
    score: Annotated[str, typer.Argument(help="How good the answer was: 0 to 1, true or false, up or down.")],
    key: Annotated[str, typer.Option(help="Name of what was judged, such as user or accuracy.")] = "user",
    ledger: LedgerOption = None,
) -> None:
    """Record how good a logged answer was."""
    from ..ledger.factory import open_existing

    value = {"true": True, "false": False}.get(score.lower(), score)
    open_existing(ledger).add_feedback(call, value, key)


def monitor(
    ledger: LedgerArgument = None,
    artifact: ArtifactOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with exit code 3 if the router should be trained again.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare live queries and their cost with those of training, and advise when to train again."""
    from ..evaluation.drift import measure_drift
    from ..ledger.factory import open_existing
    from ..routing.artifact import load_artifact
    from ..routing.pretrained import find_artifact

    known = load_artifact(find_artifact(artifact))
    drift = measure_drift(known, open_existing(ledger).entries(since or None, until or None))
    print_result(drift, lambda drift: _drift_view(drift, known), as_json)
    if exit_code and drift.retrain:
        raise typer.Exit(RETRAIN)


def _drift_view(drift: Drift, artifact: Artifact, most: int = 5) -> Iterator[Table | str]:
    from .._utils.results import Table
    from ..evaluation.drift import COST_RATIO_THRESHOLD, PSI_THRESHOLD, UNFAMILIAR_THRESHOLD
    from ..routing.inspection import describe

    index, unfamiliar, ratio = drift.stability_index, drift.unfamiliar, drift.cost_ratio
    low, high = drift.cost_interval or (0.0, 0.0)
    yield Table(
        f"{drift.queries:,} queries of this artifact, {drift.others:,} calls of others left out",
        ("figure", "now", "without drift", "too much"),
        [
            ("stability index of clusters", "unknown" if index is None else f"{index:.3f}", "0", f"{PSI_THRESHOLD:g}"),
            (
                "unfamiliar queries",
                "unknown" if unfamiliar is None else f"{unfamiliar:.1%}",
                "1%",
                f"{UNFAMILIAR_THRESHOLD:.0%}",
            ),
            (
                "real cost / expected",
                "unknown" if ratio is None else f"{ratio:.2f} ({low:.2f} to {high:.2f})",
                "1",
                f"{COST_RATIO_THRESHOLD:g}, or {1 / COST_RATIO_THRESHOLD:g}",
            ),
        ],
    )
    datasets = {row["cluster"]: ", ".join(list(row["datasets"])[:2]) for row in describe(artifact)["clusters"]}
    yield Table(
        "clusters that changed most",
        ("cluster", "in training", "now", "datasets"),
        [
            (str(share.cluster), f"{share.training:.1%}", f"{share.live:.1%}", datasets.get(share.cluster, ""))
            for share in drift.shares[:most]
        ],
    )
    yield Table(
        "cost by model",
        ("model", "calls", "$", "expected $"),
        [
            (name, f"{row.calls:,}", f"{row.cost_usd:.6f}", f"{row.expected_cost_usd:.6f}")
            for name, row in sorted(drift.models.items())
        ],
    )
    yield from drift.advice or ["nothing to do"]
