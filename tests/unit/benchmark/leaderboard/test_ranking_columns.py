"""Which metric ranks a task, and the metrics that are named on the command line."""

from __future__ import annotations

import pytest
from made_up_results import make_cell

from benchmark.leaderboard.columns import Column, all_columns, chosen_columns, chosen_ranking, ranking_columns
from benchmark.records.result import RunResult

RESULT = make_cell("m", values={"mIoU": 40.0, "pixAcc": 60.0, "rmse@pixel": 0.5}).result


def shadows(*names: str) -> RunResult:
    """A result of a task that the suite does not know."""
    result = make_cell("m", tasks=("shadows",)).result
    result.metrics["shadows"] = {name: {"value": 1.0, "unit": "%", "higher_is_better": True} for name in names}
    return result


def test_a_chosen_metric_ranks_its_task_and_no_other() -> None:
    tasks = ("semseg", "depth")
    assert ranking_columns(tasks, [RESULT], {"semseg": "pixAcc"}) == (
        Column("semseg", "pixAcc", "%", True),
        Column("depth", "rmse@pixel", "m", False),
    )
    assert ranking_columns(tasks, [RESULT], {"depth": "absRel"})[1] == Column("depth", "absRel", "", True)


def test_a_task_without_a_result_has_its_standard_metric_with_its_direction() -> None:
    assert ranking_columns(("depth", "unknown"), []) == (Column("depth", "rmse@pixel", "", False),)


def test_an_unknown_task_is_ranked_by_a_standard_metric_if_it_has_one() -> None:
    (column,) = ranking_columns(("shadows",), [shadows("Fw", "mIoU")])
    assert column.name == "mIoU"


def test_a_metric_has_the_unit_of_the_first_result() -> None:
    other = make_cell("m", seed=1, values={"mIoU": 40.0}).result
    other.metrics["semseg"]["mIoU"]["unit"] = "1"
    assert all_columns([RESULT, other])["semseg/mIoU"].unit == "%"
    assert all_columns([other, RESULT])["semseg/mIoU"].unit == "1"


def test_columns_are_chosen_in_the_order_of_the_text() -> None:
    chosen = chosen_columns("semseg/pixAcc, depth/rmse@pixel,", [RESULT])
    assert [column.key for column in chosen] == ["semseg/pixAcc", "depth/rmse@pixel"]
    with pytest.raises(ValueError, match="--columns: found 'a/b', expected some of no metric"):
        chosen_columns("a/b", [])


def test_the_ranking_of_a_command_is_one_metric_by_task() -> None:
    assert chosen_ranking(" depth/absRel, semseg/pixAcc,") == {"depth": "absRel", "semseg": "pixAcc"}


@pytest.mark.parametrize("text", ["depth", "depth/", "/absRel", "/"])
def test_a_ranking_without_task_or_metric_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"--rank-by: found '{text}', expected TASK/METRIC such as depth/absRel"):
        chosen_ranking(text)
