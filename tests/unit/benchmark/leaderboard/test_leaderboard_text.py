"""LEADERBOARD.md, README block, terminal and LaTeX: what they show, and that hostile names stay text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.columns import chosen_columns
from benchmark.leaderboard.latex import latex_table
from benchmark.leaderboard.markdown import leaderboard, table_section
from benchmark.leaderboard.notes import reading_notes
from benchmark.leaderboard.readme import BEGIN, END, with_readme_block
from benchmark.leaderboard.statistics import Estimate, Summary
from benchmark.leaderboard.summary import noise_sentence
from benchmark.leaderboard.tables import tables
from benchmark.leaderboard.terminal import terminal_table
from benchmark.leaderboard.text import format_gain, format_mean_std, format_p, relative_path

OUT = Path("results")
TASKS = ("semseg", "depth", "normals", "boundary")
ROWS = [("single_task", "none"), ("hard_sharing", "none"), ("hard_sharing", "aux"), ("mtan", "none")]
HARDWARE = {"cpu": "X|Y", "cores": 1}
DATA = {"id": "d", "fingerprint": "f", "notes": ["Depth has 8 bits.", "Images are JPEG files."]}


def made():
    """Three rows with all of three seeds, one with two seeds and a failure."""
    cells = []
    for seed in range(3):
        base = {"mIoU": 20.0 + seed, "rmse@pixel": 0.91234, "mean@pixel": 30.0 + 0.1 * seed, "odsF@seism": 70.0}
        options = {
            "seed": seed,
            "tasks": TASKS,
            "version": 2,
            "settings": {"train_cfg.max_iters": 1500},
            "data": DATA,
            "provenance": {"dirty": seed == 2, "hardware": HARDWARE},
            "cost": {"parameters_training": 3_456_789.0, "parameters_inference": 3_400_000.0, "train_seconds": 9e9}
            | ({"step_seconds": 0.4} if seed == 0 else {}),
        }
        cells.append(make_cell("single_task", values=base, **options))
        cells.append(make_cell("hard_sharing", values={**base, "mIoU": 20.5 + seed, "pixAcc": 50.0 + seed}, **options))
        cells.append(make_cell("hard_sharing", "aux", values={**base, "mIoU": 30.0 + 1.5 * seed}, **options))
        if seed < 2:
            cells.append(make_cell("mtan", values=base, **options))
    cells.append(make_cell("mtan", seed=2, tasks=TASKS, version=2, error="a | pipe and <b>", data={}))
    return cells


@pytest.fixture
def board():
    return board_of(make_plan(ROWS, range(3), caveats=("Images are *small*.",)), made())


def lines_of(text: str) -> list[list[str]]:
    """Cells of the table lines of a Markdown text."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.replace("\\|", "¦").strip("|").split("|")] for row in rows]


