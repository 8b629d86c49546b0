"""What both adapters are made of, with a framework of two lines."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from avengers_core import BudgetError, RouterEstimator
from avengers_core.adapters import (
    BUILD_FIELDS,
    DispatcherCache,
    Framework,
    RoutingFields,
    StreamAccumulator,
    TotalsBlocks,
    last_turn,
    needs_from_arguments,
    only_models,
    rewrite_history,
    take,
)
from avengers_core.adapters.collecting import make_model_under_test
from avengers_core.collecting.types import ModelReply
from avengers_core.dispatch.options import CallLabels, Prompt
from avengers_core.dispatch.pool import ClientProfile
from avengers_core.embedders import Embedder
from avengers_core.errors import EmptyAnswerError
from avengers_core.ledger.budget import Budget
from avengers_core.ledger.totals import Totals
from avengers_core.pricing.types import Price, TokenUsage
from avengers_core.routing.options import ROUTE_FIELDS, RouteOptions
from pydantic import BaseModel, ValidationError

from avengers_langchain import ChatAvengers
from avengers_llamaindex import AvengersLLM

ADAPTERS = [ChatAvengers, AvengersLLM]
CAPABLE = {"tools": True}


class Client:
    """A model object of a made-up framework."""

    def __init__(self, name: str) -> None:
        self.name = name


FRAMEWORK = Framework[Client](
    name="langchain",
    kind="a client",
    make_model=lambda name, price_id, init_kwargs: Client(f"{name} {price_id} {sorted(init_kwargs)}"),
    is_client=lambda value: isinstance(value, Client),
    describe=lambda client: ClientProfile("local", client.name, CAPABLE),
    prepare=lambda value: Client(value["name"]) if isinstance(value, dict) else value,
)


class Model(RoutingFields):
    framework: ClassVar[Framework[Any]] = FRAMEWORK

    def _embedder(self, build: Mapping[str, Any]) -> Embedder | None:
        return None


@pytest.fixture
def make(estimator: RouterEstimator) -> Any:
    def build(**fields: Any) -> Model:
        models = {name: Client(name) for name in ("small", "big", "mid")}
        return Model(**{"artifact": estimator.router_, "models": models, **fields})

    return build


# --- fields ---


def test_the_options_of_the_adapters_are_those_of_the_router() -> None:
    defaults = RouteOptions()
    for adapter in (Model, *ADAPTERS):
        fields = adapter.model_fields
        assert set(fields) >= {*ROUTE_FIELDS, *BUILD_FIELDS}
        for name in set(ROUTE_FIELDS) - {"route_on", "budget"}:
            assert fields[name].default == getattr(defaults, name), name
            assert type(fields[name].default) is type(getattr(defaults, name)), name
        assert fields["budget"].default is None
        assert defaults.budget == Budget()
        assert all(fields[name].description for name in RoutingFields.model_fields)
    assert ChatAvengers.model_fields["route_on"].default == defaults.route_on == "last_human"
    assert AvengersLLM.model_fields["route_on"].default == "question"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_fields_that_both_adapters_have_are_the_same(adapter: type[BaseModel]) -> None:
    for name, field in RoutingFields.model_fields.items():
        own = adapter.model_fields[name]
        assert own.annotation == field.annotation, name
        assert name == "route_on" or own.description == field.description, name


def test_fields_become_options(make: Any) -> None:
    model = make(alpha=0.2, exclude_models="big", fallbacks="mid", budget={"per_day": 1.0}, sticky=False)
    assert (model.exclude_models, model.fallbacks, model.budget) == (("big",), ("mid",), {"per_day": 1.0})
    options = model.route_options()
    assert options == RouteOptions(
        alpha=0.2, exclude_models=("big",), fallbacks=("mid",), budget=Budget(per_day=1.0), sticky=False
    )
    assert model.route_options({"alpha": 0.9, "exclude_models": ()}).alpha == 0.9
    assert model.route_options({"exclude_models": []}).exclude_models == ()
    with pytest.raises(TypeError, match="no option 'alfa'"):
        model.route_options({"alfa": 1})
    with pytest.raises(ValueError, match="alpha must be"):
        model.route_options({"alpha": 7})


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"alpha": 2}, "alpha must be"),
        ({"alpha": [1]}, "alpha"),
        ({"scoring": "best"}, "scoring must be one of"),
        ({"exploration": -1}, "exploration must be"),
        ({"route_on": "first"}, "route_on must be"),
        ({"sticky": "false"}, "sticky must be True or False"),
        ({"fallbacks": -1}, "fallbacks must be"),
        ({"exclude_models": [1]}, "exclude_models must hold ids"),
        ({"exclude_models": 1}, "exclude_models"),
        ({"budget": {"per_week": 1}}, "budget has no 'per_week'"),
        ({"prices": {"small": {"input": "x", "output": 1}}}, "prices: "),
        ({"alfa": 0.4}, "Extra inputs"),
    ],
)
def test_wrong_fields_are_errors_in_every_adapter(make: Any, field: dict[str, Any], message: str) -> None:
    for build in (make, ChatAvengers, AvengersLLM):
        with pytest.raises(ValidationError, match=message):
            build(**field)


# --- dispatchers ---


def test_a_dispatcher_is_built_once_and_again_when_a_field_changes(make: Any) -> None:
    model = make()
    first = model.dispatcher
    assert model.dispatcher is first
    assert (model.router, model.spending) == (first.router, None)
    copied = model.model_copy(update={"models": {"big": Client("big")}})
    assert copied.dispatcher.pool.ids == ["big"]
    assert model.dispatcher is first
    model.cooldown = 5.0
    assert model.dispatcher is not first
    assert model.dispatcher.context.cooldowns.seconds == 5.0


def test_calls_with_the_same_build_fields_share_a_dispatcher(make: Any, tmp_path: Any) -> None:
    model = make()
    ledger = str(tmp_path / "ledger.sqlite")
    first = model._dispatcher_with({"ledger": ledger})
    assert first is model._dispatcher_with({"ledger": f"{tmp_path}/ledger.sqlite"})  # an equal text
    assert first is not model.dispatcher
    assert model._dispatcher_with({}) is model.dispatcher
    own = model.dispatcher
    for _ in range(20):  # however many others there are, its own is kept, with its cooldowns and its money
        model._dispatcher_with({"models": {"big": Client("big")}})
    assert model.dispatcher is own
    assert model._dispatcher_with({"ledger": ledger}) is not first


def test_threads_build_one_dispatcher() -> None:
    cache, built = DispatcherCache(), []

    def build() -> Any:
        built.append(1)
        return object()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: (cache.own if n % 2 else cache.variant)(("a", 1), build), range(64)))
    assert len(built) == len(set(map(id, found))) == 2


def test_deep_copies_and_pickles_build_their_own(make: Any) -> None:
    cache = DispatcherCache()
    first = cache.own((1,), object)  # type: ignore[arg-type]
    assert copy.copy(cache).own((1,), object) is first  # type: ignore[arg-type]
    for other in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert other.own((1,), object) is not first
    assert make(init_kwargs={"timeout": 60}).model_copy(deep=True).init_kwargs == {"timeout": 60}


def test_models_are_prepared_and_made_with_arguments(make: Any) -> None:
    model = make(models={"small": {"name": "dumped"}, "big": "openai:gpt"}, init_kwargs={"timeout": 5})
    pool = model.dispatcher.pool
    assert pool.get("small").client.name == "dumped"
    assert pool.get("big").client.name == "openai:gpt  ['timeout']"
    with pytest.raises(ValueError, match="must be a client or 'provider:model', not int"):
        make(models={"small": 7}).dispatcher  # noqa: B018


def test_default_arguments_give_way_to_those_of_a_call(make: Any) -> None:
    model = make(temperature=0.0, max_tokens=50)
    assert model._with_defaults({"max_tokens": 9, "stop": ["x"]}) == {
        "temperature": 0.0,
        "max_tokens": 9,
        "stop": ["x"],
    }
    assert make()._with_defaults({}) == {}


# --- arguments ---


def test_arguments() -> None:
    arguments = {"alpha": 1, "stop": ["x"]}
    assert take(arguments, ROUTE_FIELDS) == {"alpha": 1}
    assert arguments == {"stop": ["x"]}
    assert needs_from_arguments({"tools": [1], "tool_choice": "auto"}) == {"tools": True}
    assert needs_from_arguments({"tools": [], "tool_choice": "none"}) == {}
    assert needs_from_arguments({"tools": [1], "tool_choice": "any"}) == {"tools": True, "tool_choice": True}
    assert needs_from_arguments({"tools": [1], "tool_required": True}) == {"tools": True, "tool_choice": True}
    for name in ("reasoning", "reasoning_effort", "thinking", "thinking_dict"):
        assert needs_from_arguments({name: "high"}) == {"reasoning": True}


def test_only_models_excludes_the_others() -> None:
    ids = ["a", "b", "c"]
    assert only_models(RouteOptions(), ["b"], ids).exclude_models == ("a", "c")
    assert set(only_models(RouteOptions(exclude_models=["b"]), ["b", "c"], ids).exclude_models) == {"a", "b"}
    reasons = only_models(RouteOptions(exclude_models={"a": "too old"}), ["b"], ids).exclude_models
    assert reasons == {"a": "too old", "c": "excluded by the caller"}


def test_the_last_turn_of_a_conversation() -> None:
    def read(messages: list[tuple[str, str, int]]) -> Any:
        turn = last_turn(messages, lambda m: m[0] == "tool", lambda m: (m[1], m[2]) if m[0] == "assistant" else None)
        return turn.model, turn.cached_tokens, turn.in_tool_loop

    assert read([("user", "", 0)]) == (None, 0, False)
    assert read([("assistant", "a", 5000), ("user", "", 0)]) == ("a", 5000, False)
    assert read([("assistant", "a", 50), ("tool", "", 0), ("tool", "", 0)]) == ("a", 0, True)
    assert read([("assistant", "a", 50), ("tool", "", 0), ("assistant", "b", 2000), ("user", "", 0)]) == (
        "b",
        2000,
        False,
    )


def test_histories_are_rewritten_with_ids_that_all_providers_take() -> None:
    ids = ["call_1", "x" * 50]
    rewritten = rewrite_history(ids, lambda one: [one, None], lambda one, new: new.get(one, one))
    assert rewritten[0] == "call_1"
    assert rewritten[1] != ids[1]
    assert len(rewritten[1]) <= 40


# --- streams and totals ---


class Texts(StreamAccumulator[Client, str]):
    def _read(self, chunk: str) -> None: ...

    def _has_content(self, chunk: str) -> bool:
        return chunk not in ("", "end")

    def _size(self, chunk: str) -> int:
        return len(chunk)

    def _ends(self, chunk: str) -> bool:
        return chunk == "end"

    def _usage(self) -> TokenUsage | None:
        return TokenUsage(input_tokens=1000, output_tokens=10)

    def _model_name(self) -> str:
        return "real-name"

    def decision_chunk(self) -> str:
        return str(self.attempt.summary()["model"])


def stream(model: Model, chunks: list[str]) -> list[str]:
    out = []
    for attempt in model.dispatcher.plan(Prompt("add 1 and 2"), model.route_options(), CallLabels("s", "r", ("t",))):
        with attempt:
            texts = Texts(attempt)
            for chunk in chunks:
                out += texts.add(chunk)
            out += texts.finish()
        out.append(texts.decision_chunk())
    return out


def test_a_stream_ends_its_attempt(make: Any, tmp_path: Any) -> None:
    prices = {"small": Price(0.01, 0.02)}
    model = make(alpha=0.0, ledger=tmp_path / "l.sqlite", prices=prices)
    assert stream(model, ["a", "b"]) == ["a", "b", "small"]
    (row,) = model.spending.entries()
    assert (row["status"], row["model"], row["session"], row["run"], row["tags"]) == ("ok", "small", "s", "r", ["t"])
    assert float(row["cost_usd"]) == pytest.approx((1000 * 0.01 + 10 * 0.02) / 1e6)
    assert stream(model, ["", "", "a", "", "b"]) == ["", "", "a", "", "b", "small"]
    assert stream(model, ["", "end"]) == ["", "end", "small"]
    for nothing in ([], ["", ""]):
        with pytest.raises(EmptyAnswerError, match="sent an empty stream"):
            stream(make(fallbacks=False), nothing)
    with pytest.raises(BudgetError):
        stream(make(budget={"per_call": 1e-12}), ["a"])


def test_blocks_count_inside_each_other() -> None:
    blocks = TotalsBlocks("test_totals")
    assert blocks.current() == ()
    with blocks.open() as outer:
        with blocks.open() as inner:
            assert blocks.current() == (outer, inner)
        assert blocks.current() == (outer,)
    assert isinstance(outer, Totals)
    assert blocks.current() == ()


# --- collecting ---


async def test_a_model_under_test() -> None:
    def asker(client: Client) -> Any:
        async def ask(prompt: str) -> ModelReply:
            return ModelReply(f"{client.name}: {prompt}", None)

        return ask

    def caller(client: Client) -> Any:
        return lambda prompt: ModelReply(f"{client.name} at once: {prompt}", None)

    given = make_model_under_test(FRAMEWORK, "one", Client("mine"), asker, caller, price=Price(1.0, 2.0))
    assert (given.id, given.profile.name) == ("one", "mine")
    assert (await given.ask("hi")).text == "mine: hi"
    assert given.call("hi").text == "mine at once: hi"
    assert given.tariff.cost(TokenUsage(input_tokens=10**6)) == 1
    made = make_model_under_test(FRAMEWORK, "two", "openai:gpt-4o-mini", asker, caller, init_kwargs={"timeout": 5})
    assert (await made.ask("hi")).text == "openai:gpt-4o-mini  ['max_retries', 'timeout']: hi"
    assert made.tariff.cost(TokenUsage(input_tokens=10**6)) == Decimal("0.15")
