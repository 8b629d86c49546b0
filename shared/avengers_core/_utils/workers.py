"""Threads that are kept for the next task, for work that may never end."""

from __future__ import annotations

import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Answers", "begin", "run_within", "start", "take"]

T = TypeVar("T")
#: Threads that wait for their next task, and for how many seconds.
_MOST_IDLE, _IDLE = 64, 5.0
#: An error or else a value, from the thread that does the work.
Answers = queue.SimpleQueue[tuple["BaseException | None", Any]]


def run_within(seconds: float | None, function: Callable[[], T], failure: str) -> T:
    """Call a function in a thread and wait for it.

    Args:
        seconds: How long to wait, None without a limit.
        function: What is called. It goes on in the background if it takes longer.
        failure: The message of the error if it takes longer.

    Raises:
        TimeoutError: If it takes longer.
    """
    answers: Answers = queue.SimpleQueue()

    def task() -> None:
        try:
            answers.put((None, function()))
        except BaseException as error:
            answers.put((error, None))

    start(task)
    return take(answers, seconds, failure)  # type: ignore[no-any-return]


def take(answers: Answers, seconds: float | None, failure: str) -> Any:
    """The next answer of a thread.

    Args:
        answers: What the thread answers into.
        seconds: How long to wait, None without a limit.
        failure: The message of the error if it takes longer.

    Raises:
        TimeoutError: If it takes longer.
    """
    try:
        error, value = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(failure) from None
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame
    return value


def begin(function: Callable[..., T], *arguments: Any) -> Future[T]:
    """Call a function in a thread that does not keep Python from ending, unlike those of a pool.

    Args:
        function: What is called.
        arguments: Its arguments.
    """
    future: Future[T] = Future()

    def task() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    start(task)
    return future


class _Worker(threading.Thread):
    """A thread that waits for the next task when it is done with one."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="avengers-worker")
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


def start(task: Callable[[], None]) -> None:
    """Run a task in a thread, with the context variables of this one.

    Args:
        task: What is called. It must not raise.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.tasks.put((contextvars.copy_context(), task))
