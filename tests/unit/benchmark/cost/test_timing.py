"""Order and number of timed runs; no time is asserted."""

from __future__ import annotations

from benchmark.cost.timing import WARM_UP, alternating_seconds


def test_functions_run_alternately_and_the_warm_up_is_not_timed() -> None:
    calls: list[str] = []
    seconds = alternating_seconds([lambda: calls.append("a"), lambda: calls.append("b")], runs=4, device="cpu")
    assert calls == ["a", "b"] * (WARM_UP + 4)
    assert [len(times) for times in seconds] == [4, 4]
    assert min(map(min, seconds)) >= 0
