"""The result of a calibration as one page that holds everything: nothing is requested when it is opened."""

from __future__ import annotations

from pathlib import Path

from .._utils.files import replacing
from .._utils.pages import render_page
from ..bank import KINDS
from .types import Calibration, ChoiceChange

__all__ = ["findings", "write_page"]

#: What a run ended for, in words.
_REASONS = {
    "regret": "no further question was expected to change much",
    "money": "the money was spent",
    "questions": "no question was left that could change a choice",
    "failures": "the models failed again and again",
}


def findings(result: Calibration) -> list[str]:
    """What was learned, in sentences."""
    known = [one for one in result.changes if one.cost_after is not None]
    sentences = [
        f"{result.answers:,} answers of {len(result.models)} models to generated questions cost "
        f"${result.spent_usd:.4f}; the run ended because {_REASONS[result.reason]}.",
        f"The best choices may still be {result.regret:.3f} points of score better than the router's on average; "
        f"before the first question it was {result.regret_before:.3f}.",
    ]
    changed = [one.queries for one in result.changes if one.before != one.after]
    if changed:
        sentences.append(f"The router now chooses differently for {_listed(changed)}.")
    else:
        sentences.append("The router chooses as before: its expectations were confirmed.")
    if known:
        sentences.append(_saving(result, known))
    sentences += [f"{name} failed at times: {reason}." for name, reason in result.failed.items()]
    return sentences


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _saving(result: Calibration, changes: list[ChoiceChange]) -> str:
    now = sum(one.cost_after or 0.0 for one in changes) / len(changes)
    single = sum(one.best_single_cost or 0.0 for one in changes) / len(changes)
    score = sum(one.score_after for one in changes) / len(changes)
    best = sum(one.best_single_score for one in changes) / len(changes)
    share = f"{abs(1 - now / single):.0%} {'less' if now <= single else 'more'} than" if single > 0 else "against"
    return (
        f"At alpha {result.alpha:g} it is expected to cost ${now * 1000:.3f} per 1,000 such queries, {share} the best "
        f"single model of each kind (${single * 1000:.3f}), at a score of {score:.2f} against {best:.2f}."
    )


def write_page(result: Calibration, path: Path, title: str = "Your models on generated questions") -> Path:
    """Write the page.

    Args:
        result: What was learned.
        path: The file.
        title: Its heading.

    Raises:
        MissingExtraError: If jinja2 is not installed.
    """
    text = render_page(
        Path(__file__).with_name("page.html"),
        "the page of a calibration",
        "calibrate",
        title=title,
        findings=findings(result),
        result=result,
        tasks={kind: KINDS[kind].task for kind in result.kinds},
        of={(one.model, one.kind): one for one in result.results},
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
