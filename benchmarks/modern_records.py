"""Records of models of 2025 and 2026 from ../shared/data/modern, one effort a model, and splits of them by text."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from avengers_core.records.schema import Record, Usage

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "modern"

#: What the queries of each source are.
TASKS = {
    "openhands_swebench_verified": "fixing GitHub issues (agents)",
    "openhands_swtbench_verified": "writing tests for GitHub issues (agents)",
    "mcpmark": "tasks with MCP tools (agents)",
    "sqlbench_actiontech": "SQL to understand, rewrite and optimise",
    "ctala_es_business": "business tasks in Spanish",
    "pm_llm_benchmark": "process mining and analysis",
    "zoonk_results": "short structured generation",
    "zoonk_battles": "lessons and courses",
    "svelte_bench": "web components",
    "shaberi_ja_gpt41judge": "Japanese chat (lenient judge)",
    "shaberi_ja_gpt51judge": "Japanese chat",
    "misguided_attention": "trick puzzles",
    "reasoning_gym": "generated reasoning tasks",
    "creative_writing_v3": "creative writing",
    "confabulations_unanswerable": "questions that a text does not answer",
    "tinybird_sql": "SQL from natural language",
    "bullshitbench_v1": "nonsensical questions",
    "zeroeval": "mathematics and code output",
    "mmlupro": "multiple-choice questions of 14 subjects",
}
#: Sources whose dollars and tokens are those of a whole task.
AGENT_RUNS = {"openhands_swebench_verified", "openhands_swtbench_verified", "mcpmark"}
#: Efforts by preference: a source's records of a model are those of the first that it has.
EFFORTS = ["", "medium", "default", "thinking", "high", "low", "none", "xhigh"]


def read_rows(folder: Path = DATA) -> list[dict[str, Any]]:
    """The rows of all sources as they are, with ``source``."""
    rows = []
    for path in sorted(folder.glob("*.train.jsonl.gz")):
        with gzip.open(path, "rt") as file:
            rows += [{**json.loads(line), "source": path.name.split(".")[0]} for line in file]
    return rows


def one_effort(rows: Iterable[dict[str, Any]]) -> list[Record]:
    """Records with one effort of each model and source, under the model's id without effort."""
    rows = list(rows)
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        for model in row["records"]:
            base, _, effort = model.partition(":")
            seen[row["source"], base].add(effort)
    first = {key: min(efforts, key=_preference) for key, efforts in seen.items()}
    records = []
    for number, row in enumerate(rows):
        names = {}
        for model in row["records"]:
            base, _, effort = model.partition(":")
            if first[row["source"], base] == effort:
                names[model] = base
        records.append(as_record(row, number, names))
    return records


def each_effort(rows: Iterable[dict[str, Any]]) -> list[Record]:
    """Records of the models whose source names an effort, as ``model@effort``."""
    records = []
    for number, row in enumerate(rows):
        names = {model: model.replace(":", "@") for model in row["records"] if ":" in model}
        if names:
            records.append(as_record(row, number, names))
    return records


def as_record(row: dict[str, Any], number: int, names: dict[str, str]) -> Record:
    """A row with some of its models, under other names."""
    kind = "agent_run" if row["source"] in AGENT_RUNS else "call"
    usages: dict[str, Usage | None] = {}
    for model, name in names.items():
        usage = row["usages"].get(model)
        if usage:
            usages[name] = Usage(
                input_tokens=usage.get("input_tokens", usage.get("prompt_tokens")),
                output_tokens=usage.get("output_tokens", usage.get("completion_tokens")),
                cost_usd=usage.get("cost_usd", usage.get("cost")) or None,
                kind=kind,
            )
    scores = {name: row["records"][model] for model, name in names.items()}
    return Record(f"{row['source']}/{number}", row["source"], row["query"], scores, usages, source=row["source"])


def same_text(query: str) -> str:
    """A query without what differs between the sources of one issue."""
    return " ".join(query.split("fix and pass after it).\n\n")[-1].split())


def in_test(query: str, seed: int) -> bool:
    """Whether a query is among the 30% that are kept out, by its text."""
    digest = hashlib.sha256(f"inner:{seed}:{same_text(query)}".encode()).hexdigest()
    return int(digest, 16) % 10 >= 7


def _preference(effort: str) -> int:
    return EFFORTS.index(effort) if effort in EFFORTS else len(EFFORTS)
