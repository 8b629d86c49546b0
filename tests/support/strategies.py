"""Hypothesis strategies of what tests make up."""

from __future__ import annotations

from avengers_core.records import Record, Usage
from hypothesis import strategies as st

MODELS, DATASETS, SOURCES = ("a", "b", "c"), ("x", "y"), (None, "judge", "tests")
amounts = st.one_of(st.none(), st.integers(0, 1000).map(float))
usages = st.builds(
    Usage,
    input_tokens=amounts,
    output_tokens=amounts,
    reasoning_tokens=amounts,
    cost_usd=amounts,
    kind=st.sampled_from(["call", "agent_run"]),
)
scores = st.dictionaries(
    st.sampled_from(MODELS), st.one_of(st.none(), st.booleans(), st.sampled_from([0.0, 0.25, 1.0])), min_size=1
)


@st.composite
def record_lists(draw: st.DrawFn, min_size: int = 1) -> list[Record]:
    out = []
    for number in range(draw(st.integers(min_size, 12))):
        answered = draw(scores)
        known = {model: draw(usages) for model in answered if draw(st.booleans())}
        weights = {model: draw(st.sampled_from([0.5, 2.0])) for model in answered if draw(st.integers(0, 9)) == 0}
        dataset, source = draw(st.sampled_from(DATASETS)), draw(st.sampled_from(SOURCES))
        out.append(Record(number, dataset, f"query {number}", answered, known, weights, source))
    return out
