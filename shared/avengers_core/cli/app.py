"""The ``avengers`` command: all commands in one application, and its exit codes."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info, get_group
from typer.models import CommandInfo

from .._version import __version__
from ..errors import AvengersError
from .commands import COMMANDS, Listed

__all__ = ["app", "build_command", "main"]


class _Commands(TyperGroup):
    """The commands, of which only the one that is run is imported and built."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name, the command and the rest of the arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if command is None else build_command(command), rest


def build_command(listed: Any) -> Any:
    """A listed command with its parameters.

    Args:
        listed: The command as the application lists it, without parameters.
    """
    found = COMMANDS[listed.name].load()
    if isinstance(found, typer.Typer):
        return get_group(found)
    return get_command_from_info(
        CommandInfo(name=listed.name, callback=found),
        pretty_exceptions_short=True,
        rich_markup_mode=listed.rich_markup_mode,
    )


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Train, evaluate and use a router that sends each query to the best model for its cost.",
)


def _list(name: str, command: Listed) -> None:
    @app.command(name, rich_help_panel=command.panel, help=command.summary)
    def listed() -> None:
        pass


for _name, _command in COMMANDS.items():
    _list(_name, _command)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 a named error, 2 wrong usage, 130 or 143 interrupted (by Ctrl-C or SIGTERM); with
    ``--exit-code``, 3 if ``monitor`` finds drift, or ``records check`` something that spoils the records.
    """
    try:
        with _ended_by_sigterm():
            app()
    except (AvengersError, ValueError, OSError, MemoryError) as error:
        from .console import err

        told = "there is not enough memory" if isinstance(error, MemoryError) else error
        err.print(f"error: {told}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 130 if isinstance(stop, KeyboardInterrupt) else stop.code
        if code == 130:
            from .console import print_warning

            print_warning("interrupted: no file was left half written")
        sys.exit(code)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end what runs as Ctrl-C does: processes and files in a temporary folder do not stay behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_version(asked: bool) -> None:
    if asked:
        from .console import print_line

        print_line(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
