"""Checks that an artifact is one that training wrote; anything else is refused."""

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
from ..records.schema import TIMING, TOKEN_KINDS, USAGE_KINDS
from ..records.table import CONTENT_KEYS
from .evidence_arrays import evidence_shapes, impossible_evidence, with_evidence_arrays
from .exchange import EXCHANGES
from .features import array_shapes, encoded_width
from .manifest import (
    FORMAT,
    MANIFEST,
    MAX_ARRAY_BYTES,
    MAX_HEADER_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PROBES,
    READABLE_VERSIONS,
    STATISTICS,
    TIMING_PART,
    Artifact,
    Manifest,
    Part,
)
from .scoring import SCORINGS
from .statistics import ClusterStatistics

__all__ = ["Reader", "manifest_checksum", "read_artifact"]

#: Reads a file of an artifact by name, and refuses one that is larger than a number of bytes.
Reader = Callable[[str, int], bytes]


#: Bytes of the largest number in an array.
_ITEM_BYTES = 8

#: Relative and absolute tolerance of sums that were added in another order.
_ROUNDING = 1e-6

#: Bound of the squared length of a centre, a mean of unit vectors.
_MAX_SQUARED_LENGTH = 1.01

#: Bound of the log of a number of tokens.
_MAX_LOG_TOKENS = 50

#: Bound of the softmax's sharpness.
_MAX_BETA = 1e6

#: Fields of the manifest that artifacts of version 1 do not have.
_SINCE_VERSION_2 = ("sources", "cluster_sources", "benchmarks", "n_factors", "card")

#: Bound of the number of factors.
_MAX_FACTORS = 64


_HEADER_READERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def manifest_checksum(manifest: Manifest) -> str:
    """SHA-256, in hex, of the manifest without its own checksum."""
    blank = msgspec.to_builtins(msgspec.structs.replace(manifest, checksum=""), order="deterministic")
    for name in ("prompt_overhead", "batches"):  # older artifacts do not have these fields
        if not blank[name]:
            del blank[name]
    if manifest.schema_version < 3:
        del blank["settings"]["exchange"], blank["n_probes"]
    if manifest.schema_version == 1:
        del blank["settings"]["relative_costs"]
        for model in blank["models"]:
            del model["assumed_from"]
        blank = {name: value for name, value in blank.items() if name not in _SINCE_VERSION_2}
    return hashlib.sha256(msgspec.json.encode(blank)).hexdigest()


def read_artifact(read: Reader, path: Path) -> Artifact:
    """Read an artifact and check every value of it.

    Args:
        read: Reads one of its files.
        path: Where it is, for messages.

    Raises:
        ArtifactError: If it is not what training writes; the message says why.
    """
    manifest = _read_manifest(read, path)
    shapes = _shapes(manifest)
    size = sum(int(np.prod(shape, dtype=object)) for shape in shapes.values()) * _ITEM_BYTES
    if size > MAX_ARRAY_BYTES:
        raise ArtifactError(f"{path}: arrays of {size} bytes are more than this library reads")
    if set(manifest.parts) != set(shapes):
        raise ArtifactError(f"{path}: parts {sorted(set(manifest.parts) ^ set(shapes))} are missing or unknown")
    arrays = {name: _read_array(read, name, manifest.parts[name], shape, path) for name, shape in shapes.items()}
    if TIMING_PART not in arrays:
        arrays[TIMING_PART] = np.zeros((*arrays["n"].shape, len(TIMING)))
    statistics = ClusterStatistics(**{name: arrays.pop(file) for name, file in STATISTICS.items()})
    if name := _impossible_array(statistics, arrays):
        raise ArtifactError(f"{path}: {name}.npy has a value that no training writes")
    centers = arrays.pop("centers")
    lengths = {name: arrays.pop(name) for name in array_shapes(1, 1)}
    probes = arrays.pop("probes", None)
    return with_evidence_arrays(Artifact(manifest, centers, statistics, lengths, probes=probes), arrays)


def _read_manifest(read: Reader, path: Path) -> Manifest:
    try:
        raw = read(MANIFEST, MAX_MANIFEST_BYTES)
        head = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{path}: {MANIFEST} is not a JSON object: {error}") from None
    if head.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not an Avengers artifact (format {head.get('format')!r})")
    if head.get("schema_version") not in READABLE_VERSIONS:
        readable = " and ".join(str(version) for version in READABLE_VERSIONS)
        raise ArtifactError(
            f"{path}: schema version {head.get('schema_version')!r}; this library reads {readable}: "
            "train it again, or install the version of avengers-router that wrote it"
        )
    try:
        manifest = msgspec.convert(head, Manifest)
    except msgspec.ValidationError as error:
        raise ArtifactError(f"{path}: {MANIFEST}: {error}") from None
    if manifest.checksum != manifest_checksum(manifest):
        raise ArtifactError(f"{path}: {MANIFEST} was edited: its checksum does not match")
    if manifest.token_kinds != [kind.removesuffix("_tokens") for kind in TOKEN_KINDS]:
        raise ArtifactError(f"{path}: {MANIFEST}: unknown token kinds {manifest.token_kinds}")
    if name := _impossible_field(manifest):
        raise ArtifactError(f"{path}: {MANIFEST}: field '{name}' has a value that no training writes")
    return manifest


