"""Fuzz one target with atheris, coverage-guided, and say how many inputs it saw.

pip install atheris (Python 3.11 or later, Linux)
python scripts/fuzz.py records -max_total_time=60     # records, questions, artifact, command or proxy; libFuzzer's options
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import atheris

with atheris.instrument_imports(include=["avengers_core", "avengers_langchain.proxy"]):
    from tests.fuzz import targets

from tests.support.records import make_records, plain


def main() -> None:
    name = sys.argv.pop(1)
    target = targets.TARGETS[name]
    counts = {"inputs": 0, "accepted": 0}

    def run(data: bytes) -> None:
        counts["inputs"] += 1
        counts["accepted"] += target(data)
        if counts["inputs"] % 1000 == 0 or counts["inputs"] < 3:
            with open(f"/tmp/fuzz-{name}.json", "w") as file:
                json.dump(counts, file)

    seeds = {
        "records": ["\n".join(json.dumps(plain(r)) for r in make_records(4)).encode()],
        "questions": [b'\x00{"query": "a", "answer": 1}\n', b"\xffquery,answer\na,b\n"],
        "artifact": [targets.zipped(targets.base())],
        "command": [bytes([3]) + b"hello\x1f--alpha\x1f0.5", bytes([0]) + b"/dev/null"],
        "proxy": [b'{"model": "avengers", "messages": [{"role": "user", "content": "hi"}]}'],
    }[name]
    corpus = f"/tmp/fuzz-corpus-{name}"
    os.makedirs(corpus, exist_ok=True)
    for number, seed in enumerate(seeds):
        with open(f"{corpus}/seed{number}", "wb") as file:
            file.write(seed)
    atheris.Setup([*sys.argv, corpus], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
