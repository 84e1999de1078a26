"""The values, texts and captions of figures, on boards with gains by hand."""

from __future__ import annotations

import pytest
from made_up_results import board_of, cells_of_two_tasks, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import Analysis, analyse
from benchmark.leaderboard.figures.all_figures import figures_of
from benchmark.leaderboard.figures.captions import legend, shown_of
from benchmark.leaderboard.figures.coverage import coverage
from benchmark.leaderboard.figures.description import row_ids
from benchmark.leaderboard.figures.gains import (
    forest_over_reference,
    forests_of_regularizers,
    method_map,
    negative_transfer,
)
from benchmark.leaderboard.figures.pareto import pareto
from benchmark.leaderboard.figures.seeds import seed_strips
from benchmark.leaderboard.tables import tables

DASH = "\N{EN DASH}"
TASKS = ("semseg", "depth")
BASE = [(100.0, 1.0)] * 3
VALUES = {
    ("single_task", "none"): BASE,
    ("single_task", "aux"): [(109.0, 0.9), (110.0, 0.9), (111.0, 0.9)],
    ("a", "none"): [(100.0, 1.2), (100.0, 1.2), (100.0, 1.2)],
    ("a", "aux"): [(112.0, 1.2), (113.0, 1.2), (114.0, 1.2)],
    ("a", "flat"): [(100.0, 1.0), (101.0, 1.0)],
    ("b", "none"): BASE,
    ("b", "aux"): [(111.0, 0.9), (112.0, 0.9), (113.0, 0.9)],
}
COSTS = {"gmacs": 2.0, "latency_p50_seconds_batch1": 0.01, "step_memory_mb": 500.0}


def board() -> Analysis:
    """Mean gains over single_task: aux 10, a -10, a+aux -3.5, a+flat 0.5, b 0, b+aux 11; c has no result."""
    return board_of(make_plan([*VALUES, ("c", "none")], range(3)), cells_of_two_tasks(VALUES, version=2, cost=COSTS))


BOARD = board()
ONE_ROW = [("m", "none")]


def test_a_board_has_its_figures_in_reading_order() -> None:
    keys = ["forest-1", "forest-reference", "methods", "negative-transfer", "seeds", "pareto", "coverage"]
    assert [figure.key for figure in figures_of(BOARD)] == keys


def test_the_forest_over_the_reference_has_each_task_and_no_reference() -> None:
    figure = forest_over_reference(BOARD)
    assert figure is not None
    mean, semseg, depth = figure.panels
    assert [panel.title for panel in figure.panels] == ["mean over tasks", "semseg", "depth"]
    assert mean.categories == ("b+aux", "single_task+aux", "b", "a+aux", "a", "a+flat"), "incomplete rows come last"
    found = {mark.category: mark for mark in mean.marks}
    assert {name: mark.value for name, mark in found.items()} == pytest.approx(
        {"b+aux": 11, "single_task+aux": 10, "b": 0, "a+aux": -3.5, "a": -10, "a+flat": 0.25}
    )
    assert [mark.value for mark in depth.marks if mark.category == "a"] == pytest.approx([-20])
    assert [mark.value for mark in semseg.marks if mark.category == "single_task+aux"] == pytest.approx([10])
    low, high = found["single_task+aux"].low, found["single_task+aux"].high
    assert (low, high) == (pytest.approx(10 - 1.2421, abs=1e-4), pytest.approx(10 + 1.2421, abs=1e-4))
    assert (found["a"].style, found["b"].style, found["a+flat"].style) == ("loss", "open", "few")
    text = "a over single_task, mean over tasks, -10.00 [-10.00, -10.00] %, n = 3, p after Holm < 0.001, a loss"
    assert found["a"].text == text
    assert found["a+flat"].text == "a+flat over single_task, mean over tasks, +0.25 (n = 2) %"
    assert all(panel.zero for panel in figure.panels)
    assert (figure.title, mean.axis) == ("Gain over single_task", "gain (%)")


