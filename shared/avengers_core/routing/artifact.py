"""The trained artifact: one zip or folder of ``manifest.json`` and plain ``.npy`` arrays. No pickle is ever loaded."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._utils.files import replacing
from ..errors import ArtifactError
from ..pricing.tariff import Price
from ..records.table import TOKEN_KINDS
from .scoring import SCORINGS
from .statistics import ClusterStatistics

FORMAT = "avengers-router"
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 8 << 20
MAX_ARRAY_BYTES = 1 << 31
MAX_HEADER_BYTES = 16_384


class EmbedderInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which embedder the artifact was trained with."""

    id: str
    dimension: int
    fingerprint: str


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model: id, price (None: unknown) and what it can do, as ``{"tools": True, "max_input_tokens": 128000}``."""

    id: str
    price_id: str = ""
    price: Price | None = None
    capabilities: dict[str, bool | int] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the router was trained and what it takes where a call does not say."""

    n_clusters: int
    top_k: int | None = None
    beta: float | None = None
    train_ratio: float = 1.0
    random_state: int = 42
    min_accuracy_threshold: float = 0.0
    min_records: int = 20
    scoring: str = "utility"
    alpha: float = 0.5
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    exclude_models: list[str] = []
    exclude_datasets: list[str] = []


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checksum and shape of one array."""

    sha256: str
    shape: list[int]
    dtype: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything of an artifact but its arrays. ``checksum`` is the SHA-256 of the rest of the manifest."""

    format: str
    schema_version: int
    library_version: str
    created: str
    settings: Settings
    embedder: EmbedderInfo
    models: list[ModelInfo]
    datasets: list[str]
    token_kinds: list[str]
    n_records: int
    characters_per_token: float
    cost_scale: float
    familiar_similarity: float
    figures: dict[str, Any] = {}
    parts: dict[str, Part] = {}
    checksum: str = ""


@dataclass(frozen=True)
class Artifact:
    """A trained router's arrays with their manifest.

    Attributes:
        manifest: see `Manifest`.
        centers: (k, d) float32 cluster centres, not re-normalised.
        statistics: raw sums per cluster and model.
        arrays: the fitted expectations by name, see `avengers_core.routing.expectations`.
    """

    manifest: Manifest
    centers: NDArray[np.float32]
    statistics: ClusterStatistics
    arrays: dict[str, NDArray[Any]]

    @property
    def models(self) -> list[str]:
        """Ids of the models, in the order of the arrays' columns."""
        return [model.id for model in self.manifest.models]


_STATISTICS = [f.name for f in fields(ClusterStatistics)]


def _shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    from .expectations import array_shapes

    k, m, d = manifest.settings.n_clusters, len(manifest.models), manifest.embedder.dimension
    shapes: dict[str, tuple[int, ...]] = {"centers": (k, d)}
    shapes |= dict.fromkeys(_STATISTICS, (k, m))
    shapes |= {"tokens": (k, m, len(TOKEN_KINDS)), "dataset_n": (k, len(manifest.datasets))}
    return shapes | array_shapes(m, d)


def _checksum(manifest: Manifest) -> str:
    blank = msgspec.structs.replace(manifest, checksum="")
    return hashlib.sha256(msgspec.json.encode(blank, order="deterministic")).hexdigest()


def save_artifact(artifact: Artifact, path: str | Path) -> Path:
    """Write an artifact, as a zip where ``path`` ends in ``.zip`` and as a folder elsewhere; returns the path.

    It is written beside ``path`` under a temporary name and renamed, so that an interrupted write leaves nothing.
    """
    path = Path(path)
    arrays = {"centers": artifact.centers, **artifact.arrays}
    arrays |= {name: getattr(artifact.statistics, name) for name in _STATISTICS}
    parts, blobs = {}, {}
    for name, values in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
        blobs[f"{name}.npy"] = buffer.getvalue()
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        parts[name] = Part(digest, list(values.shape), values.dtype.str)
    manifest = msgspec.structs.replace(artifact.manifest, parts=parts)
    manifest = msgspec.structs.replace(manifest, checksum=_checksum(manifest))
    blobs[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=1)

    if path.suffix != ".zip":
        return _save_folder(blobs, path)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(blobs):
            # A fixed date: the same training gives the same file.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), blobs[name], zipfile.ZIP_DEFLATED)
    return path


def _save_folder(blobs: dict[str, bytes], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not (path / MANIFEST).is_file():
        raise ArtifactError(f"{path}: exists and is no artifact; give a new folder or a name that ends in .zip")
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        for name, blob in blobs.items():
            (temporary / name).write_bytes(blob)
        temporary.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old.")) / "old"
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old.parent)
        else:
            temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return path


def load_artifact(path: str | Path) -> Artifact:
    """Read and check an artifact.

    Raises:
        ArtifactError: it is missing, truncated, edited, of another schema version, holds a name outside the archive,
            a pickle, a wrong shape or a value that is not finite. The message says which.
    """
    path = Path(path)
    if path.is_dir():
        return _read(lambda name, limit: _read_file(path / name, limit), path)
    if not path.is_file():
        raise ArtifactError(f"{path}: no such artifact")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) > 100:
                raise ArtifactError(f"{path}: {len(names)} files do not belong in an artifact")
            for name in names:
                if name != Path(name).name or "\\" in name or not name.endswith((".npy", ".json")):
                    raise ArtifactError(f"{path}: {name!r} does not belong in an artifact")
            if len(set(names)) != len(names):
                raise ArtifactError(f"{path}: a name stands twice in the archive")
            return _read(lambda name, limit: _read_member(archive, name, limit), path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: not a whole zip archive: {error}") from None


def _read_file(path: Path, limit: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path}: missing, or a link")
    if path.stat().st_size > limit:
        raise ArtifactError(f"{path}: larger than the manifest says ({path.stat().st_size} bytes)")
    return path.read_bytes()


def _read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ArtifactError(f"{archive.filename}: {name} is missing") from None
    if info.file_size > limit:
        raise ArtifactError(f"{archive.filename}: {name} is larger than the manifest says ({info.file_size} bytes)")
    try:
        with archive.open(info) as file:
            data = file.read(limit + 1)
    except Exception as error:  # zlib, CRC and header faults come as many kinds
        raise ArtifactError(f"{archive.filename}: {name} is damaged: {error}") from None
    if len(data) > limit:
        raise ArtifactError(f"{archive.filename}: {name} is larger than the manifest says")
    return data


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
    if manifest.token_kinds != list(TOKEN_KINDS):
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
    statistics = ClusterStatistics(**{name: arrays.pop(name) for name in _STATISTICS})
    possible = {name: (getattr(statistics, name) >= 0).all() for name in _STATISTICS}
    possible["score_sum"] &= (statistics.score_sum <= statistics.n * (1 + 1e-6) + 1e-6).all()
    possible["dataset_n"] &= statistics.size.sum() > 0
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
        "cost_scale": manifest.cost_scale > 0,
        "characters_per_token": manifest.characters_per_token > 0,
        "familiar_similarity": -1 <= manifest.familiar_similarity <= 1,
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
