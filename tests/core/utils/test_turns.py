from __future__ import annotations

import asyncio

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
    monkeypatch.setattr(threads, "_LONGEST_ROUND", -1.0)
    rounds = await rounds_of_tasks()
    assert len(set(rounds)) == TASKS
    assert sorted(rounds) == rounds
