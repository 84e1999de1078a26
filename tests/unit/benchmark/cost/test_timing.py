"""Order and number of timed runs; no time is asserted."""

from __future__ import annotations

import pytest

from benchmark.cost.timing import WARM_UP, alternating_seconds, percentile


def test_works_take_turns_and_the_warm_up_is_not_timed() -> None:
    calls: list[str] = []
    seconds = alternating_seconds([lambda: calls.append("a"), lambda: calls.append("b")], runs=4, device="cpu")
    assert calls == ["a", "b"] * (WARM_UP + 4)
    assert [len(times) for times in seconds] == [4, 4]
    assert min(map(min, seconds)) >= 0


def test_percentiles_are_linear_between_runs() -> None:
    """Of 1..21 the median is the 11th; the 95th percentile lies at position 0.95 * 20 = 19, the value 20."""
    seconds = [float(value) for value in range(1, 22)]
    assert percentile(seconds, 50) == 11
    assert percentile(seconds, 95) == pytest.approx(20)
