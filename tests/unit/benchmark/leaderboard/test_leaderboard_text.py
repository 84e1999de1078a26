"""What stands in LEADERBOARD.md, on the terminal and in leaderboard.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from benchmark.leaderboard.csv_table import csv_text
from benchmark.leaderboard.markdown import brief_table, full_table, leaderboard, plain
from benchmark.leaderboard.rows import tables

OUT = Path("results")
TASKS = ("semseg", "depth", "normals", "boundary")


@pytest.fixture
def results(cell):
    """Single-task, hard sharing with and without aux_heads over three seeds; one failure."""
    made = []
    for seed in range(3):
        options = {
            "seed": seed,
            "tasks": TASKS,
            "provenance": {"dirty": seed == 2, "hardware": {"cpu": "X|Y", "cores": 1}},
            "cost": {"parameters_training": 3_456_789.0, "parameters_inference": 3_400_000.0, "train_seconds": 573.4},
        }
        base = {"mIoU": 20.0 + seed, "rmse@pixel": 0.91234, "mean@pixel": 30.0}
        made.append(cell("single_task", values=base, **options))
        made.append(cell("hard_sharing", values={**base, "mIoU": 20.5 + seed}, **options))
        made.append(cell("hard_sharing", "aux_heads", values={**base, "mean@pixel": 29.0}, **options))
    made.append(cell("mtan", tasks=TASKS, error="a | pipe and <b>", data={}))
    return made


def lines_of(text: str) -> list[list[str]]:
    """Cells of the table lines of a Markdown text."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.replace("\\|", "¦").strip("|").split("|")] for row in rows]


def test_every_row_has_every_column(results):
    lines = lines_of(full_table(tables(results)[0], OUT))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) == 2 + 3


def test_training_counts_that_of_the_cells_it_started_from(cell):
    """90 and 150 seconds of its own, 60 and 120 of others: 3.5 minutes on average."""
    made = [
        cell(
            "cross_stitch",
            seed=seed,
            tasks=TASKS,
            values={"mIoU": 20.0},
            cost={"train_seconds": 90.0 + 60 * seed, "needed_train_seconds": 60.0 + 60 * seed},
        )
        for seed in range(2)
    ]
    head, _, row = lines_of(full_table(tables(made)[0], OUT))
    assert row[head.index("training (min)")] == "3.5"


def test_headings_say_metric_direction_and_unit(results):
    head = lines_of(full_table(tables(results)[0], OUT))[0]
    assert head[4:8] == [
        "semseg mIoU ↑ (%)",
        "depth rmse@pixel ↓ (m)",
        "normals mean@pixel ↓ (deg)",
        "boundary odsF@seism ↑",
    ]


def test_numbers_are_rounded_as_their_unit_asks_and_the_best_are_bold(results):
    """Gains of hard sharing: 100 / 3 * 0.5 / (20, 21, 22), so 0.8333, 0.7937, 0.7576: mean 0.7949, std 0.0379."""
    lines = lines_of(full_table(tables(results)[0], OUT))
    rows = {(line[1], line[2]): line for line in lines[2:]}
    plain_row = rows["hard_sharing", "none"]
    assert plain_row[3:8] == ["3", "**21.50 ± 1.00**", "**0.9123 ± 0.0000**", "30.00 ± 0.00", "\N{EN DASH}"]
    assert plain_row[8] == "+0.79 ± 0.04"
    assert rows["single_task", "none"][8] == "0.00 (reference)"
    assert plain_row[10:13] == ["3.46", "3.40", "9.6"]
    assert rows["hard_sharing", "aux_heads"][6] == "**29.00 ± 0.00**"


def test_the_gain_of_a_regularizer_comes_with_its_interval(results):
    """Semseg loses 0.5 / (20.5, 21.5, 22.5), normals gain 1 / 30: 0.2981, 0.3359, 0.3704 %, mean 0.3348.

    The standard deviation is 0.03615, so the half width 4.3027 * 0.03615 / sqrt(3) = 0.0898.
    """
    lines = lines_of(full_table(tables(results)[0], OUT))
    assert lines[2][2] == "aux_heads"
    assert lines[2][9] == "**+0.33 [+0.25, +0.42]**"


