"""Make the artifacts that ship in the wheel, and their cards, from ../shared/data.

python scripts/make_pretrained.py [--data DIR]

Models are renamed to their providers' own ids; prices are genai-prices' where it has them, else those that the records'
dollars imply (list prices of 2024). Held-out figures come from 70/30 splits; the artifact itself trains on all.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from pathlib import Path

import msgspec
import numpy as np
from avengers_core import RouterEstimator, WordLlamaEmbedder, load_artifact, load_records, save_artifact
from avengers_core.evaluation import evaluate_router
from avengers_core.pricing.catalog import latest_prices
from avengers_core.records.io import read_records
from avengers_core.records.schema import Record
from avengers_core.routing.manifest import Artifact

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "shared" / "avengers_core" / "pretrained"
SEEDS = range(5)
POOLS = {"zeroeval": ["zeroeval"], "mmlupro": ["mmlupro"], "models-2024": ["zeroeval", "mmlupro"]}

# name in the records: (provider's id, genai-prices id or "", context window in tokens, tools)
MODELS: dict[str, tuple[str, str, int, bool]] = {
    "claude-3-5-haiku-20241022": (
        "claude-3-5-haiku-20241022",
        "anthropic:claude-3-5-haiku-latest",
        200_000,
        True,
    ),
    "claude-3-5-sonnet-20241022": (
        "claude-3-5-sonnet-20241022",
        "anthropic:claude-3-5-sonnet",
        200_000,
        True,
    ),
    "claude-3-haiku-20240307": ("claude-3-haiku-20240307", "anthropic:claude-3-haiku", 200_000, True),
    "claude-3-opus-20240229": ("claude-3-opus-20240229", "anthropic:claude-3-opus-latest", 200_000, True),
    "command-r-v01": ("command-r-03-2024", "", 128_000, True),
    "deepseek-coder-v2": ("deepseek-ai/DeepSeek-Coder-V2-Instruct", "", 128_000, False),
    "deepseek-v2.5": ("deepseek-ai/DeepSeek-V2.5", "", 128_000, True),
    "gemini-1.5-flash": ("gemini-1.5-flash", "google:gemini-1.5-flash", 1_000_000, True),
    "gemini-1.5-flash-002": ("gemini-1.5-flash-002", "google:gemini-1.5-flash", 1_000_000, True),
    "gemini-1.5-pro": ("gemini-1.5-pro", "google:gemini-1.5-pro", 2_000_000, True),
    "gemini-1.5-pro-002": ("gemini-1.5-pro-002", "google:gemini-1.5-pro", 2_000_000, True),
    "gemma-2-9b-it": ("google/gemma-2-9b-it", "openrouter:google/gemma-2-9b-it", 8_192, False),
    "gpt-3.5-turbo-0125": ("gpt-3.5-turbo-0125", "openai:gpt-3.5-turbo", 16_385, True),
    "gpt-4o-2024-08-06": ("gpt-4o-2024-08-06", "openai:gpt-4o", 128_000, True),
    "gpt-4o-mini-2024-07-18": ("gpt-4o-mini-2024-07-18", "openai:gpt-4o-mini", 128_000, True),
    "jamba-1.5-large": ("jamba-1.5-large", "", 256_000, True),
    "llama-3.1-405b-instruct": (
        "meta-llama/Llama-3.1-405B-Instruct",
        "openrouter:meta-llama/llama-3.1-405b-instruct",
        128_000,
        True,
    ),
    "llama-3.1-70b-instruct": (
        "meta-llama/Llama-3.1-70B-Instruct",
        "openrouter:meta-llama/llama-3.1-70b-instruct",
        128_000,
        True,
    ),
    "llama-3.1-8b-instruct": (
        "meta-llama/Llama-3.1-8B-Instruct",
        "novita:meta-llama/llama-3.1-8b-instruct",
        128_000,
        True,
    ),
    "mathstral-7b": ("mistralai/Mathstral-7B-v0.1", "", 32_768, False),
    "mistral-7b-instruct-v0.2": (
        "mistralai/Mistral-7B-Instruct-v0.2",
        "openrouter:mistralai/mistral-7b-instruct-v0.2",
        32_768,
        False,
    ),
    "mistral-large-2407": ("mistral-large-2407", "mistral:mistral-large", 128_000, True),
    "mixtral-8x7b-instruct": ("open-mixtral-8x7b", "mistral:mixtral-8x7b", 32_768, False),
    "phi-3-mini-4k-instruct": ("microsoft/Phi-3-mini-4k-instruct", "", 4_096, False),
    "qwen1.5-72b-chat": ("qwen1.5-72b-chat", "", 32_768, False),
    "qwen1.5-7b-chat": ("qwen1.5-7b-chat", "", 32_768, False),
    "qwen2-72b-instruct": ("qwen2-72b-instruct", "", 131_072, True),
}
PRICE_IDS = {new: price_id for new, price_id, _, _ in MODELS.values() if price_id}
#: Families that read images; all others read text only.
IMAGES = ("claude-3-5-sonnet", "claude-3-haiku", "claude-3-opus", "gemini-1.5", "gpt-4o")
CAPABILITIES: dict[str, dict[str, bool | int]] = {
    new: {"max_input_tokens": window, "tools": tools, "images": new.startswith(IMAGES)}
    for new, _, window, tools in MODELS.values()
}


def renamed(record: Record) -> Record:
    return msgspec.structs.replace(
        record,
        records={MODELS[name][0]: score for name, score in record.records.items()},
        usages={MODELS[name][0]: usage for name, usage in record.usages.items()},
    )


def held_out(pools: dict[str, list[Record]]) -> dict[str, dict[str, dict[str, float]]]:
    """By pool, mean figures over `SEEDS` splits of 70/30 at the records' own dollars, trained on all pools together.

    Pools are judged apart: their models answered other queries, so figures over both would compare unlike things.
    """
    tables = {name: load_records(records) for name, records in pools.items()}
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in pools}
    for seed in SEEDS:
        judged, trained = {}, []
        for name, table in tables.items():
            train, judged[name] = table.split(0.7, seed)
            kept = {(train.datasets[d], i) for d, i in zip(train.dataset, train.index, strict=True)}
            trained += [record for record in pools[name] if (record.dataset, str(record.index)) in kept]
        router = RouterEstimator(random_state=seed).fit(trained).router_
        for name, test in judged.items():
            (report,) = evaluate_router(router, test, resamples=10).panels
            for kind, area in report.auc.items():
                rows[name].setdefault(f"AUC, {kind}", []).append(area.datasets)
            for setting in report.settings:
                kind = setting.name.partition(":")[0]
                rows[name].setdefault(f"accuracy, {kind}", []).append(setting.accuracy)
                rows[name].setdefault(f"US dollars per 1K queries, {kind}", []).append(setting.cost_usd * 1000)
    return {
        name: {key: {"mean": float(np.mean(v)), "sd": float(np.std(v))} for key, v in figures.items()}
        for name, figures in rows.items()
    }


def card(name: str, artifact: Artifact) -> str:
    manifest = artifact.manifest
    figures = manifest.figures["held_out"]
    answers = artifact.statistics.n_answers.sum(axis=0)
    lines = [
        f"# Artifact `{name}`",
        "",
        f"Trained on {manifest.n_records:,} queries of {len(manifest.datasets)} datasets with {len(manifest.models)} models; "
        f"{manifest.settings.n_clusters} clusters; embedder `{manifest.embedder.id}`. Made {manifest.created[:10]} by "
        f"`scripts/make_pretrained.py`, avengers-router {manifest.library_version}.",
        "",
        "## Data and licences",
        "",
        "Figures computed from model outputs published under Apache-2.0 by WildEval/ZeroEval (gsm, crux, math-l5) and "
        "TIGER-AI-Lab/MMLU-Pro (14 subjects), as far as the datasets below are theirs. The artifact holds sums, centres and "
        "weights; no query text, no output. The artifact itself is MIT, like the package.",
        "",
        f"Datasets: {', '.join(manifest.datasets)}.",
        "",
        "## Models and prices",
        "",
        "US dollars per million tokens. `records` means: implied by the records' dollars, which are list prices of 2024; "
        'refresh the rest with `Router.load(prices="latest")`, or give your own.',
        "",
        "| model | answers | input | output | price from | context | tools |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, count in zip(manifest.models, answers, strict=True):
        price = model.price
        shown = (
            "unknown | unknown | "
            if price is None
            else f"{price.input:g} | {price.output:g} | {price.source} {price.date}"
        )
        lines.append(
            f"| {model.id} | {count:,.0f} | {shown.strip()} | {model.capabilities['max_input_tokens']:,} | "
            f"{'yes' if model.capabilities['tools'] else 'no'} |"
        )
    lines += [
        "",
        "## Held-out figures",
        "",
        f"Mean and standard deviation over {len(SEEDS)} splits (70% trained, 30% judged), at the records' own dollars. AUC: mean "
        "over log-spaced budgets of the best accuracy within the budget; accuracy: mean over datasets.",
        "",
        "| pool | figure | mean | sd |",
        "|---|---|---|---|",
        *(
            f"| {pool} | {key} | {value['mean']:.4f} | {value['sd']:.4f} |"
            for pool, rows in figures.items()
            for key, value in rows.items()
        ),
        "",
        "## Limits",
        "",
        "- The models are those of 2024 and the queries are questions with a checkable answer (mathematics, code output, "
        "multiple choice): nothing is known of chat, writing, long documents, or agents. For your own models and traffic, "
        "train on your own records.",
        "- Scores of the two sources were measured by different people with different prompts. In `default` only two models "
        "answered both; the others are carried over by a model-plus-difficulty estimate, less a standard error.",
        "- Tokens were counted with cl100k_base for every model, so costs are comparable, not bills.",
        "- Context windows and tool support are the providers' published ones, entered by hand.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    for name, pools in POOLS.items():
        by_pool = {
            pool: [renamed(r) for r in read_records(arguments.data / f"{pool}.train.jsonl.gz")] for pool in pools
        }
        records = [record for rows in by_pool.values() for record in rows]
        prices = latest_prices(PRICE_IDS)
        today = datetime.date.today().isoformat()
        prices = {m: msgspec.structs.replace(p, date=p.date or today) for m, p in prices.items()}
        estimator = RouterEstimator(
            prices={m: p for m, p in prices.items() if any(m in r.records for r in records)},
            price_ids=PRICE_IDS,
            capabilities=CAPABILITIES,
            embedder=WordLlamaEmbedder(),
        ).fit(records)
        artifact = estimator.artifact_
        figures = {"held_out": held_out(by_pool)}
        artifact = dataclasses.replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, figures=figures))
        path = save_artifact(artifact, TARGET / f"{name}.zip")
        (TARGET / f"{name}.md").write_text(card(name, load_artifact(path)))
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
