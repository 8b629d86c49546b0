"""Deadlines that hold whatever a server does: also if it sends a byte now and then, which no read timeout notices.

Async calls are cancelled. A sync call runs in a thread of its own, which is left behind if the deadline passes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar

from .._utils.timeouts import timeout
from .._utils.workers import Answers, run_within, start, take

__all__ = ["Deadline", "silence_of"]

T = TypeVar("T")
#: Seconds between a client's retries grow from the first to the last of these, as in the SDKs of OpenAI and Anthropic.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
#: Seconds that a client may take beside waiting.
_SLACK = 1.0
#: The message of an attempt that took too long.
_LATE = "the model did not answer in time"
#: Seconds for which a stream that is closed early is waited for.
_CLOSING = 1.0
#: What a thread answers at the end of a stream.
_END: Any = object()


def silence_of(read_timeout: float | None, max_retries: int | None) -> float | None:
    """Seconds after which a client with these settings has given up, so that a longer silence means that it hangs.

    Args:
        read_timeout: The client's own timeout in seconds, None if it has none.
        max_retries: The client's own retries, None if they are unknown.
    """
    if read_timeout is None:
        return None
    retries = 2 if max_retries is None else max(max_retries, 0)
    pauses = sum(min(_FIRST_PAUSE * 2.0**number, _LONGEST_PAUSE) for number in range(retries))
    return read_timeout * (1 + retries) + pauses + _SLACK


class Deadline:
    """How long one attempt may take, from now on.

    Args:
        total: Seconds in all, None if there is no limit.
        silence: Seconds until the answer, and between the parts of a stream, None if there is no limit.
    """

    def __init__(self, total: float | None = None, silence: float | None = None) -> None:
        self._end = None if total is None else time.monotonic() + total
        self._silence = silence

    def left(self) -> float | None:
        """Seconds that the next step may take, None if there is no limit."""
        if self._end is None:
            return self._silence
        left = max(self._end - time.monotonic(), 0.0)
        return left if self._silence is None else min(left, self._silence)

    def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function.

        Args:
            function: What is called.
            args: Its positional arguments.
            kwargs: Its named arguments.

        Raises:
            TimeoutError: If it takes too long; it goes on in the background.
        """
        if self.left() is None:
            return function(*args, **kwargs)
        return run_within(self.left(), lambda: function(*args, **kwargs), _LATE)

    def iterate(self, make: Callable[[], Iterator[T]]) -> Generator[T, None, None]:
        """Iterate over a stream, and close it in the end.

        Args:
            make: Gives the stream.

        Raises:
            TimeoutError: If the stream, or its next part, takes too long; it is closed when that part comes.
        """
        if self.left() is None:
            with contextlib.closing(_closable(make())) as stream:
                yield from stream
            return
        asks: queue.SimpleQueue[bool] = queue.SimpleQueue()
        answers: Answers = queue.SimpleQueue()
        closed = threading.Event()
        hangs = False
        start(lambda: _serve(make, asks, answers, closed))
        try:
            while True:
                asks.put(True)
                if (part := self._take(answers)) is _END:
                    return
                yield part
        except TimeoutError:
            hangs = True
            raise
        finally:
            asks.put(False)
            closed.wait(0 if hangs else _CLOSING)

    @contextlib.asynccontextmanager
    async def wait(self) -> AsyncGenerator[None, None]:
        """Cancel what is awaited inside if it takes too long.

        Raises:
            TimeoutError: If it did.
        """
        async with timeout(self.left()):
            yield

    async def aiterate(self, stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """`iterate`, async.

        Args:
            stream: The stream.
        """
        try:
            while True:
                try:
                    async with timeout(self.left()):
                        part = await stream.__anext__()
                except StopAsyncIteration:
                    return
                yield part
        finally:
            if hasattr(stream, "aclose"):
                await stream.aclose()

    def _take(self, answers: Answers) -> Any:
        return take(answers, self.left(), _LATE)


def _serve(
    make: Callable[[], Iterator[Any]], asks: queue.SimpleQueue[bool], answers: Answers, closed: threading.Event
) -> None:
    """Take one part of a stream whenever it is asked for."""
    with contextlib.ExitStack() as stack:
        stack.callback(closed.set)
        stream: Iterator[Any] | None = None
        while asks.get():
            try:
                if stream is None:
                    stream = make()
                    stack.callback(getattr(stream, "close", lambda: None))
                answers.put((None, next(stream, _END)))
            except BaseException as error:
                answers.put((error, None))
                return


def _closable(stream: Iterator[T]) -> Any:
    return stream if hasattr(stream, "close") else (part for part in stream)
