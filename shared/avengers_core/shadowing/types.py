"""What is asked again, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from .._utils.results import Result

__all__ = ["JudgeBias", "ShadowModel", "ShadowRequest", "ShadowResult"]


class ShadowRequest(msgspec.Struct, frozen=True):
    """A request of a user's.

    Attributes:
        query: What the router saw.
        prompt: What was sent. Default: the query.
        answer: The answer that was given; empty if it is not known.
        model: The model that gave it.
        index: Name of the request.
    """

    query: str
    prompt: str = ""
    answer: str = ""
    model: str = ""
    index: str = ""


@dataclass
class ShadowModel(Result):
    """How a model's answers compare with the others'.

    Attributes:
        answers: Answers that were judged.
        given: How many of them were given to users before.
        score: Mean share of comparisons that they won, a tie counting half; or their mean grade.
        cost_usd: US dollars of those that were asked now and whose cost is known.
        seconds: Mean seconds of those that were asked now, None if there are none.
    """

    answers: int = 0
    given: int = 0
    score: float | None = None
    cost_usd: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class JudgeBias(Result):
    """What else than its quality may have made a judge prefer an answer.

    Attributes:
        verdicts: Verdicts, two for each pair of answers: one in each order.
        first: Share of the verdicts for one answer that were for the first; 0.5 without bias.
        agreement: Share of the pairs for which both orders brought the same verdict.
        pairs_of_lengths: Pairs with a winner whose lengths differ by a tenth or more.
        longer: Share of these that the longer answer won, None if there are none.
        own_pairs: Pairs of a model of the judge's provider and one of another.
        own: Share of these that the former won, a tie counting half; None if there are none.
    """

    verdicts: int
    first: float | None
    agreement: float | None
    pairs_of_lengths: int
    longer: float | None
    own_pairs: int
    own: float | None

    def warnings(self) -> list[str]:
        """What is further from chance than chance explains (two standard errors), in sentences."""
        found = []
        if _unlike_chance(self.first, self.verdicts):
            place = "first" if (self.first or 0) > 0.5 else "second"
            found.append(
                f"The judge prefers the {place} answer ({self.first:.0%} of its verdicts are for the first); both "
                "orders were asked, so this cancels out."
            )
        if self.agreement is not None and self.agreement < 0.7:
            found.append(f"The judge agrees with itself on {self.agreement:.0%} of the pairs only: try another one.")
        if _unlike_chance(self.longer, self.pairs_of_lengths):
            which = "longer" if (self.longer or 0) > 0.5 else "shorter"
            found.append(f"The {which} answer won more often ({self.longer:.0%} for the longer), which may be a bias.")
        if _unlike_chance(self.own, self.own_pairs):
            found.append(
                f"Models of the judge's own provider won {self.own:.0%} of their comparisons with others, which may be "
                "a bias: judge with a model of another provider as well."
            )
        return found


def _unlike_chance(share: float | None, count: int) -> bool:
    return share is not None and count >= 10 and abs(share - 0.5) > 1.0 / count**0.5


@dataclass
class ShadowResult(Result):
    """The result of a run.

    Attributes:
        requests: Requests that were sampled.
        records: Records that were written.
        spent_usd: US dollars of all runs on the journal, the judge's among them.
        capped: Whether the run ended because the next request did not fit into ``max_cost``.
        models: Results by model.
        bias: What may have biased the judge; None if a grader was used.
        failed: Why models failed last, by id.
    """

    requests: int
    records: int
    spent_usd: float
    capped: bool
    models: dict[str, ShadowModel]
    bias: JudgeBias | None
    failed: dict[str, str] = field(default_factory=dict)
