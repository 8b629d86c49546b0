"""The journal's lock and what it refuses; what it keeps is tested with collecting runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from avengers_core.collecting import Journal
from avengers_core.collecting.journal import Answer, LostRequests
from avengers_core.errors import CollectError, MissingExtraError
from avengers_core.pricing.types import TokenUsage

HOLDER = """
import sys, time
from avengers_core.collecting import Journal
journal = Journal(sys.argv[1], {})
journal.begin_request("q", "m", 5)
print("locked", flush=True)
time.sleep(600)
"""


def test_one_process_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "j"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(CollectError, match="j: another run is working on it"):
            Journal(path, {})
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    journal = Journal(path, {})
    assert journal.lost == LostRequests(1, 5), "what the killed process had sent"
    journal.close()


def test_one_journal_at_a_time_in_a_process_and_any_thread_may_close_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", {})
    with pytest.raises(CollectError, match="another run is working on it"):
        Journal(tmp_path / "j", {})
    thread = threading.Thread(target=journal.close)
    thread.start()
    thread.join()
    Journal(tmp_path / "j", {}).close()


def test_a_journal_that_cannot_be_used_is_not_left_locked(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path, {"temperature": 0.0}).close()
    for _ in range(2):
        with pytest.raises(CollectError, match=r"given with temperature 0.0, not 1.0: use the same settings"):
            Journal(path, {"temperature": 1.0})
    Journal(path, {"temperature": 0.0}).close()
    other = tmp_path / "other"
    other.write_bytes(b"no database, but long enough to be read as one " * 100)
    for _ in range(2):
        with pytest.raises(CollectError, match="other: not a journal"):
            Journal(other, {})


def test_a_journal_has_one_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", {})
    (tmp_path / "link").symlink_to(tmp_path / "j")
    with pytest.raises(CollectError, match="another run is working on it"):
        Journal(tmp_path / "link", {})
    journal.close()
    (tmp_path / "hard").hardlink_to(tmp_path / "j")
    with pytest.raises(CollectError, match="it has a second name"):
        Journal(tmp_path / "hard", {})


def test_without_filelock_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtraError, match=r"a journal needs an extra: pip install 'avengers-router\[collect\]'"):
        Journal(tmp_path / "j", {})


def test_each_end_of_a_request_counts_as_what_it_cost(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, {})
    answered, refused, lost, useless, judged = (journal.begin_request("q", name, 10) for name in "abcde")
    in_flight = journal.begin_request("q", "f", 10)
    assert journal.spent_pico == 60, "requests in flight count as expected"
    answer = Answer("text", TokenUsage(input_tokens=3, output_tokens=2), 7, 10, 0.5)
    journal.save_answer(answered, "q", "a", answer)
    assert (journal.answer("q", "a"), journal.answer("q", "b")) == (answer, None)
    journal.refuse_request(refused)
    journal.lose_request(lost)
    journal.settle_request(useless, 4)
    journal.save_grade("q", "a", "judge", 0.5, cost_pico=None, request=judged)
    assert journal.grade("q", "a", "judge") == 0.5
    assert journal.spent_pico == 7 + 0 + 10 + 4 + 10 + 10
    assert journal.lost == LostRequests(1, 10)
    journal.close()
    journal = Journal(path, {})
    assert journal.answer("q", "a") == answer
    assert journal.lost == LostRequests(2, 20), f"request {in_flight} was in flight when the run ended"
    assert journal.spent_pico == 41
    journal.close()
