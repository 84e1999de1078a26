"""Verdict of a second run: equal, within the spread of the row's other seeds, outside, undecided."""

from __future__ import annotations

import pytest
from made_up_results import make_cell

from benchmark.leaderboard.agreement import (
    EQUAL,
    OUTSIDE,
    UNDECIDED,
    WITHIN,
    agreement_text,
    agreements,
    other_seeds,
    prediction_interval,
    verdict_of,
)

ROW = {"tasks": ("semseg",), "version": 2}


def cell(seed: int, miou: float, pix_acc: float | None = None, **changes):
    values = {"mIoU": miou, **({} if pix_acc is None else {"pixAcc": pix_acc})}
    return make_cell("mtan", seed=seed, values=values, **{**ROW, **changes})


def verdict(stored: float, again: float, others=(20.0, 21.0, 22.0), **pix_acc: float) -> str:
    seeds = [cell(seed, value).result for seed, value in enumerate(others, 1)]
    before = cell(0, stored, pix_acc.get("before")).result
    return verdict_of(agreements(before, cell(0, again, pix_acc.get("now")).result, seeds))


def test_the_interval_is_that_of_one_further_value():
    """Values 20, 21, 22: s = 1, t(2, 97.5 %) = 4.302653, so the half width is 4.302653 * sqrt(4 / 3) = 4.968275."""
    low, high = prediction_interval([20.0, 21.0, 22.0], 0.95)
    assert (low, high) == (pytest.approx(21 - 4.968275, abs=1e-6), pytest.approx(21 + 4.968275, abs=1e-6))
    assert prediction_interval([20.0, 21.0], 0.95) is None
    assert prediction_interval([20.0, 20.0, 20.0], 0.95) == (20.0, 20.0)


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (20.5, EQUAL),
        (20.5 + 1e-9, EQUAL),
        (20.5 + 1e-6, WITHIN),
        (20.6, WITHIN),
        (25.9, WITHIN),
        (26.1, OUTSIDE),
        (16.0, OUTSIDE),
    ],
)
def test_the_other_seeds_decide(again, expected):
    """The interval of 20, 21 and 22 is 21 +- 4.97."""
    assert verdict(20.5, again) == expected


def test_two_other_seeds_decide_nothing():
    assert verdict(20.0, 20.1, others=(20.0, 21.0)) == UNDECIDED
    assert verdict(20.0, 20.0, others=()) == EQUAL


def test_values_near_zero_are_equal_by_their_difference():
    assert verdict(0.0, 5e-10) == EQUAL


def test_the_one_value_of_seeds_without_a_spread_is_within():
    assert verdict(20.5, 20.0, others=(20.0, 20.0, 20.0)) == WITHIN


def test_a_ranking_metric_that_was_not_measured_again_is_outside():
    seeds = [cell(seed, 19.0 + seed).result for seed in (1, 2, 3)]
    again = make_cell("mtan", values={"pixAcc": 50.0}, **ROW).result
    assert verdict_of(agreements(cell(0, 20.0, 50.0).result, again, seeds)) == OUTSIDE


def test_one_metric_outside_counts_more_than_one_undecided():
    """The other seeds have no depth error, so that it is undecided."""
    tasks = {"tasks": ("semseg", "depth"), "version": 2}
    stored, again = (
        make_cell("mtan", values={"mIoU": miou, "rmse@pixel": rmse}, **tasks).result
        for miou, rmse in ((20.0, 0.5), (90.0, 0.6))
    )
    others = [make_cell("mtan", seed=seed, values={"mIoU": 20.0 + seed}, **tasks).result for seed in (1, 2, 3)]
    assert verdict_of(agreements(stored, again, others)) == OUTSIDE


def test_a_metric_that_ranks_nothing_denies_equality_but_decides_nothing_else():
    assert verdict(20.0, 20.0, before=50.0, now=50.0) == EQUAL
    assert verdict(20.0, 20.0, before=50.0, now=90.0) == WITHIN
    assert verdict(20.0, 20.0, before=50.0) == WITHIN


def test_the_intervals_of_several_tasks_hold_together():
    """Three tasks: the level of each is u = 1 - 0.05 / 3. Two degrees of freedom: t = u * sqrt(2 / (1 - u^2))."""
    tasks = {"tasks": ("semseg", "depth", "normals")}
    values = [{"mIoU": 20.0 + seed, "rmse@pixel": 1.0, "mean@pixel": 30.0} for seed in range(4)]
    others = [make_cell("mtan", seed=seed, values=values[seed], version=2, **tasks).result for seed in (0, 1, 2)]
    stored = make_cell("mtan", seed=3, values=values[3], version=2, **tasks).result
    found = agreements(stored, stored, others)
    assert [entry.column.key for entry in found] == ["semseg/mIoU", "depth/rmse@pixel", "normals/mean@pixel"]
    level = 1 - 0.05 / 3
    assert found[0].interval[1] == pytest.approx(21 + level * (2 / (1 - level**2)) ** 0.5 * (4 / 3) ** 0.5, abs=1e-9)


def test_other_seeds_are_of_the_same_row_data_and_ingredients():
    own = cell(0, 20.0)
    same = [cell(seed, 20.0 + seed) for seed in (2, 1)]
    strangers = [
        cell(3, 20.0, version=3),
        cell(4, 20.0, data={"id": "e", "fingerprint": "g"}),
        cell(5, 20.0, settings={"lr": 1}),
        make_cell("pap", seed=6, values={"mIoU": 20.0}, **ROW),
        make_cell("mtan", seed=7, error="no memory", **ROW),
    ]
    assert [result.spec.seed for result in other_seeds(own.result, [own, *same, *strangers])] == [1, 2]
    assert other_seeds(make_cell("mtan").result, same) == []


def test_the_table_shows_both_values_and_the_interval():
    seeds = [cell(seed, 19.0 + seed).result for seed in (1, 2, 3)]
    text = agreement_text(agreements(cell(0, 20.5, 50.0).result, cell(0, 20.6, 50.5).result, seeds))
    ranked, other = text.splitlines()[2:]
    assert [part.strip() for part in ranked.split("|")[1:-1]] == [
        "semseg mIoU ↑ (%)",
        "20.50",
        "20.60",
        "+0.1",
        "[16.03, 25.97]",
        "within the spread",
    ]
    assert other.rstrip(" |").endswith("differs")


def test_the_table_shows_what_is_equal_and_what_is_missing():
    """The interval of pixAcc decides nothing, so it is not shown."""
    seeds = [cell(seed, 19.0 + seed, 50.0 + seed).result for seed in (1, 2, 3)]
    again = make_cell("mtan", values={"pixAcc": 50.0}, **ROW).result
    text = agreement_text(agreements(cell(0, 20.5, 50.0).result, again, seeds))
    ranked, other = ([part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines()[2:])
    dash = "\N{EN DASH}"
    assert ranked == ["semseg mIoU ↑ (%)", "20.50", dash, dash, "[16.03, 25.97]", "outside"]
    assert other == ["semseg pixAcc ↑ (%)", "50.00", "50.00", "0", dash, "equal"]
