"""A trained artifact, and the choice of a model for a query."""

from .artifact import load_artifact, save_artifact
from .decision import Decision
from .manifest import Artifact, EmbedderInfo, Manifest, ModelInfo, Settings
from .options import RouteOptions, RouteOverrides
from .pretrained import find_artifact, pretrained_names
from .prices import with_prices
from .router import Router
from .statistics import ClusterStatistics

__all__ = [
    "Artifact",
    "ClusterStatistics",
    "Decision",
    "EmbedderInfo",
    "Manifest",
    "ModelInfo",
    "RouteOptions",
    "RouteOverrides",
    "Router",
    "Settings",
    "find_artifact",
    "load_artifact",
    "pretrained_names",
    "save_artifact",
    "with_prices",
]
