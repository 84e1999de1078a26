"""Cells of a request, with the cells that they need."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.records.overrides import Overrides
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.requests import Request, checked_cells, of_file, recipes_of


def test_the_cells_that_others_learn_from_are_added_before_them(
    small_rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distillation learns from single-task networks: one for each seed, named in a note."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    wanted = Request("smoke", ["hard_sharing"], ["distillation"], [0, 1], "timm:test_resnet", ("semseg", "depth"))
    cells, notes = checked_cells([wanted])
    assert [(cell.method, cell.regularizer, cell.seed) for cell in cells] == [
        ("single_task", "none", 0),
        ("hard_sharing", "distillation", 0),
        ("single_task", "none", 1),
        ("hard_sharing", "distillation", 1),
    ]
    assert notes == [f"added {cells[place].run_id}, which others start or learn from" for place in (0, 2)]
    asked_for = Request("smoke", ["single_task"], ["none"], [0, 1], "timm:test_resnet", ("semseg", "depth"))
    assert checked_cells([asked_for, wanted]) == ([cells[0], cells[2], cells[1], cells[3]], [])


def test_a_board_of_another_version_of_the_recipe_is_refused() -> None:
    """The recipe `smoke` has version 1; a grid file may leave the version out."""
    block = SimpleNamespace(methods=("mtan",), regularizers=("none",), seeds=(0, 1))
    board: Any = SimpleNamespace(
        name="mine",
        recipe="smoke",
        version=1,
        cells=[block],
        backbone="resnet18",
        tasks=("depth",),
        split="val",
        variants=lambda block: (Overrides({"train_cfg.max_iters": 2}),),
    )
    asked = Request(
        "smoke", ("mtan",), ("none",), (0, 1), "resnet18", ("depth",), (Overrides({"train_cfg.max_iters": 2}),), "val"
    )
    for version in (1, None):
        board.version = version
        assert of_file(board) == [asked]
    board.version = 2
    with pytest.raises(ConfigError, match="board mine holds version 2 of recipe smoke, which has version 1 here"):
        of_file(board)


def test_cells_come_by_seed_in_the_order_of_the_request_and_dropped_pairs_are_named(
    small_rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variants of a seed come one after the other; a seed that is named twice counts where it comes first."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    variants = tuple(Overrides({"train_cfg.max_iters": steps}) for steps in (2, 3))
    asked = Request(
        "smoke", ["hard_sharing", "constant"], ["aux_heads"], [5, 1, 5], "resnet18", ("depth",), variants, "val"
    )
    cells, notes = checked_cells([asked])
    assert [(cell.seed, cell.overrides["train_cfg.max_iters"]) for cell in cells] == [(5, 2), (5, 3), (1, 2), (1, 3)]
    assert {(cell.method, cell.backbone, cell.tasks, cell.split) for cell in cells} == {
        ("hard_sharing", "resnet18", ("depth",), "val")
    }
    assert notes == ["left out constant+aux_heads: constant takes no regularizer"]
    assert len(recipes_of([asked, asked])) == 2
