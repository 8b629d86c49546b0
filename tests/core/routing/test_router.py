from __future__ import annotations

import copy
import math
import pickle
import pickletools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import (
    ArtifactError,
    NoCandidateError,
    Price,
    RouteOptions,
    Router,
    RouterEstimator,
    load_records,
    pretrained_names,
)
from avengers_core.records.schema import Record

from tests.support.records import make_records, write_jsonl

SUM, VERSE = "add the numbers 3 and 4 (7)", "write a poem about river 9 and love (3)"


@pytest.fixture(scope="module")
def router(estimator: RouterEstimator) -> Router:
    return estimator.router_


def test_routes_by_topic_and_alpha(router: Router) -> None:
    assert router.route(VERSE, alpha=1).model == "big"
    assert router.route(VERSE, alpha=0).model == "small"
    assert router.route(SUM, alpha=0.5).model == "small"


def test_cost_never_falls_as_alpha_rises(router: Router) -> None:
    for text in (SUM, VERSE, "something else entirely"):
        costs = [router.route(text, alpha=a).expected_cost for a in np.linspace(0, 1, 41)]
        assert (np.diff(costs) >= 0).all()


@pytest.mark.parametrize("scoring", ["utility", "reference", "simple"])
def test_many_is_the_same_as_one(router: Router, scoring: str) -> None:
    texts = [SUM, VERSE, "def f(x): return x + 3", "", "ünïcödé \ud800 text"]
    for alpha in (0.0, 0.4, 1.0):
        many = router.route_many(texts, alpha=alpha, scoring=scoring)
        for text, decision in zip(texts, many, strict=True):
            one = router.route(text, alpha=alpha, scoring=scoring)
            assert one.model == decision.model
            assert one.ranking == decision.ranking
            assert decision.ranking[0] == decision.model
            np.testing.assert_allclose(one.costs, decision.costs, rtol=1e-5)
    chosen, names = router.choose(router.embed(texts), texts, alphas=np.array([0.4]), scoring=scoring)
    assert [names[c] for c in chosen[0]] == [d.model for d in router.route_many(texts, alpha=0.4, scoring=scoring)]


def test_decision_says_why(router: Router) -> None:
    decision = router.route(VERSE, alpha=0.4)
    assert decision.id == decision.id
    assert len(decision.id) == 32
    assert 0.5 <= decision.confidence <= 1
    assert sum(weight for _, weight in decision.clusters) == pytest.approx(1, abs=0.1)
    text = decision.explain()
    assert decision.model in text
    assert "verse" in text
    assert "\n" not in text
    assert decision.to_dict()["candidates"][0]["model"] == decision.model


def test_filters(router: Router) -> None:
    assert set(router.route(VERSE, models=["small", "mid"]).ranking) == {"small", "mid"}
    decision = router.route(VERSE, alpha=1, exclude_models=["big"])
    assert decision.model == "mid"
    assert decision.excluded["big"] == "excluded by the caller"
    with pytest.raises(NoCandidateError, match="did you mean 'big'"):
        router.route(VERSE, models=["bigg"])
    with pytest.raises(NoCandidateError, match="no model 'zzzz': it has big, mid, odd, small"):
        router.route(VERSE, exclude_models={"zzzz": "never heard of"})
    with pytest.raises(NoCandidateError, match="small: excluded"):
        router.route(VERSE, models=["small"], exclude_models="small")


def test_excluded_models_may_have_reasons(router: Router) -> None:
    decision = router.route(VERSE, alpha=1, exclude_models={"big": "over its quota", "mid": ""})
    assert decision.excluded["big"] == "over its quota"
    assert decision.excluded["mid"] == "excluded by the caller"
    assert decision.ranking == ["small"]
    with pytest.raises(NoCandidateError, match="small: its key was refused") as caught:
        router.route(VERSE, models=["small"], exclude_models={"small": "its key was refused"})
    assert caught.value.reasons == {"small": "its key was refused"}


def test_a_model_with_few_records_is_no_candidate(router: Router) -> None:
    decision = router.route(VERSE)
    assert "odd" not in decision.ranking
    assert decision.excluded["odd"] == "only 12 records (min_records 20)"
    assert "odd" in decision.explain()


