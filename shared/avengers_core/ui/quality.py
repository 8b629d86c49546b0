"""How good the answers were, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..evaluation.drift import Drift, measure_drift
from ..ledger.reader import LedgerReader
from ..records.io import read_records
from ..routing.manifest import Artifact

__all__ = ["Advice", "JudgedModel", "advise", "judged_models", "recent_drift"]

#: The newest attempts that drift is measured over.
RECENT = 20_000

_DRIFT_COLUMNS = (
    "artifact", "cluster", "attempt", "similarity", "status", "model", "picodollars", "expected_picodollars",
)  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """Something to do.

    Attributes:
        why: What was seen, and what helps.
        command: The command that does it; empty if it is no command's work.
    """

    why: str
    command: str = ""


@dataclass
class JudgedModel:
    """The scores of a model in a file of records.

    Attributes:
        source: Who graded, or the records' dataset.
        model: Its id.
        scores: Scores that it has.
        total: Their sum.
        wins: Comparisons with one other model that it won, lost, and that were a tie.
        losses: As above.
        ties: As above.
    """

    source: str
    model: str
    scores: int = 0
    total: float = 0.0
    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def mean(self) -> float:
        """Mean score, from 0 to 1."""
        return self.total / self.scores


def judged_models(files: Sequence[Path]) -> list[JudgedModel]:
    """Scores of records by source and model, best first.

    Args:
        files: Records, as ``calibrate``, ``shadow`` and ``collect`` write them.

    Raises:
        RecordError: If a line is not a record; the message names the file, the line and the field.
    """
    found: dict[tuple[str, str], JudgedModel] = {}
    for path in files:
        for record in read_records(path):
            source = record.source or record.dataset
            scores = {model: float(score or 0) for model, score in record.records.items()}
            for model, score in scores.items():
                one = found.setdefault((source, model), JudgedModel(source, model))
                one.scores, one.total = one.scores + 1, one.total + score
                others = [value for name, value in scores.items() if name != model]
                if record.dataset == "shadow" and len(others) == 1:
                    one.wins += score > others[0]
                    one.losses += score < others[0]
                    one.ties += score == others[0]
    return sorted(found.values(), key=lambda one: (one.source, -one.mean, one.model))


def recent_drift(artifact: Artifact, reader: LedgerReader) -> Drift:
    """Drift over the newest attempts (`RECENT`).

    Args:
        artifact: What they are compared with.
        reader: The ledger.
    """
    return measure_drift(artifact, reader.recent(_DRIFT_COLUMNS, RECENT))


def advise(
    drift: Drift,
    artifact: Artifact,
    feedback: Sequence[Mapping[str, Any]],
    ledger: str,
    artifact_name: str,
    *,
    prompts: bool,
    timed: bool,
) -> list[Advice]:
    """What to do next.

    Args:
        drift: Of the newest calls.
        artifact: What routed them.
        feedback: From `LedgerReader.feedback_by_model`.
        ledger: Name of the ledger, for commands.
        artifact_name: Name of the artifact, for commands.
        prompts: Whether the ledger keeps prompts.
        timed: Whether calls in the ledger were timed.
    """
    name, router = shlex.quote(ledger), shlex.quote(artifact_name)
    found = [Advice(f"{why[0].upper()}{why[1:]}.", _command(why, name, router)) for why in drift.advice]
    if not feedback:
        found.append(
            Advice(
                "No answer was judged yet. A thumb of a user is enough: it shows which model disappoints, and where.",
                f"avengers feedback CALL_ID up --ledger {name}",
            )
        )
    elif prompts:
        found.append(
            Advice(
                "Answers were judged and prompts are kept: they can become records that the router learns from.",
                f"avengers records from-ledger {name} -o feedback.jsonl",
            )
        )
    if prompts:
        found.append(
            Advice(
                "Prompts are kept: other models can be asked the same, and the answers compared.",
                f"avengers shadow {name} -m MODEL --judge JUDGE --max-cost 1 -o shadow.jsonl",
            )
        )
    if timed and not artifact.statistics.timing.any():
        found.append(
            Advice(
                "The calls were timed, and the artifact knows no speeds: with them, max_seconds can be used.",
                f"avengers update {router} --speeds {name} -o router.zip",
            )
        )
    return found


def _command(advice: str, ledger: str, artifact: str) -> str:
    if advice.startswith("retrain"):
        return f"avengers records from-ledger {ledger} -o feedback.jsonl"
    return f"avengers update {artifact} --prices latest -o router.zip" if advice.startswith("update") else ""
