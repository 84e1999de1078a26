"""Other runs: which results stand in one table, what they are compared with, and what is never mixed."""

from __future__ import annotations

import pytest
from scipy import stats

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.comparisons import GENERAL, ROW
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.tables import tables
from benchmark.records.overrides import Overrides

GOOD = {"mIoU": 44.0, "rmse@pixel": 0.45, "mean@pixel": 22.0}
REFERENCE = {"mIoU": 40.0, "rmse@pixel": 0.5, "mean@pixel": 20.0}
NONE = RowKey("mtan", "none")


def only(results):
    """The analysis of the one table that results make."""
    (table,) = tables(results)
    return analyse([table])[0]


def row_of(analysis, method, regularizer="none"):
    return next(row for row in analysis.rows if row.key[:2] == (method, regularizer))


def test_the_gain_over_single_task_by_hand(cell):
    """+10 %, +10 % and -10 %: the mean is +3.33 %."""
    analysis = only([cell("single_task", values=REFERENCE), cell("hard_sharing", values=GOOD)])
    assert analysis.delta(RowKey("hard_sharing", "none")).estimate.mean == pytest.approx(10 / 3)
    assert analysis.delta(RowKey("single_task", "none")) is None, "the reference is not compared with itself"
    assert [row.key.method for row in analysis.rows] == ["hard_sharing", "single_task"]


def test_rows_are_in_the_order_of_their_mean_gain_over_the_reference(cell):
    """Means over single_task: a (30 - 10) / 2 = 10, single_task 0 without a gain, b (0 + 10) / 2 = 5, c -50, c+aux -40.

    c+aux has the largest gain over its own method, +20, and b the largest gain in depth.
    """
    values = {("single_task", "none"): (20, 1.0), ("c", "aux"): (12, 1.4), ("c", "none"): (10, 1.5)}
    values |= {("b", "none"): (20, 0.9), ("a", "none"): (26, 1.1)}
    results = [
        cell(*row, values={"mIoU": miou, "rmse@pixel": rmse}, tasks=("semseg", "depth"))
        for row, (miou, rmse) in values.items()
    ]
    assert [row.key.label for row in only(results).rows] == ["a", "b", "c+aux", "c", "single_task"]


def test_a_gain_is_paired_by_seed(cell):
    """Both improve by 10 % at their own seed, so there is no spread, though the means of the metric differ much."""
    values = {("single_task", 0): 20.0, ("single_task", 1): 40.0, ("mtan", 0): 22.0, ("mtan", 1): 44.0}
    analysis = only([cell(method, seed=seed, values={"mIoU": miou}) for (method, seed), miou in values.items()])
    estimate = analysis.delta(NONE).estimate
    assert (estimate.n, estimate.mean) == (2, pytest.approx(10))
    assert estimate.std == pytest.approx(0, abs=1e-9)


def test_only_common_seeds_are_compared(cell):
    """Gains of 10, 20 and 30 % at the three seeds that both have; the interval is scipy's."""
    results = [cell("mtan", seed=seed, values={"mIoU": 10.0 * (seed + 1)}) for seed in range(3)]
    results += [cell("mtan", "aux", seed, {"mIoU": 10.0 * (seed + 1) * (1.1 + 0.1 * seed)}) for seed in range(4)]
    found = only(results).find(ROW, RowKey("mtan", "aux"), NONE)
    low, _ = stats.t.interval(0.95, 2, loc=20, scale=10 / 3**0.5)
    assert (found.seeds, found.estimate.mean) == ((3,), pytest.approx(20))
    assert found.estimate.low == pytest.approx(low)


def test_nothing_is_ranked_or_called_a_gain(cell):
    results = [cell("single_task", seed=seed, values={"mIoU": 40.0 + 0.1 * seed}) for seed in range(5)]
    results += [cell("mtan", seed=seed, values={"mIoU": 60.0 + 0.2 * seed}) for seed in range(5)]
    analysis = only(results)
    found = analysis.delta(NONE)
    assert found.estimate.p < 1e-6
    assert (found.p_adjusted, found.verdict, analysis.ranks) == (None, "", {})


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": "other"},
        {"backbone": "other"},
        {"overrides": {"lr": 1}},
        {"data": {"id": "other", "fingerprint": "f"}},
        {"data": {"id": "d", "fingerprint": "other"}},
        {"tasks": ("semseg", "depth", "normals", "boundary")},
        {"split": "val"},
        {"version": 1},
    ],
    ids=str,
)
def test_what_was_not_measured_alike_is_neither_averaged_nor_compared(cell, other):
    alone = [cell("single_task", values=REFERENCE), cell("mtan", values=GOOD)]
    apart = [cell("mtan", "aux", values=GOOD, **other), cell("mtan", seed=1, values=GOOD, **other)]
    found = analyse(tables([*alone, *apart]))
    assert len(found) == 2
    assert only(alone) in found, "the results that were there stay as they are"
    (another,) = [analysis for analysis in found if analysis != only(alone)]
    assert not another.comparisons or {item.baseline.method for item in another.comparisons} == {"mtan"}
    assert [len(row.cells) for row in another.rows] == [1, 1]


def test_results_on_unknown_data_are_not_averaged_or_compared(cell):
    analysis = only([cell("mtan", seed=seed, values={"mIoU": 20.0 + seed}, data={}) for seed in range(3)])
    assert [len(row.cells) for row in analysis.rows] == [1, 1, 1]
    assert (analysis.comparisons, analysis.reference) == ((), None)


