"""The trained artifact: one zip or folder of ``manifest.json`` and plain ``.npy`` arrays. No pickle is ever loaded."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import msgspec
import numpy as np

from .._utils.files import replacing
from ..errors import ArtifactError
from .artifact_checks import _checksum, _read
from .manifest import (
    MANIFEST,
    STATISTICS,
    Artifact,
    Part,
)


def save_artifact(artifact: Artifact, path: str | Path) -> Path:
    """Write an artifact, as a zip where ``path`` ends in ``.zip`` and as a folder elsewhere; returns the path.

    It is written beside ``path`` under a temporary name and renamed, so that an interrupted write leaves nothing.
    """
    path = Path(path)
    arrays = {"centers": artifact.centers, **artifact.arrays}
    arrays |= {file: getattr(artifact.statistics, name) for name, file in STATISTICS.items()}
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
