"""Cells of a request, with the cells that they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.training.requests import Request, checked_cells


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
