"""Deadlines that hold whatever a server does: also if it sends a byte now and then, which no read timeout notices.

Async calls are cancelled. A sync call runs in a thread of its own, which is left behind if the deadline passes.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import queue
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["Deadline", "silence_of"]

T = TypeVar("T")
#: Seconds between a client's retries grow from the first to the last of these, as in the SDKs of OpenAI and Anthropic.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
#: Seconds that a client may take beside waiting.
_SLACK = 1.0
#: Seconds for which a stream that is closed early is waited for.
_CLOSING = 1.0
#: Threads that wait for their next task, and for how many seconds.
_MOST_IDLE, _IDLE = 64, 5.0


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
        answers: _Answers = queue.SimpleQueue()
        _start(lambda: _report(answers, lambda: function(*args, **kwargs)))
        return self._take(answers)  # type: ignore[no-any-return]

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
        answers: _Answers = queue.SimpleQueue()
        closed = threading.Event()
        hangs = False
        _start(lambda: _serve(make, asks, answers, closed))
        try:
            while True:
                asks.put(True)
                try:
                    yield self._take(answers)
                except StopIteration:
                    return
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

    def _take(self, answers: _Answers) -> Any:
        try:
            error, value = answers.get(timeout=self.left())
        except queue.Empty:
            raise TimeoutError("the model did not answer in time") from None
        if error is not None:
            raise error
        return value


#: An error or else a value, from the thread that does the work.
_Answers = queue.SimpleQueue[tuple["BaseException | None", Any]]


def _report(answers: _Answers, function: Callable[[], Any]) -> None:
    try:
        answers.put((None, function()))
    except BaseException as error:
        answers.put((error, None))


def _serve(
    make: Callable[[], Iterator[Any]], asks: queue.SimpleQueue[bool], answers: _Answers, closed: threading.Event
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
                answers.put((None, next(stream)))
            except BaseException as error:
                answers.put((error, None))
                return


def _closable(stream: Iterator[T]) -> Any:
    return stream if hasattr(stream, "close") else (part for part in stream)


class _Worker(threading.Thread):
    """A thread that waits for the next task when it is done with one."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="avengers-attempt")
        self.tasks: queue.SimpleQueue[tuple[contextvars.Context, Callable[[], None]]] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            try:
                context, task = self.tasks.get(timeout=_IDLE)
            except queue.Empty:
                with contextlib.suppress(ValueError):  # a task is on its way
                    _idle.remove(self)
                    return
                continue
            context.run(task)
            del context, task
            if len(_idle) >= _MOST_IDLE:
                return
            _idle.append(self)


_idle: list[_Worker] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads do not live on in a child


def _start(task: Callable[[], None]) -> None:
    """Run a task in a thread, with the context variables of this one."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.tasks.put((contextvars.copy_context(), task))
