"""wordllama's static word vectors: offline, microseconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingError
from .base import Vectors, digest
from .words import WordTokenizer

__all__ = ["WordLlamaEmbedder"]

#: The fingerprint of the files whose texts can be tokenized word by word.
_WORD_BY_WORD = "7469785bdcbc4eef6675fdcb7cdf74e39bd361cba5803de7a3f14a5ef6f31e40"
#: Tokens whose vectors are added up at a time.
_PIECE = 4096


class WordLlamaEmbedder:
    """The default: the mean of wordllama's static token vectors (256 dimensions). Microseconds a query, no network.

    The weights and the tokenizer are read from the installed ``wordllama`` package without importing it: its own loader
    looks for the tokenizer in a place where the wheel does not have it, and its import reconfigures logging.

    Raises:
        EmbeddingError: If the package's files are missing.
    """

    id = "wordllama:l2_supercat_256"
    max_tokens: int | None = None

    def __init__(self) -> None:
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("wordllama")
        root = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path("wordllama")
        weights = root / "weights" / "l2_supercat_256.safetensors"
        tokenizer = root / "tokenizers" / "l2_supercat_tokenizer_config.json"
        for path in (weights, tokenizer):
            if not path.is_file():
                raise EmbeddingError(f"{path} is missing: reinstall wordllama 0.4 or later")
        data, config = weights.read_bytes(), tokenizer.read_bytes()
        self._table: NDArray[np.float32] = next(iter(load(data).values())).astype(np.float32)  # adds up faster
        self._tokenizer = Tokenizer.from_str(config.decode())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.dimension: int = self._table.shape[1]
        self.fingerprint: str = digest(self.id, data, config)
        words = WordTokenizer(self._tokenizer).encode if self.fingerprint == _WORD_BY_WORD else None
        self._token_ids = words or self._whole_texts

    def embed(self, texts: list[str]) -> Vectors:
        """Mean token vector of each text, (n, 256) float32; a text without tokens has a zero row."""
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), 256):
            for row, ids in enumerate(self._token_ids(texts[start : start + 256]), start):
                if len(ids):
                    self._add_up(ids, out[row])
                    out[row] /= len(ids)
        return out

    def _whole_texts(self, texts: list[str]) -> list[NDArray[np.int64]]:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]

    def _add_up(self, ids: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """The sum of token vectors, in pieces, so that other threads have their turn while a long text is embedded."""
        np.add.reduce(self._table.take(ids[:_PIECE], axis=0, mode="clip"), axis=0, out=out)
        for start in range(_PIECE, len(ids), _PIECE):
            vectors = self._table.take(ids[start : start + _PIECE], axis=0, mode="clip")
            np.add.reduce(np.vstack([out, vectors]), axis=0, out=out)  # as one sum would add them
