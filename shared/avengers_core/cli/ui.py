"""The command that opens the console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ArtifactOption, IntegrationsOption, LedgerArgument

__all__ = ["ui"]


def ui(
    ledger: LedgerArgument = None,
    artifact: ArtifactOption = None,
    records: Annotated[
        list[Path] | None,
        typer.Option("--records", help="Records that calibrate, shadow or collect wrote. May be given several times."),
    ] = None,
    framework: IntegrationsOption = "langchain",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(help="Token that opens the console. Default: a new random one.", envvar="AVENGERS_UI_TOKEN"),
    ] = None,
    open_to_anyone: Annotated[bool, typer.Option("--open-to-anyone", help="Ask for no token.")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            help="Further host name under which it may be asked, or * for any. May be given several times.",
        ),
    ] = None,
    browse: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Open a console in the browser: what was spent, why each model was chosen, and what to do next.

    The ledger is only read. No request leaves this machine, and no model is called.
    """
    from ..errors import MissingExtraError

    try:
        from ..ui.console import Console
        from ..ui.server import run
    except ImportError as error:
        raise MissingExtraError("the console", "ui") from error
    from .console import print_line

    console = Console(ledger, artifact, records or (), framework)  # type: ignore[arg-type]
    run(
        console,
        host=host,
        port=port,
        token=token,
        open_to_anyone=open_to_anyone,
        allow_hosts=allow_host or (),
        browse=browse,
        tell=print_line,
    )
