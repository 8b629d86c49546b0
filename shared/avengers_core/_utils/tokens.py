"""Count and truncate tokens with tiktoken. If no encoding can be loaded, estimate from characters and warn once."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import warnings
from pathlib import Path
from typing import Any

__all__ = ["CHARACTERS_PER_TOKEN", "count_tokens", "encoding", "estimate_tokens", "truncate"]

CHARACTERS_PER_TOKEN = 4.0

_NAME = "cl100k_base"

# cl100k_base as tiktoken defines it in tiktoken_ext.openai_public, which can only read the ranks from its own cache.
_RANKS_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
_SPECIAL_TOKENS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
#: Name of the ranks in a cache of tiktoken's: the SHA-1 of the address that they are published at.
_CACHED_RANKS = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"


@functools.cache
def encoding() -> Any | None:
    """The `tiktoken.Encoding` cl100k_base, or None (with a warning) if it cannot be loaded.

    It is read from the files of an installed llama-index-core, so that nothing is downloaded; else tiktoken loads it.
    """
    try:
        import tiktoken

        ranks = _packaged_ranks()
        if ranks is None:
            return tiktoken.get_encoding(_NAME)
        return tiktoken.Encoding(_NAME, pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL_TOKENS)
    except Exception as error:  # tiktoken raises whatever its HTTP client does
        warnings.warn(
            f"tokens are estimated as {CHARACTERS_PER_TOKEN:g} characters each: no {_NAME} encoding "
            f"({type(error).__name__}); install tiktoken and set TIKTOKEN_CACHE_DIR to count them",
            stacklevel=3,
        )
        return None


def _packaged_ranks() -> dict[bytes, int] | None:
    """The ranks of cl100k_base that llama-index-core ships, which is not imported for it."""
    spec = importlib.util.find_spec("llama_index")
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root) / "core" / "_static" / "tiktoken_cache" / _CACHED_RANKS
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() == _RANKS_SHA256:
            pairs = (line.split() for line in data.splitlines())
            return {base64.b64decode(token): int(rank) for token, rank in pairs}
    return None


def count_tokens(*texts: str) -> int:
    """The number of tokens of texts, counted or, without an encoding, estimated."""
    codec = encoding()
    if codec is None:
        return round(sum(estimate_tokens(text) for text in texts if text))
    return sum(len(codec.encode(text, disallowed_special=())) for text in texts)


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
    """Input tokens of a query from its length: fast enough for each route, within a quarter on English and code."""
    return max(1.0, len(text) / CHARACTERS_PER_TOKEN)
