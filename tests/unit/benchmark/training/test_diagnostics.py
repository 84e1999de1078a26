"""Diagnostics of a regularizer in a result: means of the last logged values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mmengine.logging import HistoryBuffer

from benchmark.training.cell import diagnostics_of


def test_diagnostics_are_means_of_the_last_100_values() -> None:
    """Of 0, 1, ..., 149 the mean of 50 to 149; a value that is not a number makes its mean unknown."""
    logged = {
        "train/regularizer_spread": HistoryBuffer([float(value) for value in range(150)], [1] * 150),
        "train/regularizer_broken": HistoryBuffer([1.0, float("nan")], [1, 1]),
        "train/loss": HistoryBuffer([5.0], [1]),
    }
    runner: Any = SimpleNamespace(message_hub=SimpleNamespace(log_scalars=logged))
    assert diagnostics_of(runner) == {"spread": 99.5, "broken": None}
