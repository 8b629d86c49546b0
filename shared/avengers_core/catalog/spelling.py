"""A model's spelling taken apart: who serves it, who made it, its name, its effort."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from .providers import find_provider

__all__ = ["EFFORTS", "Spelling", "key_of", "parse_spelling", "shorter_names", "split_effort"]

#: Efforts in order. ``thinking`` stands for a model's own choice of how much to think; ``thinking-16k`` gives a budget.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "thinking")

_EFFORT = re.compile(rf"[@:]({'|'.join(EFFORTS)}|thinking-\d+k|non-thinking|default)$", re.IGNORECASE)
#: Ways in which a host serves the same model.
_VARIANT = re.compile(r":(free|extended|batch|nitro|floor|online|exacto|beta)$", re.IGNORECASE)
_DATE = re.compile(r"[-@_](20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_BEDROCK = re.compile(
    r"^(?:(?:us|eu|apac|au|jp|ca|sa|us-gov|global|regional|amer)\.)?"
    r"(anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|moonshot|moonshotai|minimax|zai|google|nvidia|writer)"
    r"\.(.+)$"
)
#: Names without their family, which is the maker's.
_BEDROCK_NAMES = {
    ("deepseek", "r1"): "deepseek-r1",
    ("deepseek", "v3"): "deepseek-v3.1",
    ("deepseek", "v3.2"): "deepseek-v3.2",
}
_BEDROCK_VERSION = re.compile(r"-(?:v\d+(?::\d+)?|\d+:\d+)(?::\d+k)?$")
_REGION = re.compile(r"^[a-z]{2}(?:-[a-z]+)+-\d$")
_VERTEX = re.compile(r"(?:^|/)publishers/([^/]+)/models/([^/]+)$")
_ARN = re.compile(r"^arn:aws[\w-]*:bedrock:[^/]*/")
_SUFFIXES = ("-latest", "@latest", "@default", "-default", "-instruct", "-it", "-fp8", "-fp4", "-hf")
#: What hosts of open weights add, and makers give to models of their own.
_HOST_SUFFIXES = ("-maas", "-turbo", "-tput")
_PARTS = re.compile(r"[a-z]+|\d+")


class Spelling(msgspec.Struct, frozen=True):
    """What a spelling says.

    Attributes:
        host: Id of the provider that serves the model, if it is not its maker.
        maker: First part of its canonical id, if the spelling names a maker.
        name: The model's name without host, maker, effort and variant.
        effort: One of `EFFORTS` or ``thinking-<n>k``; empty if the spelling has none.
        served_as: What the host calls the model; empty without a host.
    """

    host: str
    maker: str
    name: str
    effort: str
    served_as: str = ""


def key_of(name: str) -> str:
    """A name with everything gone that libraries spell differently: case, ``.``, ``-`` and ``_``.

    ``Claude-Opus-4.5`` and ``claude-opus-4-5`` have one key, ``llama3-1-70b`` and ``llama-3.1-70b`` as well.
    """
    return "-".join(_PARTS.findall(name.lower().replace("+", "-plus")))


def split_effort(spelling: str) -> tuple[str, str]:
    """A spelling without its effort, and the effort, which is empty if there is none.

    Args:
        spelling: Such as ``gpt-5.2@high``, ``openai/gpt-5.2:high`` or ``gpt-5.2``.
    """
    found = _EFFORT.search(spelling)
    if found is None:
        return spelling, ""
    effort = found[1].lower()
    return spelling[: found.start()], {"non-thinking": "none", "default": ""}.get(effort, effort)


def parse_spelling(spelling: str) -> Spelling:
    """Take a spelling apart: a path, a prefix with a colon, a name of Bedrock or Vertex AI, an effort.

    Args:
        spelling: Such as ``gpt-5.2@high``, ``openrouter/anthropic/claude-opus-4.5`` or
            ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``.
    """
    rest, effort = split_effort(spelling.strip())
    host = maker = ""
    if _ARN.match(rest):
        rest, host = _ARN.sub("", rest), "bedrock"
    vertex = _VERTEX.search(rest)
    if vertex:
        return Spelling("vertex", _maker(vertex[1]), vertex[2], effort, vertex[2])
    head, colon, tail = rest.partition(":")
    if colon and "/" not in head and (known := find_provider(head)):
        host, maker, rest = (known.id, "", tail) if known.host else ("", known.id, tail)
    rest = rest.removeprefix("models/")
    host, maker, name, served_as = _split_path(rest, host, maker)
    bedrock = _BEDROCK.match(name.lower())
    if bedrock:
        maker = "meta-llama" if bedrock[1] == "meta" else _maker(bedrock[1])
        host, name = "bedrock", _BEDROCK_VERSION.sub("", bedrock[2])
        name = _BEDROCK_NAMES.get((maker, name), name)
        served_as = served_as or rest
    return Spelling(host, maker, _VARIANT.sub("", name), effort, served_as)


def _maker(name: str) -> str:
    known = find_provider(name)
    return known.id if known else name.lower()


def _split_path(rest: str, host: str, maker: str) -> tuple[str, str, str, str]:
    """Host, maker, name and what the host calls it: the last part of a path that names a host or a maker wins."""
    if rest.lower().startswith("accounts/fireworks/"):
        return "fireworks", maker, re.sub(r"(?<=\d)p(?=\d)", ".", rest.rsplit("/", 1)[1]), rest
    *path, name = rest.lstrip("~").split("/")
    served_as = list(path)
    for place, part in enumerate(path, start=1):
        known = find_provider(part)
        if known and known.host:
            host, served_as = known.id, path[place:]
        elif part == "models" or (host == "bedrock" and _REGION.match(part)):
            served_as = path[place:]
        else:
            maker = known.id if known else part.lower()
    if name.startswith("databricks-"):
        return "databricks", maker, name.removeprefix("databricks-"), name
    return host, maker, name, "/".join([*served_as, name]) if host else ""


def shorter_names(name: str, hosted: bool = False) -> Iterator[str]:
    """The name, then the name without a snapshot's date and other endings that do not make another model.

    Args:
        name: A model's name without maker and host.
        hosted: Whether a host serves it, so that endings which hosts add are taken off as well.
    """
    suffixes = _SUFFIXES + _HOST_SUFFIXES if hosted else _SUFFIXES
    yield name
    for _ in range(3):
        shorter = _DATE.sub("", name)
        if shorter == name:
            suffix = next((one for one in suffixes if name.lower().endswith(one)), "")
            shorter = name[: len(name) - len(suffix)] if suffix else name
        if shorter == name:
            return
        yield shorter
        name = shorter
