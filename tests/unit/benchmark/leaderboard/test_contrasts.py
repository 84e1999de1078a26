"""Regularizers of a method beside each other: which pairs there are, what they gain, and how that is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from benchmark.leaderboard.contrasts import contrast_table, contrasts
from benchmark.leaderboard.layout import ABSENT
from benchmark.leaderboard.markdown import full_table
from benchmark.leaderboard.rows import tables


def cells_of(cell, method, values, **changes):
    """Cells of a method: `values` has the mIoU of each seed, by regularizer."""
    return [
        cell(method, regularizer, seed, {"mIoU": value}, tasks=("semseg",), **changes)
        for regularizer, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


@pytest.fixture
def mtan(cell):
    """3D gains 10 and 20 % over the 2D control, which gains nothing over nothing."""
    return cells_of(cell, "mtan", {"none": [10.0, 20.0], "flat": [10.0, 20.0], "solid": [11.0, 24.0]})


@pytest.fixture
def pap(cell):
    """3D gains 30 and 40 % over the 2D control."""
    return cells_of(cell, "pap", {"none": [5.0, 5.0], "flat": [10.0, 10.0], "solid": [13.0, 14.0]})


def found(results):
    """By method, "" for all together, and regularizer."""
    (table,) = tables(results)
    return {(line.methods[0] if len(line.methods) == 1 else "", line.regularizer): line for line in contrasts(table)}


def test_a_regularizer_is_compared_with_the_others_of_its_method_by_seed(mtan):
    lines = found(mtan)
    assert set(lines) == {("mtan", "flat"), ("mtan", "solid")}
    over = lines["mtan", "solid"].over
    assert set(over) == {"none", "flat"}
    summary = over["flat"].summary
    assert (summary.n, summary.mean) == (2, pytest.approx(15))
    low, _ = stats.t.interval(0.95, 1, loc=15, scale=5)
    assert summary.mean - summary.ci95 == pytest.approx(low)
    # The gain the other way is over other numbers: -1/11 and -4/24 of them.
    assert lines["mtan", "flat"].over["solid"].summary.mean == pytest.approx(-100 * (1 / 11 + 4 / 24) / 2)


def test_all_methods_together_are_the_pairs_of_each(mtan, pap):
    over = found(mtan + pap)["", "solid"].over
    summary = over["flat"].summary
    assert (summary.n, summary.mean) == (4, pytest.approx(25))
    assert summary.std == pytest.approx(stats.tstd([10, 20, 30, 40]))
    assert over["none"].summary.mean == pytest.approx((10 + 20 + 160 + 180) / 4)


def test_one_method_is_not_summed_up(mtan):
    assert "" not in {method for method, _ in found(mtan)}


def test_a_method_with_one_regularizer_has_nothing_to_compare(cell, mtan):
    lonely = cells_of(cell, "pap", {"none": [5.0], "flat": [10.0]})
    assert {method for method, _ in found(mtan + lonely)} == {"mtan"}


def test_pairs_need_a_common_seed(cell):
    results = cells_of(cell, "mtan", {"none": [10.0, 10.0], "flat": [11.0]})
    results.append(cell("mtan", "solid", 1, {"mIoU": 12.0}, tasks=("semseg",)))
    lines = found(results)
    assert set(lines["mtan", "flat"].over) == set(lines["mtan", "solid"].over) == {"none"}


def test_regularizers_are_compared_in_the_same_settings(cell, mtan):
    """Those of another weight are compared with each other and with none, not with those of the first weight."""
    light = {"overrides": {"regularizer.weight": 0.1}}
    results = mtan + cells_of(cell, "mtan", {"flat": [20.0], "solid": [25.0]}, **light)
    results += cells_of(cell, "mtan", {"solid": [25.0]}, overrides={"regularizer.samples": 8})
    (table,) = tables(results)
    lines = {(line.regularizer, str(line.options)): line.over for line in contrasts(table)}
    assert set(lines) == {
        ("flat", ""),
        ("solid", ""),
        ("flat", "regularizer.weight=0.1"),
        ("solid", "regularizer.weight=0.1"),
    }
    light_solid = lines["solid", "regularizer.weight=0.1"]
    assert light_solid["flat"].summary.mean == pytest.approx(25)
    assert light_solid["none"].summary.mean == pytest.approx(150)


def test_results_on_unknown_data_are_not_compared(cell):
    results = cells_of(cell, "mtan", {"none": [10.0], "flat": [10.0], "solid": [11.0]}, data={})
    assert not contrasts(tables(results)[0])


def test_what_was_not_measured_is_named(cell, pap):
    results = cells_of(cell, "mtan", {"none": [10.0], "flat": [10.0]})
    results.append(cell("mtan", "solid", 0, {}, tasks=("semseg",)))
    lines = found(results + pap)
    assert lines["mtan", "solid"].over["flat"].note == "semseg mIoU not measured for seed 0"
    assert lines["", "solid"].over["flat"].note == "semseg mIoU not measured for seed 0 of mtan"


def test_fewer_pairs_than_cells_are_named(cell):
    results = cells_of(cell, "mtan", {"none": [10.0, 10.0], "flat": [10.0], "solid": [11.0, 24.0]})
    assert found(results)["mtan", "solid"].over["flat"].note == "1/2 seeds"


def test_the_table_gives_each_pair_with_its_interval(mtan, pap):
    (table,) = tables(mtan + pap)
    rows = [
        [entry.strip() for entry in line.strip("|").split("|")]
        for line in contrast_table(table).splitlines()
        if line.startswith("| ")
    ]
    head, _, *body = rows
    assert head == ["method", "regularizer", "n", "over none (%)", "over flat (%)", "over solid (%)"]
    assert [row[:3] for row in body] == [
        ["mtan", "flat", "2"],
        ["mtan", "solid", "2"],
        ["pap", "flat", "2"],
        ["pap", "solid", "2"],
        ["all 2", "flat", "4"],
        ["all 2", "solid", "4"],
    ]
    half = stats.t.ppf(0.975, 1) * 5
    assert body[1][4] == f"+15.00 [{15 - half:+.2f}, {15 + half:+.2f}]"
    assert body[1][5] == ABSENT


def test_all_methods_are_those_of_the_same_settings(cell, mtan, pap):
    """Three methods have rivals; two of them have the light ones."""
    results = mtan + pap + cells_of(cell, "atrc", {"none": [10.0], "flat": [10.0], "solid": [11.0]})
    for method in ("mtan", "pap"):
        light = {"overrides": {"regularizer.weight": 0.1}}
        results += cells_of(cell, method, {"flat": [20.0], "solid": [25.0]}, **light)
    (table,) = tables(results)
    named = [[entry.strip() for entry in line.split("|")[1:4]] for line in contrast_table(table).splitlines()]
    assert [entry for entry in named if entry and entry[0].startswith("all")] == [
        ["all 3", "flat", "5"],
        ["all 3", "solid", "5"],
        ["all 2", "flat (weight=0.1)", "2"],
        ["all 2", "solid (weight=0.1)", "2"],
    ]


def test_the_table_stands_in_the_leaderboard(mtan):
    (table,) = tables(mtan)
    assert contrast_table(table) in full_table(table, Path("results"))


def test_without_pairs_there_is_no_table(cell):
    (table,) = tables(cells_of(cell, "mtan", {"none": [10.0], "flat": [10.0]}))
    assert contrast_table(table) == ""
