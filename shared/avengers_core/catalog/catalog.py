"""The catalogue: spellings to models, and what is known of each."""

from __future__ import annotations

import datetime
import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ..errors import CatalogError, UnknownModelError
from ..pricing.types import Price
from .current import few_models
from .efforts import Framework, effort_arguments
from .lineage import is_chat_name, known_since, lineage_of, predecessors
from .listings import Listing, find_listing, listings_of, loose_listings
from .overrides import Given, read_aliases, read_capabilities, read_prices, read_published
from .profiles import CAPABILITIES, find_profile, profile_capabilities, profile_source
from .providers import find_provider, providers
from .spelling import Spelling, key_of, parse_spelling, shorter_names, split_effort
from .table import table_entries, table_scores
from .types import CatalogEntry, ModelId, PublishedScore

__all__ = ["Catalog", "default_catalog"]

#: Models that came this many days before their provider's newest are not among its current few.
MAX_AGE_DAYS = 480
#: Words that make another model of an Azure deployment's name.
_OTHER_MODEL = re.compile(
    r"^(?:\d+|mini|nano|pro|codex|chat|turbo|audio|image|realtime|max|luna|terra|sol|astra|o|oss)$"
)

Model = str | ModelId


class Catalog:
    """Everything known of a model from its id.

    Args:
        entries: Models; the shipped table by default.
        scores: Published scores; the shipped ones by default, read when first asked for.
        aliases: Canonical models by spelling, before all others.
        prices: Prices by canonical id, before list prices.
        capabilities: Capabilities by canonical id, before all others.
    """

    def __init__(
        self,
        entries: Iterable[CatalogEntry] | None = None,
        scores: Iterable[PublishedScore] | None = None,
        *,
        aliases: Mapping[str, ModelId] | None = None,
        prices: Mapping[str, Price] | None = None,
        capabilities: Mapping[str, Mapping[str, bool | int]] | None = None,
    ) -> None:
        self._entries = {entry.id: entry for entry in (table_entries() if entries is None else entries)}
        self._scores = None if scores is None else tuple(scores)
        self._aliases = {alias.lower(): model for alias, model in (aliases or {}).items()}
        self._prices = dict(prices or {})
        self._capabilities = {model: dict(known) for model, known in (capabilities or {}).items()}
        self._names: dict[str, tuple[str, str]] = {}
        self._bare: dict[str, dict[str, str]] = {}
        for entry in list(self._entries.values()):
            self._add_names(entry)
        self._resolved: dict[str, ModelId | None] = {}
        self._before: dict[str, str] | None = None

    def _add_names(self, entry: CatalogEntry) -> None:
        maker, _, name = entry.id.partition("/")
        for alias in (name, *entry.aliases, entry.name):
            if alias:
                alias, effort = split_effort(alias)
                key = key_of(alias)
                self._names.setdefault(f"{maker}/{key}", (entry.id, effort))
                self._bare.setdefault(key, {}).setdefault(entry.id, effort)

    def resolve(self, spelling: Model) -> ModelId:
        """The model that a spelling names.

        Args:
            spelling: A bare id (``gpt-5.2``), LangChain's ``provider:model``, LiteLLM's and OpenRouter's
                ``provider/model``, a name of Bedrock, Vertex AI, Azure or Google, with or without a snapshot's date,
                with or without ``@effort`` or ``:effort``.

        Raises:
            UnknownModelError: If no source knows the model, or a bare id is of several makers; it names close ids.
        """
        found = self.find(spelling)
        if found is None:
            raise self._unknown(str(spelling), parse_spelling(str(spelling)))
        return found

    def find(self, spelling: Model) -> ModelId | None:
        """The model that a spelling names; None if no source knows it, or it is of several makers.

        Args:
            spelling: See `resolve`.
        """
        if isinstance(spelling, ModelId):
            return spelling
        found = self._resolved.get(spelling) or self._resolve(spelling)
        if found is not None:
            self._resolved[spelling] = found
        return found

    def knows(self, spelling: Model) -> bool:
        """Whether a spelling can be resolved.

        Args:
            spelling: See `resolve`.
        """
        return self.find(spelling) is not None

    def _resolve(self, spelling: str) -> ModelId | None:
        text, effort = split_effort(spelling.strip())
        parsed = parse_spelling(spelling)
        own = self._aliases.get(text.lower()) or self._aliases.get(spelling.strip().lower())
        if own:
            name = parsed.served_as or self._entries[own.id].api_name
            return ModelId(own.id, effort or own.effort, parsed.host, name)
        if text in self._entries:
            return ModelId(text, effort, "", self._entries[text].api_name)
        found = self._find(parsed) or self._discover(parsed)
        if found is None:
            return None
        id_, meant = found
        return ModelId(id_, parsed.effort or meant, parsed.host, self._call_name(parsed, id_))

    def _call_name(self, parsed: Spelling, id_: str) -> str:
        """What to call the model: as the host calls it, with the snapshot that was named, or as its maker calls it."""
        if parsed.served_as:
            return parsed.served_as
        shorter = list(shorter_names(parsed.name))
        pinned = len(shorter) > 1 and parsed.name[-1].isdigit() and "@" not in parsed.name
        return parsed.name.lower() if pinned and key_of(parsed.name) != key_of(id_) else self._entries[id_].api_name

    def _find(self, parsed: Spelling) -> tuple[str, str] | None:
        """Canonical id and effort by the names of the entries."""
        for name in shorter_names(parsed.name, hosted=bool(parsed.host)):
            key = key_of(name)
            if parsed.maker and (found := self._names.get(f"{parsed.maker}/{key}")):
                return found
            if not parsed.maker or parsed.host:
                ids = self._bare.get(key, {})
                if len(ids) == 1:
                    return next(iter(ids.items()))
        return self._find_deployment(parsed.name) if parsed.host == "azure" else None

    def _find_deployment(self, name: str) -> tuple[str, str] | None:
        """The model whose name an Azure deployment's name has in it, if what is left does not name another."""
        parts = key_of(name).split("-")
        for size in range(len(parts), 1, -1):
            for start in range(len(parts) - size + 1):
                found = self._names.get("openai/" + "-".join(parts[start : start + size]))
                rest = parts[:start] + parts[start + size :]
                if found and not any(_OTHER_MODEL.match(part) for part in rest):
                    return found
        return None

    def _discover(self, parsed: Spelling) -> tuple[str, str] | None:
        """A model that the table does not have, but genai-prices or an installed profile: its entry is made now."""
        names = list(shorter_names(parsed.name.lower(), hosted=bool(parsed.host)))
        makers = [parsed.maker] if parsed.maker else [one.id for one in providers() if one.prices and not one.host]
        for maker in makers:
            listing = find_listing(maker, names) if parsed.maker else _own_listing(maker, names)
            if listing:
                name = listing.id.lower().rpartition("/")[2]
                return self._names.get(f"{maker}/{key_of(name)}") or (
                    self._add(_from_listing(maker, name, listing)),
                    "",
                )
            profile = find_profile(maker, tuple(names))
            if profile:
                return self._add(_from_profile(maker, names[-1], profile)), ""
        return None

    def _add(self, entry: CatalogEntry) -> str:
        if entry.id not in self._entries:
            self._entries[entry.id] = entry
            self._add_names(entry)
            self._before = None
        return entry.id

    def _unknown(self, spelling: str, parsed: Spelling) -> UnknownModelError:
        ids = sorted(self._bare.get(key_of(parsed.name), {}))
        if len(ids) > 1 and not parsed.maker:
            return UnknownModelError(f"model {spelling!r} is of several providers: {', '.join(ids)}", tuple(ids))
        named = {f"{id_.partition('/')[0]}/{key}": id_ for key, found in self._bare.items() for id_ in found}
        wanted = f"{parsed.maker}/{key_of(parsed.name)}" if parsed.maker else key_of(parsed.name)
        choices = list(named) if parsed.maker else list(self._bare)
        close = difflib.get_close_matches(wanted, choices, n=8, cutoff=0.6) + difflib.get_close_matches(
            key_of(parsed.name), list(self._bare), n=4, cutoff=0.7
        )
        found = [named[key] if key in named else next(iter(self._bare[key])) for key in close]
        near = tuple(dict.fromkeys(found))[:3]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        return UnknownModelError(f"model {spelling!r} is unknown{hint}", near)

    def entry(self, model: Model) -> CatalogEntry:
        """The facts about a model.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        return self._entries[self.resolve(model).id]

    def entries(self) -> tuple[CatalogEntry, ...]:
        """All models of the table and those resolved beyond it, by id."""
        return tuple(self._entries[id_] for id_ in sorted(self._entries))

    def published_scores(self, model: Model | None = None) -> tuple[PublishedScore, ...]:
        """Published scores of a model, or of all models.

        Args:
            model: Any spelling; with an effort, only scores with that effort. None for all models.

        Raises:
            UnknownModelError: If no source knows the model.
        """
        if model is None:
            return table_scores() if self._scores is None else self._scores
        found = self.resolve(model)
        return tuple(
            one for one in self._scores_by_model.get(found.id, ()) if not found.effort or one.effort == found.effort
        )

    @functools.cached_property
    def _scores_by_model(self) -> dict[str, list[PublishedScore]]:
        found: dict[str, list[PublishedScore]] = {}
        for one in self.published_scores():
            found.setdefault(one.model, []).append(one)
        return found

    def price(self, model: Model) -> Price | None:
        """Price in US dollars per million tokens with its source and date; None if unknown.

        An exact id in genai-prices counts, never its looser rules: first its host's list, then its maker's, then
        OpenRouter's, which goes first for a model that only hosts offer. Where a price changes within the day, the one
        at noon UTC counts.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        found = self.resolve(model)
        own = self._prices.get(found.id)
        if own is not None:
            return own
        if _is_free(found):
            return Price(0.0, 0.0, "OpenRouter's free variant")
        listing = self._listing(found)
        return listing.price() if listing else self._entries[found.id].price

    def price_id(self, model: Model) -> str:
        """The model's ``provider:model`` in genai-prices, with cached, audio and tiered tokens; empty if it has none.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        found = self.resolve(model)
        if _is_free(found):
            return f"openrouter:{found.name}"
        listing = None if found.id in self._prices else self._listing(found)
        return listing.price_id(self._spelled(found)) if listing else ""

    def _listing(self, model: ModelId) -> Listing | None:
        for listing in loose_listings(model.host, model.name) if model.host else ():
            found = self._find(parse_spelling(listing.id))
            if found and found[0] == model.id:
                return listing
        only_hosted = self._entries[model.id].status == "hosted"
        host = model.host or ("openrouter" if only_hosted else "")
        return find_listing(model.id.partition("/")[0], self._spelled(model), host)

    def _spelled(self, model: ModelId) -> list[str]:
        """Names under which a price list may have the model; a moving alias may mean another one there."""
        entry = self._entries[model.id]
        aliases = [alias for alias in entry.aliases if "@" not in alias and not alias.endswith("latest")]
        served = [model.name] if model.host else []
        return list(dict.fromkeys([*served, model.id.partition("/")[2], entry.api_name, *aliases]))

    def capabilities(self, model: Model) -> dict[str, bool | int]:
        """Known capabilities: the user's, then the installed LangChain profile's, then the table's.

        A model of which no source says whether it takes tools can do what its predecessor can.

        They are ``tools``, ``tool_choice``, ``structured_output``, ``images``, ``audio``, ``video``, ``pdf``,
        ``reasoning`` (yes or no), ``max_input_tokens`` and ``max_output_tokens``. What is not known is not in it.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        known = self._known_capabilities(self.entry(model))
        return {name: value for name, (value, _) in known.items()}

    def _known_capabilities(self, entry: CatalogEntry) -> dict[str, tuple[bool | int, str]]:
        """Capabilities with where each comes from; a later source goes before an earlier one."""
        profile = self._profile(entry)
        sources: list[tuple[str, Mapping[str, bool | int]]] = [
            (entry.source, entry.capabilities),
            (profile_source(entry.provider), profile_capabilities(profile) if profile else {}),
            ("user", self._capabilities.get(entry.id, {})),
        ]
        known = {name: (value, source) for source, values in sources for name, value in values.items()}
        before = self._predecessors.get(entry.id) if "tools" not in known else None
        if before is None:
            return known
        inherited = self._known_capabilities(self._entries[before])
        able = {name: (value, f"predecessor {before}") for name, (value, _) in inherited.items() if value is True}
        return {**able, **known}

    def _profile(self, entry: CatalogEntry) -> Mapping[str, Any] | None:
        return find_profile(entry.provider, (entry.id.partition("/")[2], entry.api_name))

    def predecessor(self, model: Model) -> str | None:
        """Canonical id of the newest older model of the same maker, family and tier; None if there is none.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        return self._predecessors.get(self.entry(model).id)

    @property
    def _predecessors(self) -> dict[str, str]:
        if self._before is None:
            self._before = predecessors(entry for entry in list(self._entries.values()) if entry.chat)
        return self._before

    def efforts(self, model: Model) -> tuple[str, ...]:
        """Reasoning efforts that a model takes, in the order of its maker.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        return self.entry(model).efforts

    def effort_arguments(self, model: Model, effort: str, framework: Framework) -> dict[str, Any]:
        """Arguments for a framework's chat model, so that the model takes an effort.

        Args:
            model: Any spelling.
            effort: One of `efforts`, or ``thinking-<n>k`` for a model that takes a number of thinking tokens.
            framework: ``langchain`` or ``llamaindex``.

        Raises:
            UnknownModelError: If no source knows the model.
            ValueError: If the model does not take the effort, or the framework is unknown.
        """
        found = self.resolve(model)
        return effort_arguments(self._entries[found.id], effort, framework, found.host)

    def output_tokens(self, model: Model) -> dict[str, float]:
        """Mean output tokens by effort, all of one benchmark, if someone published them.

        The key ``""`` stands for no effort asked for.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        return dict(self.entry(model).output_tokens)

    def describe(self, model: Model) -> dict[str, Any]:
        """All that is known of a model as plain values, with where prices and capabilities come from.

        Args:
            model: Any spelling.

        Raises:
            UnknownModelError: If no source knows it.
        """
        found = self.resolve(model)
        entry, price = self._entries[found.id], self.price(model)
        capabilities = self._known_capabilities(entry)
        return {
            **entry.to_dict(),
            "price": msgspec.to_builtins(price) if price else None,
            "price_id": self.price_id(model),
            "capabilities": {name: value for name, (value, _) in capabilities.items()},
            "capability_sources": {name: source for name, (_, source) in capabilities.items()},
            "predecessor": self.predecessor(model),
            "published_scores": [one.to_dict() for one in self.published_scores(model)],
        }

    def current_models(self, provider: str, limit: int = 5) -> tuple[CatalogEntry, ...]:
        """A sensible few of a provider's current models, from cheap to expensive.

        Retired ones, those for one kind of task only (code, images, speech) and the most expensive are left out, and
        those that another model beats: not more expensive, and not worse by published scores or as its successor.
        Successors that genai-prices knows are among them from the day it knows them.

        Args:
            provider: A maker, or ``openrouter``, of whose models those with published scores count.
            limit: How many at most.
        """
        known = find_provider(provider)
        id_ = known.id if known else provider
        if id_ == "openrouter":
            offered = [
                entry for entry in list(self._entries.values()) if entry.openrouter and self._has_evidence(entry.id)
            ]
            price_of = self._openrouter_price
        else:
            self._discover_successors(id_)
            mine = [entry for entry in list(self._entries.values()) if entry.provider == id_]
            offered = [entry for entry in mine if entry.status == "current"]
            offered = offered or [entry for entry in mine if entry.status == "deprecated"]
            price_of = self._maker_price
        return tuple(few_models(self._recent(offered), price_of, self._scores_by_model, self._predecessors, limit))

    def _recent(self, entries: Iterable[CatalogEntry]) -> list[CatalogEntry]:
        since = known_since(list(self._entries.values()))
        dated = [(entry, since[entry.id]) for entry in entries if entry.id in since]
        newest = max((_day(release) for _, release in dated), default=0)
        return [entry for entry, release in dated if _day(release) >= newest - MAX_AGE_DAYS]

    def _has_evidence(self, id_: str) -> bool:
        """Whether a model or one of those before it has published scores."""
        current: str | None = id_
        while current and current not in self._scores_by_model:
            current = self._predecessors.get(current)
        return current is not None

    def _maker_price(self, entry: CatalogEntry) -> Price | None:
        """The price at the model's maker: weights that it gives away are no model that it sells."""
        listing = self._listing(ModelId(entry.id))
        by_host = listing is not None and listing.provider == "openrouter"
        return self._prices.get(entry.id) or (None if by_host else self.price(entry.id))

    def _openrouter_price(self, entry: CatalogEntry) -> Price | None:
        return self.price(ModelId(entry.id, host="openrouter", name=entry.id))

    def _discover_successors(self, provider: str) -> None:
        """Take in models of a maker's list in genai-prices that come after one of a known tier."""
        newest: dict[tuple[str, str], tuple[int, ...]] = {}
        for entry in list(self._entries.values()):
            if entry.provider == provider:
                tier = (entry.family, entry.tier)
                newest[tier] = max(newest.get(tier, ()), entry.version)
        known = find_provider(provider)
        for listing in (one for prices in (known.prices if known else ()) for one in listings_of(prices)):
            name = listing.id.lower()
            line = lineage_of(name)
            is_newer = line.version > newest.get((line.family, line.tier), (999,))
            fresh = "/" not in name and f"{provider}/{key_of(name)}" not in self._names
            if fresh and is_newer and is_chat_name(name) and listing.price() and not listing.deprecated:
                entry = _from_listing(provider, name, listing)
                self._add(msgspec.structs.replace(entry, status="current"))

    def with_overrides(
        self,
        aliases: Given | None = None,
        prices: Given | None = None,
        capabilities: Given | None = None,
        published: Given | None = None,
    ) -> Catalog:
        """A catalogue in which what a user gives goes before what is known; this one stays as it is.

        A model that is not known yet is taken in under the id that the user gives it.

        Args:
            aliases: ``{alias: model}``, or a JSON file of it, or a CSV file with ``alias`` and ``model``.
            prices: ``{model: {"input": ..., "output": ...}}`` in US dollars per million tokens, or a JSON file of it,
                or a CSV file with ``model``, ``input`` and ``output``.
            capabilities: ``{model: {"tools": True, ...}}``, or a JSON file of it, or a CSV file with ``model`` and
                capabilities.
            published: Rows with ``model``, ``benchmark`` and ``score``, and perhaps ``harness``, ``date`` and
                ``source``, or a JSON or CSV file of them. They go before a shipped score of the same model, effort,
                benchmark and harness.

        Raises:
            CatalogError: If a file cannot be used; it names the file, the line and the field.
        """
        entries = dict(self._entries)
        given_prices = read_prices(prices) if prices is not None else {}
        given_capabilities = read_capabilities(capabilities, CAPABILITIES) if capabilities is not None else {}
        given_scores = read_published(published) if published is not None else []

        def known(model: str) -> ModelId:
            try:
                return self.resolve(model)
            except UnknownModelError:
                id_ = model.lower()
                entries.setdefault(id_, _user_entry(id_))
                return ModelId(id_, name=entries[id_].api_name)

        new_prices = self._prices | {known(model).id: price for model, price in given_prices.items()}
        new_capabilities = dict(self._capabilities)
        for model, values in given_capabilities.items():
            id_ = known(model).id
            new_capabilities[id_] = {**new_capabilities.get(id_, {}), **values}
        scores = [_with_model(one, known(one.model)) for one in given_scores]
        entries |= self._entries  # what resolving discovered
        extended = Catalog(
            entries.values(),
            _merged(self.published_scores(), scores) if scores else self._scores,
            aliases=self._aliases,
            prices=new_prices,
            capabilities=new_capabilities,
        )
        extended._aliases |= _alias_targets(extended, aliases)
        extended._resolved.clear()
        return extended


