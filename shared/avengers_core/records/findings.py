"""What spoils a union of records, one function a kind of finding."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .check_figures import RUN_TOKENS, Array, KnownModel, UnionFigures, columns, over_each, over_others
from .table import RecordTable

__all__ = ["Finding", "FindingItem", "find_all"]

#: How much higher or lower a source may grade the models that it shares with others.
SCALE_DIFFERENCE = 0.2
#: Share of all models that a source has at least if its queries may be easy or hard without harm.
SAME_MODELS = 0.8
#: Nine of ten models of a source are above the first, below the second, or within the third of each other.
CEILING, FLOOR, NARROW = 0.85, 0.15, 0.1
#: Models that a source needs to be judged by them.
MIN_MODELS = 5
#: How many times the dollars of the same models elsewhere, of other models, and of the list price are too many.
DOLLARS_TIMES, OTHER_DOLLARS_TIMES, LIST_TIMES = 30.0, 100.0, 5.0


@dataclass(frozen=True)
class FindingItem:
    """One line of a finding.

    Attributes:
        names: The sources or models that it is about.
        text: What is wrong with it.
        examples: Records or ids that show it. Records are named by their index.
    """

    names: list[str]
    text: str
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """Something that spoils a union of records.

    Attributes:
        code: Short name, such as ``repeats``.
        text: What was found.
        advice: What to do.
        items: The sources or models, worst first.
        of_models: Whether the items are models; else they are sources.
    """

    code: str
    text: str
    advice: str
    items: list[FindingItem]
    of_models: bool = False


def find_all(
    table: RecordTable, figures: UnionFigures, known: Mapping[str, KnownModel], min_answers: int
) -> list[Finding]:
    """All findings that have an item.

    Args:
        table: The records.
        figures: Their figures.
        known: What is known of the models, by their names in the table.
        min_answers: Answers that a model should have.
    """
    runs = _unmarked_runs(table, figures)
    found = [
        runs,
        _mixed_runs(table, figures),
        _dollars(table, figures, {name for item in runs.items for name in item.names}),
        _list_price(table, figures),
        _scale(table, figures),
        _narrow(table, figures),
        _repeats(table),
        _shared_texts(table),
        _two_ids(table, known),
        _no_price(table, figures, known),
        _few_answers(table, figures, min_answers),
    ]
    return [finding for finding in found if finding.items]


def _unmarked_runs(table: RecordTable, figures: UnionFigures) -> Finding:
    codes = np.flatnonzero(figures.run_like >= 0.5)
    return Finding(
        "agent_runs",
        f"Most calls have {RUN_TOKENS:,} input tokens or more, far more than their query: they look like agent runs.",
        'Set "kind": "agent_run" in their usages: such dollars and tokens are those of dozens of calls.',
        [
            FindingItem([table.sources[code]], f"{figures.run_like[code]:.0%} of its calls")
            for code in codes[np.argsort(-figures.run_like[codes], kind="stable")]
        ],
    )


def _mixed_runs(table: RecordTable, figures: UnionFigures) -> Finding:
    return Finding(
        "mixed_kinds",
        "Agent runs and calls are mixed in one source.",
        "Give the runs a source of their own: an agent's task and a question are not graded alike.",
        [
            FindingItem([table.sources[code]], f"{figures.runs[code]:.1%} of its usages are agent runs")
            for code in np.flatnonzero((figures.runs > 0) & (figures.runs < 1))
        ],
    )


def _dollars(table: RecordTable, figures: UnionFigures, explained: set[str]) -> Finding:
    logs = np.log10(np.where(figures.cost > 0, figures.cost, np.nan))
    of_source = columns(np.nanmedian, logs.T)
    found = []
    for code in np.flatnonzero(np.isfinite(of_source)).tolist():
        above, shared = over_each(logs, code)
        if shared.any():
            times, text = _times(above, DOLLARS_TIMES, "{:,.0f} times {}", table.sources)
        else:
            of_others = of_source[code] - of_source
            times, text = _times(of_others, OTHER_DOLLARS_TIMES, "{:,.0f} times other models of {}", table.sources)
        if times and table.sources[code] not in explained:
            found.append((times, FindingItem([table.sources[code]], f"${10 ** of_source[code]:.2g}, {text}")))
    return Finding(
        "dollars",
        "Calls cost far more than those of the same models in another source.",
        'If they are agent runs, set "kind": "agent_run" in their usages. If not, check that cost_usd is in dollars '
        "for one answer, here and in the other source.",
        [item for _, item in sorted(found, key=lambda pair: -pair[0])],
    )


def _times(logs: Array, least: float, text: str, sources: list[str]) -> tuple[float, str]:
    """The largest of the (s,) log10 ratios to the sources as a ratio and as a text; 0 if it is less than ``least``."""
    other = int(np.argmax(np.nan_to_num(logs, nan=-np.inf)))
    times = float(10 ** logs[other])
    return (times, text.format(times, sources[other])) if times >= least else (0.0, "")


def _list_price(table: RecordTable, figures: UnionFigures) -> Finding:
    ratios = columns(np.nanmedian, figures.list_ratio)
    off = np.flatnonzero((ratios >= LIST_TIMES) | (ratios <= 1 / LIST_TIMES))
    distance = np.abs(np.log(np.maximum(ratios[off], 1e-12)))
    return Finding(
        "list_price",
        f"Dollars are {LIST_TIMES:g} times list price x tokens or more, or as far below it.",
        "Check cost_usd and the tokens. If the price has changed since, or a host gave a discount, leave cost_usd out "
        "or give --prices, so that dollars are those of today.",
        [
            FindingItem([table.models[column]], f"{ratios[column]:.2g} times the list price")
            for column in off[np.argsort(-distance, kind="stable")]
        ],
        of_models=True,
    )


def _scale(table: RecordTable, figures: UnionFigures) -> Finding:
    above, shared = over_others(figures.scores)
    has = figures.answers > 0
    part = has.sum(axis=1) / max(1, int(has.any(axis=0).sum()))
    off = (np.abs(above) >= SCALE_DIFFERENCE) & (shared >= MIN_MODELS) & (part < SAME_MODELS)
    codes = np.flatnonzero(off)
    return Finding(
        "scale",
        "Scores are far from those of the same models elsewhere, and only some models have them.",
        'Keep a "source" in each record, so that it is known who graded it, and compare models within a source only. '
        "Leave a source out if its scale says nothing about your queries.",
        [
            FindingItem([table.sources[code]], f"{above[code]:+.2f} ({shared[code]} models)")
            for code in codes[np.argsort(-np.abs(above[codes]), kind="stable")]
        ],
    )


def _narrow(table: RecordTable, figures: UnionFigures) -> Finding:
    found = []
    for code, scores in enumerate(figures.scores):
        known = scores[np.isfinite(scores)]
        if len(known) < MIN_MODELS:
            continue
        low, high = np.quantile(known, [0.1, 0.9])
        if low >= CEILING or high <= FLOOR or high - low < NARROW:
            text = f"{low:.2f} to {high:.2f}, mean {known.mean():.2f}"
            found.append((high - low, FindingItem([table.sources[code]], text)))
    return Finding(
        "narrow",
        "Nearly all models score alike: at the ceiling, at the floor, or close together.",
        "Such records hardly tell models apart. Keep them if you have such queries, where the cheapest model will do; "
        "a judge that gives everyone the same grade is better left out.",
        [item for _, item in sorted(found, key=lambda pair: pair[0])],
    )


def _repeats(table: RecordTable) -> Finding:
    """Texts that are in several records of one source."""
    _, text = np.unique(table.texts, return_inverse=True)
    _, group, counts = np.unique(text * len(table.sources) + table.source, return_inverse=True, return_counts=True)
    found = []
    repeated = counts[group] > 1
    for code in np.unique(table.source[repeated]):
        rows = np.flatnonzero(repeated & (table.source == code))
        numbers, place = np.unique(group[rows], return_inverse=True)
        answers = np.zeros((len(numbers), len(table.models)), dtype=np.int64)
        np.add.at(answers, place, ~np.isnan(table.scores[rows]))
        twice = int((answers[answers > 1] - 1).sum())
        said = f"{_texts(len(numbers))} in {len(rows):,} records, {twice:,} answers again"
        examples = [table.index[row] for row in rows[place == place[0]]]
        found.append((len(rows), FindingItem([table.sources[code]], said, examples)))
    return Finding(
        "repeats",
        "Texts are in several records of one source.",
        "Merge them, with the mean score of each model, or leave the copies out: a text that is asked twice counts "
        "twice. They are on the same side of every split.",
        [item for _, item in sorted(found, key=lambda pair: -pair[0])],
    )


def _texts(count: int) -> str:
    return f"{count:,} text{'s' if count > 1 else ''}"


def _shared_texts(table: RecordTable) -> Finding:
    """Texts that are in records of several sources."""
    sources: dict[int, dict[int, int]] = defaultdict(dict)
    _, text, counts = np.unique(table.texts, return_inverse=True, return_counts=True)
    for row in np.flatnonzero(counts[text] > 1):
        sources[int(text[row])].setdefault(int(table.source[row]), int(row))
    shared: Counter[tuple[int, int]] = Counter()
    first: dict[tuple[int, int], tuple[int, int]] = {}
    for rows in sources.values():
        for pair in itertools.combinations(sorted(rows), 2):
            shared[pair] += 1
            first.setdefault(pair, (rows[pair[0]], rows[pair[1]]))
    return Finding(
        "shared_texts",
        "Sources share texts.",
        "Each keeps its own grades if each has its own source; else leave one of them out. They are on the same side "
        "of every split.",
        [
            FindingItem(
                [table.sources[one], table.sources[other]],
                _texts(count),
                [table.index[row] for row in first[one, other]],
            )
            for (one, other), count in shared.most_common()
        ],
    )


def _two_ids(table: RecordTable, known: Mapping[str, KnownModel]) -> Finding:
    names: dict[str, list[str]] = defaultdict(list)
    for model in table.models:
        if model in known:
            names[known[model].id].append(model)
    return Finding(
        "two_ids",
        "One model has several ids, and so its answers are split.",
        "Give it one id. Keep them apart only if they are snapshots that answer differently.",
        [FindingItem(spelled, f"are {id_}") for id_, spelled in names.items() if len(spelled) > 1],
        of_models=True,
    )


def _no_price(table: RecordTable, figures: UnionFigures, known: Mapping[str, KnownModel]) -> Finding:
    paid = np.flatnonzero((np.nan_to_num(figures.cost) > 0).any(axis=0))
    nothing = KnownModel("")
    unpriced = [
        model
        for column, model in enumerate(table.models)
        if column not in paid and known.get(model, nothing).input_price is None
    ]
    return Finding(
        "no_price",
        "Neither the records nor the price list say what these models cost.",
        "Give --prices when training, or exclude them: a model of unknown cost cannot be weighed against others.",
        [FindingItem([model], "unknown model" if model not in known else "no list price") for model in unpriced],
        of_models=True,
    )


def _few_answers(table: RecordTable, figures: UnionFigures, min_answers: int) -> Finding:
    answers = figures.answers.sum(axis=0)
    few = np.flatnonzero(answers < min_answers)
    return Finding(
        "few",
        f"Models have fewer than {min_answers} answers.",
        "Collect more, or lower min_records when training: with fewer, a model is not a candidate.",
        [
            FindingItem([table.models[column]], f"{answers[column]} answers")
            for column in few[np.argsort(answers[few], kind="stable")]
        ],
        of_models=True,
    )
