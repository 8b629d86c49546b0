"""Training records into encoded parts, by one process or several, in memory or on disk."""

from __future__ import annotations

import functools
import multiprocessing
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.processes import live_as_long_as_parent, terminate
from ..embedders.base import Embedder
from ..embedders.factory import make_embedder
from ..errors import RecordError
from ..records.io import Source, find_files, read_records
from ..records.loading import load_parts
from ..records.schema import Record
from ..records.slices import check_not_empty, find_slices, read_slice
from ..records.table import RecordTable
from .encoding import encode_records, encode_slice, encoder
from .parts import PART_ROWS, Part, align_parts, cut, joined

__all__ = ["check_indices", "index_keys", "training_parts"]

#: The share of a limit of memory that parts may take. The rest is for Python, for what is summed up, and for a sample.
_SHARE_OF_PARTS = 0.25
#: Processes that Windows can wait for.
_MOST_PROCESSES = 61


@contextmanager
def training_parts(
    records: RecordTable | Source | Iterable[Record],
    embedder: str | Embedder | None,
    progress: Callable[[str, int, int], None] | None = None,
    memory: int | None = None,
    n_jobs: int = 1,
) -> Iterator[list[Part]]:
    """The encoded records in parts, which are on disk until the block ends, if they would take too much memory.

    Args:
        records: Files or folders, records, or a table; see `encode_records`.
        embedder: Embeds the queries. With several processes, a name.
        progress: Called with (step, done, total).
        memory: Bytes that training may take. None: as many as it needs.
        n_jobs: Number of processes that read and encode files.

    Raises:
        RecordError: If a record is not valid.
        OSError: If a part cannot be written.
    """
    if isinstance(records, RecordTable):
        yield cut(encode_records(records, make_embedder(embedder), progress), PART_ROWS)
        return
    tables = _tables(records, embedder, progress, n_jobs)
    with closing(tables), ExitStack() as stack:
        if memory is None:
            parts: list[Part] = list(tables)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="avengers-", ignore_cleanup_errors=True))
            parts = list(_kept(tables, memory * _SHARE_OF_PARTS, Path(folder)))
        yield parts


def _kept(tables: Iterable[RecordTable], room: float, folder: Path) -> Iterator[Part]:
    """The tables, of which those that find no room in memory are stored."""
    for number, table in enumerate(tables):
        room -= sum(values.nbytes for values in _arrays(table).values())
        yield table if room >= 0 else _store(table, folder / str(number))


def _tables(
    records: Source | Iterable[Record],
    embedder: str | Embedder | None,
    progress: Callable[[str, int, int], None] | None,
    n_jobs: int,
) -> Generator[RecordTable, None, None]:
    if n_jobs == 1:
        return load_parts(records, PART_ROWS, encode=encoder(make_embedder(embedder), progress))
    if embedder is not None and not isinstance(embedder, str):
        raise ValueError(
            "with n_jobs (--jobs) each process makes its own embedder: give its name, such as 'wordllama', and no cache"
        )
    given: Any = records if isinstance(records, (str, Path)) else list(records)
    if not isinstance(given, (str, Path)) and any(isinstance(record, Record) for record in given):
        raise ValueError("with n_jobs records are read from files; give their paths")
    return _of_size(_encoded_slices(given, embedder, progress, n_jobs), PART_ROWS)


def _encoded_slices(
    source: Source, embedder: str | None, progress: Callable[[str, int, int], None] | None, n_jobs: int
) -> Iterator[RecordTable]:
    """The tables of all slices of files, in order, each encoded in one of several processes."""
    keys: list[NDArray[np.uint64]] = []
    files, done = find_files(source), 0
    every = find_slices(files)
    most = min(n_jobs, _MOST_PROCESSES)
    with ProcessPoolExecutor(most, multiprocessing.get_context("spawn"), live_as_long_as_parent) as processes:
        waiting: deque[Future[RecordTable | None]] = deque()
        slices = deque(every)
        try:
            while slices or waiting:
                while slices and len(waiting) < most + 1:
                    waiting.append(processes.submit(encode_slice, slices.popleft(), embedder))
                table = waiting.popleft().result()
                keys.append(index_keys(table))
                if table is None:
                    continue
                done += len(table)
                if progress:
                    progress("embed", done, 0)
                yield table
        except BrokenExecutor as error:
            raise RecordError(
                "a process that reads records has ended: it may have run out of memory (set n_jobs or --jobs lower), "
                "or a script trains with n_jobs outside of `if __name__ == '__main__':`, which each process imports"
            ) from error
        except BaseException:  # what the processes still do is for nobody
            terminate(processes)
            raise
    check_not_empty(zip(every, map(len, keys), strict=True), files)
    check_indices(keys, files)


def index_keys(table: RecordTable | None) -> NDArray[np.uint64]:
    """(n,) a number for each row's dataset and index; none if there is no table."""
    if table is None:
        return np.zeros(0, dtype=np.uint64)
    names = (f"{table.datasets[code]}\0{index}" for code, index in zip(table.dataset, table.index, strict=True))
    return np.fromiter(map(_name_key, names), dtype=np.uint64, count=len(table))


def _name_key(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def check_indices(keys: list[NDArray[np.uint64]], files: Sequence[Path]) -> None:
    """Check that no index occurs twice in a dataset.

    Args:
        keys: `index_keys` of all tables.
        files: The files, JSON lines or Parquet, which are read again to say where it is.

    Raises:
        RecordError: If one does.
    """
    every = np.concatenate(keys) if keys else np.zeros(0)
    if len(np.unique(every)) == len(every):
        return
    if not any(path.suffix == ".parquet" for path in files):
        deque(read_records(files), maxlen=0)  # its error has the lines
    seen = set()
    for piece in find_slices(files, more_suffixes=(".parquet",)):
        for record in read_slice(piece):
            name = (record.dataset, str(record.index))
            if name in seen:
                raise RecordError(
                    f"{piece.path}: field 'index': {record.index!r} occurs twice in dataset {record.dataset!r}; give "
                    "each record of a dataset an index of its own"
                )
            seen.add(name)


def _of_size(tables: Iterable[RecordTable], size: int) -> Generator[RecordTable, None, None]:
    """The same rows in tables of ``size`` rows."""
    held: list[RecordTable] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) > size:
            whole = _joined(held)
            full = (len(whole) - 1) // size * size
            for start in range(0, full, size):
                yield whole.rows(np.arange(start, start + size))
            held = [whole.rows(np.arange(full, len(whole)))]
    if held:
        yield _joined(held)


def _joined(tables: list[RecordTable]) -> RecordTable:
    return joined(align_parts(list(tables), (), ())[0])


def _arrays(table: RecordTable) -> dict[str, NDArray[Any]]:
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _store(table: RecordTable, folder: Path) -> Part:
    """Write a table's arrays, and give what loads it again, without the names of its rows."""
    arrays = _arrays(table)
    try:
        folder.mkdir()
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
    except OSError as error:
        raise OSError(
            f"{folder.parent}: a part of the records cannot be written: {error.strerror or error}; set TMPDIR to a "
            f"folder with more room"
        ) from error
    names: dict[str, Any] = {name: getattr(table, name) for name in ("datasets", "models", "sources")}
    return functools.partial(_load, {"index": [""] * len(table), **names}, folder, tuple(arrays))


def _load(names: dict[str, Any], folder: Path, arrays: Iterable[str]) -> RecordTable:
    loaded: dict[str, Any] = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in arrays}
    return RecordTable(**names, **loaded)
