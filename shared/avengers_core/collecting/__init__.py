"""From questions to graded, paid answers, and from a ledger's calls to records."""

from .from_ledger import LedgerRecords, LoggedModel, read_feedback, records_from_ledger
from .graders import make_grader
from .journal import Journal
from .questions import Question, read_questions
from .runner import collect
from .selection import choose_questions
from .types import CollectionPlan, CollectionResult, ModelReply, ModelResult, ModelUnderTest

__all__ = [
    "CollectionPlan",
    "CollectionResult",
    "Journal",
    "LedgerRecords",
    "LoggedModel",
    "ModelReply",
    "ModelResult",
    "ModelUnderTest",
    "Question",
    "choose_questions",
    "collect",
    "make_grader",
    "read_feedback",
    "read_questions",
    "records_from_ledger",
]