def _shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays by the manifest."""
    k, m, d = manifest.settings.n_clusters, len(manifest.models), manifest.embedder.dimension
    shapes: dict[str, tuple[int, ...]] = {"centers": (k, d)}
    shapes |= dict.fromkeys(STATISTICS.values(), (k, m))
    del shapes[TIMING_PART]
    if TIMING_PART in manifest.parts:
        shapes[TIMING_PART] = (k, m, len(TIMING))
    shapes |= {"tokens": (k, m, len(TOKEN_KINDS)), "dataset_n": (k, len(manifest.datasets))}
    if manifest.n_probes:
        shapes["probes"] = (manifest.n_probes, encoded_width(d))
    return shapes | array_shapes(m, d) | evidence_shapes(manifest)


def _impossible_field(manifest: Manifest) -> str | None:
    """The first field of a manifest with a value that no training writes."""
    settings, models = manifest.settings, manifest.models
    possible = {
        "cost_scale": manifest.typical_cost > 0,
        "characters_per_token": manifest.characters_per_token > 0,
        "familiar_similarity": -1 <= manifest.ood_threshold <= 1,
        "n_records": manifest.n_records >= 0,
        "settings.n_clusters": settings.n_clusters >= 1,
        "settings.top_k": settings.top_k is None or settings.top_k >= 1,
        "settings.beta": settings.beta is None or 0 <= settings.beta < _MAX_BETA,
        "settings.alpha": 0 <= settings.alpha <= 1,
        "settings.scoring": settings.scoring in SCORINGS,
        "settings.exchange": settings.exchange in EXCHANGES,
        "settings.min_records": settings.min_records >= 0,
        "embedder.dimension": manifest.embedder.dimension >= 1,
        "models": 0 < len({model.id for model in models}) == len(models),
        "datasets": 0 < len(set(manifest.datasets)) == len(manifest.datasets),
        "sources": len({source.name for source in manifest.sources}) == len(manifest.sources),
        "sources.kind": all(source.kind in USAGE_KINDS for source in manifest.sources),
        "sources.typical_cost": all(source.typical_cost > 0 for source in manifest.sources),
        "cluster_sources": _cluster_sources_fit(manifest),
        "benchmarks": len({(b.name, b.harness) for b in manifest.benchmarks}) == len(manifest.benchmarks),
        "n_factors": 0 <= manifest.n_factors <= _MAX_FACTORS,
        "n_probes": 0 <= manifest.n_probes <= MAX_PROBES,
        "prompt_overhead": len(manifest.prompt_overhead) <= settings.n_clusters
        and min(manifest.prompt_overhead, default=0) >= 0,
        "batches": all(0 <= key < CONTENT_KEYS for key in manifest.batches),
        "models.price": all(m.price is None or min(m.price.input, m.price.output) >= 0 for m in models),
    }
    return next((name for name, fine in possible.items() if not fine), None)


def _cluster_sources_fit(manifest: Manifest) -> bool:
    """Whether each cluster has a source, or there are no sources."""
    given = manifest.cluster_sources
    if not given or not manifest.sources:
        return not given and not manifest.sources
    return len(given) == manifest.settings.n_clusters and all(0 <= code < len(manifest.sources) for code in given)


def _impossible_array(statistics: ClusterStatistics, arrays: dict[str, NDArray[Any]]) -> str | None:
    """The first array with a value that no training writes."""
    possible = {file: (getattr(statistics, name) >= 0).all() for name, file in STATISTICS.items()}
    possible["score_sum"] &= (statistics.score_sum <= statistics.n_answers * (1 + _ROUNDING) + _ROUNDING).all()
    possible["dataset_n"] &= statistics.n_queries.sum() > 0
    squared_length = np.square(arrays["centers"], dtype=np.float64).sum(axis=1)
    possible["centers"] = (squared_length < _MAX_SQUARED_LENGTH).all()
    possible["length_range"] = (np.abs(arrays["length_range"]) < _MAX_LOG_TOKENS).all()
    return next((name for name, fine in possible.items() if not fine), None) or impossible_evidence(arrays)


def _read_array(read: Reader, name: str, part: Part, shape: tuple[int, ...], path: Path) -> NDArray[Any]:
    where = f"{path}: {name}.npy"
    if tuple(part.shape) != shape or part.dtype not in ("<f2", "<f4", "<f8"):
        raise ArtifactError(f"{where}: shape {part.shape} {part.dtype}, expected {list(shape)} of floats")
    size = int(np.prod(shape, dtype=object)) * int(part.dtype[-1])
    data = read(f"{name}.npy", size + MAX_HEADER_BYTES)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise ArtifactError(f"{where}: its SHA-256 is not the manifest's: the file was damaged or edited")
    try:
        values = _plain_array(data, shape, part.dtype)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ArtifactError(f"{where}: not a plain array: {error}") from None
    if not np.isfinite(values).all():
        raise ArtifactError(f"{where}: a value is not finite")
    return values


def _plain_array(data: bytes, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """The array of an ``npy`` file. Nothing is allocated for a header that says something else than is expected.

    Raises:
        ValueError: If it has another shape or type, or is not a whole file.
    """
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise ValueError(f"version {version} of the format")
    told, by_columns, kind = _HEADER_READERS[version](file, max_header_size=MAX_HEADER_BYTES)
    if told != shape or by_columns or kind.str != dtype:
        raise ValueError(f"its header says {told} {kind.str}, expected {shape} {dtype}")
    return np.frombuffer(data, dtype=kind, offset=file.tell()).reshape(shape).copy()