def _is_free(model: ModelId) -> bool:
    return model.host == "openrouter" and model.name.endswith(":free")


@functools.cache
def default_catalog() -> Catalog:
    """The catalogue of the shipped table, made once."""
    return Catalog()


def _alias_targets(catalog: Catalog, aliases: Given | None) -> dict[str, ModelId]:
    found = {}
    for alias, model in (read_aliases(aliases) if aliases is not None else {}).items():
        try:
            found[alias.lower()] = catalog.resolve(model)
        except UnknownModelError as error:
            raise CatalogError(f"aliases: {alias!r}: {error}") from error
    return found


def _with_model(score: PublishedScore, model: ModelId) -> PublishedScore:
    return msgspec.structs.replace(score, model=model.id, effort=score.effort or model.effort)


def _merged(shipped: Iterable[PublishedScore], given: Iterable[PublishedScore]) -> Iterator[PublishedScore]:
    def cell(one: PublishedScore) -> tuple[str, ...]:
        return one.model, one.effort, one.benchmark, one.harness

    given = tuple(given)
    replaced = {cell(one) for one in given}
    yield from (one for one in shipped if cell(one) not in replaced)
    yield from given


def _day(release: str) -> int:
    """Days since the year 1; a month counts from its first day."""
    year, month, day = (int(part) for part in (release + "-01-01").split("-")[:3])
    return datetime.date(year, month, day).toordinal()


