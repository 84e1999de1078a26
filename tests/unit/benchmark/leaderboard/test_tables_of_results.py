"""Which cells tables hold and in which order, and the columns of their Markdown tables."""

from __future__ import annotations

from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.board_tables import details_table, rank_table, rank_text
from benchmark.leaderboard.tables import tables

ROWS = [("single_task", "none"), ("mtan", "none")]
BOTH = {"mIoU": 40.0, "pixAcc": 60.0}
ONE = {"tasks": ("semseg",), "version": 2}


def heads(text: str) -> list[str]:
    """The headings of a Markdown table."""
    return [part.strip() for part in text.splitlines()[0].strip("|").split("|")]


def test_the_ranking_of_a_board_gives_way_to_the_one_of_the_command() -> None:
    cells = [make_cell(*row, values=BOTH, **ONE) for row in ROWS]
    other = make_cell("mtan", values=BOTH, tasks=("semseg",))
    for chosen, names in (
        (None, ["pixAcc", "mIoU"]),
        ({"semseg": "mIoU"}, ["mIoU", "mIoU"]),
        ({"semseg": "pixAcc"}, ["pixAcc", "pixAcc"]),
    ):
        found = tables([*cells, other], [make_plan(ROWS, ranking={"semseg": "pixAcc"})], chosen)
        assert [column.name for table in found for column in table.columns] == names


def test_a_board_shows_no_result_on_unknown_data() -> None:
    board, other = tables(cells_with("mtan", "none", [20.0, 21.0], data={}), [make_plan(ROWS)])
    assert (board.results, len(other.rows)) == ([], 2)


def test_a_board_shows_no_result_of_another_split() -> None:
    board, other = tables(cells_with("mtan", "none", [20.0, 21.0], split="val"), [make_plan(ROWS)])
    assert (board.results, other.setting.split) == ([], "val")


def test_a_failed_cell_of_a_board_is_no_other_run() -> None:
    (board,) = tables([make_cell("mtan", error="no memory", **ONE)], [make_plan(ROWS)])
    assert len(board.not_done) == 1


def test_of_two_results_of_a_cell_the_one_that_finished_last_is_shown() -> None:
    old, new = (
        cells_with("mtan", "none", [miou], settings={"lr": rate}, provenance={"finished": day})
        for miou, rate, day in ((10.0, 1, "2027-01-01"), (20.0, 1, "2027-01-02"))
    )
    changed = cells_with("mtan", "none", [30.0], settings={"lr": 2}, provenance={"finished": "2027-01-03"})
    for cells, value in (([*old, *new], 20.0), ([*new, *old], 20.0), ([*changed, *old, *new], 30.0)):
        (table,) = tables(cells)
        (row,) = table.rows
        assert row.summary(table.columns[0]).mean == value
        assert table.num_stale == len(cells) - 1


def test_rows_of_other_runs_are_in_the_order_of_method_and_regularizer() -> None:
    names = [("b", "aux"), ("b", "none"), ("a", "none"), ("c", "aux")]
    (table,) = tables([make_cell(*name, values=BOTH) for name in names])
    assert [row.key.label for row in table.rows] == ["a", "b+aux", "b", "c+aux"]
    (table,) = tables([make_cell("m", seed=seed, values=BOTH, data={}) for seed in (2, 0, 1)])
    assert [row.seeds for row in table.rows] == [(0,), (1,), (2,)]


def test_tables_of_other_runs_are_in_the_order_of_recipe_version_and_number_of_tasks() -> None:
    made = [
        make_cell("m", recipe=recipe, version=version, tasks=tasks)
        for recipe, version, tasks in (
            ("b", 1, ("semseg",)),
            ("a", 2, ("depth",)),
            ("a", 1, ("depth",)),
            ("a", 1, ("semseg", "depth")),
        )
    ]
    found = [(table.setting.recipe, table.setting.version, len(table.setting.tasks)) for table in tables(made)]
    assert found == [("a", 1, 2), ("a", 1, 1), ("a", 2, 1), ("b", 1, 1)]


def test_the_fifth_metric_stands_in_the_details() -> None:
    tasks = ("semseg", "depth", "normals", "boundary", "saliency")
    cell = make_cell(
        "m", values={"mIoU": 1.0, "rmse@pixel": 1.0, "mean@pixel": 1.0, "odsF@seism": 1.0}, tasks=tasks, version=2
    )
    cell.result.metrics["saliency"] = {"maxF": {"value": 50.0, "unit": "%", "higher_is_better": True}}
    board = board_of(make_plan([("m", "none")], (0,)), [cell])
    first, second = rank_table(board), details_table(board, cell.path.parent, {"not recorded": "A"})
    assert heads(first)[2:-2] == [
        "semseg mIoU ↑ (%)",
        "depth rmse@pixel ↓ (m)",
        "normals mean@pixel ↓ (deg)",
        "boundary odsF@seism ↑ (%)",
    ]
    assert heads(second)[:5] == ["method", "regularizer", "n", "saliency maxF ↑ (%)", "param. training (M)"]


def test_a_table_without_a_reference_has_no_gain_and_other_runs_have_a_number_of_seeds() -> None:
    (analysis,) = analyse(tables(cells_with("m", "aux", [20.0, 21.0])))
    head, _, line = rank_table(analysis).splitlines()
    assert heads(head) == ["method", "regularizer", "semseg mIoU ↑ (%)", "n"]
    assert heads(line) == ["m", "aux", "20.50 ± 0.71", "2"]


def test_a_complete_row_has_no_rank_without_the_reference_on_its_seeds() -> None:
    cells = [*cells_with("single_task", "none", [20.0, 21.0]), *cells_with("mtan", "none", [20.0, 21.0, 22.0])]
    analysis = board_of(make_plan(ROWS, range(3)), cells)
    texts = {row.key.method: rank_text(analysis, row) for row in analysis.rows}
    assert texts == {"single_task": "2 of 3 seeds", "mtan": "\N{EN DASH}"}
