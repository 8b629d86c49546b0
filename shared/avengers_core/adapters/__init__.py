"""What every framework's adapter is made of: its fields, its dispatcher, its streams and its totals.

`avengers_langchain` and `avengers_llamaindex` are built from this package, and a third adapter can be. No other part of
the core imports it: it needs pydantic, which both frameworks and genai-prices install. `adapters.collecting` is not
imported here, because collecting needs more than a model does.
"""

from .arguments import needs_from_arguments, only_models, take
from .cache import DispatcherCache
from .fields import BUILD_FIELDS, RoutingFields
from .framework import Framework
from .history import LastTurn, last_turn, rewrite_history
from .streams import StreamAccumulator
from .totals import TotalsBlocks

__all__ = [
    "BUILD_FIELDS",
    "DispatcherCache",
    "Framework",
    "LastTurn",
    "RoutingFields",
    "StreamAccumulator",
    "TotalsBlocks",
    "last_turn",
    "needs_from_arguments",
    "only_models",
    "rewrite_history",
    "take",
]