def _own_listing(maker: str, names: Iterable[str]) -> Listing | None:
    """The maker's own listing, for a bare name: OpenRouter's list needs the maker's name."""
    listing = find_listing(maker, tuple(names))
    return listing if listing and listing.provider != "openrouter" and "/" not in listing.id else None


def _from_listing(maker: str, name: str, listing: Listing) -> CatalogEntry:
    return _new_entry(
        maker,
        name,
        find_profile(maker, (name,)) or {},
        status="deprecated" if listing.deprecated else "unknown",
        chat=is_chat_name(name),
        capabilities={"max_input_tokens": listing.context_window} if listing.context_window else {},
        source=listing.source,
    )


def _from_profile(maker: str, name: str, profile: Mapping[str, Any]) -> CatalogEntry:
    return _new_entry(
        maker,
        name,
        profile,
        status="deprecated" if profile.get("status") == "deprecated" else "current",
        chat=bool(profile.get("text_outputs", True)) and is_chat_name(name),
        capabilities=profile_capabilities(profile),
        source=profile_source(maker),
    )


def _new_entry(maker: str, name: str, profile: Mapping[str, Any], **known: Any) -> CatalogEntry:
    """An entry of a model that is not in the table, with what its name and a LangChain profile say of it."""
    line = lineage_of(name)
    return CatalogEntry(
        id=f"{maker}/{name}",
        family=line.family,
        tier=line.tier,
        version=line.version,
        release=str(profile.get("release_date") or ""),
        efforts=tuple(profile.get("reasoning_effort_levels") or ()),
        default_effort=str(profile.get("reasoning_effort_default") or ""),
        **known,
    )


def _user_entry(id_: str) -> CatalogEntry:
    line = lineage_of(id_.rpartition("/")[2])
    name = "" if "/" in id_ else id_
    return CatalogEntry(id=id_, name=name, family=line.family, tier=line.tier, version=line.version, source="user")
