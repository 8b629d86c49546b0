"""RouterArena's prediction file. Its queries are for evaluation only: nothing is trained or tuned on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._utils.files import user_path
from ..errors import RecordError
from ..routing.router import Router

__all__ = ["predictions"]


def predictions(
    router: Router, dataset: str | Path, *, alpha: float | None = None, names: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Choose a model for each entry of RouterArena's dataset file.

    Args:
        router: The router.
        dataset: ``router_data.json`` or ``router_data_10.json``: a list of objects with ``global index`` and
            ``prompt_formatted`` or ``prompt``.
        alpha: Trade-off in [0, 1]. Default: the artifact's.
        names: RouterArena's names by model id. If given, only these models are candidates.

    Returns:
        One entry per query, in the layout of RouterArena's prediction files.

    Raises:
        RecordError: If the file is not such a list; the message names the entry and the field.
    """
    prompts, indices = _read(dataset)
    chosen = router.route_many(prompts, alpha=alpha, models=list(names) if names else None)
    return [
        {
            "global index": index,
            "prompt": prompt,
            "prediction": (names or {}).get(decision.model, decision.model),
            "generated_result": None,
            "cost": None,
            "accuracy": None,
        }
        for index, prompt, decision in zip(indices, prompts, chosen, strict=True)
    ]


def _read(dataset: str | Path) -> tuple[list[str], list[Any]]:
    """Prompts and indices of the dataset's entries."""
    try:
        entries = json.loads(user_path(dataset).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{dataset}: not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise RecordError(f"{dataset}: must be a list of entries")
    prompts, indices = [], []
    for number, entry in enumerate(entries):
        prompt = (entry.get("prompt_formatted") or entry.get("prompt")) if isinstance(entry, dict) else None
        if not isinstance(prompt, str):
            raise RecordError(f"{dataset}: entry {number}: 'prompt_formatted' or 'prompt' is missing")
        if "global index" not in entry:
            raise RecordError(f"{dataset}: entry {number}: 'global index' is missing")
        prompts.append(prompt)
        indices.append(entry["global index"])
    return prompts, indices
