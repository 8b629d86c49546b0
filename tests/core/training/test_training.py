from __future__ import annotations

import dataclasses
import functools
import operator
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import (
    AvengersError,
    CachedEmbedder,
    CallableEmbedder,
    NotFittedError,
    Price,
    RecordError,
    Router,
    RouterEstimator,
    load_records,
)
from avengers_core.records.schema import Record
from avengers_core.records.table import RecordTable
from avengers_core.routing.features import feature_matrix, text_features
from avengers_core.routing.statistics import ClusterStatistics
from avengers_core.training import sklearn_conventions
from avengers_core.training.statistics import cluster_statistics
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import make_records, plain, write_jsonl
from tests.support.strategies import record_lists


def test_fit_gives_fitted_attributes(estimator: RouterEstimator, records: list[Record]) -> None:
    assert estimator.models_ == ["big", "mid", "odd", "small"]
    assert estimator.cluster_centers_.shape == (6, 256)
    assert len(estimator.labels_) == len(records) == estimator.n_records_
    assert estimator.held_out_ is None
    assert estimator.predict([records[1].query], alpha=1) == ["big"]


def test_statistics_are_the_plain_sums(estimator: RouterEstimator, records: list[Record]) -> None:
    statistics = estimator.statistics_
    for cluster in range(6):
        rows = [r for r, label in zip(records, estimator.labels_, strict=True) if label == cluster]
        assert statistics.n_queries[cluster] == len(rows)
        for column, model in enumerate(estimator.models_):
            scores = [float(r.records[model] or 0) for r in rows if model in r.records]
            usages = [r.usages[model] for r in rows if model in r.usages]
            assert statistics.n_answers[cluster, column] == len(scores)
            assert statistics.score_sum[cluster, column] == pytest.approx(sum(scores))
            assert statistics.score_squares[cluster, column] == pytest.approx(sum(s * s for s in scores))
            assert statistics.cost_sum[cluster, column] == pytest.approx(sum(u.cost_usd or 0 for u in usages if u))
            assert statistics.tokens[cluster, column, 1] == sum(u.output_tokens or 0 for u in usages if u)


def assert_same_sums(one: ClusterStatistics, other: ClusterStatistics) -> None:
    for item in dataclasses.fields(ClusterStatistics):
        np.testing.assert_array_equal(getattr(one, item.name), getattr(other, item.name), err_msg=item.name)


@given(record_lists(), st.data())
def test_statistics_of_partitions_add_up_to_those_of_the_whole(records: list[Record], data: st.DataObject) -> None:
    """However the records are partitioned and in whatever order the partitions are added."""
    table = load_records(records)
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(table), max_size=len(table))))
    owner = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(table), max_size=len(table))))
    whole = cluster_statistics(table, labels, 4)
    pieces = [cluster_statistics(table.rows(owner == n), labels[owner == n], 4) for n in range(3) if (owner == n).any()]
    assert_same_sums(functools.reduce(operator.add, data.draw(st.permutations(pieces))), whole)
    nothing = ClusterStatistics(
        **{item.name: np.zeros_like(getattr(whole, item.name)) for item in dataclasses.fields(whole)}
    )
    assert_same_sums(whole + nothing, whole)


def test_training_repeats_and_streams(tmp_path: Path, records: list[Record]) -> None:
    path = write_jsonl(tmp_path / "r.jsonl.gz", [plain(r) for r in records])
    streamed = RouterEstimator(6).fit(path).artifact_
    loaded = RouterEstimator(6).fit(load_records(records)).artifact_
    np.testing.assert_array_equal(streamed.centers, loaded.centers)
    for name, values in streamed.arrays.items():
        np.testing.assert_array_equal(values, loaded.arrays[name])


def test_train_ratio_holds_out(records: list[Record]) -> None:
    fitted = RouterEstimator(6, train_ratio=0.75).fit(records)
    assert isinstance(fitted.held_out_, RecordTable)
    assert (fitted.n_records_, len(fitted.held_out_)) == (180, 60)


