"""Processes that work for this one: they end when it ends, and at once if nobody wants what they do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Any

__all__ = ["live_as_long_as_parent", "terminate"]


def live_as_long_as_parent() -> None:
    """In a process that works for another one: leave Ctrl-C to that one, and end when it ends, however that is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def terminate(processes: ProcessPoolExecutor) -> None:
    """End the processes of a pool in the middle of their work."""
    for process in list((processes._processes or {}).values()):
        process.terminate()


def _end_after(process: Any) -> None:
    process.join()
    os._exit(1)
