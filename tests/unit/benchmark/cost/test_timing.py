"""Order and number of timed runs; no time is asserted."""

from __future__ import annotations

import time

import pytest

from benchmark.cost.timing import WARM_UP, alternating_seconds


def test_functions_run_alternately_and_the_warm_up_is_not_timed() -> None:
    calls: list[str] = []
    seconds = alternating_seconds([lambda: calls.append("a"), lambda: calls.append("b")], runs=4, device="cpu")
    assert calls == ["a", "b"] * (WARM_UP + 4)
    assert [len(times) for times in seconds] == [4, 4]
    assert min(map(min, seconds)) >= 0


def test_seconds_are_those_between_the_ends_of_a_run_after_three_untimed_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that each run moves by one second more."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        now[0] += len(runs)

    assert alternating_seconds([work], runs=2, device="cpu") == [[4.0, 5.0]]
