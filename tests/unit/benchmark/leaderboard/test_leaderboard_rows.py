"""Which results stand in one table, what they are compared with, and their rank."""

from __future__ import annotations

import pytest
from scipy import stats

from benchmark.leaderboard.rows import tables

GOOD = {"mIoU": 44.0, "rmse@pixel": 0.45, "mean@pixel": 22.0}
REFERENCE = {"mIoU": 40.0, "rmse@pixel": 0.5, "mean@pixel": 20.0}


def row_of(table, method, regularizer="none"):
    return next(row for row in table.rows if (row.method, row.regularizer) == (method, regularizer))


def test_delta_m_by_hand(cell):
    """+10 %, +10 % and -10 %: see the test of `relative_gain`."""
    (table,) = tables([cell("single_task", values=REFERENCE), cell("hard_sharing", values=GOOD)])
    row = row_of(table, "hard_sharing")
    assert row.delta_m.summary.mean == pytest.approx(10 / 3)
    assert row.delta_m.note == ""
    assert row_of(table, "single_task").delta_m.summary.mean == 0
    assert [row.method for row in table.rows] == ["hard_sharing", "single_task"]


def test_delta_m_is_paired_by_seed(cell):
    """Both improve by 10 % at their own seed, so there is no spread, though the means of the metric differ much."""
    results = [
        cell("single_task", seed=0, values={"mIoU": 20.0}),
        cell("single_task", seed=1, values={"mIoU": 40.0}),
        cell("mtan", seed=0, values={"mIoU": 22.0}),
        cell("mtan", seed=1, values={"mIoU": 44.0}),
    ]
    (table,) = tables(results)
    summary = row_of(table, "mtan").delta_m.summary
    assert (summary.n, summary.mean) == (2, pytest.approx(10))
    assert summary.std == pytest.approx(0, abs=1e-9)


def test_delta_m_is_empty_when_a_single_task_seed_is_missing(cell):
    results = [cell("single_task", seed=seed, values=REFERENCE) for seed in (0, 1)]
    results += [cell("mtan", seed=seed, values=GOOD) for seed in (0, 1, 2)]
    (table,) = tables(results)
    assert row_of(table, "mtan").delta_m.summary is None
    assert row_of(table, "mtan").delta_m.note == "2/3 single-task seeds"


def test_single_task_with_a_regularizer_is_no_reference(cell):
    (table,) = tables([cell("single_task", "aux_heads", values=REFERENCE), cell("mtan", values=GOOD)])
    assert row_of(table, "mtan").delta_m.note == "0/1 single-task seeds"


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": "other"},
        {"backbone": "other"},
        {"overrides": {"lr": 1}},
        {"data": {"id": "other", "fingerprint": "f"}},
        {"data": {"id": "d", "fingerprint": "other"}},
        {"tasks": ("semseg", "depth", "normals", "boundary")},
    ],
)
def test_what_was_not_measured_alike_is_neither_averaged_nor_compared(cell, other):
    results = [cell("single_task", values=REFERENCE), cell("mtan", values=GOOD, **other), cell("mtan", values=GOOD)]
    found = tables(results)
    assert len(found) == 2
    alone = next(table for table in found if len(table.rows) == 1)
    assert alone.rows[0].delta_m.summary is None
    assert [len(row.cells) for table in found for row in table.rows] == [1, 1, 1]


def test_delta_reg_is_the_paired_gain_over_the_same_method_without_it(cell):
    """Gains of 10, 20 and 30 % at the three seeds that both have; the interval is scipy's."""
    results = [cell("mtan", seed=seed, values={"mIoU": 10.0 * (seed + 1)}) for seed in range(3)]
    results += [cell("mtan", "aux", seed, {"mIoU": 10.0 * (seed + 1) * (1.1 + 0.1 * seed)}) for seed in range(4)]
    (table,) = tables(results)
    gain = row_of(table, "mtan", "aux").delta_reg
    assert gain.summary.mean == pytest.approx(20)
    low, _ = stats.t.interval(0.95, 2, loc=20, scale=10 / 3**0.5)
    assert gain.summary.mean - gain.summary.ci95 == pytest.approx(low)
    assert gain.note == "3/4 seeds"
    assert row_of(table, "mtan").delta_reg.summary is None


def test_settings_of_a_regularizer_make_rows_of_one_table(cell):
    """Gains of 10 % and 20 % over the one row without a regularizer, which has no such settings."""
    results = [cell("mtan", seed=seed, values={"mIoU": 20.0}) for seed in (0, 1)]
    for weight, value in ((0.1, 22.0), ("calibrated", 24.0)):
        overrides = {"regularizer.weight": weight}
        results += [cell("mtan", "aux", seed, {"mIoU": value}, overrides=overrides) for seed in (0, 1)]
    (table,) = tables(results)
    assert str(table.setting.overrides) == ""
    gains = {str(row.options): row.delta_reg.summary and row.delta_reg.summary.mean for row in table.rows}
    assert gains == {
        "": None,
        "regularizer.weight=0.1": pytest.approx(10),
        'regularizer.weight="calibrated"': pytest.approx(20),
    }
    assert [len(row.cells) for row in table.rows] == [2, 2, 2]


