"""The artifacts in the package."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ArtifactError

DEFAULT_ARTIFACT = "default"


def pretrained_names() -> list[str]:
    """Names of the artifacts in the installed package."""
    return sorted(p.name.removesuffix(".zip") for p in _pretrained().iterdir() if p.name.endswith(".zip"))


def _pretrained() -> Any:
    return resources.files("avengers_core") / "pretrained"


def find_artifact(name_or_path: str | Path | None = None) -> Path:
    """The path of an artifact given by path or by the name of a pretrained one.

    Raises:
        ArtifactError: neither exists.
    """
    name = DEFAULT_ARTIFACT if name_or_path is None else os.fspath(name_or_path)
    if Path(name).exists():
        return Path(name)
    packaged = Path(str(_pretrained() / f"{name}.zip"))
    if name == Path(name).name and packaged.is_file():
        return packaged
    raise ArtifactError(f"{name}: no such artifact; pretrained ones are {', '.join(pretrained_names()) or 'none'}")
