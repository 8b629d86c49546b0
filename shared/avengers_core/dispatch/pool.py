"""The models that calls can be sent to. A model is made when it is first chosen."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import UnavailableError
from ..pricing.tariff import PriceSchedule
from ..pricing.types import Price
from ..routing.capabilities import canonical, provider_tools
from ..routing.router import Router
from .deadlines import silence_of

__all__ = ["ClientProfile", "M", "ModelPool", "PoolModel", "first_line", "read_timeout"]

M = TypeVar("M")


@dataclass(frozen=True)
class PoolModel(Generic[M]):
    """A model that was made.

    Attributes:
        id: Model id in the artifact.
        provider: Provider id as in genai-prices.
        name: The provider's model name.
        client: The framework's model object.
        capabilities: What it can do, see `avengers_core.routing.capabilities`.
        price_schedule: What its calls cost.
        silence: Seconds without a sign after which its client hangs (`deadlines.silence_of`), None if unknown.
    """

    id: str
    provider: str
    name: str
    client: M
    capabilities: Mapping[str, bool | int]
    price_schedule: PriceSchedule
    silence: float | None = None


@dataclass(frozen=True)
class ClientProfile:
    """What a framework's model object tells about itself.

    Attributes:
        provider: Provider id as in genai-prices.
        name: The provider's model name.
        capabilities: What it can do, see `avengers_core.routing.capabilities`.
        price_ids: Ids under which genai-prices may know it, tried in order.
        read_timeout: Seconds that it waits for its server, None if it has no limit of its own.
        max_retries: How often it repeats a request by itself, None if unknown.
    """

    provider: str
    name: str
    capabilities: Mapping[str, bool | int]
    price_ids: tuple[str, ...] = ()
    read_timeout: float | None = None
    max_retries: int | None = None


class ModelPool(Generic[M]):
    """Models by the artifact's ids.

    Args:
        router: Its artifact names the models.
        models: A client, or a function that makes one, by id.
        describe: Gives the profile of a client.
        is_client: Whether a value of ``models`` is a client, rather than a function that makes one.
        capabilities: What the user knows better, by id.
        prices: Contract prices, by id.

    Attributes:
        unavailable: Models that could not be made, each with the reason.

    Raises:
        ValueError: If there is no model, or an id is not in the artifact.
    """

    def __init__(
        self,
        router: Router,
        models: Mapping[str, M | Callable[[], M]],
        describe: Callable[[M], ClientProfile],
        *,
        is_client: Callable[[Any], bool],
        capabilities: Mapping[str, Mapping[str, Any]] | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        if not models:
            raise ValueError("models: there are none to choose from")
        for field, names in (("models", models), ("capabilities", capabilities), ("prices", prices)):
            for name in names or ():
                if name not in router.models:
                    raise ValueError(
                        f"{field}: the artifact has no model {name!r}: it has {', '.join(router.models)}. Map your "
                        "model to the id it was trained under, or train an artifact with your models"
                    )
        self._infos = {info.id: info for info in router.artifact.manifest.models}
        self._models = dict(models)
        self._describe = describe
        self._is_client = is_client
        self._known = {name: canonical(values) for name, values in (capabilities or {}).items()}
        self._prices = dict(prices or {})
        self._made: dict[str, PoolModel[M]] = {}
        self._price_schedules: dict[str, PriceSchedule] = {}
        self._lock = threading.RLock()
        self.unavailable: dict[str, str] = {}
        for name, model in self._models.items():
            if is_client(model):
                self._made[name] = self._make(name)

    @property
    def ids(self) -> list[str]:
        """All models, including those that could not be made."""
        return list(self._models)

    @property
    def given(self) -> Mapping[str, M | Callable[[], M]]:
        """What was given for each model: a client, or a function that makes one."""
        return self._models

    def is_made(self, name: str) -> bool:
        """Whether a model was made, or could not be, so that `get` takes no time."""
        return name in self._made or name in self.unavailable

    def capabilities(self, name: str) -> Mapping[str, bool | int]:
        """What is known about a model, whether it was made yet or not."""
        member = self._made.get(name)
        if member is not None:
            return member.capabilities
        return {**canonical(self._infos[name].capabilities), **self._known.get(name, {})}

    def price_schedule(self, name: str) -> PriceSchedule:
        """What calls of a model cost. The model is not made for that."""
        member = self._made.get(name)
        if member is not None:
            return member.price_schedule
        if name not in self._price_schedules:
            info, price = self._infos[name], self._prices.get(name)
            self._price_schedules[name] = PriceSchedule.find(() if price else (info.price_id,), price or info.price)
        return self._price_schedules[name]

    def get(self, name: str) -> PoolModel[M]:
        """A model, made now if it was not made before.

        When the first model cannot be made, all others are tried, too, so that one warning names all that are missing.

        Raises:
            UnavailableError: If it cannot be made.
        """
        member = self._made.get(name)
        if member is not None:
            return member
        with self._lock:
            try:
                return self._get(name)
            except UnavailableError:
                if len(self.unavailable) == 1:
                    self._try_all()
                    listed = "; ".join(f"{model}: {why}" for model, why in self.unavailable.items())
                    warnings.warn(f"Avengers leaves out models that cannot be made: {listed}", stacklevel=6)
                raise

    def _try_all(self) -> None:
        for name in self._models:
            if name not in self.unavailable:
                try:
                    self._get(name)
                except UnavailableError:
                    continue

    def _get(self, name: str) -> PoolModel[M]:
        if name not in self._made:
            if name in self.unavailable:
                raise UnavailableError(f"{name}: {self.unavailable[name]}")
            try:
                self._made[name] = self._make(name)
            except Exception as error:  # whatever an integration raises without its package or key
                self.unavailable[name] = first_line(error)
                raise UnavailableError(f"{name}: {self.unavailable[name]}") from error
        return self._made[name]

    def _make(self, name: str) -> PoolModel[M]:
        given = self._models[name]
        client: M = given if self._is_client(given) else given()  # type: ignore[operator, assignment]
        profile, info = self._describe(client), self._infos[name]
        price = self._prices.get(name)
        ids: Iterable[str] = () if price else (*profile.price_ids, info.price_id)
        return PoolModel(
            name,
            profile.provider,
            profile.name,
            client,
            {
                **canonical(info.capabilities),
                **provider_tools(profile.provider),
                **profile.capabilities,
                **self._known.get(name, {}),
            },
            PriceSchedule.find(ids, price or info.price),
            silence_of(profile.read_timeout, profile.max_retries),
        )


def read_timeout(client: object, names: Iterable[str]) -> float | None:
    """Seconds that a client waits for its server, None if it says nothing.

    Args:
        client: A framework's model object.
        names: Attributes that may hold a number, or an object with the attribute ``read`` as httpx has.
    """
    for name in names:
        value = getattr(client, name, None)
        value = getattr(value, "read", value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return float(value)
    return None


def first_line(error: BaseException) -> str:
    """Class of an error and the first line of its message."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
