"""What training needs of a query's text, as numbers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Embedder, embed_all
from ..embedders.factory import make_embedder
from ..records.io import Source
from ..records.loading import TableBuilder, load_records
from ..records.schema import Record
from ..records.slices import FileSlice, read_slice
from ..records.table import RecordTable
from ..routing.features import encoded_width, feature_matrix

__all__ = ["encode_records", "encode_slice", "encoder"]


def encode_records(
    records: RecordTable | Source | Iterable[Record],
    embedder: Embedder,
    progress: Callable[[str, int, int], None] | None = None,
) -> RecordTable:
    """Records with ``encoded``: (n, d + f + 1) unit embedding, text features and number of characters of each query.

    Args:
        records: Files or folders, records, or a table. The texts of files and records are dropped once encoded.
        embedder: Embeds the queries.
        progress: Called with (step, done, total).

    Raises:
        RecordError: If a record is not valid.
        ValueError: If the records are a table that another embedder has encoded.
    """
    encode = encoder(embedder, progress)
    table = records if isinstance(records, RecordTable) else load_records(records, encode=encode)
    if table.encoded is None:
        table = dataclasses.replace(table)
        table.encoded = encode(table.queries)
    elif table.encoded.shape[1] != encoded_width(embedder.dimension):
        raise ValueError(f"table.encoded is {table.encoded.shape[1]} wide: not made by this embedder's encoder")
    return table


def encoder(
    embedder: Embedder, progress: Callable[[str, int, int], None] | None = None
) -> Callable[[list[str]], NDArray[np.float32]]:
    """A function that encodes texts; see `encode_records`."""
    done = 0

    def encode(texts: list[str]) -> NDArray[np.float32]:
        nonlocal done
        vectors = embed_all(embedder, texts)
        characters = np.array([len(text) for text in texts], dtype=np.float64)[:, None]
        done += len(texts)
        if progress:
            progress("embed", done, 0)
        return np.hstack([vectors, feature_matrix(texts), characters]).astype(np.float32)

    return encode


def encode_slice(file_slice: FileSlice, embedder: str | None) -> RecordTable | None:
    """The encoded records of a slice of a file, without texts, or None if it has none.

    Args:
        file_slice: Where the records are.
        embedder: Name of the embedder; see `make_embedder`.

    Raises:
        RecordError: If a record is not valid.
    """
    builder = TableBuilder(encoder(_embedder(embedder)))
    for record in read_slice(file_slice):
        builder.add(record)
    return builder.build() if len(builder) else None


@functools.lru_cache(maxsize=2)
def _embedder(name: str | None) -> Embedder:
    return make_embedder(name)
