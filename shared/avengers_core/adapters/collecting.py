"""A framework's model as a model that `avengers collect` asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..collecting.types import Asker, ModelReply, ModelUnderTest
from ..dispatch.pool import M
from ..pricing.tariff import PriceSchedule
from ..pricing.types import Price
from .framework import Framework

__all__ = ["make_model_under_test"]


def make_model_under_test(
    framework: Framework[M],
    id: str,
    model: str | M,
    asker: Callable[[M], Asker],
    caller: Callable[[M], Callable[[Any], ModelReply]],
    *,
    price: Price | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
) -> ModelUnderTest:
    """A model that can be asked, and what its tokens cost.

    Args:
        framework: How its model objects are made and read.
        id: The model's name in the records.
        model: A model object, or ``provider:model``. A model that is made here does not retry by itself.
        asker: Returns the function that sends one prompt to a model object.
        caller: Returns its sync twin.
        price: A contract price, in place of list prices.
        init_kwargs: Arguments for making the model.

    Raises:
        UnavailableError: If the model cannot be made.
    """
    price_ids: tuple[str, ...] = ()
    if isinstance(model, str):
        client = framework.make_model(model, "", {"max_retries": 0, **(init_kwargs or {})})
        price_ids = (framework.price_id(model),)
    else:
        client = model
    profile = framework.describe(client)
    schedule = PriceSchedule.find(() if price else (*profile.price_ids, *price_ids), price)
    return ModelUnderTest(id, profile, asker(client), schedule, caller(client))
