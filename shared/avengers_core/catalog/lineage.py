"""Family, tier and version of a model, read from its name, and what came before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Protocol

import msgspec

__all__ = ["Lineage", "is_chat_name", "known_since", "lineage_of", "predecessors"]


class Lineage(msgspec.Struct, frozen=True):
    """Where a model stands among its maker's models.

    Attributes:
        family: Such as ``claude``, ``gpt`` or ``qwen``.
        tier: Such as ``haiku``, ``mini`` or ``flash``; for open weights a class of size such as ``20b-60b``;
            ``standard`` if the name has none.
        version: Numbers of the name, for order.
    """

    family: str
    tier: str
    version: tuple[int, ...]


class Member(Protocol):
    """What `predecessors` reads of an entry."""

    @property
    def id(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def tier(self) -> str: ...
    @property
    def version(self) -> tuple[int, ...]: ...
    @property
    def release(self) -> str: ...


_CLAUDE = re.compile(r"^claude-(?:v?(\d+(?:[.-]\d)?)-)?([a-z]+)(?:-(\d+)(?:[.-](\d{1,2}))?)?(?:-\D|-\d{6,}|$)")
_O_SERIES = re.compile(r"^o(\d)(?:-([a-z-]+))?")
_STEM = re.compile(r"^(?:gpt-oss|kat-coder|[a-z]+)")
_NUMBER = re.compile(r"^[a-z]?(\d{1,2})(?:[.](\d{1,2}))?((?!b)[a-z]*)$")
_FULL_DATE = re.compile(r"-20\d{2}-\d{2}-\d{2}")
_SIZE = re.compile(r"^(?:(\d+)x)?(\d+(?:[.]\d+)?)([bt])$")
_DATE = re.compile(r"^(?:20\d{6}|20\d\d|\d{3,4}|0\d)$")
_NOISE = frozenset(["preview", "exp", "experimental", "latest", "instruct", "it", "beta", "hf", "base", "inst"])
#: Words beside which a number of parameters says nothing more.
_NAMED_SIZES = frozenset(
    ["nano", "micro", "mini", "small", "medium", "large", "lite", "flash", "pro", "plus", "max", "super", "ultra"]
)

#: The tier that a family's new tier took the place of.
_TOOK_PLACE_OF = {
    ("gpt", "luna"): "nano",
    ("gpt", "terra"): "mini",
    ("gpt", "sol"): "standard",
    ("gpt", "turbo"): "standard",
    ("gemini", "argon"): "pro",
    ("kimi", "pro"): "standard",
    ("deepseek", "flash"): "standard",
    ("deepseek", "pro"): "standard",
    ("mistral", "tiny"): "small",
}

_NOT_CHAT = re.compile(
    r"embed|rerank|moderation|image|imagen|banana|dall-e|sora|veo|video|audio|tts|whisper|transcri|realtime|voice|voxtral"
    r"|orpheus|eleven|\blive\b|translate|lyria|robotics|computer-use|-ocr|ocr-|guard|content-safety|davinci|babbage|curie"
    r"|^ada$|turbo-instruct|deep-research|search-(?:preview|api)|decider|cyber|rosalind|daybreak|omni-(?:\d|flash)|\bft:"
    r"|customtools|ui-tars|morph-|relace|schematron|:batch"
)


def is_chat_name(name: str) -> bool:
    """Whether a name looks like a model that answers text with text: no embeddings, images, speech or filters."""
    return _NOT_CHAT.search(name.lower()) is None


def lineage_of(name: str) -> Lineage:
    """Family, tier and version that a name tells.

    Args:
        name: A model's name without its maker, such as ``gpt-5.4-mini``.
    """
    name = name.lower()
    claude = _CLAUDE.match(name)
    if claude and not claude[2].isdigit() and claude[2] != "v":
        numbers = claude[1] or ".".join(part for part in (claude[3], claude[4]) if part)
        return Lineage("claude", claude[2] + ("-fast" if name.endswith("-fast") else ""), _numbers(numbers))
    o_series = _O_SERIES.match(name)
    if o_series:
        tier = (o_series[2] or "standard").removesuffix("-preview").strip("-") or "standard"
        return Lineage("o", "standard" if tier == "preview" else tier, (int(o_series[1]),))
    return _generic(name)


def _generic(name: str) -> Lineage:
    name = _FULL_DATE.sub("", name.replace("flash-8b", "flash-lite"))
    stem = _STEM.match(name)
    family = stem[0] if stem else name
    tokens = [token for token in re.split(r"[-_:@ ]", name[len(family) :]) if token]
    version: tuple[int, ...] = ()
    words: list[str] = []
    size = ""
    for token in tokens:
        number = _NUMBER.match(token)
        sized = _SIZE.match(token)
        if sized:
            billions = float(sized[2]) * int(sized[1] or 1) * (1000 if sized[3] == "t" else 1)
            size = size or _size_class(billions)
        elif number and not version and not re.match(r"^0\d", token):
            minor = int((number[2] or "0").rstrip("0") or 0)  # 4.20 came before 4.3
            version = (int(number[1]), minor, *((5,) if number[3] == "o" else ()))
            words += _words_of_number(token, number[3])
        elif not _DATE.match(token) and token not in _NOISE and not re.match(r"^(?:a?\d+b|v?\d.*|n?e\d+b)$", token):
            words.append(token)
    dates = [int(token) for token in tokens if re.match(r"^2\d{3}$", token)]
    if not version and dates:
        version = (dates[-1],)
    if size and not _NAMED_SIZES.intersection(words):
        words = [*(word for word in words if word != "chat"), size]
    return Lineage(family, "-".join(words) or "standard", version)


def _words_of_number(token: str, letters: str) -> list[str]:
    """What the letters around a version number say: ``r`` and ``v`` of ``deepseek-r1`` and ``glm-4.5v``."""
    before = ["reasoner"] if token.startswith("r") else []
    return before + ([letters] if letters not in ("", "o", "b") else [])


def _numbers(text: str) -> tuple[int, ...]:
    found = tuple(int(part) for part in re.findall(r"\d+", text))
    return found if len(found) > 1 else (*found, 0)


def _size_class(billions: float) -> str:
    for bound, label in ((5, "under-5b"), (20, "5b-20b"), (60, "20b-60b"), (150, "60b-150b")):
        if billions < bound:
            return label
    return "over-150b"


def predecessors(members: Iterable[Member]) -> dict[str, str]:
    """The newest older model of the same maker, family and tier, by id.

    A tier that took another's place goes on from the newest of that tier. Models of a tier stand in one order, by
    `known_since` and then by version, so that no chain can have a circle.

    Args:
        members: Models of any makers.
    """
    members = list(members)
    since = known_since(members)
    tiers: dict[tuple[str, str, str], list[Member]] = {}
    for one in members:
        tiers.setdefault((one.provider, one.family, one.tier), []).append(one)
    lines = {key: _in_order(line, since) for key, line in tiers.items()}
    found: dict[str, str] = {}
    for (provider, family, tier), line in lines.items():
        ordered = [one for _, one in line]
        found |= {later.id: earlier.id for earlier, later in pairwise(ordered) if not _is_misplaced(earlier, later)}
        replaced = _TOOK_PLACE_OF.get((family, tier))
        before = _last_before(lines, (provider, family, replaced), line[0][0]) if replaced else ""
        if before:
            found[ordered[0].id] = before
    return found


def _is_misplaced(earlier: Member, later: Member) -> bool:
    """Whether a model of unknown release stands behind one of a higher version."""
    return not later.release and earlier.version > later.version


def known_since(members: Iterable[Member]) -> dict[str, str]:
    """When each model came, by id: its release, or that of the last of its family whose version is not above its own.

    A model of which neither is known is not in it.

    Args:
        members: Models of any makers.
    """
    families: dict[tuple[str, str], list[Member]] = {}
    for one in members:
        families.setdefault((one.provider, one.family), []).append(one)
    found: dict[str, str] = {}
    for family in families.values():
        for one in family:
            release = one.release or _release_before(one, family)
            if release:
                found[one.id] = release
    return found


def _release_before(member: Member, others: Iterable[Member]) -> str:
    return max((one.release for one in others if one.release and one.version <= member.version), default="")


_Place = tuple[str, tuple[int, ...], str]


def _in_order(line: Iterable[Member], since: Mapping[str, str]) -> list[tuple[_Place, Member]]:
    places = [((since.get(one.id, ""), one.version, one.id), one) for one in line]
    return sorted(places, key=lambda item: item[0])


def _last_before(
    lines: Mapping[tuple[str, str, str], list[tuple[_Place, Member]]], key: tuple[str, str, str], place: _Place
) -> str:
    older = [one.id for other, one in lines.get(key, ()) if other < place]
    return older[-1] if older else ""
