"""What can be called on this machine: which providers' keys are set, and whose integrations are installed."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .catalog import Catalog, default_catalog
from .providers import Integration, Provider, find_provider, providers
from .spelling import split_effort
from .types import CatalogEntry

__all__ = [
    "Availability",
    "Call",
    "available_models",
    "default_models",
    "find_call",
    "missing_key",
    "require_key",
    "routable_models",
    "why_not_callable",
    "with_efforts",
]

_log = logging.getLogger("avengers")

Framework = Literal["langchain", "llamaindex"]

#: A host of many makers' models whose own few are offered if no maker's key is set.
_ANY_MAKER = "openrouter"

#: Ends of the names of arguments with which a caller says how to reach a model, so that no key need be set.
_REACHES = ("key", "token", "base_url", "api_base", "endpoint", "endpoint_url", "client", "credentials", "project")


@dataclass(frozen=True)
class Availability:
    """What can be called.

    Attributes:
        models: A few current models of each provider that can be called, from cheap to expensive.
        ids: How to spell them, in that order: canonical ids, behind the host's name for models of a host.
        reasons: Why a provider's models are not offered, by id of the provider.
    """

    models: tuple[CatalogEntry, ...]
    ids: tuple[str, ...]
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """How a framework calls a model.

    Attributes:
        provider: The provider that is called.
        integration: The framework's package for it.
        name: What the provider calls the model.
        arguments: Arguments for the model's effort.
    """

    provider: Provider
    integration: Integration
    name: str
    arguments: Mapping[str, Any]


def available_models(
    framework: Framework,
    *,
    environ: Mapping[str, str] | None = None,
    limit: int = 5,
    catalog: Catalog | None = None,
) -> Availability:
    """The models that can be called: current ones of providers whose key is set and whose integration is installed.

    Nothing is imported or called. Models of OpenRouter are offered if its key is set and no maker's is.

    Args:
        framework: ``langchain`` or ``llamaindex``.
        environ: Environment variables. Default: those of the process.
        limit: Models of each provider, at most.
        catalog: Knows models. Default: the one in the package.
    """
    environ = os.environ if environ is None else environ
    catalog = catalog or default_catalog()
    models: list[CatalogEntry] = []
    ids: list[str] = []
    reasons: dict[str, str] = {}
    for provider in providers():
        if not provider.keys or (provider.host and provider.id != _ANY_MAKER):
            continue
        if provider.id == _ANY_MAKER and models:
            continue
        if reason := why_not_callable(provider, framework, environ):
            reasons[provider.id] = reason
        else:
            found = catalog.current_models(provider.id, limit)
            models += found
            ids += [f"{provider.id}/{entry.id}" if provider.host else entry.id for entry in found]
    return Availability(tuple(models), tuple(ids), reasons)


def default_models(framework: Framework) -> list[str]:
    """Ids of the models that are routed among if a user names none: `available_models`.

    If no key is set, those of the providers whose integration is installed, or else of OpenAI, so that a first call can
    say which keys are missing.

    Args:
        framework: ``langchain`` or ``llamaindex``.
    """
    ids = list(available_models(framework).ids)
    if not ids:
        installed = [one for one in providers() if not one.host and one.keys and _is_installed(one, framework)]
        names = [one.id for one in installed] or ["openai"]
        ids = [entry.id for name in names for entry in default_catalog().current_models(name)]
    _tell_once(tuple(ids))
    return ids


def routable_models(environ: Mapping[str, str] | None = None) -> list[str]:
    """Ids of current models whatever is installed: of the providers whose key is set, or of all makers if none is.

    Args:
        environ: Environment variables. Default: those of the process.
    """
    environ = os.environ if environ is None else environ
    makers = [one for one in providers() if one.keys and not one.host]
    ready = [one for one in makers if not missing_key(one, environ)] or makers
    return [entry.id for one in ready for entry in default_catalog().current_models(one.id)]


def with_efforts(names: Iterable[str]) -> list[str]:
    """Models and the same at each reasoning effort that the catalogue knows of them, as ``model@effort``.

    Args:
        names: Spellings of models. One that names an effort, or that the catalogue does not know, stays alone.
    """
    catalog = default_catalog()
    found = []
    for name in names:
        found.append(name)
        if catalog.knows(name) and not split_effort(name)[1]:
            usual = catalog.entry(name).default_effort
            found += [f"{name}@{effort}" for effort in catalog.efforts(name) if effort != usual]
    return list(dict.fromkeys(found))


@functools.cache
def _tell_once(ids: tuple[str, ...]) -> None:
    _log.info("routing among %s; give `models` to choose others", ", ".join(ids))


def _is_installed(provider: Provider, framework: Framework) -> bool:
    integration: Integration | None = getattr(provider, framework)
    return integration is not None and _installed(integration.module)


def missing_key(provider: Provider, environ: Mapping[str, str] | None = None) -> str:
    """What to set so that a provider can be called; empty if its key is set, or it takes none.

    Args:
        provider: The provider.
        environ: Environment variables. Default: those of the process.
    """
    environ = os.environ if environ is None else environ
    if not provider.keys or any(environ.get(key) for key in provider.keys):
        return ""
    return f"{' or '.join(provider.keys)} is not set"


def why_not_callable(provider: Provider, framework: Framework, environ: Mapping[str, str]) -> str:
    """Why a provider's models cannot be called here; empty if they can.

    Args:
        provider: The provider.
        framework: ``langchain`` or ``llamaindex``.
        environ: Environment variables.
    """
    integration: Integration | None = getattr(provider, framework)
    if integration is None:
        return f"no {'LangChain' if framework == 'langchain' else 'LlamaIndex'} integration is known"
    if missing_key(provider, environ):
        return f"set {' or '.join(provider.keys)}"
    if not _installed(integration.module):
        return f"pip install {integration.package}"
    return ""


def find_call(spelling: str, framework: Framework, arguments: Mapping[str, Any]) -> Call | None:
    """How to call a model that is given by a name without a framework's own prefix.

    Args:
        spelling: Such as ``gpt-5.2@low``, ``anthropic/claude-opus-4-5`` or ``openrouter/z-ai/glm-5``.
        framework: ``langchain`` or ``llamaindex``.
        arguments: What the caller gives for making the model; an argument such as ``api_key`` or ``base_url`` says that
            no key need be set.

    Returns:
        None if the catalogue does not know the model, or the framework has no integration for it.

    Raises:
        ValueError: If the model does not take the effort.
        KeyError: If the provider's key is missing; the message names the variable.
    """
    model = default_catalog().find(spelling)
    if model is None:
        return None
    provider = find_provider(model.host or model.id.partition("/")[0])
    integration = getattr(provider, framework) if provider is not None else None
    if provider is None or integration is None:
        return None
    require_key(provider.id, arguments)
    return Call(provider, integration, model.name, effort_of(spelling, framework))


def require_key(provider: str, arguments: Mapping[str, Any]) -> None:
    """Check that a provider's key is set, unless the arguments say otherwise how to reach it.

    Args:
        provider: What any library calls it.
        arguments: What the caller gives for making the model.

    Raises:
        KeyError: If it is not set; the message names the variable.
    """
    known = find_provider(provider)
    reached = any(name.endswith(_REACHES) and value for name, value in arguments.items())
    if known is not None and not reached and (why := missing_key(known)):
        raise KeyError(why)


def effort_of(spelling: str, framework: Framework) -> Mapping[str, Any]:
    """Arguments for the effort that a spelling names; none if it names none, or the catalogue does not know the model.

    Args:
        spelling: Any spelling of a model.
        framework: ``langchain`` or ``llamaindex``.

    Raises:
        ValueError: If the model does not take the effort.
    """
    model, effort = default_catalog().find(spelling), split_effort(spelling)[1]
    return default_catalog().effort_arguments(model, effort, framework) if model is not None and effort else {}


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
