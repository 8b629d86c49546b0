"""Run code that a model wrote: in a process of its own, with limits, and shut in by bubblewrap."""

from __future__ import annotations

import contextlib
import functools
import os
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

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

__all__ = ["SandboxResult", "bubblewrap_command", "run_python"]

#: Memory that a program may use.
MEMORY_BYTES = 1 << 30
#: Size of a file that a program may write.
FILE_BYTES = 16 << 20
#: Characters of a program's output that are kept, from its end.
OUTPUT_CHARACTERS = 2000


@dataclass(frozen=True)
class SandboxResult:
    """How a program ended.

    Attributes:
        passed: Whether it ended in time, with exit code 0.
        output: The end of what it printed.
        timed_out: Whether it was stopped because it took too long.
    """

    passed: bool
    output: str
    timed_out: bool = False


@functools.cache
def bubblewrap_command() -> tuple[str, ...] | None:
    """The bubblewrap command that shuts a program in, or None if it is not installed or does not work here.

    Inside there is no network, no other process, no environment, and no file except the system's and those in a folder
    of the program's own.
    """
    program = shutil.which("bwrap")
    if program is None:
        return None
    visible = {"/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", sys.prefix, sys.base_prefix}
    visible |= {str(Path(sys.executable).resolve().parent.parent)}
    binds = [word for path in sorted(visible) if Path(path).exists() for word in ("--ro-bind", path, path)]
    command: tuple[str, ...] = (program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv")
    command += ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *binds)
    works = subprocess.run([*command, sys.executable, "-I", "-c", ""], capture_output=True, timeout=60)
    return command if works.returncode == 0 else None


def run_python(code: str, *, timeout: float = 10.0, sandboxed: bool = True) -> SandboxResult:
    """Run a Python program with at most 1 GiB of memory and 16 MiB for each file.

    Args:
        code: The program.
        timeout: Seconds that it may take.
        sandboxed: Whether it must run behind bubblewrap. False: with limits only, which keep no secret from it.

    Raises:
        SandboxError: If ``sandboxed`` is True and bubblewrap does not work here, or the system is not POSIX and so has
            no limits.
    """
    if resource is None:
        raise SandboxError("code that a model wrote cannot be run on this system, which has no limits for processes")
    barrier = bubblewrap_command() if sandboxed else ()
    if barrier is None:
        raise SandboxError(
            "code that a model wrote is run behind bubblewrap, which does not work here: install it (apt install "
            "bubblewrap), or run the code without it (--no-sandbox), on a machine that holds nothing of value"
        )
    with tempfile.TemporaryDirectory(prefix="avengers-") as folder:
        (Path(folder) / "program.py").write_text(code, encoding="utf-8", errors="replace")
        bind = ("--bind", folder, "/work", "--chdir", "/work") if barrier else ()
        command = [*barrier, *bind, sys.executable, "-I", "program.py"]
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
            _kill(process)
    return SandboxResult(process.returncode == 0 and not timed_out, output, timed_out)


def _limit(timeout: float) -> None:
    seconds = int(timeout) + 1
    for kind, limit in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _read(process: subprocess.Popen[bytes], timeout: float) -> str:
    """The end of the output. Output without end takes no memory here, and ends with the program's time.

    Raises:
        TimeoutExpired: If the program takes longer.
    """
    assert process.stdout is not None
    deadline, tail = time.monotonic() + timeout, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, timeout)
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                process.wait(max(0.1, deadline - time.monotonic()))
                return tail.decode("utf-8", "replace")[-OUTPUT_CHARACTERS:]
            tail = (tail + piece)[-4 * OUTPUT_CHARACTERS :]
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, timeout)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
