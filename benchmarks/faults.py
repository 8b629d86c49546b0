"""How many calls are answered if a fifth of all requests fail, by ChatAvengers and by LangChain's ``with_fallbacks``.

python benchmarks/faults.py [--calls 2000] [--seed 0]

Three models of two real clients against a local server. A request fails in one of 16 ways: refusals (401, 404, 429,
500, 503, 529), connections that are dropped before or within an answer, malformed JSON, servers that send a space now
and then, and answers with status 200 that are none. Half of the calls are streams. A stream that breaks after text
came is an error for both.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from langchain_anthropic import ChatAnthropic  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

from avengers_langchain import ChatAvengers  # noqa: E402
from tests.support.llm_server import LLMServer, llm_server  # noqa: E402

KINDS: list[Any] = [
    401, 404, 429, 500, 503, 529, "drop", "drop_mid", "garbage", "trickle", "error_body", "error_stream",
    "null_choices", "empty_choices", "html", "bad_utf8",
]  # fmt: skip
CHEAP, MIDDLE, DEAR = "gpt-4o-mini-2024-07-18", "claude-3-5-haiku-20241022", "gpt-4o-2024-08-06"


def pool(server: LLMServer) -> dict[str, Any]:
    openai = {"base_url": f"{server.url}/v1", "api_key": "x", "max_retries": 0, "timeout": 0.5}
    return {
        CHEAP: ChatOpenAI(model=CHEAP, **openai),
        MIDDLE: ChatAnthropic(
            model_name=MIDDLE, base_url=server.url, api_key="x", max_retries=0, timeout=0.5, stop=None
        ),
        DEAR: ChatOpenAI(model=DEAR, **openai),
    }


def answered(llm: Any, calls: int) -> Counter[str]:
    def call(number: int) -> str:
        try:
            if number % 2:
                text = "".join(str(chunk.text) for chunk in llm.stream(f"What is {number} + 1?"))
            else:
                text = str(llm.invoke(f"What is {number} + 1?").text)
        except Exception as error:
            return type(error).__name__
        return "answered" if text else "empty"

    with ThreadPoolExecutor(16) as threads:
        return Counter(threads.map(call, range(calls)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in ("with_fallbacks", "ChatAvengers"):
        with llm_server() as server:
            server.random_faults(0.2, KINDS, arguments.seed)
            models = pool(server)
            if name == "with_fallbacks":
                first, *others = models.values()
                llm: Any = first.with_fallbacks(others)
            else:
                llm = ChatAvengers(models=models, alpha=0.0, cooldown=0.0, artifact="default")
            found = answered(llm, arguments.calls)
        print(f"{name}: {found['answered'] / arguments.calls:.2%} answered; {dict(found)}")


if __name__ == "__main__":
    main()
