"""The ``avengers`` command: all commands in one application, and its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info, get_group
from typer.models import CommandInfo

from .._version import __version__
from ..errors import AvengersError
from .calibrate import calibrate
from .collect import collect
from .console import err, print_line, print_warning
from .data import records_app
from .evaluate import evaluate
from .evidence import compare, recommend, report, routerarena, sweep
from .ledger import feedback, ledger, monitor
from .models import models_app
from .route import inspect, route
from .serve import serve
from .shadow import shadow
from .train import train, update
from .ui import ui

__all__ = ["app", "build_command", "main"]


class _Commands(TyperGroup):
    """The commands, of which only the one that is run is built: to build all of them takes longer than most run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name, the command and the rest of the arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if command is None else build_command(command), rest


def build_command(listed: Any) -> Any:
    """A listed command with its parameters.

    Args:
        listed: The command as the application lists it, without parameters.
    """
    if listed.name in _GROUPS:
        return get_group(_GROUPS[listed.name][1])
    callback = next(one for commands in _PANELS.values() for one in commands if one.__name__ == listed.name)
    return get_command_from_info(
        CommandInfo(name=listed.name, callback=callback),
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

#: Commands by the panel of the help that they are listed in.
_PANELS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Records": (collect, calibrate),
    "Routers": (train, update, inspect, route, serve),
    "Evidence": (evaluate, sweep, recommend, report, compare, routerarena),
    "Production": (ui, ledger, feedback, monitor, shadow),
}
#: Groups of commands, by name, with their panel.
_GROUPS = {"records": ("Records", records_app), "models": ("Routers", models_app)}


def _list(name: str, panel: str, text: str | None) -> None:
    @app.command(name, rich_help_panel=panel, help=text)
    def listed() -> None:
        pass


for _panel, _commands in _PANELS.items():
    for _command in _commands:
        _list(_command.__name__, _panel, _command.__doc__)
for _name, (_panel, _group) in _GROUPS.items():
    _list(_name, _panel, _group.info.help)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 a named error, 2 wrong usage, 130 interrupted; with ``--exit-code``, 3 if ``monitor`` finds
    drift, or ``records check`` something that spoils the records.
    """
    try:
        app()
    except (AvengersError, ValueError, OSError) as error:
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 130 if isinstance(stop, KeyboardInterrupt) else stop.code
        if code == 130:
            print_warning("interrupted: no file was left half written")
        sys.exit(code)


def _show_version(asked: bool) -> None:
    if asked:
        print_line(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