def test_capabilities_are_a_hard_filter(records: list[Record]) -> None:
    can: dict[str, dict[str, bool | int]] = {
        "small": {"tools": False, "max_input_tokens": 4000},
        "mid": {"tools": True, "max_input_tokens": 128_000},
    }
    router = RouterEstimator(6, capabilities=can).fit(records).router_
    decision = router.route(VERSE, alpha=0, require=["tools"])
    assert decision.ranking == ["mid"]
    assert decision.excluded["small"] == "no tools"
    assert decision.excluded["big"] == "tools unknown"
    with pytest.raises(NoCandidateError) as caught:
        router.route(VERSE, require={"max_input_tokens": 1_000_000})
    assert caught.value.reasons["mid"] == "max_input_tokens 128000 below 1000000"


def test_out_of_distribution_falls_back_to_the_average(router: Router) -> None:
    assert not router.route(VERSE).out_of_distribution
    decision = router.route("")
    assert decision.out_of_distribution
    assert "unlike the training queries" in decision.explain()
    size = router.artifact.statistics.n_queries
    assert dict(decision.clusters)[0] == pytest.approx(size[0] / size.sum())


def test_unknown_cost_is_refused_below_alpha_one_and_said(records: list[Record]) -> None:
    table = load_records(records)
    table.cost[:, table.models.index("big")] = np.nan
    router = RouterEstimator(6).fit(table).router_
    decision = router.route(VERSE, alpha=0.99)
    assert decision.model != "big"
    assert "cost is unknown" in decision.excluded["big"]
    free = router.route(VERSE, alpha=1)
    assert free.model == "big"
    assert math.isnan(free.expected_cost)
    assert "an unknown price" in free.explain()
    assert free.to_dict()["expected_cost"] is None
    priced = Router(router.artifact, prices={"big": Price(0.01, 0.01, "a contract")})
    assert priced.route(VERSE, alpha=0.5).model == "big"


def test_dollars_without_tokens_are_used(records: list[Record]) -> None:
    table = load_records(records)
    table.tokens[:] = np.nan
    router = RouterEstimator(6).fit(table).router_
    decision = router.route(VERSE, alpha=0)
    assert decision.model == "small"
    mean = np.nanmean(table.cost[:, table.models.index("small")])
    assert decision.expected_cost == pytest.approx(mean, rel=0.3)


def test_prices_are_implied_and_can_be_replaced(router: Router) -> None:
    assert router.prices["big"] == Price(3.0, 15.0, "records")
    base = router.route(VERSE, alpha=0.5, output_tokens=100)
    tokens = base.input_tokens
    big = base.candidates.index("big")
    assert base.costs[big] == pytest.approx((tokens * 3 + 100 * 15) / 1e6)
    dear = Router(router.artifact, prices={"small": Price(1e3, 1e3, "test")})
    assert dear.route(SUM, alpha=0).model != "small"
    assert dear.route(SUM, alpha=0.3, scoring="reference").model != "small"
    with pytest.raises(ValueError, match="no model 'nope'"):
        Router(router.artifact, prices={"nope": Price(1, 1, "x")})


def test_longer_questions_cost_more(router: Router) -> None:
    assert router.route(VERSE * 50, alpha=1).input_tokens > 40 * router.route(VERSE, alpha=1).input_tokens


