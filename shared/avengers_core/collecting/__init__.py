"""From questions to graded, paid answers, and from a ledger's calls to records."""

from .from_ledger import records_from_ledger
from .journal import Journal
from .questions import Question, read_questions
from .runner import collect
from .selection import choose_questions
from .types import Outcome, Plan, Reply, Respondent

__all__ = [
    "Journal",
    "Outcome",
    "Plan",
    "Question",
    "Reply",
    "Respondent",
    "choose_questions",
    "collect",
    "read_questions",
    "records_from_ledger",
]
