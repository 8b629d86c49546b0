"""What the command line uses of this package: the entry point ``llamaindex`` of the group ``avengers.adapters``."""

from __future__ import annotations

from .collecting import model_under_test, price_id

__all__ = ["model_under_test", "price_id"]
