"""Make the default artifact and its card from ../shared/data, modern and old.

python scripts/make_default.py [--data DIR] [--target DIR]

Sources are clustered by themselves; models have their catalogue ids; prices and capabilities are the catalogue's.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from avengers_core import RouterEstimator, WordLlamaEmbedder, load_artifact, save_artifact  # noqa: E402
from avengers_core.catalog import default_catalog  # noqa: E402
from avengers_core.records.io import read_records  # noqa: E402
from avengers_core.records.schema import Record  # noqa: E402
from avengers_core.routing.manifest import Artifact  # noqa: E402
from avengers_core.training.updating import update_artifact  # noqa: E402
from modern_records import TASKS, each_effort, one_effort, read_rows  # noqa: E402

TARGET = ROOT / "shared" / "avengers_core" / "pretrained"

#: Sharpness of the clusters' weights, chosen on splits of the modern records.
BETA = 20.0

#: Answers that a model at an effort needs for a column of its own.
MIN_EFFORT_ANSWERS = 20

#: For each source: who published what the figures are computed from, its date, who graded, and the licence there.
SOURCES = {
    "openhands_swebench_verified": ("OpenHands/openhands-index-results", "2026-06", "tests", "MIT"),
    "openhands_swtbench_verified": ("OpenHands/openhands-index-results", "2026-06", "tests", "MIT"),
    "mcpmark": ("eval-sys/mcpmark-experiments", "2025-12", "scripts", "not stated"),
    "sqlbench_actiontech": ("actiontech/sql-llm-benchmark", "2026-07", "checks, some by a model", "MIT"),
    "ctala_es_business": ("ctala/ai-benchmarks-alternativos", "2026-08", "rules and Phi-4", "not stated"),
    "pm_llm_benchmark": ("fit-alessandro-berti/pm-llm-benchmark", "2026-08", "gpt-5.4", "GPL-3.0"),
    "zoonk_results": ("zoonk/zoonk", "2026-08", "a model", "MIT"),
    "zoonk_battles": ("zoonk/zoonk", "2026-08", "several models", "MIT"),
    "svelte_bench": ("khromov/svelte-bench", "2026-08", "tests", "MIT"),
    "shaberi_ja_gpt41judge": ("shisa-ai/shaberi", "2025-11", "gpt-4.1", "Apache-2.0"),
    "shaberi_ja_gpt51judge": ("shisa-ai/shaberi", "2025-11", "gpt-5.1", "Apache-2.0"),
    "misguided_attention": ("cpldcpu/MisguidedAttention", "2025-07", "criteria", "CC0-1.0"),
    "reasoning_gym": ("open-thought/reasoning-gym-eval", "2025-07", "programs", "Apache-2.0"),
    "creative_writing_v3": ("EQ-bench/creative-writing-bench", "2025-08", "a model", "not stated"),
    "confabulations_unanswerable": ("lechmazur/confabulations", "2025-08", "N/A or not", "not stated"),
    "tinybird_sql": ("tinybirdco/llm-benchmark", "2025-06", "results of a person", "CC-BY-4.0 or Apache-2.0"),
    "bullshitbench_v1": ("petergpt/bullshit-benchmark", "2026-02", "several models", "MIT"),
    "zeroeval": ("WildEval/ZeroEval", "2024", "right answers", "Apache-2.0"),
    "mmlupro": ("TIGER-AI-Lab/MMLU-Pro", "2024", "right answers", "Apache-2.0"),
}


def old_records(path: Path) -> list[Record]:
    """The records of a pool of 2024, with catalogue ids where there are any."""
    name = path.name.split(".")[0]
    return [
        msgspec.structs.replace(
            record,
            dataset=name,
            source=name,
            index=f"{record.dataset}/{record.index}",
            records={catalogue_id(model): score for model, score in record.records.items()},
            usages={catalogue_id(model): usage for model, usage in record.usages.items()},
        )
        for record in read_records(path)
    ]


@functools.cache
def catalogue_id(model: str) -> str:
    return str(default_catalog().find(model) or model)


def frequent_efforts(records: list[Record]) -> list[Record]:
    """The records with the models that have enough answers at an effort."""
    counts: dict[str, int] = {}
    for record in records:
        for model in record.records:
            counts[model] = counts.get(model, 0) + 1
    kept = []
    for record in records:
        models = {catalogue_id(m): m for m in record.records if counts[m] >= MIN_EFFORT_ANSWERS}
        models = {name: m for name, m in models.items() if "@" in name}
        if models:
            scores = {name: record.records[m] for name, m in models.items()}
            usages = {name: record.usages[m] for name, m in models.items() if m in record.usages}
            kept.append(msgspec.structs.replace(record, records=scores, usages=usages))
    return kept


def train(data: Path) -> Artifact:
    rows = read_rows(data / "modern")
    modern = [
        msgspec.structs.replace(
            record,
            records={catalogue_id(m): s for m, s in record.records.items()},
            usages={catalogue_id(m): u for m, u in record.usages.items()},
        )
        for record in one_effort(rows)
    ]
    old = [record for name in ("zeroeval", "mmlupro") for record in old_records(data / f"{name}.train.jsonl.gz")]
    catalog = default_catalog()
    names = {model for record in [*modern, *old] for model in record.records}
    prices = {name: price for name in names if catalog.knows(name) and (price := catalog.price(name)) is not None}
    estimator = RouterEstimator(
        beta=BETA,
        prices=prices,
        tasks=TASKS,
        min_records=0,
        relative_costs=True,
        alpha=0.5,
        embedder=WordLlamaEmbedder(),
    ).fit([*modern, *old])
    artifact = update_artifact(estimator.artifact_, frequent_efforts(each_effort(rows)))
    sources = {
        name: dict(zip(("from", "date", "graded_by", "licence"), facts, strict=True)) for name, facts in SOURCES.items()
    }
    manifest = msgspec.structs.replace(artifact.manifest, card={"sources": sources})
    return Artifact(**{**vars(artifact), "manifest": manifest})


def card(artifact: Artifact, size: int) -> str:
    manifest, statistics = artifact.manifest, artifact.statistics
    answers = statistics.n_answers.sum(axis=0)
    published = artifact.published.count.sum(axis=0) if artifact.published is not None else np.zeros(len(answers))
    queries = np.bincount(artifact.cluster_sources, statistics.n_queries, minlength=len(artifact.sources))
    with_efforts = sum("@" in model.id for model in manifest.models)
    unpriced = [model.id for model in manifest.models if model.price is None]
    lines = [
        "# Artifact `default`",
        "",
        f"Trained on {manifest.n_records:,} queries from {len(artifact.sources)} sources with "
        f"{len(manifest.models) - with_efforts} models, {with_efforts} of them at a stated effort as well, and "
        f"{len(manifest.benchmarks)} published benchmarks; {manifest.settings.n_clusters} clusters, none of which spans "
        f"two sources; embedder `{manifest.embedder.id}`; {size / 1024:,.0f} KiB. Made {manifest.created[:10]} by "
        f"`scripts/make_default.py`, avengers-router {manifest.library_version}.",
        "",
        "Any other model that the catalogue knows can be named, too: what is expected of it follows from its published",
        "scores, its predecessor or its price, and `explain()` says which.",
        "",
        "## Sources, graders, dates and licences",
        "",
        "The artifact holds figures that were computed from what these repositories publish: sums by cluster, centres and",
        "weights. It holds no query, no answer, and no single result. Nothing under CC BY-NC was used. Where a repository",
        "states no licence, only such figures were taken from it.",
        "",
        "| kind of task | from | date | graded by | licence there | queries | dollars are those of |",
        "|---|---|---|---|---|---|---|",
    ]
    for code, source in enumerate(artifact.sources):
        place, date, graders, licence = SOURCES[source.name]
        what = "an agent's whole run" if source.kind == "agent_run" else "a call"
        lines.append(f"| {source.label} | {place} | {date} | {graders} | {licence} | {queries[code]:,.0f} | {what} |")
    lines += [
        "",
        "Published scores: the table of `avengers_core.catalog`, see its README for the sources and credits.",
        "",
        "## What is estimated, and what is not known",
        "",
        "- A model's cost of a call is its list price for the tokens that its answers have in the sources that report",
        "  tokens, else for its peers' tokens: then it is an estimate, and decisions say so.",
        "- A source without dollars has costs by list price and expected length.",
        f"- No price is known of {len(unpriced)} models: {', '.join(unpriced)}. They are chosen at alpha 1 only.",
        "- Long documents, images, audio, legal and medical work have no source of their own.",
        "- Graders differ. Several are models, which may favour their own family; the sources above say which.",
        "- Models of the second half of 2026 have few answers: look at `basis` in a decision.",
        "",
        "## Held-out figures",
        "",
        "See `benchmarks/RESULTS.md`, which `python benchmarks/modern.py` makes.",
        "",
        "## Models",
        "",
        "US dollars per million tokens.",
        "",
        "| model | answers | published scores | input | output |",
        "|---|---|---|---|---|",
    ]
    for model, n, scores in zip(manifest.models, answers, published, strict=True):
        price = model.price
        shown = "unknown | unknown" if price is None else f"{price.input:g} | {price.output:g}"
        lines.append(f"| {model.id} | {n:,.0f} | {scores:.0f} | {shown} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    path = save_artifact(train(arguments.data), arguments.target / "default.zip")
    size = path.stat().st_size
    (arguments.target / "default.md").write_text(card(load_artifact(path), size))
    print(path, size, "bytes")


if __name__ == "__main__":
    main()