def test_exclusions_soft_and_hard(records: list[Record]) -> None:
    hard = RouterEstimator(6, train_ratio=0.75, exclude_models=["big"], exclude_datasets=["code"]).fit(records)
    assert hard.models_ == ["mid", "odd", "small"]
    assert hard.held_out_ is not None
    assert hard.held_out_.models == ["mid", "odd", "small"]
    assert hard.held_out_.datasets == ["sums", "verse"]
    soft = RouterEstimator(6, train_ratio=0.75, soft_exclude_models=["big"], soft_exclude_datasets=["code"]).fit(
        records
    )
    assert soft.models_ == ["mid", "odd", "small"]
    assert soft.held_out_ is not None
    assert "big" in soft.held_out_.models
    assert "code" in soft.held_out_.datasets
    assert soft.artifact_.manifest.settings.exclude_models == ["big"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_clusters": 0},
        {"n_clusters": 2.5},
        {"top_k": 0},
        {"beta": -1},
        {"beta": float("nan")},
        {"train_ratio": 0},
        {"train_ratio": 1.5},
        {"scoring": "best"},
        {"alpha": 2},
        {"min_records": -1},
        {"exclude_models": "big"},
        {"soft_exclude_datasets": "verse"},
    ],
)
def test_bad_parameters(parameters: dict[str, Any], records: list[Record]) -> None:
    estimator = RouterEstimator(**parameters)
    assert estimator.get_params().items() >= parameters.items(), "stored as given, checked in fit"
    with pytest.raises(ValueError, match=next(iter(parameters))):
        estimator.fit(records)


def test_too_few_records() -> None:
    with pytest.raises(RecordError, match="train_ratio"):
        RouterEstimator(train_ratio=0.1).fit(make_records(3))
    tiny = RouterEstimator(n_clusters=25, min_records=0).fit(make_records(4))
    assert len(tiny.cluster_centers_) == 4


def test_identical_queries_train(records: list[Record]) -> None:
    same = [Record(str(i), "d", "the same question", {"a": i % 2, "b": 1.0}) for i in range(40)]
    router = RouterEstimator(n_clusters=5).fit(same).router_
    assert router.route("the same question", alpha=1).model == "b"


def test_length_is_learned() -> None:
    """Long answers on verse, short on sums: the expected output follows the query."""
    rng = np.random.default_rng(1)
    records = []
    for record in make_records(300, seed=2):
        length = {"sums": 20, "verse": 400, "code": 100}[record.dataset]
        usages = {
            m: type(u)(input_tokens=20, output_tokens=float(rng.poisson(length)), cost_usd=None)
            for m, u in record.usages.items()
            if u
        }
        records.append(Record(record.index, record.dataset, record.query, record.records, usages))
    from avengers_core import Price

    prices = {m: Price(0, 1.0, "test") for m in ("small", "big", "mid")}
    router = RouterEstimator(6, prices=prices).fit(records).router_
    short = router.route("add the numbers 5 and 6 (9)", alpha=0, models=["small"]).expected_cost * 1e6
    long = router.route("write a poem about river 5 and love (9)", alpha=0, models=["small"]).expected_cost * 1e6
    assert 10 < short < 60
    assert 250 < long < 500


def test_features_are_finite_and_few() -> None:
    matrix = feature_matrix(["", "A. x\nB. y", "1+1=?", "\ud800", "é" * 10_000])
    assert np.isfinite(matrix).all()
    assert text_features("x\nA. one\nB. two")[2] == 2
    assert text_features("12 34")[4] == pytest.approx(4 / 6)


def test_real_records_train_and_beat_the_reference_shape(data_folder: Path, tmp_path: Path) -> None:
    fitted = RouterEstimator(train_ratio=0.7, random_state=0).fit(data_folder / "zeroeval.train.jsonl.gz")
    router = Router.load(fitted.save(tmp_path / "z.zip"))
    assert router.prices["claude-3-opus-20240229"].input == pytest.approx(15, rel=0.01)
    assert router.prices["claude-3-opus-20240229"].output == pytest.approx(75, rel=0.01)
    assert fitted.artifact_.manifest.characters_per_token == 4  # prompts hold more than the query


