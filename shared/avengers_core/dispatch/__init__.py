"""One call through the router: choose, reserve, try, fall back, price, record."""

from .call import Attempt, Call
from .dispatcher import Dispatcher
from .factory import open_dispatcher, open_router
from .options import CallLabels, Prompt
from .pool import ClientProfile, ModelPool, PoolModel

__all__ = [
    "Attempt",
    "Call",
    "CallLabels",
    "ClientProfile",
    "Dispatcher",
    "ModelPool",
    "PoolModel",
    "Prompt",
    "open_dispatcher",
    "open_router",
]
