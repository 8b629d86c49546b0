"""Which records are trained on: a share of each dataset, with equal texts on the same side."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_rows", "text_key"]


def text_key(text: str) -> int:
    """A 64-bit number that texts share if they are equal but for white space. It is the same on every machine."""
    plain = " ".join(text.split()).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def split_rows(
    dataset: NDArray[np.int32], texts: NDArray[np.uint64], train_ratio: float, random_state: int
) -> NDArray[np.bool_]:
    """Choose the rows to train on, at random within each dataset.

    Rows of one text are on one side, even if they are of several datasets. A text is trained on if that brings its
    dataset closer to ``train_ratio``, so a dataset whose texts are all different has exactly this share.

    Args:
        dataset: (n,) number of each row's dataset.
        texts: (n,) `text_key` of each row.
        train_ratio: Share of each dataset to train on, in [0, 1].
        random_state: Seed of the random choice.

    Returns:
        (n,) whether a row is trained on.
    """
    rng = np.random.default_rng(random_state)
    distinct, text = np.unique(texts, return_inverse=True)
    trained = np.full(len(distinct), -1, dtype=np.int8)  # by text: 1 yes, 0 no, -1 not decided
    for code in range(int(dataset.max(initial=-1)) + 1):
        rows = np.flatnonzero(dataset == code)
        _decide(trained, text[rng.permutation(rows)], round(len(rows) * train_ratio))
    return np.asarray(trained[text] == 1)


def _decide(trained: NDArray[np.int8], text: NDArray[np.intp], wanted: int) -> None:
    """Decide the texts of a dataset, whose rows are given in random order, so that about ``wanted`` are trained on."""
    wanted -= int(np.count_nonzero(trained[text] == 1))
    open_texts, first, rows = np.unique(text[trained[text] < 0], return_index=True, return_counts=True)
    turns = np.argsort(first)
    for position, count in zip(open_texts[turns].tolist(), rows[turns].tolist(), strict=True):
        trained[position] = count < 2 * wanted
        wanted -= count * int(trained[position])