def test_settings_of_a_regularizer_do_not_hide_the_others(cell):
    share, weight = {"train_dataloader.dataset.share": 0.25}, {"regularizer.weight": 0.1}
    results = [
        cell("mtan", values={"mIoU": 40.0}),
        cell("mtan", values={"mIoU": 20.0}, overrides=share),
        cell("mtan", "aux", values={"mIoU": 22.0}, overrides=share | weight),
    ]
    _, quarter = tables(results)
    assert str(quarter.setting.overrides) == "train_dataloader.dataset.share=0.25"
    assert row_of(quarter, "mtan", "aux").delta_reg.summary.mean == pytest.approx(10)


def test_a_metric_that_nobody_has_is_a_column_without_values_and_no_part_of_the_gain(cell):
    tasks = ("semseg", "boundary")
    values = {"single_task": 40.0, "mtan": 44.0}
    (table,) = tables([cell(method, values={"mIoU": value}, tasks=tasks) for method, value in values.items()])
    assert [(column.task, column.name) for column in table.columns] == [("semseg", "mIoU"), ("boundary", "odsF@seism")]
    assert [column.task for column in table.measured] == ["semseg"]
    assert row_of(table, "mtan").delta_m.summary.mean == pytest.approx(10)
    assert row_of(table, "mtan").rank == 1


def test_a_metric_that_only_some_have_leaves_the_others_unranked(cell):
    tasks = ("semseg", "boundary")
    results = [
        cell("single_task", values={"mIoU": 40.0, "odsF@seism": 70.0}, tasks=tasks),
        cell("mtan", values={"mIoU": 44.0}, tasks=tasks),
    ]
    (table,) = tables(results)
    assert row_of(table, "mtan").rank is None
    assert row_of(table, "mtan").delta_m.note == "boundary odsF@seism not measured for seed 0"
    assert row_of(table, "single_task").rank == 1


def test_without_single_task_cells_the_mean_rank_over_tasks_decides(cell):
    """Ranks: a 1, 2, 2 -> 5/3; b 2, 1, 1 -> 4/3; c 3, 3, 3."""
    results = [
        cell("a", values={"mIoU": 50.0, "rmse@pixel": 0.6, "mean@pixel": 21.0}),
        cell("b", values={"mIoU": 45.0, "rmse@pixel": 0.5, "mean@pixel": 20.0}),
        cell("c", values={"mIoU": 40.0, "rmse@pixel": 0.7, "mean@pixel": 22.0}),
    ]
    (table,) = tables(results)
    assert table.ranked_by == "mean rank"
    assert [(row.rank, row.method) for row in table.rows] == [(1, "b"), (2, "a"), (3, "c")]


def test_equal_rows_share_a_rank(cell):
    equal = [cell(name, values=REFERENCE) for name in ("single_task", "x", "y")]
    (table,) = tables([*equal, cell("z", values={"mIoU": 1.0})])
    assert [row.rank for row in table.rows] == [1, 1, 1, None]


def test_values_in_another_unit_are_not_averaged(cell):
    results = [cell("a", seed=seed, values={"mIoU": 40.0}, tasks=("semseg",)) for seed in (0, 1)]
    results[1].result.metrics["semseg"]["mIoU"].update(value=0.4, unit="1")
    (table,) = tables(results)
    assert table.rows[0].values[table.columns[0]] is None


def test_an_unknown_task_shows_its_first_metric(cell):
    result = cell("a", tasks=("saliency",))
    result.result.metrics["saliency"] = {
        name: {"value": 1.0, "unit": "%", "higher_is_better": True} for name in ("maxF", "other")
    }
    (table,) = tables([result])
    assert [(column.task, column.name) for column in table.columns] == [("saliency", "maxF")]


def test_failures_stand_below_the_table_of_their_setting(cell):
    results = [
        cell("single_task", values=REFERENCE),
        cell("mtan", error="out of memory", data={}),
        cell("mtan", seed=1, error="the loss is NaN", status="diverged"),
        cell("mtan", recipe="other", error="no data", data={}),
    ]
    other, smoke = tables(results)
    assert [cell.result.error for cell in smoke.not_done] == ["out of memory", "the loss is NaN"]
    assert (other.setting.recipe, other.rows, len(other.not_done)) == ("other", (), 1)


def test_results_without_provenance_can_still_be_shown(cell):
    result = cell("a", values=REFERENCE, data=None, provenance={"commit": None, "dirty": None})
    (table,) = tables([result])
    assert table.setting.data == ""
