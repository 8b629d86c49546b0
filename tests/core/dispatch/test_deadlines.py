from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from avengers_core.dispatch.deadlines import Deadline, silence_of


def test_what_is_in_time_is_passed_on() -> None:
    for deadline in (Deadline(), Deadline(60.0), Deadline(silence=60.0)):
        assert deadline.run(lambda a, b: a + b, 1, b=2) == 3
        assert list(deadline.iterate(lambda: iter("abc"))) == ["a", "b", "c"]
        with pytest.raises(KeyError):
            deadline.run({}.__getitem__, "x")


def test_what_hangs_is_given_up() -> None:
    forever = threading.Event()

    def stream() -> Iterator[int]:
        yield 1
        forever.wait()

    with pytest.raises(TimeoutError):
        Deadline(silence=0.05).run(forever.wait)
    parts = Deadline(total=0.2).iterate(stream)
    assert next(parts) == 1
    with pytest.raises(TimeoutError):
        next(parts)
    forever.set()


def test_a_stream_that_is_closed_early_is_closed_where_it_runs() -> None:
    closed = threading.Event()

    def stream() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.set()

    parts = Deadline(60.0).iterate(stream)
    assert next(parts) == 0
    parts.close()
    assert closed.is_set()


def test_a_client_has_as_long_as_its_own_settings_allow() -> None:
    assert silence_of(None, 3) is None
    assert silence_of(10.0, 0) == 11.0
    assert silence_of(10.0, 2) == 30.0 + 0.5 + 1.0 + 1.0
    assert silence_of(10.0, None) == silence_of(10.0, 2)