@pytest.mark.parametrize("data", [{"id": "d"}, {"fingerprint": "f"}], ids=str)
def test_an_id_or_a_fingerprint_is_enough_to_compare(cell, data):
    analysis = only([cell("mtan", seed=seed, values={"mIoU": 20.0 + seed}, data=data) for seed in range(3)])
    assert [len(row.cells) for row in analysis.rows] == [3]
    assert analysis.reference == RowKey("mtan", "none")


def test_rows_without_a_metric_are_not_compared(cell):
    assert only([cell("single_task"), cell("mtan")]).comparisons == ()


def test_settings_of_a_regularizer_make_rows_of_one_table(cell):
    """Gains of 10 % and 20 % over the one row without a regularizer, which has no such settings."""
    results = [cell("mtan", seed=seed, values={"mIoU": 20.0}) for seed in (0, 1)]
    for weight, value in ((0.1, 22.0), ("calibrated", 24.0)):
        overrides = {"regularizer.weight": weight}
        results += [cell("mtan", "aux", seed, {"mIoU": value}, overrides=overrides) for seed in (0, 1)]
        results += [cell("mtan", "flat", seed, {"mIoU": value}, overrides=overrides) for seed in (0, 1)]
    analysis = only(results)
    light, strong = (Overrides({"regularizer.weight": weight}) for weight in (0.1, "calibrated"))
    gain = analysis.find(ROW, RowKey("mtan", "aux", light), NONE).estimate.mean
    assert gain == pytest.approx(10)
    assert analysis.find(ROW, RowKey("mtan", "aux", strong), NONE).estimate.mean == pytest.approx(20)
    assert analysis.find(ROW, RowKey("mtan", "flat", light), RowKey("mtan", "aux", light)) is not None
    assert analysis.find(ROW, RowKey("mtan", "flat", light), RowKey("mtan", "aux", strong)) is None


def test_a_regularizer_of_one_method_says_nothing_over_methods(cell):
    results = [cell(method, seed=seed, values={"mIoU": 20.0 + seed}) for method in ("mtan", "pap") for seed in range(3)]
    results += [cell("mtan", "aux", seed, {"mIoU": 21.0}) for seed in range(3)]
    assert {found.kind for found in only(results).comparisons} == {ROW}
    results += [cell("pap", "aux", seed, {"mIoU": 22.0}) for seed in range(3)]
    assert {found.methods for found in only(results).comparisons if found.kind == GENERAL} == {("mtan", "pap")}


def test_a_metric_that_no_result_has_is_a_column_without_values_and_no_part_of_the_gain(cell):
    values = {"single_task": 40.0, "mtan": 44.0}
    results = [cell(method, values={"mIoU": value}, tasks=("semseg", "boundary")) for method, value in values.items()]
    analysis = only(results)
    assert [column.key for column in analysis.table.columns] == ["semseg/mIoU", "boundary/odsF@seism"]
    assert [column.key for column in analysis.table.measured] == ["semseg/mIoU"]
    assert analysis.delta(NONE).estimate.mean == pytest.approx(10)


def test_a_seed_without_a_metric_is_left_out_of_the_comparison(cell):
    tasks = ("semseg", "boundary")
    both = {"mIoU": 40.0, "odsF@seism": 70.0}
    results = [cell("single_task", seed=seed, values=both, tasks=tasks) for seed in (0, 1)]
    results += [cell("mtan", seed=0, values=both, tasks=tasks), cell("mtan", seed=1, values={"mIoU": 9.0}, tasks=tasks)]
    found = only(results).delta(NONE)
    assert (found.seeds, found.estimate.mean) == ((1,), 0.0)


def test_values_in_another_unit_are_not_averaged(cell):
    results = [cell("a", seed=seed, values={"mIoU": 40.0}, tasks=("semseg",)) for seed in (0, 1)]
    results[1].result.metrics["semseg"]["mIoU"].update(value=0.4, unit="1")
    (table,) = tables(results)
    assert table.rows[0].summary(table.columns[0]) is None


def test_an_unknown_task_shows_its_first_metric(cell):
    result = cell("a", tasks=("shadows",))
    result.result.metrics["shadows"] = {
        name: {"value": 1.0, "unit": "%", "higher_is_better": True} for name in ("Fw", "other")
    }
    (table,) = tables([result])
    assert [column.key for column in table.columns] == ["shadows/Fw"]


def test_failures_are_kept_with_the_setting_that_they_asked_for(cell):
    results = [
        cell("single_task", values=REFERENCE),
        cell("mtan", error="out of memory", data={}),
        cell("mtan", seed=1, error="the loss is NaN", status="diverged"),
        cell("mtan", recipe="other", error="no data", data={}),
    ]
    other, smoke = tables(results)
    assert [failed.result.error for failed in smoke.not_done] == ["out of memory", "the loss is NaN"]
    assert (other.setting.recipe, other.rows, len(other.not_done)) == ("other", (), 1)


def test_a_result_without_ingredients_is_older_than_one_with(cell):
    """They never share a table, since the version of the recipe of the first is unknown."""
    found = tables([cell("mtan", values=GOOD), cell("mtan", values=GOOD, version=1)])
    assert [table.setting.version for table in found] == [None, 1]