def test_the_forest_of_a_declared_pair_has_its_methods_and_their_means() -> None:
    """single_task gains 10, a 6.5 and b 11 %."""
    (figure,) = forests_of_regularizers(BOARD)
    mean, semseg, _ = figure.panels
    assert (figure.key, figure.title) == ("forest-1", "Gain of aux over none")
    assert mean.categories == ("single_task", "a", "b", "methods in general", "these methods")
    values = {mark.category: mark.value for mark in mean.marks}
    assert values == pytest.approx(
        {"single_task": 10, "a": 6.5, "b": 11, "methods in general": 27.5 / 3, "these methods": 27.5 / 3}
    )
    assert {mark.category: mark.value for mark in semseg.marks}["a"] == pytest.approx(13)
    texts = {mark.category: mark.text for mark in mean.marks}
    assert texts["methods in general"].startswith("aux over none, methods in general, mean over tasks, +9.17 [")
    assert "n = 3" in texts["methods in general"]
    assert "The last lines are means over 3 methods." in figure.caption
    assert "n = 2-3 seeds a row." in figure.caption


def test_the_means_over_methods_are_over_the_methods_with_three_seeds() -> None:
    """Three methods with four seeds, and one with two."""
    rows = [(method, name) for method in "abcd" for name in ("none", "aux")]
    values = [20.0, 21.0, 22.0, 22.0]
    cells = [cell for row in rows for cell in cells_with(*row, values[:2] if row[0] == "d" else values)]
    (figure,) = forests_of_regularizers(board_of(make_plan(rows, range(4)), cells))
    assert "The last lines are means over 3 methods." in figure.caption
    (text,) = [mark.text for mark in figure.panels[0].marks if mark.category == "methods in general"]
    assert "%, n = 3, p after Holm" in text


def test_without_a_declaration_every_regularizer_is_compared_with_none() -> None:
    cells = [cell for row in BOARD.rows for cell in row.cells]
    figures = forests_of_regularizers(board_of(make_plan([*VALUES], range(3), primary=()), cells))
    assert {figure.title for figure in figures} == {"Gain of aux over none", "Gain of flat over none"}
    assert [figure.key for figure in figures] == ["forest-1", "forest-2"]
    (other,) = (figure for figure in figures if "flat" in figure.title)
    assert "The last lines" not in other.caption, "one method"


def test_a_forest_without_enough_seeds_has_no_means_over_methods() -> None:
    rows = [(method, name) for method in ("m", "n") for name in ("none", "aux")]
    cells = [cell for row in rows for cell in cells_with(*row, [20.0, 21.0])]
    (figure,) = forests_of_regularizers(board_of(make_plan(rows, range(2)), cells))
    assert figure.panels[0].categories == ("m", "n")
    assert "The last lines" not in figure.caption


def test_p_values_of_a_text_are_adjusted_and_other_runs_have_none() -> None:
    """Two declared comparisons: the smaller p value is doubled."""
    rows = [("m", name) for name in ("none", "aux", "flat")]
    values = {"none": [20.0, 20.0, 20.0], "aux": [21.0, 22.0, 22.5], "flat": [20.1, 19.9, 20.2]}
    cells = [cell for name, found in values.items() for cell in cells_with("m", name, found)]
    analysis = board_of(make_plan(rows, range(3), primary=(("aux", "none"), ("flat", "none"))), cells)
    mark = forests_of_regularizers(analysis)[0].panels[0].marks[0]
    p = analysis.headlines()[0].estimate.p
    assert mark.text.endswith(f"n = 3, p after Holm {2 * p:.3f}, neither a gain nor a loss is shown")
    (other,) = analyse(tables(cells))
    assert forests_of_regularizers(other)[0].panels[0].marks[0].text.endswith("%, n = 3")


def test_the_map_marks_gains_losses_the_reference_and_missing_seeds() -> None:
    figure = method_map(BOARD)
    assert figure is not None
    mean, semseg, _ = figure.panels
    assert (mean.columns, mean.rows) == (("none", "aux", "flat"), ("single_task", "a", "b", "c"))
    labels = {place: cell.label for place, cell in mean.cells.items()}
    assert labels["single_task", "none"] == "ref"
    assert mean.cells["single_task", "none"].value == 0.0
    assert labels["a", "none"] == "-10.00 ▼"
    assert labels["b", "none"] == "0.00"
    assert labels["a", "flat"] == "+0.25 (2)"
    assert labels["c", "none"] == "0/3"
    assert semseg.cells["a", "none"].value == pytest.approx(0)
    assert "rows are drawn" not in figure.caption


