"""Processes that have everything imported when they begin.

Starting Python and importing both frameworks takes seconds. Here one process, of multiprocessing's fork server, does so
once, and each program is a fork of it: a process of its own, that can be killed and that leaves nothing behind.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.support.commands import Result

_IMPORTED_ONCE = [
    "tests.support.processes",
    "avengers_core.cli.app",
    "avengers_core.collecting.runner",
    "avengers_core.training.estimator",
    "avengers_langchain.collecting",
    "avengers_langchain.proxy",
    "avengers_llamaindex",
    "langchain_anthropic",
    "langchain_openai",
    "llama_index.llms.openai",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_IMPORTED_ONCE)


def start_program(
    *words: object, env: Mapping[str, str], cwd: str | Path, stdout: str | Path, stderr: str | Path
) -> BaseProcess:
    """Start `avengers` (if that is the first word) or a Python file with arguments.

    Args:
        words: The command.
        env: Environment variables to add to this process's own.
        cwd: The folder that it runs in.
        stdout: A file for its standard output.
        stderr: A file for its standard error.
    """
    variables = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **env}
    arguments = (list(map(str, words)), variables, str(cwd), str(stdout), str(stderr))
    process = _context.Process(target=_run, args=arguments)
    process.start()
    return process


def run_program(*words: object, env: Mapping[str, str], cwd: str | Path, timeout: float = 120) -> Result:
    """Run a program as `start_program` does and wait for it, at most ``timeout`` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        process = start_program(*words, env=env, cwd=cwd, stdout=stdout, stderr=stderr)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{words} took more than {timeout} seconds\n{stderr.read_text()}")
        return Result(process.exitcode, stdout.read_text(), stderr.read_text())


def _run(words: list[str], env: dict[str, str], cwd: str, stdout: str, stderr: str) -> None:
    for number, path in ((1, stdout), (2, stderr)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(os.devnull)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = words
    if words[0] == "avengers":
        from avengers_core.cli import main

        main()
    else:
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name="__main__")