def test_threads_share_a_router(router: Router) -> None:
    texts = [record.query for record in make_records(60, seed=5)]
    alone = [router.route(text, alpha=0.5).model for text in texts]
    results: dict[int, list[str]] = {}

    def work(number: int) -> None:
        results[number] = [router.route(text, alpha=0.5).model for text in texts]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results[i] == alone for i in range(8))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": 7}, ValueError, "alpha must be"),
        ({"scoring": "magic"}, ValueError, "scoring must be"),
        ({"exploration": -1}, ValueError, "exploration must be"),
        ({"alpa": 0.5}, TypeError, "no option 'alpa'"),
        ({"models": ["bigg"]}, NoCandidateError, "did you mean 'big'"),
        ({"models": ["small"], "exclude_models": ["small"]}, NoCandidateError, "no model can be chosen"),
        ({"require": ["tools"]}, NoCandidateError, "tools unknown"),
    ],
)
def test_bad_arguments_are_refused_when_called(
    router: Router, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    vectors = router.embed([SUM])
    with pytest.raises(error, match=message):
        router.route(SUM, **arguments)
    with pytest.raises(error, match=message):
        router.route_many([SUM], **arguments)
    with pytest.raises(error, match=message):
        router.route_vectors(vectors, [SUM], **arguments)


def test_a_missing_artifact_is_named() -> None:
    with pytest.raises(ArtifactError, match="pretrained ones are default"):
        Router.load("nothing-like-it")


@pytest.mark.parametrize("name", ["default", "models-2024", "mmlupro", "zeroeval"])
def test_pretrained_artifacts_load_and_route(name: str) -> None:
    assert name in pretrained_names()
    router = Router.load(name)
    decision = router.route("What is the derivative of x**3?\nA. 3x**2\nB. x**2", alpha=0.4)
    assert decision.model in router.models
    assert decision.expected_cost > 0
    assert router.cost_known.all() or (name == "default" and router.cost_known.mean() > 0.85)
    raw = [router.route("Compute 12 * 13.", alpha=a) for a in (0, 1)]
    assert raw[0].expected_cost < raw[1].expected_cost
    assert raw[0].expected_score < raw[1].expected_score


def test_latest_prices_replace_those_it_knows() -> None:
    router = Router.load("zeroeval", prices="latest")
    assert router.prices["gpt-4o-2024-08-06"].source.startswith("genai-prices")
    assert router.prices["qwen2-72b-instruct"].source == "records"


def test_the_base_install_routes() -> None:
    """Without any extra: what only an extra brings cannot be imported here."""
    extras = ("httpx", "tenacity", "tiktoken", "sklearn", "sqlalchemy", "langchain_core", "llama_index", "fastapi")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras!r}));"
        "from avengers_core import Router; print(Router.load().route('What is 17 * 23?', alpha=0.4).model)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "/" in done.stdout


def test_import_is_light() -> None:
    code = (
        "import sys, avengers_core; from avengers_core import Router; Router.load().route('hi'); "
        "print([m for m in ('sklearn', 'tiktoken', 'genai_prices', 'llama_index') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    import avengers_core

    for name in avengers_core.__all__:
        assert getattr(avengers_core, name) is not None
    with pytest.raises(AttributeError):
        _: Any = avengers_core.nothing


def test_options_and_single_options_give_the_same(router: Router) -> None:
    options = RouteOptions(alpha=0.9, scoring="reference", exclude_models=["big"])
    by_options = router.route(VERSE, options)
    assert (by_options.alpha, by_options.scoring) == (0.9, "reference")
    assert "big" in by_options.excluded
    by_name = router.route(VERSE, alpha=0.9, scoring="reference", exclude_models=["big"])
    np.testing.assert_array_equal(by_options.totals, by_name.totals)
    overridden = router.route(VERSE, options, alpha=1, exclude_models=())
    assert (overridden.alpha, overridden.scoring) == (1, "reference")
    assert "big" not in overridden.excluded
    assert router.route_many([VERSE], options)[0].model == by_options.model
    assert next(router.route_vectors(router.embed([VERSE]), [VERSE], options)).model == by_options.model
    assert router.route(VERSE, RouteOptions()).alpha == router.artifact.manifest.settings.alpha


def test_many_takes_any_iterable_but_not_one_string(router: Router) -> None:
    texts = [SUM, VERSE]
    assert [d.model for d in router.route_many(text for text in texts)] == [d.model for d in router.route_many(texts)]
    assert router.route_many(iter(())) == []
    with pytest.raises(TypeError, match="not one string"):
        router.route_many(SUM)


def test_vectors_and_texts_must_match(router: Router) -> None:
    with pytest.raises(ValueError, match="2 vectors for 1 texts"):
        router.route_vectors(router.embed([SUM, VERSE]), [SUM])


def test_a_decision_is_frozen_and_independent_of_its_router() -> None:
    router = Router.load("models-2024")
    decision = router.route(VERSE, alpha=0.4)
    with pytest.raises(AttributeError):
        decision.model = "another"  # type: ignore[misc]
    data = pickle.dumps(decision)
    assert len(data) < 8_000  # the artifact's arrays and the embedder are megabytes
    assert not {"avengers_core.routing.router", "avengers_core.routing.manifest"} & set(_modules(data))
    for twin in (pickle.loads(data), copy.copy(decision), copy.deepcopy(decision)):
        assert twin.id == decision.id
        assert twin.to_dict() == decision.to_dict()
        assert twin.ranking == decision.ranking
        assert repr(twin) == repr(decision)
        assert twin.best_single == decision.best_single


def _modules(data: bytes) -> list[str]:
    """Strings in a pickle, the names of modules among them."""
    return [argument for _, argument, _ in pickletools.genops(data) if isinstance(argument, str)]


def test_ids_are_unique(router: Router) -> None:
    ids = {decision.id for decision in router.route_many([SUM] * 100)}
    assert len(ids) == 100
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in ids)


