"""The `avengers` command, run in this process: the same code as the installed command, without starting Python."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from avengers_core.cli import main


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, one after the other."""
        return self.stdout + self.stderr

    def json(self) -> Any:
        """Standard output, as JSON."""
        return json.loads(self.stdout)


def run_command(
    *arguments: object,
    env: Mapping[str, str | None] | None = None,
    input: str = "",
    cwd: str | Path | None = None,
    exit_code: int | None = 0,
) -> Result:
    """Run `avengers` with these arguments and return how it ended.

    Args:
        arguments: The words after `avengers`; each is turned into text.
        env: Environment variables to set, or to take away (None), while the command runs.
        input: What the command reads from standard input.
        cwd: The folder that the command runs in.
        exit_code: The exit code that the command must end with; None if any will do.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    variables = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **(env or {})}
    before = os.getcwd()
    with (
        mock.patch.dict(os.environ, {k: v for k, v in variables.items() if v is not None}, clear=True),
        mock.patch.object(sys, "argv", ["avengers", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.StringIO(input)),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        os.chdir(cwd or before)
        try:
            main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code
        finally:
            os.chdir(before)
    if not isinstance(code, int):
        if code is not None:
            stderr.write(f"{code}\n")
        code = 0 if code is None else 1
    result = Result(code, stdout.getvalue(), stderr.getvalue())
    assert exit_code in (None, result.exit_code), f"exit code {result.exit_code}\n{result.output}"
    return result