# --- the conventions of scikit-learn ---


def test_clone_makes_an_unfitted_estimator_with_the_same_parameters(estimator: RouterEstimator, tmp_path: Path) -> None:
    from sklearn.base import clone

    assert repr(clone(RouterEstimator(5))) == "RouterEstimator(n_clusters=5)"
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    assert not hasattr(copied, "router_")
    embedder = CachedEmbedder(CallableEmbedder(lambda texts: [[1.0]] * len(texts), id="one"), tmp_path / "c.sqlite")
    prices = {"big": Price(1.0, 2.0)}
    given = RouterEstimator(embedder=embedder, prices=prices, exclude_models=["odd"], progress=print)
    copied = clone(given)
    assert copied.embedder is embedder, "an embedder has connections, which cannot be copied"
    assert copied.get_params() == given.get_params()
    prices["mid"] = Price(1.0, 1.0)
    assert copied.prices == {"big": Price(1.0, 2.0)}


def test_parameters_are_those_of_the_constructor() -> None:
    estimator = RouterEstimator(5, alpha=0.3)
    parameters = estimator.get_params(deep=True)
    assert (parameters["n_clusters"], parameters["alpha"], parameters["beta"]) == (5, 0.3, None)
    assert RouterEstimator(**parameters).get_params() == parameters
    assert estimator.set_params(beta=2.0, n_clusters=7) is estimator
    assert (estimator.beta, estimator.n_clusters) == (2.0, 7)
    with pytest.raises(ValueError, match=r"invalid parameter 'clusters' of RouterEstimator: .*'n_clusters'"):
        estimator.set_params(alpha=0.9, clusters=3)
    assert estimator.alpha == 0.3, "nothing is set if one name is wrong"


def test_parameters_can_be_searched_as_scikit_learn_does(records: list[Record]) -> None:
    from sklearn.base import clone
    from sklearn.model_selection import ParameterGrid

    base = RouterEstimator(min_records=0)
    grid = ParameterGrid({"n_clusters": [2, 3], "alpha": [0.0, 1.0]})
    fitted = [clone(base).set_params(**point).fit(records) for point in grid]
    assert [len(one.cluster_centers_) for one in fitted] == [point["n_clusters"] for point in grid]
    assert not hasattr(base, "router_")


def test_repr_shows_what_is_not_default() -> None:
    assert repr(RouterEstimator()) == "RouterEstimator()"
    assert repr(RouterEstimator(n_clusters=None, alpha=0.3)) == "RouterEstimator(alpha=0.3)"
    assert repr(RouterEstimator(scoring="reference", exclude_models=["a"])) == (
        "RouterEstimator(exclude_models=['a'], scoring='reference')"
    )
    many = RouterEstimator(price_ids={f"model-{n}": f"openai:model-{n}" for n in range(500)})
    assert len(repr(many)) < 300


@pytest.mark.parametrize("use", [lambda e: e.predict(["x"]), lambda e: e.decide(["x"]), lambda e: e.save("a.zip")])
def test_use_before_fit_is_scikit_learns_error_too(use: Any) -> None:
    import sklearn.exceptions

    with pytest.raises(NotFittedError, match="this RouterEstimator is not fitted yet: call fit first") as caught:
        use(RouterEstimator())
    for kind in (AvengersError, sklearn.exceptions.NotFittedError, ValueError, AttributeError):
        assert isinstance(caught.value, kind)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)


def test_use_before_fit_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    sklearn_conventions._not_fitted_class.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    try:
        with pytest.raises(NotFittedError) as caught:
            RouterEstimator().predict(["x"])
        assert type(caught.value) is NotFittedError
    finally:
        sklearn_conventions._not_fitted_class.cache_clear()


def test_scikit_learns_check_knows_a_fitted_estimator(estimator: RouterEstimator) -> None:
    from sklearn.exceptions import NotFittedError as SklearnNotFittedError
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(RouterEstimator())
