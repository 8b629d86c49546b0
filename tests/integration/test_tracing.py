"""The tools that people trace with: the real model, provider, dollars, alpha and the reason arrive, and arrive once.

Each tool runs as its documentation says, in a process of its own, with its own exporter to a local server. The first
model of each call fails, so that a fallback answers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.llm_server import LLMServer
from tests.support.processes import run_program
from tests.support.trace_server import TraceServer, trace_server

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).resolve().parents[1] / "support" / "traced.py"
TOOLS = ("langfuse", "phoenix", "mlflow", "otel")
CASES = [("langsmith", "langchain"), *itertools.product(TOOLS, ("langchain", "llamaindex"))]
CALLS = 4


@pytest.fixture
def traces() -> Iterator[TraceServer]:
    with trace_server() as server:
        yield server


def told_by(tool: str, traces: TraceServer) -> list[dict[str, Any]]:
    """What the tool has of each span or run, under names that are the same for all tools."""
    if tool == "langsmith":
        return [of_run(run) for run in traces.runs.values()]
    read = {"langfuse": of_langfuse, "phoenix": of_openinference, "mlflow": of_mlflow, "otel": of_gen_ai}[tool]
    return [read(span["attributes"]) | {"error": span["error"], "name": span["name"]} for span in traces.spans]


def of_run(run: dict[str, Any]) -> dict[str, Any]:
    metadata = run["extra"]["metadata"]
    usage = metadata.get("usage_metadata", {})
    return {
        "name": run["name"],
        "error": bool(run.get("error")),
        "model": metadata["ls_model_name"],
        "provider": metadata["ls_provider"],
        "input": usage.get("input_tokens"),
        "output": usage.get("output_tokens"),
        "dollars": usage.get("total_cost"),
        "alpha": metadata.get("avengers.alpha"),
        "reason": metadata.get("avengers.reason"),
    }


def of_openinference(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": told.get("llm.model_name"),
        "provider": told.get("llm.provider"),
        "input": told.get("llm.token_count.prompt"),
        "output": told.get("llm.token_count.completion"),
        "dollars": told.get("llm.cost.total"),
        "alpha": told.get("avengers.alpha"),
        "reason": told.get("avengers.reason"),
    }


def of_gen_ai(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": told.get("gen_ai.response.model", told.get("gen_ai.request.model")),
        "provider": told.get("gen_ai.provider.name"),
        "input": told.get("gen_ai.usage.input_tokens"),
        "output": told.get("gen_ai.usage.output_tokens"),
        "dollars": told.get("avengers.cost"),
        "alpha": told.get("avengers.alpha"),
        "reason": told.get("avengers.reason"),
    }


def of_langfuse(told: dict[str, Any]) -> dict[str, Any]:
    if "gen_ai.request.model" in told:
        return of_gen_ai(told)
    if "openinference.span.kind" in told:
        return of_openinference(told)
    own = "langfuse.observation.metadata."
    usage = json.loads(told.get("langfuse.observation.usage_details") or "{}")
    return {
        "model": told.get("langfuse.observation.model.name"),
        "provider": told.get(f"{own}avengers.provider"),
        "input": usage.get("input"),
        "output": usage.get("output"),
        "dollars": json.loads(told.get("langfuse.observation.cost_details") or "{}").get("total"),
        "alpha": told.get(f"{own}avengers.alpha"),
        "reason": told.get(f"{own}avengers.reason"),
    }


def of_mlflow(told: dict[str, Any]) -> dict[str, Any]:
    read = {name: json.loads(value) for name, value in told.items() if isinstance(value, str)}
    usage = read.get("mlflow.chat.tokenUsage", {})
    return {
        "model": read.get("mlflow.llm.model"),
        "provider": read.get("mlflow.llm.provider"),
        "input": usage.get("input_tokens"),
        "output": usage.get("output_tokens"),
        "dollars": read.get("mlflow.llm.cost", {}).get("total_cost"),
        "alpha": read.get("avengers.alpha"),
        "reason": read.get("avengers.reason"),
    }


@pytest.mark.parametrize(("tool", "framework"), CASES)
def test_what_a_tool_is_told(server: LLMServer, traces: TraceServer, tmp_path: Path, tool: str, framework: str) -> None:
    server.model_faults = {"gpt-5.1": 503}
    base = f"{server.url}/v1"
    env = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": base, "OPENAI_API_BASE": base, "TRACES_URL": traces.url}
    done = run_program(PROGRAM, tool, framework, env=env, cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert [answer["model"] for answer in answers] == ["gpt-5-mini"] * CALLS
    told = told_by(tool, traces)

    counted = [one for one in told if one["input"]]
    assert len(counted) == CALLS, "tokens are told once"
    assert sum(one["input"] for one in counted) == server.tokens["gpt-5-mini", "input"]
    assert sum(one["output"] for one in counted) == server.tokens["gpt-5-mini", "output"]
    priced = [one for one in told if one["dollars"] is not None]
    assert len(priced) == CALLS, "dollars are told once"
    assert sum(one["dollars"] for one in priced) == pytest.approx(sum(answer["cost_usd"] for answer in answers))
    for one in priced:
        assert (one["model"], one["provider"], one["alpha"], one["error"]) == ("gpt-5-mini", "openai", 0.5, False)
        assert one["reason"].startswith("At alpha 0.5 gpt-5.1 is expected to score")
    failed = [one for one in told if one["error"]]
    if (tool, framework) == ("mlflow", "langchain"):
        assert failed == [], "its tracer has no place for the attempts of a call"
    else:
        assert [one["model"] for one in failed] == ["gpt-5.1"] * CALLS


def test_metrics(server: LLMServer, traces: TraceServer, tmp_path: Path) -> None:
    """Those of OpenTelemetry's conventions, and dollars, beside the spans."""
    server.model_faults = {"gpt-5.1": 503}
    env = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{server.url}/v1", "TRACES_URL": traces.url}
    done = run_program(PROGRAM, "otel", "langchain", env=env, cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    model = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}

    def points(name: str, **given: str) -> dict[str, Any]:
        wanted = {key.replace("_model", ".model").replace("__", "."): value for key, value in given.items()}
        (found,) = [one for one in traces.metrics[name] if (wanted | model).items() <= one["attributes"].items()]
        return found

    answered = {"gen_ai__response_model": "gpt-5-mini"}
    assert points("gen_ai.client.operation.duration", **answered)["count"] == CALLS
    assert points("gen_ai.client.operation.duration", error__type="OpenAIAPIError")["count"] == CALLS
    assert points("gen_ai.client.operation.time_to_first_chunk", **answered)["count"] == 2
    for kind in ("input", "output"):
        tokens = points("gen_ai.client.token.usage", **answered, gen_ai__token__type=kind)
        assert (tokens["unit"], tokens["sum"]) == ("{token}", server.tokens["gpt-5-mini", kind])
    dollars = points("avengers.client.cost", **answered)
    assert (dollars["unit"], dollars["sum"]) == ("USD", pytest.approx(sum(one["cost_usd"] for one in answers)))
