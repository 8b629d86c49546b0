"""Features of a query's text from which the length of its answers is predicted, besides its embedding."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from .statistics import Array

__all__ = ["N_FEATURES", "array_shapes", "encoded_width", "feature_matrix", "split_encoded", "text_features"]

#: Characters whose share of a text is a feature, class by class.
_CLASSES = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "+-*/=^<>", "\\$", "()[]{}", " ", "\n", "?")
_SPACE = _CLASSES.index(" ")

#: (256, classes) 1 if a byte belongs to a class.
_CLASS_OF_BYTE = np.zeros((256, len(_CLASSES)))
for _column, _characters in enumerate(_CLASSES):
    _CLASS_OF_BYTE[list(_characters.encode()), _column] = 1

#: The first letters of a multiple-choice question's options.
_OPTION = re.compile(r"^[A-Z][.)] ", re.MULTILINE)

_N_SCALARS = 4

#: Number of features, f.
N_FEATURES = _N_SCALARS + len(_CLASSES)


def text_features(text: str) -> Array:
    """(f,) features of one query; see `feature_matrix`."""
    return np.asarray(feature_matrix([text])[0])


def feature_matrix(texts: list[str]) -> Array:
    """Features of each query.

    Args:
        texts: The n queries.

    Returns:
        (n, f): log bytes, log words, number of options, whether it looks like code; then, for each class of characters,
        its share of the bytes, or, from spaces on, the log of its count.
    """
    matrix = np.empty((len(texts), N_FEATURES))
    for row, text in zip(matrix, texts, strict=True):
        data = text.encode("utf-8", "replace")
        size = len(data) + 1
        counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256) @ _CLASS_OF_BYTE
        row[:_N_SCALARS] = (
            math.log(size),
            math.log(float(counts[_SPACE]) + 1),
            len(_OPTION.findall(text)),
            "def " in text or "{\n" in text,
        )
        np.divide(counts[:_SPACE], size, out=row[_N_SCALARS : _N_SCALARS + _SPACE])
        np.log1p(counts[_SPACE:], out=row[_N_SCALARS + _SPACE :])
    return matrix


def encoded_width(dimension: int) -> int:
    """Numbers that a query is encoded as: a unit embedding of ``dimension``, its features, and its characters."""
    return dimension + N_FEATURES + 1


def split_encoded(encoded: NDArray[np.floating]) -> tuple[NDArray[np.float32], Array, Array]:
    """The parts of encoded queries.

    Args:
        encoded: (n, d + f + 1) queries.

    Returns:
        (n, d) unit embeddings, (n, f) features as of `feature_matrix`, and (n,) numbers of characters.
    """
    d = encoded.shape[1] - encoded_width(0)
    numbers = encoded[:, d:].astype(np.float64)
    return encoded[:, :d].astype(np.float32), numbers[:, :-1], numbers[:, -1]


def array_shapes(n_models: int, dimension: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an artifact's arrays for output lengths.

    Args:
        n_models: Number of models, m.
        dimension: Length of an embedding, d.

    Returns:
        ``length_weights``: (1 + d + f, m) and ``length_range``: (2, m); see `avengers_core.routing.costs`.
    """
    return {"length_weights": (1 + dimension + N_FEATURES, n_models), "length_range": (2, n_models)}