def table_under(text: str, title: str) -> list[list[str]]:
    """The first table after a heading."""
    return lines_of(re.split(r"^#+ ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0])


def test_the_first_table_of_a_board_has_eight_columns(board):
    head, _, *rows = lines_of(table_section(board, OUT))[:6]
    assert head == [
        "method",
        "regularizer",
        "semseg mIoU ↑ (%)",
        "depth rmse@pixel ↓ (m)",
        "normals mean@pixel ↓ (deg)",
        "boundary odsF@seism ↑ (%)",
        r"gain over single_task (%)",
        "rank",
    ]
    by_name = {(row[0].strip("*"), row[1]): row for row in rows}
    assert by_name["mtan", "none"][-1] == "2 of 3 seeds (1 failed)"
    assert by_name["hard_sharing", "none"][2:4] == ["21.50 ± 1.00", "0.9123 ± 0.0000"]
    assert by_name["single_task", "none"][-2] == "reference"


def test_the_gain_comes_with_its_interval(board):
    """100 / 4 * 0.5 / (20, 21, 22) = 0.625, 0.5952, 0.5682: mean 0.5961, deviation 0.0284, half width 0.0706."""
    row = next(
        row for row in lines_of(table_section(board, OUT)) if [row[0].strip("*"), row[1]] == ["hard_sharing", "none"]
    )
    assert row[-2] == "+0.60 [+0.53, +0.67]"


def test_bold_marks_the_rows_that_are_not_worse_than_the_best_and_nothing_else(board):
    for row in lines_of(table_section(board, OUT))[2:6]:
        key = next(row_.key for row_ in board.rows if row_.key[:2] == (row[0].strip("*"), row[1]))
        best = key in board.ranks and board.ranks[key].among_best
        assert [cell.startswith("**") for cell in row] == [best, *[False] * 6, best]
    assert "**" not in table_section(board, OUT).partition("### Comparisons")[2]


def test_under_a_table_stand_power_noise_caveats_and_data_notes(board):
    text = table_section(board, OUT)
    assert "with 80 % power at 5 %, two-sided" in text
    assert re.search(r"standard deviation over seeds: semseg [\d.]+ % and normals [\d.]+ %\.", text)
    assert "* Images are \\*small\\*.\n" in text
    assert "* Data: Depth has 8 bits.\n* Data: Images are JPEG files.\n" in text


def test_training_minutes_are_steps_times_measured_step_time(board):
    """1500 steps of 0.4 s are 10 minutes; the wall time of 9e9 s is never shown."""
    head, _, *rows = table_under(table_section(board, OUT), "Details")
    assert {row[head.index("training (min)")] for row in rows} == {"10.0"}
    assert rows[0][head.index("param. training (M)")] == "3.46"


def test_details_lead_to_files_commits_and_hardware(board):
    text = leaderboard([board], [], OUT)
    assert "`01234567`, `01234567*`" in text
    assert "A star marks a commit" in text
    assert "Hardware A: X\\|Y, cores: 1" in text
    for cell in made():
        assert f"](runs/smoke/{cell.path.name})" in text, "a cell without a link"
    assert relative_path(Path("elsewhere"), Path("results/runs/a.json")) == "../results/runs/a.json"


def test_the_page_has_summary_contents_boards_other_runs_and_failures_in_this_order(board):
    other = analyse(tables([make_cell("mtan", values={"mIoU": 20.0}, overrides={"lr": 1})]))
    text = leaderboard([board, *other], [], OUT)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Summary",
        "Contents",
        "How to read the tables",
        "board: A board (recipe smoke version 2, data d)",
        "Other runs",
        "Cells that failed",
    ]
    assert "](#board-a-board-recipe-smoke-version-2-data-d)" in text
    assert "Recipe `smoke` version 2 · data `d`" in text
    assert "* failed: [smoke: mtan seed 2](" in text
    assert "`a \\| pipe and <b>`" in text


def test_the_summary_says_the_state_the_comparisons_and_the_limits(board):
    summary = leaderboard([board], [], OUT).partition("## Summary")[2].partition("## Contents")[0].strip().splitlines()
    assert len(summary) == 3
    assert "11 of 12 cells are done; of 3 ranked rows, hard_sharing+aux has the highest mean gain" in summary[0]
    assert summary[1].startswith("* aux over none: +11.")
    assert summary[2].startswith("* The board cannot say if two rows differ by less than about ")
    assert re.search(r"The noise of the mean gain is mostly the noise of semseg \(\d+ %\)\.$", summary[2])


@pytest.mark.parametrize(
    ("noise", "main"),
    [
        # Squares 9, 4 and 1: the first explains 64 % of their sum, both of them 93 %.
        ({"c": 1.0, "a": 3.0, "b": 2.0}, "a and b (93 %)"),
        ({"b": 2.0, "a": 6.0}, "a (90 %)"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, "a, b and c (100 %)"),
    ],
)
def test_the_noise_of_the_mean_gain_names_tasks_until_80_percent_are_explained(noise, main):
    sentence = noise_sentence(SimpleNamespace(noise=noise))
    assert sentence.endswith(f"The noise of the mean gain is mostly the noise of {main}.")


def test_words_follow_adjusted_p_values():
    """A difference of 5 ± 0.05 % is a gain; one of 1 ± 1 % is neither."""
    rows = [("mtan", "none"), ("mtan", "aux")]
    clear = cells_with("mtan", "none", [20.0] * 5) + cells_with("mtan", "aux", [21.0, 21.01, 20.99, 21.0, 21.02])
    vague = cells_with("mtan", "none", [20.0] * 5) + cells_with("mtan", "aux", [20.4, 20.0, 20.2, 20.3, 20.1])
    texts = [leaderboard([board_of(make_plan(rows), cells)], [], OUT) for cells in (clear, vague)]
    assert "), a gain." in texts[0]
    assert "neither a gain nor a loss is shown" in texts[1]
    assert table_under(texts[0], "Comparisons")[2][-2] == "gain"
    assert table_under(texts[1], "Comparisons")[2][-2] == "\N{EN DASH}"


def test_the_reading_notes_name_the_level_of_each_family():
    text = " ".join(reading_notes())
    assert "below 0.03 in the board's primary family, or below 0.01 in the family of all other comparisons." in text


def test_a_board_without_results_lists_its_rows():
    text = leaderboard([board_of(make_plan(ROWS), [])], [], OUT)
    assert "0 of 20 cells are done; no row can be ranked yet." in text
    assert text.count("0 of 5 seeds") == 4


def test_no_results_make_a_leaderboard_that_says_so():
    assert "No cell has been run yet." in leaderboard([], [], OUT)


def test_chosen_columns_replace_the_ranking_metrics(board):
    columns = chosen_columns("semseg/pixAcc, normals/mean@pixel", board.table.results)
    head, _, first, *_ = lines_of(table_section(board, OUT, columns))
    assert head[2:4] == ["semseg pixAcc ↑ (%)", "normals mean@pixel ↓ (deg)"]
    assert first[2] == "\N{EN DASH}", "no value for the row that lacks the metric"
    assert "semseg pixAcc" in terminal_table(board, 200, columns)
    assert "pixAcc" in terminal_table(board, 60, columns)
    with pytest.raises(ValueError, match=r"--columns: found 'depth/none', expected some of semseg/mIoU, depth/rmse"):
        chosen_columns("depth/none", board.table.results)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_terminal_table_fits_its_width(board, width):
    text = terminal_table(board, width)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert max(map(len, table)) <= width
    assert "2 of 3 seeds" in text or width == 60
    assert ("semseg mIoU" in text) == (width == 200)
    assert "failed: mtan+none-b-s2-" in text


HOSTILE = "<script>|*`[x](y)\x1b[31m\u202e"


def test_hostile_names_are_shown_as_text_everywhere():
    cells = [
        make_cell(method, seed=seed, values={"mIoU": 20.0 + seed})
        for method in ("single_task", "mtan")
        for seed in range(3)
    ]
    for stored in cells:
        object.__setattr__(stored.result.spec, "method", HOSTILE + stored.result.spec.method)
    cells.append(make_cell("mtan", error=HOSTILE.replace("\x1b", "").replace("\u202e", ""), data={}))
    (analysis,) = analyse(tables(cells))
    text = leaderboard([analysis], [], OUT)
    without_code = re.sub(r"`[^`\n]*`", "", text)
    assert "<script>" not in without_code
    assert "[x](y)" not in without_code
    assert len({len(line) for line in lines_of(table_section(analysis, OUT))[:2]}) == 1
    for shown in (text, terminal_table(analysis, 120)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_latex_has_booktabs_rules_intervals_and_a_caption(board):
    text = latex_table(board, rows=["hard*", "single_task"])
    assert all(rule in text for rule in ("\\toprule", "\\midrule", "\\bottomrule", "\\label{tab:board}"))
    assert "mtan" not in text
    caption = re.search(r"\\caption\{(.*)\}", text)[1]
    assert "n = 3 seeds" in caption
    assert "Recipe smoke version 2" in caption
    # 20.5, 21.5, 22.5: mean 21.5, half width 4.3027 / sqrt(3) = 2.48.
    assert r"hard\_sharing & none & $21.50$ [$19.02$, $23.98$] &" in text
    with pytest.raises(ValueError, match=r"--rows: no row fits nothing; the rows are hard_sharing\+aux"):
        latex_table(board, rows=["nothing"])


def test_a_latex_caption_names_the_protocol():
    cells = [make_cell("mtan", seed=0, values={"mIoU": 20.0}, split="val", overrides={"train_cfg.max_iters": 3})]
    caption = re.search(r"\\caption\{(.*)\}", latex_table(*analyse(tables(cells))))[1]
    assert "data d (val split), backbone b, with train\\_cfg.max\\_iters=3." in caption
    assert "over n = 1 seed; fewer than 3 seeds give no interval." in caption


def test_latex_gives_the_mean_alone_for_one_seed():
    text = latex_table(*analyse(tables(cells_with("mtan", "none", [21.0]))))
    assert "\nmtan & none & $21.00$ &" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_with_hostile_names_compiles(tmp_path):
    """Every name is printed as text, also letters that LaTeX has no font for."""
    cells = [make_cell("mtan", seed=seed, values={"mIoU": 20.0 + seed}, recipe="a_b%#") for seed in range(3)]
    for name, stored in zip((HOSTILE, r"$\input{x}^_&~{}", 'Müller \u0394m 中 "q" ±'), cells, strict=True):
        object.__setattr__(stored.result.spec, "method", name)
    text = latex_table(*analyse(tables(cells)))
    page = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-1500:]


def test_the_readme_block_is_rewritten_and_the_rest_kept(board):
    before = f"# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n"
    text = with_readme_block(before, [board])
    assert text.startswith(f"# Title\n\n{BEGIN}\n**board: A board (recipe smoke version 2, data d)**\n")
    assert text.endswith(f"|\n{END}\n\nmore\n")
    assert with_readme_block(text, [board]) == text
    with pytest.raises(ValueError, match="no block to rewrite"):
        with_readme_block("# Title\n", [board])


def test_the_readme_leaves_out_rows_without_a_result():
    plan = make_plan([*ROWS, ("invpt", "none"), ("invpt", "aux")], range(3))
    text = with_readme_block(f"{BEGIN}\n{END}", [board_of(plan, made())])
    assert "* The table leaves out 2 rows that have no result yet.\n" in text
    assert not [row for row in lines_of(text) if row[0].strip("*") == "invpt"]
    whole = with_readme_block(f"{BEGIN}\n{END}", [board_of(make_plan(ROWS, range(3)), made())])
    assert "leaves out" not in whole
    assert [row[:2] for row in lines_of(text)] == [row[:2] for row in lines_of(whole)]


def test_numbers_are_rounded_as_their_unit_asks():
    assert format_mean_std(Summary(3, 21.504, 0.996), "%") == "21.50 ± 1.00"
    assert format_mean_std(Summary(1, 0.91234, None), "m") == "0.9123"
    assert format_mean_std(None, "m") == "\N{EN DASH}"
    assert format_gain(Estimate(3, -0.001, 1.0, -1.234, 1.236)) == "0.00 [-1.23, +1.24]"
    assert format_gain(Estimate(2, 0.5, 1.0)) == "+0.50 (n = 2)"
    assert (format_p(0.0004), format_p(0.0412), format_p(None)) == ("< 0.001", "0.041", "\N{EN DASH}")
