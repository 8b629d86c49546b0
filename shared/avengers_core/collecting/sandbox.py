"""Runs code that a model wrote: in its own process, with limits, and walled off by bubblewrap where it works."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError

MEMORY_BYTES = 1 << 30
FILE_BYTES = 16 << 20
OUTPUT_CHARACTERS = 2000


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        passed: with exit code 0, in time. output: the end of what it printed. timed_out: it was stopped.
    """

    passed: bool
    output: str
    timed_out: bool = False


@functools.cache
def bubblewrap_command() -> tuple[str, ...] | None:
    """The bubblewrap command that shuts a program in, or None where it is not installed or may not do so.

    Inside there is no network, no other process, no environment and no file but the system's and a folder of its own.
    """
    program = shutil.which("bwrap")
    if program is None:
        return None
    shown = {"/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", sys.prefix, sys.base_prefix}
    shown |= {str(Path(sys.executable).resolve().parent.parent)}
    binds = [part for path in sorted(shown) if Path(path).exists() for part in ("--ro-bind", path, path)]
    command: tuple[str, ...] = (program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv")
    command += ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *binds)
    works = subprocess.run([*command, sys.executable, "-I", "-c", ""], capture_output=True, timeout=60)
    return command if works.returncode == 0 else None


def run_python(code: str, *, timeout: float = 10.0, sandboxed: bool = True) -> Outcome:
    """Run a Python program with at most ``timeout`` seconds, 1 GiB of memory and 16 MiB a file.

    Args:
        sandboxed: demand bubblewrap; False runs it with the limits only, which keep no secret from it.

    Raises:
        SandboxError: ``sandboxed`` is asked for and bubblewrap does not work here.
    """
    barrier = bubblewrap_command() if sandboxed else ()
    if barrier is None:
        raise SandboxError(
            "code that a model wrote is run behind bubblewrap, which does not work here: install it (apt install "
            "bubblewrap), or run it unwalled (--no-sandbox), on a machine that holds nothing of value"
        )
    with tempfile.TemporaryDirectory(prefix="avengers-") as folder:
        (Path(folder) / "program.py").write_text(code, encoding="utf-8", errors="replace")
        inside = ("--bind", folder, "/work", "--chdir", "/work") if barrier else ()
        command = [*barrier, *inside, sys.executable, "-I", "program.py"]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(_limit, timeout),
        )
        try:
            output, timed_out = _read(process, timeout), False
        except subprocess.TimeoutExpired:
            output, timed_out = "", True
        finally:
            _end(process)
    return Outcome(process.returncode == 0 and not timed_out, output, timed_out)


def _limit(timeout: float) -> None:
    seconds = int(timeout) + 1
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _read(process: subprocess.Popen[bytes], timeout: float) -> str:
    """The end of the output; a program that prints without end is held to its file and time limits by the pipe."""
    assert process.stdout is not None
    end, tail = time.monotonic() + timeout, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, timeout)
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                process.wait(max(0.1, end - time.monotonic()))
                return tail.decode("utf-8", "replace")[-OUTPUT_CHARACTERS:]
            tail = (tail + piece)[-4 * OUTPUT_CHARACTERS :]
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(process.args, timeout)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
