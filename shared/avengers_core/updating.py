"""The old place of what is in `avengers_core.training` now; it goes with version 0.2."""

import warnings

from .training import update_artifact

__all__ = ["update_artifact"]

warnings.warn("avengers_core.updating has moved to avengers_core.training", DeprecationWarning, stacklevel=2)
