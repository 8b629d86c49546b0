"""Run code that a model wrote: in a process of its own, with limits, and shut in by bubblewrap."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
#: Files that a program may write in all.
ALL_FILES_BYTES = 64 << 20
#: Memory that a program and its children may use together, and how many they may be.
ALL_MEMORY_BYTES, MAX_PROCESSES = 2 << 30, 64
_SIZE = ("--size", str(ALL_FILES_BYTES))
#: Seconds between two looks at what a program and its children use.
_WATCH = 0.05
#: Marks the environment of a program and its children, so that those that left its process group are found.
_MARK = "AVENGERS_PROGRAM"
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
    for size in (_SIZE, ()):  # before 0.7, bubblewrap cannot limit the size of files together
        command: tuple[str, ...] = (program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv")
        command += ("--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/tmp", *binds)
        works = subprocess.run([*command, sys.executable, "-I", "-c", ""], capture_output=True, timeout=60)
        if works.returncode == 0:
            return command
    return None


#: Runs the program, and then prints what its standard input held, which the program itself cannot simply read.
_RUNNER = """
def _run():
    import fcntl, os, random, sys
    hidden = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, random.randrange(100, 250))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    main = sys.modules["__main__"].__dict__
    main.pop("_run")
    main["__file__"] = "program.py"
    with open("program.py", encoding="utf-8") as file:
        code = compile(file.read(), "program.py", "exec")
    exec(code, main)
    sys.stdout.flush()
    os.write(1, os.read(hidden, 64))
_run()
"""


def run_python(code: str, *, timeout: float = 10.0, sandboxed: bool = True, word: str = "") -> SandboxResult:
    """Run a Python program with limits.

    A process may use 1 GiB of memory and write 16 MiB to each file; a program and its children together may use 2 GiB,
    be 64 processes and write 64 MiB to files (on Linux).

    Args:
        code: The program.
        timeout: Seconds that it may take.
        sandboxed: Whether it must run behind bubblewrap. False: with limits only, which keep no secret from it.
        word: Printed when the program has run to its end, which it does not know until then. At most 64 bytes.

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
        program = f"{folder}/program.py"
        size = _SIZE if "--size" in barrier else ()
        place = (*size, "--tmpfs", "/work", "--ro-bind", program, "/work/program.py", "--chdir", "/work")
        command = [*barrier, *(place if barrier else ()), sys.executable, "-I", "-c", _RUNNER]
        mark = secrets.token_hex(16)
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={_MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(_limit, timeout),
        )
        try:
            _tell(process, word)
            output, timed_out = _read(process, timeout, Path(folder)), False
        except subprocess.TimeoutExpired:
            output, timed_out = "", True
        finally:
            _kill(process)
            if not barrier:
                _kill_marked(mark)
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


def _tell(process: subprocess.Popen[bytes], word: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(word.encode())


def _read(process: subprocess.Popen[bytes], timeout: float, folder: Path) -> str:
    """The end of the output. Output without end takes no memory here, and ends with the program's time.

    A program that uses more than it may is killed.

    Raises:
        TimeoutExpired: If the program takes longer.
    """
    assert process.stdout is not None
    deadline, tail = time.monotonic() + timeout, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if _uses_too_much(process.pid, folder):
                _kill_group(process)
            if not selector.select(max(0.0, min(left, _WATCH))):
                if left > 0:
                    continue
                raise subprocess.TimeoutExpired(process.args, timeout)
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                process.wait(max(0.1, deadline - time.monotonic()))
                return tail.decode("utf-8", "replace")[-OUTPUT_CHARACTERS:]
            tail = (tail + piece)[-4 * OUTPUT_CHARACTERS :]
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, timeout)


def _uses_too_much(pid: int, folder: Path) -> bool:
    """Whether a program and its children are too many, or use too much memory or disk together."""
    processes, memory = _descendants(pid), 0
    if len(processes) > MAX_PROCESSES:
        return True
    for process in processes:
        with contextlib.suppress(OSError, IndexError, ValueError):
            memory += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    written = 0
    for file in _found(folder.rglob("*")):
        with contextlib.suppress(OSError):
            written += file.lstat().st_size
    return memory > ALL_MEMORY_BYTES or written > ALL_FILES_BYTES


def _descendants(pid: int) -> list[int]:
    """A process and its children at any depth, as far as the system tells."""
    found = [pid]
    for parent in found:
        if len(found) > MAX_PROCESSES:
            break
        for children in _found(Path(f"/proc/{parent}/task").glob("*/children")):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def _found(paths: Iterator[Path]) -> Iterator[Path]:
    """Paths as long as they are found: processes end and files go while they are looked for."""
    with contextlib.suppress(OSError):
        yield from paths


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_marked(mark: str) -> None:
    """Kill what a program started in sessions of its own."""
    text = f"{_MARK}={mark}".encode()
    for process in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        with contextlib.suppress(OSError):
            if text in Path(f"/proc/{process}/environ").read_bytes():
                os.kill(int(process), signal.SIGKILL)


def _kill(process: subprocess.Popen[bytes]) -> None:
    _kill_group(process)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
