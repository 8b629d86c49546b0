"""A SQLite cache of embeddings: a second training run sends nothing."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from pathlib import Path

import numpy as np

from .base import Embedder, Vectors, check_vectors


def default_cache_path() -> Path:
    """``$AVENGERS_CACHE`` or ``~/.cache/avengers/embeddings.sqlite`` (XDG_CACHE_HOME is honoured)."""
    if path := os.environ.get("AVENGERS_CACHE"):
        return Path(path)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avengers" / "embeddings.sqlite"


class CachedEmbedder:
    """An embedder that asks ``embedder`` only for texts it has not seen.

    Rows are keyed by the embedder's fingerprint and the text's SHA-256; the text itself is not stored. The file is in
    WAL mode with a busy timeout, so several threads and processes can share it.

    Attributes:
        hits, misses: texts found in the cache and sent to the embedder.
    """

    def __init__(self, embedder: Embedder, path: str | Path | None = None) -> None:
        self._embedder = embedder
        self._path = Path(path) if path else default_cache_path()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        self.hits = self.misses = 0
        with self._connection() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (fingerprint TEXT, hash BLOB, vector BLOB NOT NULL, "
                "PRIMARY KEY (fingerprint, hash)) WITHOUT ROWID"
            )

    @property
    def id(self) -> str:
        """The wrapped embedder's."""
        return self._embedder.id

    @property
    def dimension(self) -> int:
        """The wrapped embedder's."""
        return self._embedder.dimension

    @property
    def fingerprint(self) -> str:
        """The wrapped embedder's."""
        return self._embedder.fingerprint

    @property
    def max_tokens(self) -> int | None:
        """The wrapped embedder's."""
        return self._embedder.max_tokens

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self._path, timeout=60)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
        return db

    def embed(self, texts: list[str]) -> Vectors:
        """Vectors of the texts, (n, d) float32, each distinct unknown text embedded once."""
        db = self._connection()
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        found: dict[bytes, bytes] = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), 500):
            chunk = wanted[start : start + 500]
            marks = ",".join("?" * len(chunk))
            found.update(
                db.execute(
                    f"SELECT hash, vector FROM embeddings WHERE fingerprint = ? AND hash IN ({marks})",
                    (self.fingerprint, *chunk),
                )
            )
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        self.hits += len(texts) - len(missing)
        self.misses += len(missing)
        if missing:
            vectors = check_vectors(
                self._embedder.embed(list(missing.values())), len(missing), self.dimension, self.id
            ).astype("<f4")
            fresh = {key: vector.tobytes() for key, vector in zip(missing, vectors, strict=True)}
            with db:
                db.executemany(
                    "INSERT OR IGNORE INTO embeddings VALUES (?, ?, ?)",
                    [(self.fingerprint, key, vector) for key, vector in fresh.items()],
                )
            found.update(fresh)
        rows = [np.frombuffer(found[key], dtype="<f4") for key in keys]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, self.dimension), dtype=np.float32)
