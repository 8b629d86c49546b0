"""`asyncio.timeout`, which Python 3.10 does not have.

`asyncio.wait_for` puts what it waits for into a task of its own before Python 3.12, and leaves it behind if it is
cancelled twice.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["timeout"]
