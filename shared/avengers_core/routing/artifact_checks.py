"""What makes an artifact one that training wrote; anything else is refused."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import ArtifactError
from ..records.schema import TOKEN_KINDS
from .manifest import (
    FORMAT,
    MANIFEST,
    MAX_ARRAY_BYTES,
    MAX_HEADER_BYTES,
    MAX_MANIFEST_BYTES,
    SCHEMA_VERSION,
    STATISTICS,
    Artifact,
    Manifest,
    Part,
)
from .scoring import SCORINGS
from .statistics import ClusterStatistics


def _shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    from .features import array_shapes

    k, m, d = manifest.settings.n_clusters, len(manifest.models), manifest.embedder.dimension
    shapes: dict[str, tuple[int, ...]] = {"centers": (k, d)}
    shapes |= dict.fromkeys(STATISTICS.values(), (k, m))
    shapes |= {"tokens": (k, m, len(TOKEN_KINDS)), "dataset_n": (k, len(manifest.datasets))}
    return shapes | array_shapes(m, d)


def _checksum(manifest: Manifest) -> str:
    blank = msgspec.structs.replace(manifest, checksum="")
    return hashlib.sha256(msgspec.json.encode(blank, order="deterministic")).hexdigest()


def _read(read: Callable[[str, int], bytes], path: Path) -> Artifact:
    try:
        raw = read(MANIFEST, MAX_MANIFEST_BYTES)
        head = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{path}: {MANIFEST} is not a JSON object: {error}") from None
    if head.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not an Avengers artifact (format {head.get('format')!r})")
    if head.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: schema version {head.get('schema_version')!r}; this library reads {SCHEMA_VERSION}: "
            "train it again, or install the version of avengers-router that wrote it"
        )
    try:
        manifest = msgspec.convert(head, Manifest)
    except msgspec.ValidationError as error:
        raise ArtifactError(f"{path}: {MANIFEST}: {error}") from None
    if manifest.checksum != _checksum(manifest):
        raise ArtifactError(f"{path}: {MANIFEST} was edited: its checksum does not match")
    if manifest.token_kinds != [kind.removesuffix("_tokens") for kind in TOKEN_KINDS]:
        raise ArtifactError(f"{path}: {MANIFEST}: unknown token kinds {manifest.token_kinds}")
    if fault := _find_fault(manifest):
        raise ArtifactError(f"{path}: {MANIFEST}: {fault}")
    shapes = _shapes(manifest)
    size = sum(int(np.prod(shape, dtype=object)) for shape in shapes.values()) * 8
    if size > MAX_ARRAY_BYTES:
        raise ArtifactError(f"{path}: arrays of {size} bytes are more than this library reads")
    if set(manifest.parts) != set(shapes):
        raise ArtifactError(f"{path}: parts {sorted(set(manifest.parts) ^ set(shapes))} are missing or unknown")
    arrays = {name: _read_array(read, name, manifest.parts[name], shape, path) for name, shape in shapes.items()}
    statistics = ClusterStatistics(**{name: arrays.pop(file) for name, file in STATISTICS.items()})
    possible = {file: (getattr(statistics, name) >= 0).all() for name, file in STATISTICS.items()}
    possible["score_sum"] &= (statistics.score_sum <= statistics.n_answers * (1 + 1e-6) + 1e-6).all()
    possible["dataset_n"] &= statistics.n_queries.sum() > 0
    possible["centers"] = (np.square(arrays["centers"], dtype=np.float64).sum(axis=1) < 1.01).all()
    possible["length_range"] = (np.abs(arrays["length_range"]) < 50).all()
    for name, fine in possible.items():
        if not fine:
            raise ArtifactError(f"{path}: {name}.npy has a value that no training writes")
    return Artifact(manifest, arrays.pop("centers"), statistics, arrays)


def _find_fault(manifest: Manifest) -> str | None:
    """The first value that no training writes."""
    settings, models = manifest.settings, manifest.models
    numbers = {
        "cost_scale": manifest.typical_cost > 0,
        "characters_per_token": manifest.characters_per_token > 0,
        "familiar_similarity": -1 <= manifest.ood_threshold <= 1,
        "n_records": manifest.n_records >= 0,
        "settings.n_clusters": settings.n_clusters >= 1,
        "settings.top_k": settings.top_k is None or settings.top_k >= 1,
        "settings.beta": settings.beta is None or 0 <= settings.beta < 1e6,
        "settings.alpha": 0 <= settings.alpha <= 1,
        "settings.scoring": settings.scoring in SCORINGS,
        "settings.min_records": settings.min_records >= 0,
        "embedder.dimension": manifest.embedder.dimension >= 1,
        "models": 0 < len({model.id for model in models}) == len(models),
        "datasets": 0 < len(set(manifest.datasets)) == len(manifest.datasets),
        "models.price": all(m.price is None or min(m.price.input, m.price.output) >= 0 for m in models),
    }
    return next(
        (f"field '{name}' has a value that no training writes" for name, fine in numbers.items() if not fine), None
    )


def _read_array(
    read: Callable[[str, int], bytes], name: str, part: Part, shape: tuple[int, ...], path: Path
) -> NDArray[Any]:
    where = f"{path}: {name}.npy"
    if tuple(part.shape) != shape or part.dtype not in ("<f4", "<f8"):
        raise ArtifactError(f"{where}: shape {part.shape} {part.dtype}, expected {list(shape)} of floats")
    size = int(np.prod(shape, dtype=object)) * int(part.dtype[-1])
    data = read(f"{name}.npy", size + MAX_HEADER_BYTES)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise ArtifactError(f"{where}: its SHA-256 is not the manifest's: the file was damaged or edited")
    try:
        values = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False, max_header_size=MAX_HEADER_BYTES)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ArtifactError(f"{where}: not a plain array: {error}") from None
    if values.shape != shape or values.dtype.str != part.dtype:
        raise ArtifactError(f"{where}: shape {values.shape} {values.dtype.str} is not what the manifest says")
    if not np.isfinite(values).all():
        raise ArtifactError(f"{where}: a value is not finite")
    return values
