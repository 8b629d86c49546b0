"""From records to an artifact."""

from .distributed import fit_on_cluster
from .estimator import RouterEstimator
from .updating import update_artifact

__all__ = [
    "RouterEstimator",
    "fit_on_cluster",
    "update_artifact",
]
