"""Models that an artifact was not trained with."""

from __future__ import annotations

import numpy as np
import pytest
from avengers_core import Router, RouterEstimator
from avengers_core.errors import NoCandidateError, UnknownModelError
from avengers_core.records.schema import Record
from avengers_core.routing.artifact import load_artifact, save_artifact
from avengers_core.routing.extending import select_models, with_models

SMALL, BIG, MID = "openai:gpt-5-nano", "openai/gpt-5", "gpt-5-mini"


@pytest.fixture(scope="module")
def router(records: list[Record]) -> Router:
    """The made-up records, with today's names."""
    names = {"small": SMALL, "big": BIG, "mid": MID}
    renamed = [
        Record(
            record.index,
            record.dataset,
            record.query,
            {names[m]: score for m, score in record.records.items() if m in names},
            {names[m]: usage for m, usage in record.usages.items() if m in names},
        )
        for record in records
    ]
    return RouterEstimator(6, min_records=0).fit(renamed).router_


def extended(router: Router, *names: str) -> Router:
    return Router(with_models(router.artifact, names), embedder=router.embedder)


def test_another_spelling_is_the_same_model(router: Router) -> None:
    wide = extended(router, "gpt-5-nano", "openai:gpt-5-2025-08-07", "openai/gpt-5@medium")
    columns = [wide.models.index(name) for name in ("gpt-5-nano", "openai:gpt-5-2025-08-07", "openai/gpt-5@medium")]
    own = [wide.models.index(name) for name in (SMALL, BIG, BIG)]
    assert np.array_equal(wide.score_model.expected[:, columns], wide.score_model.expected[:, own])
    decision = wide.route("write a poem about the sea", alpha=1, models=["gpt-5-nano", BIG])
    assert decision.model == BIG
    assert decision.basis("gpt-5-nano").answers == 240


def test_what_the_other_models_are_expected_to_score_does_not_change(router: Router) -> None:
    wide = extended(router, "claude-opus-4-5", "gpt-5@low")
    own = [wide.models.index(name) for name in router.models]
    assert wide.score_model.expected[:, own] == pytest.approx(router.score_model.expected, abs=1e-12)


def test_a_model_without_records_rests_on_its_relatives_and_says_so(router: Router) -> None:
    wide = extended(router, "gpt-5.1", "gpt-5@low", "gpt-5@high")
    decision = wide.route("python code to sort list 5", alpha=1)
    assert decision.basis("gpt-5.1").assumed_from == BIG
    assert "its likeness to openai/gpt-5" in str(decision.basis("gpt-5.1"))
    expected = {name: float(decision.scores[decision.candidates.index(name)]) for name in decision.candidates}
    assert expected["gpt-5@low"] < expected[BIG] < expected["gpt-5@high"]
    assert decision.deviation("gpt-5.1") > decision.deviation(BIG)
    costs = dict(zip(decision.candidates, decision.costs, strict=True))
    assert costs["gpt-5@low"] < costs[BIG] < costs["gpt-5@high"]
    assert wide.cost_known.all()


def test_an_unknown_model_is_an_error_with_near_misses(router: Router) -> None:
    with pytest.raises(UnknownModelError, match="gpt-5"):
        with_models(router.artifact, ["gpt-5-minni"])
    plain = with_models(router.artifact, ["my-own"], strict=False)
    assert plain.manifest.models[-1].price is None


def test_a_selection_expects_what_the_whole_does(router: Router, tmp_path) -> None:  # type: ignore[no-untyped-def]
    artifact = with_models(router.artifact, ["gpt-5.1", "claude-haiku-4-5"])
    chosen = ["claude-haiku-4-5", BIG]
    whole = Router(artifact, embedder=router.embedder)
    part = Router(select_models(artifact, chosen), embedder=router.embedder)
    assert part.models == chosen
    columns = [whole.models.index(name) for name in chosen]
    assert np.array_equal(part.score_model.expected, whole.score_model.expected[:, columns])
    loaded = Router(load_artifact(save_artifact(part.artifact, tmp_path / "a.zip")), embedder=router.embedder)
    assert np.array_equal(loaded.score_model.expected, part.score_model.expected)


def test_options_take_any_spelling(router: Router) -> None:
    decision = router.route("add 1 and 2", exclude_models=["gpt-5-nano"], alpha=0)
    assert decision.excluded == {SMALL: "excluded by the caller"}
    assert router.route("add 1 and 2", models=["gpt-5-nano"]).model == SMALL
    with pytest.raises(NoCandidateError, match="no model 'claude-opus-4-5'"):
        router.route("add 1 and 2", models=["claude-opus-4-5"])
