"""RouterArena's prediction file. Its queries are for evaluation only: nothing is trained or tuned on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..routing.router import Router


def predictions(
    router: Router, dataset: str | Path, *, alpha: float | None = None, names: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The chosen model for each entry of RouterArena's dataset file, in the layout of its prediction files.

    Args:
        dataset: ``router_data.json`` or ``router_data_10.json``: a list of objects with ``global index`` and
            ``prompt_formatted`` or ``prompt``.
        names: RouterArena's name of a model by its id in the artifact, where they differ; with it only these models
            are candidates.

    Raises:
        RecordError: the file is no such list; it names the entry and the field.
    """
    try:
        entries = json.loads(Path(dataset).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{dataset}: no JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise RecordError(f"{dataset}: a list of entries is wanted")
    prompts, indices = [], []
    for number, entry in enumerate(entries):
        prompt = (entry.get("prompt_formatted") or entry.get("prompt")) if isinstance(entry, dict) else None
        if not isinstance(prompt, str):
            raise RecordError(f"{dataset}: entry {number}: 'prompt_formatted' or 'prompt' is missing")
        if "global index" not in entry:
            raise RecordError(f"{dataset}: entry {number}: 'global index' is missing")
        prompts.append(prompt)
        indices.append(entry["global index"])
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
