"""Make the catalogue's data files in shared/avengers_core/catalog/data.

python scripts/make_catalog.py --published FOLDER --models FILE [--profiles FOLDER]

FOLDER of --published has scores.csv, costs.csv and tokens.csv; --models is a CSV with id, release, context, tools and
prices; --profiles is a folder with unpacked LangChain integrations beyond the installed ones (facts are read from
their ``data/_profiles.py``). List prices and ids come from the installed genai-prices. catalog_facts.py has what no list
holds. Rows of the files that name no model are printed.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib.util
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from avengers_core.catalog.lineage import is_chat_name, lineage_of
from avengers_core.catalog.listings import Listing, find_listing, listings_of
from avengers_core.catalog.profiles import profile_capabilities
from avengers_core.catalog.providers import find_provider
from avengers_core.catalog.spelling import key_of, parse_spelling, shorter_names, split_effort
from avengers_core.catalog.types import CatalogEntry
from avengers_core.pricing.types import Price
from catalog_facts import (
    ALIASES,
    API_NAMES,
    DEFAULT_EFFORTS,
    EFFORTS,
    MAKERS,
    RELEASES,
    SNAPSHOTS,
    STATUS,
)

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "shared" / "avengers_core" / "catalog" / "data"
#: Makers whose LangChain integration lists what their own API offers.
LISTED = ("openai", "anthropic", "google", "x-ai", "mistralai", "deepseek", "perplexity")
#: Makers of which genai-prices has the own price list.
PRICED = (*LISTED, "moonshotai", "minimax", "z-ai", "cohere", "meta", "upstage")
OPEN_WEIGHTS = re.compile(r"gemma|learnlm|gpt-oss|deepseek-(?!chat|reasoner)|open-mi|mixtral|mistral-7b")
_ALIASES = {key_of(name): target for name, target in ALIASES.items()}


@dataclass
class Facts:
    """What the sources say of one model."""

    name: str
    aliases: dict[str, str] = field(default_factory=dict)
    releases: list[str] = field(default_factory=list)
    profile: Mapping[str, Any] | None = None
    openrouter: Mapping[str, Any] | None = None
    listing: Listing | None = None
    row: Mapping[str, str] | None = None


def maker_of(name: str) -> str:
    return next((maker for start, maker in MAKERS if name.lower().startswith(start)), "")


def plain_name(maker: str, name: str) -> str:
    """A name as canonical ids have it: Anthropic's with dashes, a family's older word order put right."""
    name = name.lower().replace("_", "-").replace("@", "-").removesuffix("-default")
    if maker != "anthropic":
        return name
    name = name.replace(".", "-")
    found = re.match(r"^claude-(\d)-(\d)-(sonnet|opus|haiku)(.*)$", name)
    return f"claude-{found[3]}-{found[1]}-{found[2]}{found[4]}" if found and found[1] >= "4" else name


class Builder:
    """Collects names of models under one canonical id each."""

    def __init__(self) -> None:
        self.facts: dict[str, Facts] = {}
        self.ids: dict[tuple[str, str], str] = {}
        self.unresolved: list[str] = []

    def canonical(self, spelling: str, snapshots: bool = True) -> tuple[str, str]:
        """Canonical id and effort of a spelling; it is registered if it is new."""
        parsed = parse_spelling(spelling)
        maker = parsed.maker or maker_of(parsed.name) or parsed.host
        if not maker:
            return "", ""
        name = plain_name(maker, parsed.name)
        target, effort = self._target(maker, name)
        known = self.ids.get((maker, key_of(target)))
        if known is None and snapshots and name not in SNAPSHOTS:
            for shorter in shorter_names(target):
                known = known or self.ids.get((maker, key_of(shorter)))
        if known is None:
            known = f"{maker}/{target}"
            self.ids[maker, key_of(target)] = known
            self.facts[known] = Facts(target)
        if key_of(name) != key_of(known.partition("/")[2]):
            self.facts[known].aliases.setdefault(key_of(name), f"{name}@{effort}" if effort else name)
        return known, parsed.effort or effort

    def _target(self, maker: str, name: str) -> tuple[str, str]:
        if name in SNAPSHOTS:
            return name, ""
        for shorter in shorter_names(name):
            target = _ALIASES.get(key_of(shorter))
            if target and (target.startswith(f"{maker}/") or maker == maker_of(name)):
                target, effort = split_effort(target)
                return target.partition("/")[2], effort
        return name, ""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@functools.cache
def profiles_of(module: str, folder: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """A LangChain integration's profiles, from the folder if they are there, else from what is installed."""
    path = folder / module / "data" / "_profiles.py" if folder else None
    if path is None or not path.is_file():
        found = importlib.util.find_spec(module)
        path = Path((found.submodule_search_locations or [""])[0]) / "data" / "_profiles.py" if found else None
    if path is None or not path.is_file():
        return {}
    spec = importlib.util.spec_from_file_location(f"profiles_{module}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return dict(loaded._PROFILES)


def usable(name: str, profile: Mapping[str, Any]) -> bool:
    """Whether a profile is of a model that answers with text, and more than a stub of one that is no longer listed."""
    moving = name.endswith("-latest") and key_of(name) not in _ALIASES
    return bool(profile.get("release_date")) and not moving and profile.get("text_outputs", True) and is_chat_name(name)


def collect(builder: Builder, arguments: argparse.Namespace) -> None:
    """Register every name of every source, the best-known names first."""
    rows = read(arguments.models)
    for row in rows:
        row["base"] = row["base"] or split_effort(row["id"])[0]
    for name in SNAPSHOTS:
        builder.canonical(name)
    for target in ALIASES.values():
        builder.canonical(split_effort(target)[0])
    # names without a date first, so that dated ones find them
    published = [row for name in ("scores", "costs", "tokens") for row in read(arguments.published / f"{name}.csv")]
    spelled = [row["base"] for row in rows] + [split_effort(row["model"])[0] for row in published]
    for dated in (False, True):
        for name in dict.fromkeys(spelled):
            if (re.search(r"20\d{2}-?\d{2}-?\d{2}$", name) is not None) is dated:
                builder.canonical(name)
    for alias, target in ALIASES.items():
        builder.canonical(f"{target.partition('/')[0]}/{alias}")
    collect_rows(builder, rows)
    collect_profiles(builder, arguments.profiles)
    collect_listings(builder)


def collect_rows(builder: Builder, rows: list[dict[str, str]]) -> None:
    for row in rows:
        found, _ = builder.canonical(row["base"])
        if found:
            facts = builder.facts[found]
            if facts.row is None or float(row["answers"] or 0) > float(facts.row["answers"] or 0):
                facts.row = row
            facts.releases += [row["release"]] if row["release"] else []
        else:
            builder.unresolved.append(f"models: {row['id']}")


def collect_profiles(builder: Builder, folder: Path | None) -> None:
    for maker in LISTED:
        known = find_provider(maker)
        assert known is not None
        assert known.langchain is not None
        for name, profile in profiles_of(known.langchain.module, folder).items():
            if usable(name, profile):
                found, _ = builder.canonical(f"{maker}/{name}")
                facts = builder.facts[found]
                exact = key_of(name) == key_of(found.partition("/")[2])
                if facts.profile is None or exact:
                    facts.profile = profile
                if exact or re.search(r"20\d{6}$", name):  # an alias has the date of the model that it means now
                    facts.releases.append(profile["release_date"])
    for name, profile in profiles_of("langchain_openrouter", folder).items():
        if usable(name, profile) and not name.startswith(("openrouter/", "~")):
            found, _ = builder.canonical(f"openrouter/{name}")
            facts = builder.facts[found]
            if facts.openrouter is None or not name.endswith(":free"):
                facts.openrouter = profile
            if key_of(name.split(":")[0]) == key_of(found):
                facts.releases.append(profile["release_date"])


def collect_listings(builder: Builder) -> None:
    for maker in PRICED:
        known = find_provider(maker)
        for provider in known.prices if known else ():
            for listing in listings_of(provider):
                name = listing.id.lower()
                own = maker_of(name) == maker and not re.search(r"[/:]|\.ft-", name)
                if own and is_chat_name(name) and listing.price():
                    found, _ = builder.canonical(f"{maker}/{name}")
                    builder.facts[found].listing = builder.facts[found].listing or listing


def longest(table: Mapping[str, Any], id_: str) -> Any:
    """The value of the longest key that the id starts with, or None."""
    keys = [key for key in table if id_.startswith(key)]
    return table[max(keys, key=len)] if keys else None


def release_of(id_: str, facts: Facts) -> str:
    if id_ in RELEASES:
        return RELEASES[id_]
    known = sorted(date for date in facts.releases if date)
    if known:
        return known[0]
    found = re.search(r"(20\d{2})-?(\d{2})-?(\d{2})$", facts.name)
    if found:
        return "-".join(found.groups())
    found = re.search(r"-(2[3-6])(0[1-9]|1[0-2])$", facts.name)
    return f"20{found[1]}-{found[2]}" if found else ""


def status_of(id_: str, facts: Facts, newest: Mapping[tuple[str, str, str], tuple[int, ...]]) -> str:
    """How the maker's own API offers it, or ``hosted`` if only hosts do."""
    if id_ in STATUS:
        return STATUS[id_]
    maker, _, name = id_.partition("/")
    if maker in LISTED and facts.profile:
        return "deprecated" if facts.profile.get("status") == "deprecated" else "current"
    if maker not in LISTED and facts.listing:
        return "deprecated" if facts.listing.deprecated else "current"
    if maker in LISTED and facts.listing and not facts.listing.deprecated:
        line = lineage_of(name)
        if line.version > newest.get((maker, line.family, line.tier), (99,)):
            return "current"
    if facts.openrouter:
        return "hosted"
    return "retired" if maker in LISTED and not OPEN_WEIGHTS.match(name) else "unknown"


def capabilities_of(facts: Facts) -> dict[str, bool | int]:
    row = facts.row or {}
    known: dict[str, bool | int] = {}
    if row.get("context"):
        known["max_input_tokens"] = int(float(row["context"]))
    if row.get("tools") in ("True", "False"):
        known["tools"] = row["tools"] == "True"
    if facts.listing and facts.listing.context_window:
        known["max_input_tokens"] = facts.listing.context_window
    for profile in (facts.openrouter, facts.profile):
        known |= profile_capabilities(profile) if profile else {}
    return known


def own_price(id_: str, facts: Facts) -> Price | None:
    """A list price that genai-prices does not have."""
    row = facts.row or {}
    maker, _, name = id_.partition("/")
    if find_listing(maker, [name, *aliases_of(facts)]):
        return None
    if (
        row.get("modelsdev_in")
        and row.get("modelsdev_out")
        and float(row["modelsdev_in"]) > 0
        and float(row["modelsdev_out"]) > 0
    ):
        return Price(float(row["modelsdev_in"]), float(row["modelsdev_out"]), "models.dev", "2026-09")
    return None


def aliases_of(facts: Facts) -> list[str]:
    return [alias for alias in facts.aliases.values() if "@" not in alias]


def entries_of(builder: Builder) -> list[CatalogEntry]:
    newest: dict[tuple[str, str, str], tuple[int, ...]] = {}
    for id_, facts in builder.facts.items():
        maker, _, name = id_.partition("/")
        if facts.profile:
            line = lineage_of(name)
            key = (maker, line.family, line.tier)
            newest[key] = max(newest.get(key, ()), line.version)
    found = []
    for id_, facts in sorted(builder.facts.items()):
        line = lineage_of(facts.name)
        capabilities = capabilities_of(facts)
        efforts = longest(EFFORTS, id_)
        if efforts is None:
            efforts = tuple((facts.profile or {}).get("reasoning_effort_levels") or ())
        default = longest(DEFAULT_EFFORTS, id_) or (facts.profile or {}).get("reasoning_effort_default") or ""
        names = set(facts.aliases.values()) | extra_aliases(id_, builder)
        found.append(
            CatalogEntry(
                id=id_,
                name=API_NAMES.get(id_, ""),
                family=line.family,
                tier=line.tier,
                version=line.version,
                release=release_of(id_, facts),
                status=status_of(id_, facts, newest),
                openrouter=facts.openrouter is not None,
                efforts=efforts,
                default_effort=default if default in efforts else "",
                capabilities=capabilities,
                aliases=tuple(sorted(names)),
                price=own_price(id_, facts),
            )
        )
    return inherit_efforts(found)


def extra_aliases(id_: str, builder: Builder) -> set[str]:
    """Names by rule: the name without ``-preview``, Azure's without a dot, Anthropic's older word order."""
    maker, _, name = id_.partition("/")
    found = set()
    if name.endswith("-preview") and maker != "openai":
        found.add(name.removesuffix("-preview"))
    if maker == "openai" and (azure := re.match(r"^gpt-(\d)\.(\d)(.*)$", name)):
        found.add(f"gpt-{azure[1]}{azure[2]}{azure[3]}")
    if maker == "anthropic" and (claude := re.match(r"^claude-([a-z]+)-(\d+(?:-\d)?)$", name)):
        found.add(f"claude-{claude[2]}-{claude[1]}")
    return {alias for alias in found if (maker, key_of(alias)) not in builder.ids and key_of(alias) not in _ALIASES}


def inherit_efforts(entries: list[CatalogEntry]) -> list[CatalogEntry]:
    """A reasoning model of which no list names efforts takes those of its predecessor, except ``none``."""
    from avengers_core.catalog.lineage import predecessors

    by_id = {entry.id: entry for entry in entries}
    before = predecessors(entries)
    for entry in sorted(entries, key=lambda one: one.release):
        earlier = by_id.get(before.get(entry.id, ""))
        stated = longest(EFFORTS, entry.id) is not None
        if (
            earlier
            and not entry.efforts
            and not stated
            and entry.capabilities.get("reasoning")
            and entry.provider in LISTED
        ):
            efforts = tuple(effort for effort in earlier.efforts if effort != "none")
            by_id[entry.id] = msgspec.structs.replace(entry, efforts=efforts)
    return [by_id[entry.id] for entry in entries]


def scores_of(builder: Builder, folder: Path) -> Iterator[tuple[tuple[str, str, str, str], str, float]]:
    for number, row in enumerate(read(folder / "scores.csv"), start=2):
        id_, effort = builder.canonical(row["model"])
        if not id_:
            builder.unresolved.append(f"scores.csv:{number}: {row['model']}")
            continue
        group = (row["benchmark"], row["harness"], row["date"], row["source"])
        yield group, f"{id_}@{effort}" if effort else id_, float(row["score"])


def write_scores(builder: Builder, folder: Path) -> int:
    """One line a benchmark, harness, date and source."""
    groups: dict[tuple[str, str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group, model, score in scores_of(builder, folder):
        groups[group][model].append(score)
    sources = sorted({group[3] for group in groups})
    place = {source: number for number, source in enumerate(sources)}
    lines = []
    for (benchmark, harness, date, source), models in sorted(groups.items()):
        values = {model: round(sum(scores) / len(scores), 5) for model, scores in sorted(models.items())}
        lines.append([benchmark, harness, date, place[source], values])
    text = b'{"sources":' + msgspec.json.encode(sources) + b',\n"scores":[\n'
    text += b",\n".join(msgspec.json.encode(line) for line in lines) + b"\n]}\n"
    (TARGET / "scores.json").write_bytes(text)
    return sum(len(line[4]) for line in lines)


def output_tokens(builder: Builder, folder: Path) -> dict[str, dict[str, float]]:
    """Mean output tokens by effort: of one benchmark, the one with the most efforts."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for number, row in enumerate(read(folder / "tokens.csv"), start=2):
        id_, effort = builder.canonical(row["model"])
        if not id_:
            builder.unresolved.append(f"tokens.csv:{number}: {row['model']}")
            continue
        found[id_][row["benchmark_or_index"]][effort] = float(row["output_tokens_mean"])
    return {id_: max(benchmarks.values(), key=len) for id_, benchmarks in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--profiles", type=Path)
    arguments = parser.parse_args()
    builder = Builder()
    collect(builder, arguments)
    tokens = output_tokens(builder, arguments.published)
    scores = write_scores(builder, arguments.published)
    entries = [msgspec.structs.replace(entry, output_tokens=tokens.get(entry.id, {})) for entry in entries_of(builder)]
    lines = b",\n".join(msgspec.json.encode(entry) for entry in entries)
    (TARGET / "models.json").write_bytes(b"[\n" + lines + b"\n]\n")
    for line in builder.unresolved:
        print("no model:", line)
    print(f"{len(entries)} models, {scores} scores")


if __name__ == "__main__":
    main()
