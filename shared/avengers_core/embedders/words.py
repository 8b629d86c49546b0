"""Token ids of texts word by word: a word is tokenized once, and its ids are kept."""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["WordTokenizer"]

#: How a space is written in the vocabulary.
_SPACE = "\u2581"
#: A word: after the space before it, with further spaces, or from the end of a line.
_WORD = re.compile(" ( *[^ \n]*)|(\n[^ \n]*)")
#: Characters of a text from which it is tokenized as a whole, while other threads have their turn.
_LONG = 1 << 14
#: Words that are tokenized as one text.
_GROUP = 64
#: About how many bytes of words are kept before all are forgotten, and what a word takes besides its characters.
_CACHE_BYTES, _WORD_BYTES = 32 << 20, 160


class WordTokenizer:
    """The ids that a tokenizer of Llama 2's kind gives texts, several times as fast.

    Byte-pair encoding joins the pair of symbols with the lowest rank, wherever it stands. In a vocabulary that has no
    token with a space behind another character, no pair is joined across the beginning of a word, so that the ids of a
    text are those of its words.

    Args:
        tokenizer: A tokenizer with such a vocabulary, which puts a space before a text and does nothing else to it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._encode = tokenizer.encode_batch_fast
        self._marks = (_SPACE, *(token.content for token in tokenizer.get_added_tokens_decoder().values()))
        self._space = _as_bytes([int(tokenizer.token_to_id(_SPACE) or 0)])
        self._line_end = int(tokenizer.token_to_id("<0x0A>") or 0)
        self._forget()

    def encode(self, texts: list[str]) -> list[NDArray[np.int64]]:
        """The token ids of each text, without special tokens at its ends."""
        known, words = self._ids, [self._split(text) for text in texts]
        new = list({word for found in words for word in found or () if word not in known})
        if new:
            lines = [word for word in new if word[0] == "\n"]
            if lines:
                self._learn(known, lines, "")
            if len(lines) < len(new):
                self._learn(known, [word for word in new if word[0] != "\n"] if lines else new, "\n ")
            self._size += sum(map(len, new)) * 5 + len(new) * _WORD_BYTES
            if self._size > _CACHE_BYTES:
                self._forget()
        look_up = known.__getitem__
        whole = [text for text, found in zip(texts, words, strict=True) if found is None]
        rest = iter(self._encode(whole, add_special_tokens=False) if whole else ())
        ids = [_as_bytes(next(rest).ids) if found is None else b"".join(map(look_up, found)) for found in words]
        return [np.frombuffer(one, dtype=np.int64) for one in ids]

    def _forget(self) -> None:
        """Begin with new words; a thread that is still at work has those of before."""
        self._ids: dict[str, bytes] = {"": self._space}
        self._size = 0

    def _learn(self, known: dict[str, bytes], words: list[str], separator: str) -> None:
        """Tokenize words, many in one text, from whose line ends it is seen where one ends and the next begins."""
        groups = [words[start : start + _GROUP] for start in range(0, len(words), _GROUP)]
        encodings = self._encode([separator.join(group) for group in groups], add_special_tokens=False)
        for group, encoding in zip(groups, encodings, strict=True):
            ids = [*encoding.ids, self._line_end]
            own = 0 if separator else 1  # a word's own line end, before which there is only the space of the text
            start = own
            for word in group:
                end = ids.index(self._line_end, start + own)
                known[word] = _as_bytes(ids[start:end])
                start = end + 1 - own

    def _split(self, text: str) -> list[str] | None:
        """The words, each with the end of a line before it or without the space; None: tokenize the text as a whole."""
        if not text or len(text) >= _LONG:
            return None
        for mark in self._marks:
            if mark in text:
                return None
        spaced = text.replace("\n", " \n")
        if "  " in spaced or spaced[0] == " ":
            return [word or line for word, line in _WORD.findall(" " + text)]
        return spaced.split(" ")


def _as_bytes(ids: list[int]) -> bytes:
    return array("q", ids).tobytes()