def test_a_map_of_other_runs_says_where_no_seed_is_common() -> None:
    cells = [*cells_with("m", "none", [20.0]), *cells_with("n", "none", {1: 20.0})]
    (analysis,) = analyse(tables(cells))
    cell = method_map(analysis).panels[0].cells["n", "none"]
    assert (cell.value, cell.label, cell.text) == (None, DASH, "n: no gain yet, no common seed")


@pytest.mark.parametrize(
    ("gains", "limit"),
    [([*range(1, 10), 100], 9), ([*range(-9, 0), -99], 9), ([0.1], 0.5), ([3.0], 3.0), ([], 1.0)],
    ids=["one of ten is far off", "losses", "small gains", "one gain", "no gain"],
)
def test_nine_in_ten_gains_lie_within_the_colours(gains: list[float], limit: float) -> None:
    rows = [("single_task", "none"), *((f"m{number}", "none") for number in range(len(gains)))]
    cells = cells_with("single_task", "none", [100.0])
    cells += [cell for number, gain in enumerate(gains) for cell in cells_with(f"m{number}", "none", [100.0 + gain])]
    analysis = board_of(make_plan(rows, (0,)), cells)
    assert method_map(analysis).panels[0].limit == pytest.approx(limit)
    if gains:
        assert negative_transfer(analysis).panels[0].limit == pytest.approx(limit)


def test_the_colours_of_a_map_are_limited_by_the_mean_and_the_tasks() -> None:
    """The gains 0.1 and 20 % in two tasks have the mean 10.05: two of the three are within 10.05."""
    cells = [
        make_cell(method, values={"mIoU": miou, "rmse@pixel": rmse}, tasks=TASKS, version=2)
        for method, miou, rmse in (("single_task", 100.0, 1.0), ("m", 100.1, 0.8))
    ]
    analysis = board_of(make_plan([("single_task", "none"), ("m", "none")], (0,)), cells)
    assert method_map(analysis).panels[0].limit == pytest.approx(10.05)


def test_negative_transfer_counts_losses_and_leaves_the_reference_out() -> None:
    """Depth of a and a+aux: -20 % without a spread."""
    figure = negative_transfer(BOARD)
    assert figure is not None
    (panel,) = figure.panels
    assert panel.rows == ("b+aux", "single_task+aux", "b", "a+aux", "a", "a+flat")
    assert panel.cells["a", "depth"].value == pytest.approx(-20)
    assert "2 losses survive Holm" in figure.caption
    cells = [*cells_with("single_task", "none", [20.0] * 3), *cells_with("m", "none", [22.0] * 3)]
    gain = negative_transfer(board_of(make_plan([("single_task", "none"), ("m", "none")], range(3)), cells))
    assert "0 losses survive Holm" in gain.caption
    cells = [*cells_with("m", "none", [20.0] * 3), *cells_with("m", "aux", [10.0] * 3)]
    assert negative_transfer(board_of(make_plan([("m", "none"), ("m", "aux")], range(3)), cells)) is None


def test_captions_explain_their_marks() -> None:
    assert legend("gain", "loss", "few") == (
        "Filled upward triangle: a gain that survives Holm. Filled downward triangle: a loss that survives Holm. "
        "Cross: fewer than three common seeds, no interval."
    )
    assert (shown_of(40), shown_of(41)) == ("", "The first 40 of 41 rows are drawn.")
    assert "  " not in coverage(BOARD).caption


@pytest.mark.parametrize(("count", "end"), [(5, ""), (6, " and 1 more.")])
def test_coverage_tells_five_failures_in_words(count: int, end: str) -> None:
    cells = [make_cell("m", seed=seed, error="x" * 161, version=2) for seed in range(count)]
    caption = coverage(board_of(make_plan(ONE_ROW, range(count)), cells)).caption
    texts = [f"m seed {seed} failed: {'x' * 160}" for seed in range(5)]
    assert f"cells that failed or diverged. {'; '.join(texts)}.{end} Recipe smoke" in caption
    assert caption.endswith("no result yet.")


