"""A SQLite cache of embeddings: a second training run embeds nothing."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .._utils.files import user_path
from .._utils.sqlite import write_ahead
from ..errors import EmbeddingError
from .base import Embedder, Vectors, check_vectors

__all__ = ["CachedEmbedder", "default_cache_path"]

#: Texts that are looked up at a time; SQLite limits the variables of a statement.
_LOOKUP_SIZE = 500

#: Seconds to wait for another process that writes.
_TIMEOUT = 60


def default_cache_path() -> Path:
    """``$AVENGERS_CACHE`` or ``~/.cache/avengers/embeddings.sqlite`` (XDG_CACHE_HOME is honoured)."""
    if path := os.environ.get("AVENGERS_CACHE"):
        return user_path(path)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avengers" / "embeddings.sqlite"


class CachedEmbedder:
    """An embedder that passes only texts to ``embedder`` that are not in the cache yet.

    Rows are keyed by the embedder's fingerprint and the text's SHA-256; the text itself is not stored. The file is in
    WAL mode with a busy timeout, so several threads and processes can share it.

    Args:
        embedder: The embedder to wrap.
        path: The cache's file. Default: see `default_cache_path`.

    Attributes:
        hits: Texts that were in the cache.
        misses: Texts that were embedded.

    Raises:
        EmbeddingError: If the file is no cache, or cannot be read or written.
    """

    def __init__(self, embedder: Embedder, path: str | Path | None = None) -> None:
        self._embedder = embedder
        self._path = user_path(path) if path else default_cache_path()
        self._local = threading.local()
        self.hits = self.misses = 0
        with self._named_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors(), self._connection() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (fingerprint TEXT, hash BLOB, vector BLOB NOT NULL, "
                "PRIMARY KEY (fingerprint, hash)) WITHOUT ROWID"
            )

    @property
    def id(self) -> str:
        """The wrapped embedder's id."""
        return self._embedder.id

    @property
    def dimension(self) -> int:
        """The wrapped embedder's dimension."""
        return self._embedder.dimension

    @property
    def fingerprint(self) -> str:
        """The wrapped embedder's fingerprint."""
        return self._embedder.fingerprint

    @property
    def max_tokens(self) -> int | None:
        """The wrapped embedder's token limit."""
        return self._embedder.max_tokens

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EmbeddingError(
                f"{self._path}: the cache of embeddings cannot be used ({error}); delete it if it is damaged, or give "
                "another file with --cache or $AVENGERS_CACHE"
            ) from error

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self._path, timeout=_TIMEOUT)
            write_ahead(db, _TIMEOUT)
            db.execute("PRAGMA synchronous=NORMAL")
        return db

    def embed(self, texts: list[str]) -> Vectors:
        """Vectors of the texts, (n, d) float32. Each distinct text that is not in the cache is embedded once.

        Raises:
            EmbeddingError: If the wrapped embedder fails, or returns another shape or a value that is not finite, or
                if the cache is damaged or cannot be written.
        """
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        rows = self._lookup(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in rows}
        self.hits += len(texts) - len(missing)
        self.misses += len(missing)
        if missing:
            rows |= self._embed_and_store(missing)
        vectors = [np.frombuffer(rows[key], dtype="<f4") for key in keys]
        return np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, self.dimension), dtype=np.float32)

    def _lookup(self, keys: list[bytes]) -> dict[bytes, bytes]:
        """The stored vectors by key."""
        db, unique = self._connection(), list(dict.fromkeys(keys))
        rows: dict[bytes, bytes] = {}
        for start in range(0, len(unique), _LOOKUP_SIZE):
            chunk = unique[start : start + _LOOKUP_SIZE]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT hash, vector FROM embeddings WHERE fingerprint = ? AND hash IN ({marks})"
            with self._named_errors():
                rows.update(db.execute(query, (self.fingerprint, *chunk)))
        return {key: vector for key, vector in rows.items() if len(vector) == 4 * self.dimension}

    def _embed_and_store(self, texts: dict[bytes, str]) -> dict[bytes, bytes]:
        """The vectors of texts by key, after storing them."""
        vectors = check_vectors(self._embedder.embed(list(texts.values())), len(texts), self.dimension, self.id)
        rows = {key: vector.tobytes() for key, vector in zip(texts, vectors.astype("<f4"), strict=True)}
        db = self._connection()
        with self._named_errors(), db:
            db.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                [(self.fingerprint, key, vector) for key, vector in rows.items()],
            )
        return rows
