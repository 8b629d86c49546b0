"""Token counts and truncation with tiktoken where an encoding is at hand, and an estimate, said once, where not."""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

CHARACTERS_PER_TOKEN = 4.0


def _encoding_files() -> Path | None:
    """The folder of encodings that an installed llama-index-core ships, found without importing it."""
    spec = importlib.util.find_spec("llama_index")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(root) / "core" / "_static" / "tiktoken_cache"
        if folder.is_dir():
            return folder
    return None


@functools.cache
def encoding(name: str = "cl100k_base") -> Any | None:
    """The tiktoken encoding, or None (with one warning) where neither it nor the network is at hand."""
    try:
        import tiktoken

        folder = _encoding_files()
        if folder is not None and "TIKTOKEN_CACHE_DIR" not in os.environ:
            os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
            try:
                return tiktoken.get_encoding(name)
            finally:
                del os.environ["TIKTOKEN_CACHE_DIR"]
        return tiktoken.get_encoding(name)
    except Exception as error:  # tiktoken raises whatever its HTTP client does
        warnings.warn(
            f"tokens are estimated as {CHARACTERS_PER_TOKEN:g} characters each: no {name} encoding "
            f"({type(error).__name__}); install tiktoken and set TIKTOKEN_CACHE_DIR to count them",
            stacklevel=3,
        )
        return None


def truncate(text: str, max_tokens: int) -> str:
    """The longest start of ``text`` with at most ``max_tokens`` tokens."""
    if len(text.encode("utf-8", "replace")) <= max_tokens:
        return text
    codec = encoding()
    if codec is None:
        return text[: int(max_tokens * CHARACTERS_PER_TOKEN)]
    tokens = codec.encode(text, disallowed_special=())
    if len(tokens) <= max_tokens:
        return text
    return str(codec.decode(tokens[:max_tokens], errors="ignore"))


def estimate_tokens(text: str) -> float:
    """Input tokens of a query, from its length: fast enough for each route, within a quarter on English and code."""
    return max(1.0, len(text) / CHARACTERS_PER_TOKEN)
