"""A file to be edited by a described change. What is not to be changed must stay."""

from __future__ import annotations

import random
from collections.abc import Callable

from .types import WRONG_ANSWERS, Item
from .words import made_up_name

__all__ = ["editing"]

#: Sections, settings in each, and edits, by level.
_SIZES = {1: (1, 4, 1), 2: (3, 5, 2), 3: (5, 6, 4), 4: (8, 8, 8), 5: (12, 10, 14)}
_KEYS = ("timeout", "retries", "port", "workers", "limit", "size", "delay", "depth", "level", "batch", "pool", "window")

#: A file: sections, each with its name and its lines.
_File = list[tuple[str, list[str]]]
#: What is asked, and a function that does it.
_Edit = tuple[str, Callable[[_File], None]]


def editing(rng: random.Random, level: int) -> Item:
    """Edit a configuration file: one change in five lines (1), or fourteen in a hundred and thirty (5)."""
    while True:
        file = _file(rng, *_SIZES[level][:2])
        edits: list[_Edit] = []
        done = _copy(file)
        while len(edits) < _SIZES[level][2]:
            edit = _edit(done, rng, level)
            edit[1](done)
            edits.append(edit)
        reference = _text(done)
        wrong = _slips(file, edits, reference)
        if len(wrong) >= WRONG_ANSWERS:
            break
    listed = "\n".join(f"{number}. {text}" for number, (text, _) in enumerate(edits, start=1))
    query = f"Make these changes to the file, one after the other:\n{listed}"
    prompt = (
        f"{query}\n\n```ini\n{_text(file)}\n```\n\nReply with the whole changed file in one code block. Leave all else as it "
        "is, comments included."
    )
    return Item(query, prompt, "file", reference, _fenced(reference), [_fenced(one) for one in wrong[:WRONG_ANSWERS]])


def _file(rng: random.Random, sections: int, settings: int) -> _File:
    names: dict[str, None] = {}
    while len(names) < sections:
        names.setdefault(made_up_name(rng).lower())
    file: _File = []
    for name in names:
        lines = [f"{key} = {rng.randrange(1, 900)}" for key in rng.sample(_KEYS, settings)]
        lines.insert(rng.randrange(len(lines)), f"# checked by {made_up_name(rng)}")
        file.append((name, lines))
    return file


def _copy(file: _File) -> _File:
    return [(name, list(lines)) for name, lines in file]


def _text(file: _File) -> str:
    return "\n\n".join("\n".join([f"[{name}]", *lines]) for name, lines in file)


def _edit(file: _File, rng: random.Random, level: int) -> _Edit:
    """An edit that can be made to a file."""
    section = rng.randrange(len(file))
    name, lines = file[section]
    places = [place for place, line in enumerate(lines) if "=" in line]
    kind = rng.choice(
        ("set", "set", "remove", "add", "rename") if level < 3 else ("set", "remove", "add", "move", "times", "rename")
    )
    free = [key for key in (*_KEYS, "speed", "ratio", "height") if not any(one.startswith(f"{key} =") for one in lines)]
    if len(places) < 2 or kind == "add":
        key, value = rng.choice(free), rng.randrange(1, 900)
        return f"In [{name}], add the line `{key} = {value}` at the end of the section.", _adder(
            section, f"{key} = {value}"
        )
    place = rng.choice(places)
    key, _, old = lines[place].partition(" = ")
    if kind == "set":
        new = rng.randrange(1000, 9000)
        return f"In [{name}], set {key} to {new}.", _setter(section, place, f"{key} = {new}")
    if kind == "times":
        return f"In [{name}], double the value of {key}.", _setter(section, place, f"{key} = {2 * int(old)}")
    if kind == "rename":
        other = rng.choice(free)
        return f"In [{name}], rename {key} to {other} and keep its value.", _setter(section, place, f"{other} = {old}")
    if kind == "move":
        targets = [
            place
            for place in range(len(file))
            if place != section and not any(line.startswith(f"{key} =") for line in file[place][1])
        ]
        if targets:
            target = rng.choice(targets)
            text = f"Move {key} from [{name}] to the end of [{file[target][0]}]."
            return text, _mover(section, place, target)
    return f"In [{name}], remove {key}.", _remover(section, place)


def _setter(section: int, place: int, line: str) -> Callable[[_File], None]:
    def change(file: _File) -> None:
        if place < len(file[section][1]):
            file[section][1][place] = line

    return change


def _adder(section: int, line: str) -> Callable[[_File], None]:
    return lambda file: file[section][1].append(line)


def _remover(section: int, place: int) -> Callable[[_File], None]:
    def change(file: _File) -> None:
        del file[section][1][place : place + 1]

    return change


def _mover(section: int, place: int, target: int) -> Callable[[_File], None]:
    def change(file: _File) -> None:
        line = file[section][1][place : place + 1]
        del file[section][1][place : place + 1]
        file[target][1].extend(line)

    return change


def _slips(file: _File, edits: list[_Edit], reference: str) -> list[str]:
    """Files with an edit left out or done twice, without comments, or without a blank line or a last line."""
    wrong = [_text(file)]
    for left_out in range(len(edits)):
        done = _copy(file)
        for place, (_, change) in enumerate(edits):
            if place != left_out:
                change(done)
        wrong.append(_text(done))
    wrong.append("\n".join(line for line in reference.splitlines() if not line.startswith("#")))
    lines = reference.splitlines()
    wrong.append("\n".join(lines[:-1]))
    wrong.append("\n".join([*lines, "# changed"]))
    wrong.append("\n".join([lines[0], *sorted(lines[1:])]))
    wrong.append(reference.replace(" = ", "="))
    wrong.append(reference.replace("[", "[ "))
    return [one for one in dict.fromkeys(wrong) if one != reference]


def _fenced(text: str) -> str:
    return f"```ini\n{text}\n```"
