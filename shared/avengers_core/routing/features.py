"""Features of a query's text that tell how long its answers are."""

from __future__ import annotations

import math
import re

import numpy as np

from .statistics import Array

_CLASSES = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "+-*/=^<>", "\\$", "()[]{}", " ", "\n", "?")


_CLASS_OF_BYTE = np.zeros((256, len(_CLASSES)), dtype=np.float32)


_OPTION = re.compile(r"^[A-Z][.)] ", re.MULTILINE)


N_FEATURES = len(_CLASSES) + 4


def text_features(text: str) -> Array:
    """(f,) features of a query: log length, shares of character classes, options, code."""
    data = text.encode("utf-8", "replace")
    size = len(data) + 1
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256) @ _CLASS_OF_BYTE
    words = float(counts[5]) + 1
    out = np.empty(N_FEATURES)
    out[:4] = (
        math.log(size),
        math.log(words),
        len(_OPTION.findall(text)),
        float("def " in text or "{\n" in text),
    )
    out[4:] = counts / size
    out[9:] = np.log1p(counts[5:])
    return out


def feature_matrix(texts: list[str]) -> Array:
    """(n, f) `text_features` of each text."""
    return np.stack([text_features(text) for text in texts]) if texts else np.zeros((0, N_FEATURES))


def array_shapes(n_models: int, dimension: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that `fit_lengths` makes."""
    return {"length_weights": (1 + dimension + N_FEATURES, n_models), "length_range": (2, n_models)}
