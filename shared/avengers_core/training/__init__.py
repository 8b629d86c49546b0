"""From records to an artifact."""

from .distributed import connect, fit_on_cluster
from .encoding import encode_records
from .estimator import RouterEstimator
from .updating import update_artifact

__all__ = [
    "RouterEstimator",
    "connect",
    "encode_records",
    "fit_on_cluster",
    "update_artifact",
]
