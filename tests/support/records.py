"""Made-up records, and files of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from avengers_core.records.schema import Record, Usage

TOPICS = {
    "sums": ["add the numbers {a} and {b}", "what is {a} plus {b} in total", "sum up {a}, {b} and {a}"],
    "verse": ["write a poem about river {a} and love", "a sonnet on the sea, verse {b}", "rhyme with moon, line {a}"],
    "code": [
        "def f(x): return x + {a}  # fix this python",
        "python code to sort list {b}",
        "debug: for i in range({a})",
    ],
}


def make_records(n: int = 240, seed: int = 0) -> list[Record]:
    """Three topics; `small` is good at sums only, `big` at all and dear, `odd` answered few."""
    rng = np.random.default_rng(seed)
    skill = {
        "small": {"sums": 0.9, "verse": 0.2, "code": 0.3},
        "big": {"sums": 0.92, "verse": 0.85, "code": 0.9},
        "mid": {"sums": 0.7, "verse": 0.6, "code": 0.5},
        "odd": {"sums": 0.5, "verse": 0.5, "code": 0.5},
    }
    price = {"small": (0.1, 0.2), "big": (3.0, 15.0), "mid": (0.5, 1.5), "odd": (1.0, 1.0)}
    records = []
    for number in range(n):
        topic = list(TOPICS)[number % 3]
        text = rng.choice(TOPICS[topic]).format(a=rng.integers(100), b=rng.integers(100)) + f" ({number})"
        scores: dict[str, float | bool | None] = {}
        usages: dict[str, Usage | None] = {}
        for model, skills in skill.items():
            if model == "odd" and number % 20:
                continue
            scores[model] = bool(rng.random() < skills[topic])
            tokens = max(1, len(text) // 4), int(rng.integers(20, 60))
            dollars = (tokens[0] * price[model][0] + tokens[1] * price[model][1]) / 1e6
            usages[model] = Usage(input_tokens=tokens[0], output_tokens=tokens[1], cost_usd=dollars)
        records.append(Record(str(number), topic, text, scores, usages))
    return records


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def plain(record: Record) -> dict[str, Any]:
    return {
        "index": record.index,
        "dataset": record.dataset,
        **({} if record.source is None else {"source": record.source}),
        "query": record.query,
        "records": record.records,
        "usages": {
            model: {k: getattr(u, k) for k in ("input_tokens", "output_tokens", "cost_usd", "kind")}
            for model, u in record.usages.items()
            if u
        },
    }