def test_coverage_without_a_failure_says_so() -> None:
    figure = coverage(BOARD)
    assert "failed or diverged: none." in figure.caption
    (panel,) = figure.panels
    assert (panel.limit, panel.diverging) == (1.0, False)
    assert panel.cells["a", "flat"].value == pytest.approx(2 / 3)
    assert panel.cells["a", "flat"].text == "a+flat: 2 of 3 seeds"


def test_rows_of_one_name_are_told_apart_by_their_seeds() -> None:
    (analysis,) = analyse(tables([make_cell("m", seed=seed, values={"mIoU": 1.0}, data={}) for seed in (0, 1)]))
    assert row_ids(analysis.rows) == {0: "m seed 0", 1: "m seed 1"}


def test_a_strip_has_texts_with_units_and_a_mean_of_two_seeds_or_more() -> None:
    cells = [*cells_with("m", "none", [20.0, 21.0]), *cells_with("n", "none", [0.5])]
    (analysis,) = analyse(tables(cells))
    texts = [mark.text for mark in seed_strips(analysis).panels[0].marks]
    assert texts == [
        "n, seed 0: 0.50 %",
        "m, seed 0: 20.00 %",
        "m, seed 1: 21.00 %",
        "m, mean of 2 seeds: 20.50 ± 0.71 %",
    ]
    cells = cells_with("m", "none", [0.5, 0.75])
    for cell in cells:
        cell.result.metrics["semseg"]["mIoU"]["unit"] = "1"
    (analysis,) = analyse(tables(cells))
    marks = seed_strips(analysis).panels[0].marks
    assert [mark.text for mark in marks] == [
        "m, seed 0: 0.5000",
        "m, seed 1: 0.7500",
        "m, mean of 2 seeds: 0.6250 ± 0.1768",
    ]


def test_a_strip_has_the_measured_metrics_and_the_rows_with_results() -> None:
    cell = make_cell("m", values={"mIoU": 20.0}, tasks=TASKS, version=2)
    (panel,) = seed_strips(board_of(make_plan([*ONE_ROW, ("n", "none")], (0,)), [cell])).panels
    assert (panel.title, panel.categories) == ("semseg mIoU", ("m",))


def test_costs_have_the_unit_of_their_axis_and_gains_their_interval() -> None:
    cells = cells_with("single_task", "none", [100.0] * 3, cost=COSTS)
    cells += cells_with("m", "none", [109.0, 110.0, 111.0], cost={**COSTS, "gmacs": 3.0})
    figure = pareto(board_of(make_plan([("single_task", "none"), ("m", "none")], range(3)), cells))
    assert figure is not None
    gmacs, latency, memory = figure.panels
    assert [panel.x_axis for panel in figure.panels] == [
        "multiply-accumulates of one image (G)",
        "latency of one image, median (ms)",
        "memory of a training step (MiB)",
    ]
    assert {point.x for point in latency.points} == {10.0}
    assert {point.x for point in memory.points} == {500.0}
    found = {point.name: point for point in gmacs.points}
    assert (found["m"].x, found["m"].y) == (3.0, pytest.approx(10))
    assert (found["m"].low, found["m"].high) == (pytest.approx(7.5159, abs=1e-4), pytest.approx(12.4841, abs=1e-4))
    assert (found["single_task"].y, found["single_task"].low) == (0.0, None)
    assert found["single_task"].text == "single_task: 2, gain 0, the reference"
    assert found["m"].text == "m: 3, gain +10.00 [+7.52, +12.48] %"
    assert "Left out" not in figure.caption


def test_a_row_of_equal_cost_or_equal_gain_is_exceeded_and_an_equal_row_is_not() -> None:
    """Costs and gains: (1, 0) the reference, (1, -5) of equal cost, (2, 10) twice, (3, 10) of equal gain."""
    rows = {"single_task": (1.0, 0.0), "a": (1.0, -5.0), "b": (2.0, 10.0), "c": (2.0, 10.0), "d": (3.0, 10.0)}
    cells = [
        cell
        for name, (gmacs, gain) in rows.items()
        for cell in cells_with(name, "none", [100.0 + gain] * 3, cost={"gmacs": gmacs})
    ]
    (panel,) = pareto(board_of(make_plan([(name, "none") for name in rows], range(3)), cells)).panels
    front = {point.name: point.on_front for point in panel.points}
    assert front == {"single_task": True, "a": False, "b": True, "c": True, "d": False}
