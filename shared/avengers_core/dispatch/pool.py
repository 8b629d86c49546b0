"""The models that calls can be sent to: made when first chosen, with what they can do and what they cost."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import UnavailableError
from ..pricing.tariff import PriceSchedule
from ..pricing.types import Price
from ..routing.capabilities import canonical
from ..routing.router import Router

M = TypeVar("M")


@dataclass(frozen=True)
class PoolModel(Generic[M]):
    """A model that was made.

    Attributes:
        id: its name in the artifact. provider, name: its real ones, for logs and prices.
        client: the framework's model object. capabilities: what it can do.
        tariff: what its calls cost.
    """

    id: str
    provider: str
    name: str
    client: M
    capabilities: Mapping[str, bool | int]
    tariff: PriceSchedule


@dataclass(frozen=True)
class ClientProfile:
    """What a framework's model object says of itself; ``price_ids`` are tried in genai-prices, in order."""

    provider: str
    name: str
    capabilities: Mapping[str, bool | int]
    price_ids: tuple[str, ...] = ()


class ModelPool(Generic[M]):
    """Models by the artifact's ids.

    Args:
        router: its artifact names the models.
        models: a client, or what makes one, by id.
        describe: what a client says of itself.
        capabilities: what the user knows better, by id.
        prices: contract prices, by id.

    Raises:
        ValueError: an id is not in the artifact, or there is none.
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
            raise ValueError("models: there is none to choose from")
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
        self._members: dict[str, PoolModel[M]] = {}
        self._tariffs: dict[str, PriceSchedule] = {}
        self._lock = threading.RLock()
        #: Models that could not be made, with the reason.
        self.unavailable: dict[str, str] = {}
        for name, model in self._models.items():
            if is_client(model):
                self._members[name] = self._make(name)

    @property
    def ids(self) -> list[str]:
        """All models, those that could not be made among them."""
        return list(self._models)

    def capabilities(self, name: str) -> Mapping[str, bool | int]:
        """What is known of a model, whether it was made yet or not."""
        member = self._members.get(name)
        if member is not None:
            return member.capabilities
        return {**canonical(self._infos[name].capabilities), **self._known.get(name, {})}

    def tariff(self, name: str) -> PriceSchedule:
        """What calls of a model cost, without making it."""
        member = self._members.get(name)
        if member is not None:
            return member.tariff
        if name not in self._tariffs:
            info, price = self._infos[name], self._prices.get(name)
            self._tariffs[name] = PriceSchedule.find(() if price else (info.price_id,), price or info.price)
        return self._tariffs[name]

    def get(self, name: str) -> PoolModel[M]:
        """The model, made now if it was not yet.

        The first model that cannot be made has all others tried too, so that one warning names all that are missing.

        Raises:
            UnavailableError: it cannot be made.
        """
        member = self._members.get(name)
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
        if name not in self._members:
            if name in self.unavailable:
                raise UnavailableError(f"{name}: {self.unavailable[name]}")
            try:
                self._members[name] = self._make(name)
            except Exception as error:  # whatever an integration raises without its package or key
                self.unavailable[name] = first_line(error)
                raise UnavailableError(f"{name}: {self.unavailable[name]}") from error
        return self._members[name]

    def _make(self, name: str) -> PoolModel[M]:
        given = self._models[name]
        client: M = given if self._is_client(given) else given()  # type: ignore[operator, assignment]
        traits, info = self._describe(client), self._infos[name]
        price = self._prices.get(name)
        ids: Iterable[str] = () if price else (*traits.price_ids, info.price_id)
        return PoolModel(
            name,
            traits.provider,
            traits.name,
            client,
            {**canonical(info.capabilities), **traits.capabilities, **self._known.get(name, {})},
            PriceSchedule.find(ids, price or info.price),
        )


def first_line(error: BaseException) -> str:
    """Class and first line of an error's message."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
