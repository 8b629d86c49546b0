from __future__ import annotations

import asyncio
import itertools

import pytest
from avengers_core._utils import threads
from avengers_core._utils.threads import turn

TASKS = 20


async def rounds_of_tasks() -> list[int]:
    """In which round of the event loop each of many tasks had its turn."""
    rounds, now = [], 0

    def next_round() -> None:
        nonlocal now
        now += 1
        if len(rounds) < TASKS:
            asyncio.get_running_loop().call_soon(next_round)

    async def work() -> None:
        await turn()
        rounds.append(now)

    next_round()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    return rounds


async def test_tasks_of_one_round_go_on_while_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LONGEST_ROUND", 60.0)
    assert len(set(await rounds_of_tasks())) == 1


async def test_tasks_wait_for_the_next_round_if_one_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.count()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: next(times) * 0.003)
    rounds = await rounds_of_tasks()
    assert len(rounds) == TASKS
    assert max(rounds.count(one) for one in rounds) <= 3


async def test_the_others_go_on_if_one_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.count()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: next(times) * 0.005)
    done = []

    async def work(number: int) -> None:
        await turn()
        done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(TASKS)]
    await asyncio.sleep(0)
    for task in tasks[5:10]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(done) == [*range(5), *range(10, TASKS)]
