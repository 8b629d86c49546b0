"""One call through the router: choose, reserve, try, fall back, price, record."""

from .call import Attempt, Call
from .dispatcher import Dispatcher
from .factory import open_dispatcher, open_router
from .options import Options, Prompt
from .pool import Member, Pool, Traits

__all__ = [
    "Attempt",
    "Call",
    "Dispatcher",
    "Member",
    "Options",
    "Pool",
    "Prompt",
    "Traits",
    "open_dispatcher",
    "open_router",
]
