"""Boards of pure noise through the real code: how often they call anything a gain or a loss."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from made_up_results import KINDS, board_of, make_cell, make_plan

METHODS = ("single_task", *(f"method_{index}" for index in range(9)))
TASKS = ("semseg", "depth", "normals", "boundary")
MEANS = {"mIoU": 23.0, "rmse@pixel": 0.74, "mean@pixel": 27.5, "odsF@seism": 57.0}
RELATIVE_NOISE = {"mIoU": 0.026, "rmse@pixel": 0.0165, "mean@pixel": 0.004, "odsF@seism": 0.002}


def false_claims(boards: int) -> int:
    """Number of boards of 10 methods x 2 regularizers x 5 seeds without any effect that claim a gain or a loss."""
    rng = np.random.default_rng(0)
    rows = [(method, regularizer) for method in METHODS for regularizer in ("none", "aux")]
    plan = make_plan(rows)
    cells = [make_cell(*row, seed, MEANS, tasks=TASKS, version=2) for row in rows for seed in range(5)]
    found = 0
    # statsmodels collects garbage at every call of its corrections.
    gc.freeze()
    for _ in range(boards):
        for cell in cells:
            for name, mean in MEANS.items():
                value = mean * (1 + RELATIVE_NOISE[name] * rng.normal())
                cell.result.metrics[KINDS[name][0]][name]["value"] = value
        found += any(comparison.verdict for comparison in board_of(plan, cells).comparisons)
    gc.unfreeze()
    return found


def test_few_of_150_boards_without_an_effect_claim_one():
    """The levels allow 6; two families at 5 % each would claim one in about 14."""
    assert false_claims(150) <= 9


@pytest.mark.slow
def test_at_most_5_percent_of_2000_boards_without_an_effect_claim_one():
    assert false_claims(2000) <= 100


def test_a_large_effect_is_called_a_gain():
    """The same board with +5 % in every task of the regularizer, so that silence is no way to pass the tests above."""
    rng = np.random.default_rng(1)
    cells = []
    for method in METHODS:
        for regularizer in ("none", "aux"):
            for seed in range(5):
                factor = 1.05 if regularizer == "aux" else 1.0
                values = {
                    name: mean * (factor if KINDS[name][2] else 1 / factor) * (1 + RELATIVE_NOISE[name] * rng.normal())
                    for name, mean in MEANS.items()
                }
                cells.append(make_cell(method, regularizer, seed, values, tasks=TASKS, version=2))
    plan = make_plan([(method, regularizer) for method in METHODS for regularizer in ("none", "aux")])
    analysis = board_of(plan, cells)
    assert {found.verdict for found in analysis.headlines()} == {"gain"}
