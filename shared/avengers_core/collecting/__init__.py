"""From questions to graded, paid answers, and from a ledger's calls to records."""

from .from_ledger import records_from_ledger
from .journal import Journal
from .questions import Question, read_questions
from .runner import collect
from .selection import choose_questions
from .types import ModelReply, ModelUnderTest, Outcome, Plan

__all__ = [
    "Journal",
    "ModelReply",
    "ModelUnderTest",
    "Outcome",
    "Plan",
    "Question",
    "choose_questions",
    "collect",
    "read_questions",
    "records_from_ledger",
]
