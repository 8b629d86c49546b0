"""What can be compared in sparse records: queries that the same models answered, with every score and cost known."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.results import Result
from ..errors import RecordError
from ..records.table import RecordTable
from ..routing.router import Router
from .curves import available

__all__ = ["KINDS", "LeftOut", "Panel", "Panels", "find_panels", "router_panels"]

Mask = NDArray[np.bool_]
Kind = Literal["call", "agent_run"]

#: What tokens and dollars are those of. The two are never compared with each other.
KINDS: tuple[Kind, ...] = ("call", "agent_run")
#: Queries that a source needs to be judged, unless none has as many.
MIN_QUERIES = 10


@dataclass(frozen=True)
class Panel:
    """Queries that the same models answered, from one source or from several with the same models.

    Attributes:
        kind: ``call``, or ``agent_run`` if tokens and dollars are those of whole runs of agents.
        sources: Names of the sources: who graded the answers.
        rows: (n,) positions of the queries in the table that the panel was found in.
        columns: (m,) positions of its models there.
        table: The records of these queries and models. Each score and each cost is known.
        estimated: Whether costs are what a router expects, because the sources recorded none.
    """

    kind: Kind
    sources: tuple[str, ...]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    table: RecordTable
    estimated: bool


@dataclass(frozen=True)
class LeftOut(Result):
    """Queries of a source that are not judged, or models that are not compared on it.

    Attributes:
        source: Name of the source.
        queries: Number of queries that are left out.
        models: Ids of the models that are left out.
        why: The reason.
    """

    source: str
    queries: int
    models: tuple[str, ...]
    why: str


class Panels(NamedTuple):
    """What can be compared, and what cannot.

    Attributes:
        panels: At least one panel; calls before runs of agents.
        left_out: Queries and models that are in no panel, by source.
    """

    panels: list[Panel]
    left_out: list[LeftOut]


class _Block(NamedTuple):
    """One source and kind: rows and columns without a gap."""

    kind: Kind
    source: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def router_panels(table: RecordTable, router: Router, vectors: NDArray[np.float32]) -> Panels:
    """Find what can be compared of the models that a router knows.

    The costs of a source without any recorded cost are those that the router expects.

    Args:
        table: Records with query texts.
        router: The router.
        vectors: (n, d) embeddings of the queries, from the router's embedder.

    Raises:
        RecordError: If nothing can be compared; the message says why.
    """
    unknown = [code for code in np.unique(table.source).tolist() if np.isnan(table.cost[table.source == code]).all()]
    rows = np.flatnonzero(np.isin(table.source, unknown))
    if len(rows):
        column = {model: position for position, model in enumerate(router.models)}
        known = np.array([position for position, model in enumerate(table.models) if model in column], dtype=np.intp)
        expected = router.expect_costs(vectors[rows], [table.queries[row] for row in rows])
        cost = table.cost.copy()
        cost[np.ix_(rows, known)] = expected[:, [column[table.models[position]] for position in known]]
        table = dataclasses.replace(table, cost=cost)
    return find_panels(table, router.models, estimated=unknown)


def find_panels(
    table: RecordTable, models: Collection[str] | None = None, *, estimated: Collection[int] = ()
) -> Panels:
    """Find the queries that can be compared: within a source, those that the same models answered.

    From each source as many queries and models are kept as leave no gap, so that no answer stands in for one that is
    missing. Sources with the same models are one panel.

    Args:
        table: Records.
        models: Ids of the models to compare, such as those that a router knows. Default: all.
        estimated: Positions in ``table.sources`` of the sources whose costs are estimates.

    Raises:
        RecordError: If nothing can be compared; the message says why.
    """
    judged = available(table)
    if not judged.any():
        raise RecordError("no record has both a score and a cost: nothing can be evaluated")
    if models is not None:
        judged &= np.array([model in models for model in table.models])
        if not judged.any():
            raise RecordError("some queries have no answer, with a cost, of a model that the router knows")
    blocks = [block for code in np.unique(table.source) for block in _blocks(table, judged, int(code))]
    if not blocks:
        raise RecordError("no two models answered the same query of a source: there is nothing to compare")
    enough = min(MIN_QUERIES, max(len(block.rows) for block in blocks))
    kept = [block for block in blocks if len(block.rows) >= enough]
    return Panels(_merged(table, kept, estimated), list(_left_out(table, judged, kept)))


def _blocks(table: RecordTable, judged: Mask, source: int) -> Iterator[_Block]:
    rows = np.flatnonzero(table.source == source)
    for kind in KINDS:
        known = judged[rows] & (table.agent_run[rows] == (kind == "agent_run"))
        some, columns = _without_gaps(known)
        if len(some):
            yield _Block(kind, source, rows[some], columns)


def _without_gaps(known: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of which each cell is known: many of both, and two columns at least.

    The search is greedy: from the most complete column on, the column is added that leaves most rows, and of all steps
    the one with the most comparisons (rows times columns but one) is kept.
    """
    left: Mask = np.asarray(known.any(axis=1))
    remaining, chosen = list(np.flatnonzero(known.any(axis=0))), list[int]()
    best, n_best, gain = left[:0], 0, 0
    while remaining:
        counts = known[np.ix_(left, remaining)].sum(axis=0)
        nearest = int(counts.argmax())
        if not counts[nearest]:
            break
        chosen.append(int(remaining.pop(nearest)))
        left = np.asarray(left & known[:, chosen[-1]])
        if (compared := int(left.sum()) * (len(chosen) - 1)) > 0 and compared >= gain:
            best, n_best, gain = left, len(chosen), compared
    return np.flatnonzero(best), np.sort(np.array(chosen[:n_best], dtype=np.intp))


def _merged(table: RecordTable, blocks: list[_Block], estimated: Collection[int]) -> list[Panel]:
    """A panel for each kind and set of models, those with estimated costs apart."""
    alike: dict[tuple[Kind, bool, bytes], list[_Block]] = {}
    for block in sorted(blocks, key=lambda block: KINDS.index(block.kind)):
        alike.setdefault((block.kind, block.source in estimated, block.columns.tobytes()), []).append(block)
    panels = []
    for (kind, guessed, _), members in alike.items():
        rows = np.sort(np.concatenate([block.rows for block in members]))
        columns = members[0].columns
        sources = tuple(table.sources[block.source] for block in members)
        panels.append(Panel(kind, sources, rows, columns, table.rows(rows).columns(columns), guessed))
    return panels


def _left_out(table: RecordTable, judged: Mask, kept: list[_Block]) -> Iterator[LeftOut]:
    for code in np.unique(table.source):
        blocks = [block for block in kept if block.source == code]
        rows = np.flatnonzero(table.source == code)
        outside = np.setdiff1d(rows, np.concatenate([block.rows for block in blocks]) if blocks else [])
        unknown = outside[~judged[outside].any(axis=1)]
        gaps = len(outside) - len(unknown)
        asked = np.flatnonzero((~np.isnan(table.scores[rows])).any(axis=0))
        compared = np.concatenate([block.columns for block in blocks]) if blocks else np.zeros(0, np.intp)
        models = tuple(table.models[column] for column in np.setdiff1d(asked, compared))
        name = table.sources[code]
        if len(unknown):
            yield LeftOut(name, len(unknown), (), "no answer has a score and a cost")
        if gaps:
            why = "not all of the compared models answered" if blocks else "too few queries with the same models"
            yield LeftOut(name, gaps, (), why)
        if models and blocks:
            yield LeftOut(name, 0, models, "they did not answer the same queries, with a known cost")
