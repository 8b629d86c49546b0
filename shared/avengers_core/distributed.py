"""The old place of what is in `avengers_core.training` now; it goes with version 0.2."""

import warnings

from .training import fit_on_cluster

__all__ = ["fit_on_cluster"]

warnings.warn("avengers_core.distributed has moved to avengers_core.training", DeprecationWarning, stacklevel=2)
