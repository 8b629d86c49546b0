"""Objects that a command line names: ``package.module:name`` or ``file.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

__all__ = ["load_object"]


def load_object(spec: str) -> Any:
    """The object that ``module:name`` or ``path/file.py:name`` names.

    Raises:
        ValueError: If the file, the module or the name does not exist; the message says which.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        raise ValueError(f"{spec!r}: give module:name or file.py:name")
    if where.endswith(".py"):
        path = Path(where)
        if not path.is_file():
            raise ValueError(f"{spec!r}: no file {where}")
        module_spec = importlib.util.spec_from_file_location(path.stem, path)
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        sys.modules.setdefault(path.stem, module)
        module_spec.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(where)
        except ImportError as error:
            raise ValueError(f"{spec!r}: cannot import {where}: {error}") from None
    try:
        return getattr(module, name)
    except AttributeError:
        raise ValueError(f"{spec!r}: {where} has no {name!r}") from None
