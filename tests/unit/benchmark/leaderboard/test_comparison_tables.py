"""The tables under a board, cell by cell: comparisons, gains of tasks, details, hardware and costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_results import board_of, cells_of_two_tasks, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.board_tables import (
    comparison_table,
    cost_tables,
    details_table,
    hardware_letters,
    hardware_text,
    task_table,
)
from benchmark.leaderboard.cost_table import CostRow, compute_table, from_measurement, parameter_table, short_hardware
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.tables import tables

DASH = "\N{EN DASH}"
TASKS = ("semseg", "depth")
NONE = [(100.0, 1.0)] * 3
VALUES = {
    ("a", "none"): NONE,
    ("b", "none"): NONE,
    ("c", "none"): NONE,
    ("a", "flat"): [(100.0, 1.0), (101.0, 0.99), (99.0, 1.01)],
    ("a", "aux"): [(109.0, 0.9), (110.0, 0.9), (111.0, 0.9)],
    ("b", "aux"): [(112.0, 0.8), (113.0, 0.8), (114.0, 0.8)],
    ("c", "aux"): [(106.0, 1.1), (107.0, 1.1)],
}


BOARD = board_of(make_plan([*VALUES, ("d", "none"), ("d", "aux")], range(3)), cells_of_two_tasks(VALUES, version=2))


def lines_of(text: str) -> list[list[str]]:
    """The texts of a Markdown table, without the line under its head."""
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines()]
    return [lines[0], *lines[2:]]


def test_declared_comparisons_come_first_and_statements_over_methods_before_rows() -> None:
    """Mean gains of a: 9.5, 10, 10.5 %, so 10 +- 4.3027 * 0.5 / sqrt(3); of b 6.5 % more; c has two seeds.

    These methods: 13.25 +- 2.7764 * sqrt(2 * 0.25 / 3) / 2 on four degrees of freedom. The primary family has six
    members, of which a method without results is one: p = 0.000832 of a is the third smallest and counts four times.
    """
    assert lines_of(comparison_table(BOARD)) == [
        ["comparison", "of", "n", "gain (%)", "ANOVA p", "p, Holm", "says", "methods"],
        ["aux over none (primary)", "methods in general", "3", "+13.25 (n = 2)", "< 0.001", DASH, DASH, "a, b"],
        [
            "aux over none (primary)",
            "these methods",
            "3",
            "+13.25 [+12.68, +13.82]",
            "< 0.001",
            "< 0.001",
            "gain",
            "a, b",
        ],
        ["aux over none (primary)", "a", "3", "+10.00 [+8.76, +11.24]", DASH, "0.003", "gain", "a"],
        ["aux over none (primary)", "b", "3", "+16.50 [+15.26, +17.74]", DASH, "0.002", "gain", "b"],
        ["aux over none (primary)", "c", "2", "-1.75 (n = 2)", DASH, DASH, DASH, "c"],
        ["flat over none", "a", "3", "0.00 [-2.48, +2.48]", DASH, "1.000", DASH, "a"],
        ["aux over flat", "a", "3", "+10.00 [+6.71, +13.30]", DASH, "0.151", DASH, "a"],
    ]


def test_comparisons_of_other_runs_have_no_family() -> None:
    (analysis,) = analyse(tables([cell for cell in cells_of_two_tasks(VALUES) if cell.result.spec.method == "a"]))
    head, first, *_ = lines_of(comparison_table(analysis))
    assert head == ["comparison", "of", "n", "gain (%)", "ANOVA p", "methods"]
    assert first == ["aux over none", "a", "3", "+10.00 [+8.76, +11.24]", DASH, "a"]
    assert task_table(analysis) == "", "nothing is declared"


def test_names_of_methods_in_the_last_column_are_text() -> None:
    cells = [*cells_with("a|b", "none", [20.0]), *cells_with("a|b", "aux", [21.0])]
    assert comparison_table(*analyse(tables(cells))).rstrip().endswith(r"| a\|b |")


def test_declared_comparisons_have_the_gain_of_each_task() -> None:
    """semseg of a: 10 +- 4.3027 / sqrt(3); depth does not vary. A word stands where the level of the rest is met."""
    assert lines_of(task_table(BOARD)) == [
        ["comparison", "of", "semseg (%)", "depth (%)"],
        ["aux over none", "a", "+10.00 [+7.52, +12.48]", "+10.00 [+10.00, +10.00] gain"],
        ["aux over none", "b", "+13.00 [+10.52, +15.48]", "+20.00 [+20.00, +20.00] gain"],
        ["aux over none", "c", "+6.50 (n = 2)", "-10.00 (n = 2)"],
        ["aux over none", "methods in general", "+11.50 (n = 2)", "+15.00 (n = 2)"],
        ["aux over none", "these methods", "+11.50 [+10.37, +12.63] gain", "+15.00 [+15.00, +15.00] gain"],
    ]
    cells = [*cells_with("a", "none", [20.0, 21.0]), *cells_with("a", "aux", [21.0, 22.0])]
    assert task_table(board_of(make_plan([("a", "none"), ("a", "aux")], range(2)), cells)) == "", "one task"


def test_details_are_of_the_rows_with_results() -> None:
    """Hashes are shortened, sorted and marked; 90 s of training are 1.5 minutes."""
    changes = {
        "settings": {"train_cfg.max_iters": 90},
        "cost": {"parameters_training": 3e6, "parameters_inference": 2e6},
    }
    cells = [
        *cells_with("m", "none", {0: 20.0}, provenance={"commit": "f" * 40, "dirty": True}, **changes),
        *cells_with("m", "none", {1: 20.0}, provenance={"commit": None}, **changes),
        *cells_with("m", "none", {2: 20.0}, provenance={"commit": "0123456789"}, **changes),
    ]
    for stored in cells:
        stored.result.cost["step_seconds"] = 1.0
    analysis = board_of(make_plan([("m", "none"), ("n", "none")], range(3)), cells)
    head, line = lines_of(details_table(analysis, cells[0].path.parent, {"not recorded": "A"}))
    assert head == [
        "method",
        "regularizer",
        "n",
        "param. training (M)",
        "param. inference (M)",
        "training (min)",
        "hardware",
        "commit",
        "runs by seed",
    ]
    assert line[:-1] == ["m", "none", "3", "3.00", "2.00", "1.5", "A", "`01234567`, `ffffffff*`, `none`"]
    assert line[-1].split() == [f"[{seed}](./{cell.path.name})" for seed, cell in enumerate(cells)]


def test_each_kind_of_hardware_has_a_letter_of_its_own() -> None:
    cells = tuple(make_cell("m", seed=seed, provenance={"hardware": {"cpu": f"C{seed}"}}) for seed in range(28))
    letters = hardware_letters([Row(RowKey("m", "none"), cells), Row(RowKey("n", "none"), cells[:1])])
    assert list(letters.items())[:2] == [("C0", "A"), ("C1", "B")]
    assert list(letters.items())[25:] == [("C25", "Z"), ("C26", "A26"), ("C27", "A27")]


def test_a_machine_is_named_by_processor_memory_and_system() -> None:
    machine = {"cpu": "X", "cores": 4, "threads": 2, "memory_gib": 16, "gpu": "H200", "system": "Linux", "more": 1}
    assert hardware_text(machine) == "X, cores: 4, threads: 2, 16 GiB, H200, Linux"
    assert hardware_text({"gpu": "H200"}) == "H200"
    assert hardware_text(None) == "not recorded"


def test_parameters_are_shown_in_millions_by_part() -> None:
    first = {"training": 3e6, "inference": 2e6, "backbone": 1e6, "shared": 5e5, "task_depth": 4e5, "auxiliary": 3e5}
    rows = [
        CostRow("m", "none", {f"parameters_{name}": value for name, value in first.items()}),
        CostRow("m", "aux", {"parameters_regularizer": 2.5e5, "parameters_unused": 1e4}),
    ]
    parts = ["training", "inference", "backbone", "shared", "depth", "auxiliary heads", "regularizer", "unused"]
    assert lines_of(parameter_table(rows)) == [
        ["method", "regularizer", *(f"{part} (M)" for part in parts)],
        ["m", "none", "3.000", "2.000", "1.000", "0.500", "0.400", "0.300", DASH, DASH],
        ["m", "aux", *[DASH] * 6, "0.250", "0.010"],
    ]


def test_costs_are_shown_by_batch_size_where_a_row_has_them() -> None:
    """Batch 16 comes after 8; nothing has its memory, so that there is no such column."""
    cost = {
        "gmacs": 1.25,
        "latency_p50_seconds_batch1": 0.01,
        "latency_p95_seconds_batch1": 0.02,
        "inference_memory_mb_batch1": 99.6,
        "step_seconds": 0.5,
        "step_memory_mb": 512.0,
        "step_time_ratio": 1.3,
        "step_memory_ratio": 1.7,
    }
    more = {
        "latency_p50_seconds_batch8": 0.03,
        "inference_memory_mb_batch8": 300.0,
        "latency_p50_seconds_batch16": 0.06,
    }
    head, first, second = lines_of(compute_table([CostRow("m", "none", cost, "here"), CostRow("m", "aux", more)]))
    assert head[2:] == [
        "GMACs",
        "latency p50 / p95, batch 1 (ms)",
        "memory, batch 1 (MiB)",
        "latency p50 / p95, batch 8 (ms)",
        "memory, batch 8 (MiB)",
        "latency p50 / p95, batch 16 (ms)",
        "training step (s)",
        "its memory (MiB)",
        "step time with / without",
        "step memory with / without",
        "size, hardware",
    ]
    none = f"{DASH} / {DASH}"
    assert first[2:] == ["1.250", "10.0 / 20.0", "100", none, DASH, none, "0.500", "512", "1.30", "1.70", "here"]
    assert second[2:] == [DASH, none, DASH, f"30.0 / {DASH}", "300", f"60.0 / {DASH}", *[DASH] * 4, ""]
    assert "hardware" not in compute_table([CostRow("m", "aux", more)])


@pytest.mark.parametrize(
    ("hardware", "name"),
    [
        ({"gpu": "H200", "cpu": "X"}, "H200"),
        ({"cpu": "X", "threads": 1}, "X, 1 thread"),
        ({"cpu": "X", "threads": 2}, "X, 2 threads"),
        (None, "hardware not recorded"),
    ],
)
def test_a_measurement_names_its_processor(hardware: object, name: str) -> None:
    assert short_hardware(hardware) == name


def test_costs_of_training_are_no_measurement() -> None:
    names = ("gmacs", "latency_p50_seconds_batch1", "inference_memory_mb_batch1", "step_seconds", "parameters_shared")
    assert all(map(from_measurement, names))
    assert not any(map(from_measurement, ("parameters_training", "parameters_inference", "train_seconds")))


def test_places_of_measurements_are_listed_once() -> None:
    places = [{"size": [1, 2], "hardware": {"gpu": gpu}} for gpu in ("G", "H", "G")]
    cells = tuple(
        make_cell("m", seed=seed, cost={"gmacs": 1.0}, provenance={"cost": place}) for seed, place in enumerate(places)
    )
    unmeasured = make_cell("n", cost={"parameters_training": 1.0})
    text = cost_tables([Row(RowKey("m", "none"), cells), Row(RowKey("n", "none"), (unmeasured,))])
    assert "| 1x2, G; 1x2, H |" in text
    assert "| n " not in text
    assert cost_tables([Row(RowKey("n", "none"), (unmeasured,))]) == ""


def test_paths_of_a_details_table_are_relative_to_its_folder() -> None:
    (cell,) = cells_with("m", "none", [20.0])
    text = details_table(board_of(make_plan([("m", "none")], (0,)), [cell]), Path("elsewhere"), {"not recorded": "A"})
    assert f"[0](../{cell.path.as_posix()})" in text