def test_settings_of_a_regularizer_stand_behind_its_name(cell):
    overrides = {"regularizer.metric_rays": False, "regularizer.depth": "feature", "train_cfg.max_iters": 9}
    results = [
        cell("mtan", values={"mIoU": 20.0}, overrides={"train_cfg.max_iters": 9}),
        cell("mtan", "three_d_aware", values={"mIoU": 22.0}, overrides=overrides),
        cell("mtan", "three_d_aware", seed=1, error="NaN", overrides=overrides),
    ]
    (table,) = tables(results)
    text = full_table(table, OUT)
    assert "with `train_cfg.max_iters=9`" in text
    assert [line[2] for line in lines_of(text)[2:]] == ["three_d_aware (depth=feature, metric_rays=false)", "none"]
    assert "[mtan+three_d_aware (depth=feature, metric_rays=false) seed 1](" in text
    rows = {row["regularizer"]: row["overrides"] for row in csv.DictReader(io.StringIO(csv_text([table], OUT)))}
    assert rows["three_d_aware"] == ('regularizer.depth="feature" regularizer.metric_rays=false train_cfg.max_iters=9')
    assert rows["none"] == "train_cfg.max_iters=9"


def test_rows_lead_to_their_files_and_commits(results):
    text = full_table(tables(results)[0], OUT)
    assert "`01234567`, `01234567*`" in text
    for cell in results:
        assert f"](runs/smoke/{cell.path.name})" in text, "a cell without a link"
    assert "Hardware A: X\\|Y, cores: 1" in text
    assert "* **failed**: [mtan+none seed 0](" in text
    assert "`a \\| pipe and <b>`" in text


def test_a_cell_that_another_commit_began_names_both(cell):
    part = {"until": 5, "seconds": 1.0, "commit": "f" * 40, "dirty": True}
    (table,) = tables([cell("mtan", values={"mIoU": 20.0}, provenance={"earlier_parts": [part]})])
    text = full_table(table, OUT)
    assert "`01234567`, `ffffffff*`" in text
    assert "A star marks" in text
    (row,) = csv.DictReader(io.StringIO(csv_text([table], OUT)))
    assert row["commits"] == f"0123456789abcdef {'f' * 40}"
    assert row["dirty"] == "True"


def test_links_are_relative_to_where_the_text_lies(results):
    assert "](../results/runs/smoke/" in full_table(tables(results)[0], Path("elsewhere"))


def test_the_terminal_gets_a_table_without_links(results):
    text = brief_table(tables(results)[0])
    assert "](" not in text
    assert "hard_sharing" in text
    assert "failed: mtan+none-b-s0-" in text


def test_no_results_make_a_leaderboard_that_says_so():
    assert "No cell has been run yet." in leaderboard([], [], OUT)


def test_hostile_text_cannot_break_a_table():
    assert plain("a|b\nc<script>*") == "a\\|b c&lt;script>\\*"


def test_the_csv_holds_every_metric_unrounded(results):
    rows = list(csv.DictReader(io.StringIO(csv_text(tables(results), OUT))))
    row = next(row for row in rows if (row["method"], row["regularizer"]) == ("hard_sharing", "none"))
    assert float(row["depth/rmse@pixel [m] mean"]) == 0.91234
    assert float(row["semseg/mIoU [%] std"]) == 1.0
    assert float(row["semseg/mIoU [%] ci95"]) == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert row["seeds"] == "0 1 2"
    assert float(row["delta_m [%] mean"]) == pytest.approx(100 / 3 * (0.5 / 20 + 0.5 / 21 + 0.5 / 22) / 3)
    assert row["dirty"] == "True"
    assert row["files"].split()[0].startswith("runs/smoke/hard_sharing+none")
    assert row["parameters_training"] == "3456789.0"