def test_the_best_single_model_is_that_of_the_candidates(router: Router) -> None:
    assert router.route(VERSE).best_single == "big"
    assert router.route(VERSE, models=["small", "mid"]).best_single == router.best_single(["small", "mid"])
    assert router.route(VERSE, exclude_models=["big"]).best_single != "big"


def test_an_unpriced_model_counts_in_reference_and_simple(records: list[Record]) -> None:
    table = load_records(records)
    table.cost[:, table.models.index("big")] = np.nan
    router = RouterEstimator(6).fit(table).router_
    for scoring in ("reference", "simple"):
        decision = router.route(VERSE, alpha=0.5, scoring=scoring)
        assert "big" in decision.candidates
        assert math.isnan(decision.costs[decision.candidates.index("big")])
    with pytest.raises(NoCandidateError, match="big: its cost is unknown"):
        router.route(VERSE, alpha=0.5, models=["big"])


def test_exploration_draws_from_all_candidates_and_tells_the_probability(router: Router) -> None:
    router.random.seed(0)
    text = "add the numbers 3 and 4"
    plain = router.route(text, alpha=0.3)
    m = len(plain.candidates)
    assert plain.propensity == 1
    decisions = [router.route(text, alpha=0.3, exploration=0.3) for _ in range(3000)]
    shares = {name: sum(d.model == name for d in decisions) / len(decisions) for name in plain.candidates}
    for name, share in shares.items():
        propensity = 0.3 / m + 0.7 * (name == plain.model)
        assert share == pytest.approx(propensity, abs=0.03)
        assert all(d.propensity == pytest.approx(propensity) for d in decisions if d.model == name)
    drawn = next(d for d in decisions if d.model != plain.model)
    assert drawn.ranking == [drawn.model, *(name for name in plain.ranking if name != drawn.model)]
    assert drawn.expected_cost == drawn.costs[drawn.candidates.index(drawn.model)]
    assert "explores" in drawn.explain()
    with pytest.raises(ValueError, match="exploration must be"):
        router.route(text, exploration=1.5)


def test_the_prompt_around_a_query_is_paid_for(tmp_path: Path) -> None:
    """Each record is a short query in a prompt of 1,000 tokens, which cost what its tokens cost."""
    price = Price(2.0, 8.0)
    rows = [
        {
            "index": str(n), "dataset": "d", "query": f"Is {n} even or odd?", "records": {"a": 1.0, "b": float(n % 2)},
            "usages": {
                name: {"input_tokens": 1000, "output_tokens": 10, "cost_usd": (1000 * 2.0 + 10 * 8.0) / 1e6}
                for name in ("a", "b")
            },
        }
        for n in range(60)
    ]  # fmt: skip
    estimator = RouterEstimator(n_clusters=2, prices={"a": price, "b": price})
    router = estimator.fit(write_jsonl(tmp_path / "r.jsonl", rows)).router_
    estimator.save(tmp_path / "a.zip")
    for one in (router, Router.load(tmp_path / "a.zip")):
        assert one.route("Is 7 even or odd?").costs == pytest.approx([0.00208] * 2, rel=0.01)
        whole = one.route("Is 7 even or odd?", input_tokens=4000)
        assert whole.costs == pytest.approx([0.00808] * 2, rel=0.01), "a caller knows better"
        assert whole.input_tokens == 4000


def test_queries_that_are_the_whole_prompt_have_no_overhead(estimator: RouterEstimator) -> None:
    assert estimator.artifact_.manifest.prompt_overhead == []
