"""Questions that the package makes itself: never the same, graded by programs, at five levels of difficulty."""

from .bank import KINDS, Kind, generate
from .types import LEVELS, WRONG_ANSWERS, Item

__all__ = ["KINDS", "LEVELS", "WRONG_ANSWERS", "Item", "Kind", "generate"]
