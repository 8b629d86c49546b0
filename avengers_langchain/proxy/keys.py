"""Who may use the proxy, how often, and for how many dollars a day."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from avengers_core._utils.files import user_path
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

__all__ = ["ANYONE", "Key", "Keys", "read_keys"]


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client's key.

    Attributes:
        key: The secret that the client sends.
        name: Name of the client, for logs, metrics and the ledger.
        requests_per_minute: Most requests in a minute; None: any number.
        per_day: US dollars that its calls may cost in a day (UTC); None: any amount.
    """

    key: str
    name: str
    requests_per_minute: int | None = None
    per_day: float | None = None

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    @property
    def session(self) -> str:
        """What the ledger adds up for a day's limit."""
        return f"proxy {self.name} {datetime.now(timezone.utc):%Y-%m-%d}"


#: The client of a proxy without keys.
ANYONE = Key("", "anyone")


class Keys:
    """The keys that are accepted. Without any, every client is.

    Args:
        keys: One for each client.
    """

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._by_digest = {_digest(key.key): key for key in keys}
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def find(self, secret: str) -> Key | None:
        """The key of a secret, found in a time that says nothing about it.

        Returns:
            None if the secret is unknown; `ANYONE` if there are no keys.
        """
        if not self._by_digest:
            return ANYONE
        given, match = _digest(secret), None
        for digest, key in self._by_digest.items():
            if hmac.compare_digest(digest, given):
                match = key
        return match

    async def wait(self, key: Key) -> float:
        """Seconds to wait before a request is within its key's rate; 0 if it is, and then it is counted."""
        if key.requests_per_minute is None:
            return 0.0
        rate = RateLimitItemPerMinute(key.requests_per_minute)
        if await self._limiter.hit(rate, key.name):
            return 0.0
        window = await self._limiter.get_window_stats(rate, key.name)
        return max(1.0, window.reset_time - datetime.now().timestamp())


def read_keys(path: str | Path) -> Keys:
    """Keys of a JSON file: ``[{"key": "...", "name": "web", "requests_per_minute": 60, "per_day": 5.0}]``.

    Raises:
        ValueError: If it is not such a file, has a key or a name twice or empty, or a limit that is not positive.
        OSError: If it cannot be read.
    """
    try:
        keys = msgspec.json.decode(user_path(path).read_bytes(), type=list[Key])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    for field in ("key", "name"):
        values = [getattr(key, field) for key in keys]
        if len(set(values)) < len(values) or not all(values):
            raise ValueError(f"{path}: each entry needs a {field} of its own")
    for key in keys:
        if (key.requests_per_minute is not None and key.requests_per_minute < 1) or (
            key.per_day is not None and key.per_day <= 0
        ):
            raise ValueError(f"{path}: limits of {key.name!r} must be positive")
    if not keys:
        raise ValueError(f"{path}: there is no key in it")
    return Keys(keys)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
