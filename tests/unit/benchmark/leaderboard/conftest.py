"""Fixtures of the leaderboard's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_up_results import make_cell

from benchmark.records.store import Stored


@pytest.fixture
def cell() -> Callable[..., Stored]:
    """`cell(method, regularizer, seed, {"mIoU": 40.0, ...}, **changes)`: a stored result with these metrics."""
    return make_cell
