"""The pretrained artifacts in the package, and how an artifact is found by path or name."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from .._utils.files import user_path
from ..errors import ArtifactError

__all__ = ["DEFAULT_ARTIFACT", "find_artifact", "pretrained_names"]

#: Name of the artifact that is used if none is given.
DEFAULT_ARTIFACT = "default"


def pretrained_names() -> list[str]:
    """Names of the pretrained artifacts in the installed package."""
    return sorted(p.name.removesuffix(".zip") for p in _pretrained().iterdir() if p.name.endswith(".zip"))


def _pretrained() -> Any:
    return resources.files("avengers_core") / "pretrained"


def find_artifact(name_or_path: str | Path | None = None) -> Path:
    """The path of an artifact.

    Args:
        name_or_path: A path, or the name of a pretrained artifact. Default: the one named ``default``.

    Raises:
        ArtifactError: If neither exists.
    """
    name = DEFAULT_ARTIFACT if name_or_path is None else os.fspath(name_or_path)
    if (path := user_path(name)).exists():
        return path
    packaged = Path(str(_pretrained() / f"{name}.zip"))
    if name == Path(name).name and packaged.is_file():
        return packaged
    raise ArtifactError(f"{name}: no such artifact; pretrained ones are {', '.join(pretrained_names()) or 'none'}")
