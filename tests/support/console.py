"""`avengers ui` as a user starts it, and ledgers for it to show."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from avengers_core.ledger.budget import PICO
from avengers_core.ledger.store import Ledger

from tests.support.processes import start_program

#: Model, provider, US dollars per million tokens in and out, and how often it is asked.
MODELS = [
    ("gpt-5-mini", "openai", 0.25, 2.0, 5),
    ("gpt-5.1", "openai", 1.25, 10.0, 2),
    ("claude-sonnet-4-6", "anthropic", 3.0, 15.0, 1),
    ("claude-haiku-4-5", "anthropic", 1.0, 5.0, 2),
    ("gemini-3-flash-preview", "google", 0.5, 3.0, 2),
]


@contextmanager
def console(folder: Path, *options: object, env: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Run `avengers ui` until the block is left; gives its address, without a slash at the end, and its token."""
    out, err = folder / "ui.out", folder / "ui.err"
    out.write_text("")
    words = ("avengers", "ui", *options, "--port", "0", "--no-browser")
    process = start_program(*words, env=env or {}, cwd=folder, stdout=out, stderr=err)
    try:
        end = time.monotonic() + 60
        while "http" not in out.read_text():
            assert process.is_alive() and time.monotonic() < end, err.read_text()  # noqa: PT018
            time.sleep(0.05)
        address = urlsplit(out.read_text().split()[-1])
        yield f"http://{address.netloc}", parse_qs(address.query).get("token", [""])[0]
    finally:
        process.terminate()
        process.join(20)


def write_made_up_rows(path: Path, count: int, days: int = 80, seed: int = 0) -> None:
    """Write a ledger of made-up calls over the last days, with fallbacks, sessions and tags."""
    Ledger(path).close()
    chance = random.Random(seed)
    end = datetime.now(timezone.utc).replace(tzinfo=None)
    step = timedelta(days=days) / count
    weights = [one[-1] for one in MODELS]

    def rows() -> Iterator[tuple[object, ...]]:
        number = 0
        while number < count:
            time_ = end - timedelta(days=days) + step * number
            call = f"{chance.getrandbits(128):032x}"
            tags = json.dumps([f"team:{chance.choice('abcd')}", *(["rag"] if chance.random() < 0.3 else [])])
            fails = chance.random() < 0.02
            for attempt in range(1 + fails):
                model, provider, price_in, price_out, _ = chance.choices(MODELS, weights)[0]
                tokens_in, tokens_out = int(chance.lognormvariate(6, 1)), int(chance.lognormvariate(5.5, 0.8))
                failed = fails and attempt == 0
                cost = 0 if failed else round((tokens_in * price_in + tokens_out * price_out) * PICO / 10**6)
                expected = round((400 * price_in + 250 * price_out) * PICO / 10**6)
                yield (
                    f"{time_:%Y-%m-%d %H:%M:%S.%f}", f"{time_:%Y-%m-%d}", call, call[::-1], attempt, model, provider,
                    "timeout" if failed else "ok", f"session{number // 8}", f"run{number}", tags,
                    "APITimeoutError" if failed else "", 0.4, None if failed else tokens_in,
                    None if failed else tokens_out, cost, expected, chance.lognormvariate(0.5, 0.6), "abcdefabcdef",
                    chance.randrange(60), chance.random(), None if attempt else 1.0,
                )  # fmt: skip
                number += 1

    columns = (
        "time, day, call, decision, attempt, model, provider, status, session, run, tags, error, alpha, input_tokens, "
        "output_tokens, picodollars, expected_picodollars, seconds, artifact, cluster, similarity, propensity"
    )
    with sqlite3.connect(path) as db:
        db.executemany(f"INSERT INTO calls ({columns}) VALUES ({', '.join('?' * 22)})", rows())
