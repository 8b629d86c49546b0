"""The command line explains itself, and does so quickly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from avengers_core.cli.app import app, build_command
from avengers_core.cli.commands import COMMANDS

from tests.support.commands import run_command


def commands(command: Any, name: str = "avengers") -> Iterator[tuple[str, Any]]:
    """Each command and group, with the words that call it."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(build_command(inner) if name == "avengers" else inner, f"{name} {word}")


ALL = dict(commands(typer.main.get_command(app)))
PARAMETERS = {
    f"{name} {'/'.join(parameter.opts)}": parameter.help
    for name, command in ALL.items()
    for parameter in command.params
}


def is_sentence(text: str | None) -> bool:
    """Whether it starts with a capital letter, ends with a period and has at least three words."""
    return bool(text and text[0].isupper() and text.rstrip().endswith(".") and len(text.split()) >= 3)


def test_there_are_commands_to_check() -> None:
    assert {"avengers train", "avengers records check", "avengers serve"} <= set(ALL)
    assert len(PARAMETERS) > 130


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_option_and_argument_is_explained_in_a_sentence(parameter: str) -> None:
    assert is_sentence(PARAMETERS[parameter]), PARAMETERS[parameter]


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_explained_in_sentences(name: str) -> None:
    for paragraph in (ALL[name].help or "").split("\n\n"):
        assert is_sentence(paragraph), paragraph


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_a_command_says_of_itself(name: str) -> None:
    explained = ALL[f"avengers {name}"].help.split("\n\n")[0]
    assert COMMANDS[name].summary == " ".join(explained.split())


def test_a_word_is_not_a_sentence() -> None:
    for text in (None, "", "Last day.", "of one request at a time.", "Show the version and exit"):
        assert not is_sentence(text)


def test_help_is_grouped_and_complete() -> None:
    shown = run_command("--help").stdout
    for word in ("Records", "Routers", "Evidence", "Production", *(name.split()[1] for name in ALL if " " in name)):
        assert word in shown


def modules_after(code: str) -> set[str]:
    """The modules that a new Python has loaded after some code."""
    code = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_loads_nothing_heavy() -> None:
    """NumPy, the frameworks, the database and the price list are imported when a command needs them."""
    of_commands = "from avengers_core.cli.commands import COMMANDS; [one.load() for one in COMMANDS.values()]"
    loaded = {name.partition(".")[0] for name in modules_after(of_commands)}
    assert "typer" in loaded
    heavy = {"numpy", "msgspec", "langchain_core", "llama_index", "sqlalchemy", "genai_prices", "sklearn", "jinja2"}
    assert not loaded & heavy


def test_the_list_of_commands_loads_none_of_them() -> None:
    loaded = modules_after("import avengers_core.cli.app")
    assert "avengers_core.cli.commands" in loaded
    assert not loaded & {f"avengers_core.cli.{one.place.partition(':')[0]}" for one in COMMANDS.values()}


@pytest.mark.parametrize(("words", "completed"), [("train --mem", "--memory"), ("records ch", "check")])
def test_the_shell_completes_what_is_built_late(words: str, completed: str) -> None:
    asked = {"COMP_WORDS": f"avengers {words}", "COMP_CWORD": "2", "_AVENGERS_COMPLETE": "complete_bash"}
    assert completed in run_command(env=asked).stdout.split()
