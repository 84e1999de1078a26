"""Board files: rows, seeds, and wrong entries answered by one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records.boards import BOARDS, board_names, read_board, read_grid_file
from benchmark.records.overrides import Overrides
from benchmark.records.validation import RecordError

RESULTS = Path(__file__).resolve().parents[4] / "results"
TEXT = """
title = "Test"
recipe = "smoke"
version = 1
settings = { "train_cfg.max_iters" = 3 }

[[cells]]
methods = ["a", "b"]
regularizers = ["none", "r"]
seeds = [0, 1]

[[cells]]
methods = ["a"]
regularizers = ["none", "r"]
seeds = [2]
settings = { "regularizer.width" = 4 }

[[comparisons]]
regularizer = "r"
over = "none"
methods = ["a", "b"]
"""


def board(root: Path, text: str):
    (root / BOARDS).mkdir()
    (root / BOARDS / "mine.toml").write_text(text)
    return read_board(root, "mine")


def test_rows_join_the_seeds_of_their_blocks_and_none_has_no_settings_of_the_regularizer(tmp_path):
    rows = {(row.method, row.regularizer, str(row.settings)): row.seeds for row in board(tmp_path, TEXT).rows()}
    assert rows == {
        ("a", "none", "train_cfg.max_iters=3"): (0, 1, 2),
        ("a", "r", "train_cfg.max_iters=3"): (0, 1),
        ("b", "none", "train_cfg.max_iters=3"): (0, 1),
        ("b", "r", "train_cfg.max_iters=3"): (0, 1),
        ("a", "r", "regularizer.width=4 train_cfg.max_iters=3"): (2,),
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("recipe =", "recipee =", "unknown key recipee. Did you mean 'recipe'"),
        ("regularizers =", "regularisers =", "unknown key cells.0.regularisers. Did you mean 'regularizers'"),
        ("version = 1", "version = 0", "version: Input should be greater than or equal to 1, found 0"),
        ("version = 1", "", "version: Field required$"),
        ("seeds = [0, 1]", "seeds = [0, -1]", "cells.0.seeds: a seed is an integer of 0 or more"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "cells.0.seeds: names a value twice"),
        ('methods = ["a", "b"]', "methods = []", "cells.0.methods: "),
        ('over = "none"', 'over = "z"', "comparisons: no cell a+z"),
        ("version = 1", "version = ", "not readable as TOML"),
    ],
)
def test_a_wrong_entry_is_named_in_one_line(tmp_path, old, new, message):
    with pytest.raises(RecordError) as caught:
        board(tmp_path, TEXT.replace(old, new, 1))
    assert message in f"{caught.value}$", "$ is its end"
    assert "\n" not in str(caught.value)


def test_a_grid_file_needs_neither_title_nor_version_nor_blocks(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "smoke"\nmethods = ["a"]\nregularizers = ["none", "r"]\nseeds = [3, 4]\n')
    grid = read_grid_file(file)
    assert (grid.name, grid.version) == ("mine", None)
    assert [(row.method, row.regularizer, row.seeds) for row in grid.rows()] == [
        ("a", "none", (3, 4)),
        ("a", "r", (3, 4)),
    ]


def test_a_sweep_makes_a_row_for_each_combination_and_none_has_one_of_the_regularizer(tmp_path):
    sweep = 'sweep = { "regularizer.width" = [4, 8], "train_cfg.max_iters" = [3, 5] }\n\n[[comparisons]]'
    rows = board(tmp_path, TEXT.replace('settings = { "regularizer.width" = 4 }\n\n[[comparisons]]', sweep)).rows()
    assert {(row.regularizer, str(row.settings)) for row in rows if 2 in row.seeds} == {
        ("none", "train_cfg.max_iters=3"),
        ("none", "train_cfg.max_iters=5"),
        ("r", "regularizer.width=4 train_cfg.max_iters=3"),
        ("r", "regularizer.width=4 train_cfg.max_iters=5"),
        ("r", "regularizer.width=8 train_cfg.max_iters=3"),
        ("r", "regularizer.width=8 train_cfg.max_iters=5"),
    }


def test_a_grid_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(RecordError, match="none.toml: not readable: No such file"):
        read_grid_file(tmp_path / "none.toml")


def test_an_unknown_board_is_answered_with_the_nearest_name():
    with pytest.raises(RecordError, match="no board named 'nyuv2_lit'. Did you mean 'nyuv2_lite'"):
        read_board(RESULTS, "nyuv2_lit")


@pytest.mark.parametrize("name", board_names(RESULTS))
def test_shipped_boards_can_be_read_and_declare_their_primary_comparisons(name):
    shipped = read_board(RESULTS, name)
    assert shipped.name == name
    assert shipped.comparisons
    assert all(len(row.seeds) == 5 for row in shipped.rows())


def test_a_grid_file_of_one_block_has_seed_0_and_no_regularizer_by_default(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "smoke"\nmethods = ["a"]\n')
    assert [tuple(row) for row in read_grid_file(file).rows()] == [("a", "none", Overrides(), (0,))]


def test_settings_and_sweeps_of_a_block_come_before_those_of_all_cells(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'recipe = "smoke"\nsettings = { lr = 1, b = 2 }\nsweep = { c = [1, 2] }\n'
        '[[cells]]\nmethods = ["a"]\nseeds = [4, 3]\nsettings = { lr = 5 }\nsweep = { c = [7] }\n'
    )
    assert [(str(row.settings), row.seeds) for row in read_grid_file(file).rows()] == [("b=2 c=7 lr=5", (3, 4))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 0", "version: Input should be greater than or equal to 1, found 0"),
        ("sweep = { lr = [] }", "sweep.lr: "),
        (f'split = "{"x" * 100}"', "found " + "x" * 80 + "$"),
    ],
)
def test_a_wrong_entry_of_a_grid_file_is_named(tmp_path, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(f'recipe = "smoke"\nmethods = ["a"]\n{text}\n')
    with pytest.raises(RecordError) as caught:
        read_grid_file(file)
    assert message in f"{caught.value}$"


def test_boards_are_listed_by_name(tmp_path):
    (tmp_path / BOARDS).mkdir()
    for name in "dbfaec":
        (tmp_path / BOARDS / f"{name}.toml").touch()
    assert board_names(tmp_path) == list("abcdef")


def test_a_comparison_needs_cells_of_its_regularizer(tmp_path):
    with pytest.raises(RecordError, match=r"comparisons: no cell a\+z"):
        board(tmp_path, TEXT.replace('regularizer = "r"', 'regularizer = "z"'))
