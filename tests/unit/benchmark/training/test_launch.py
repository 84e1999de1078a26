"""Grids from Python: the request, and what reaches the launcher."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.records.result import RunSpec
from benchmark.training import launch
from benchmark.training.launch import GridPlan, run_grid


@pytest.fixture
def started(small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a call passes on, with every cell in the state "missing"."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    found: dict[str, Any] = {"prepared": [], "state": "missing"}

    def run(
        cells: Any, store: Any, executor: Any, progress: Any, retry: Any, needed: Any, rules: Any, limit: Any
    ) -> str:
        found.update(cells=cells, store=store, executor=executor, retry=retry, needed=needed, limit=limit)
        return "report"

    def states(cells: Any, store: Any) -> list[Any]:
        return [SimpleNamespace(spec=cell, state=found["state"]) for cell in cells]

    monkeypatch.setattr(launch, "run", run)
    monkeypatch.setattr(launch, "cell_states", states)
    monkeypatch.setattr(launch, "make_executor", lambda options, store: options)
    monkeypatch.setattr(launch, "ensure_data", lambda recipe: found["prepared"].append(recipe.dataset))
    return found


def test_settings_and_sweeps_make_a_cell_for_each_combination(started: dict[str, Any], tmp_path: Path) -> None:
    report: Any = run_grid(
        "smoke",
        ["hard_sharing"],
        seeds=[3],
        tasks=["depth"],
        backbone="resnet18",
        settings={"train_cfg.max_iters": 7},
        sweep={"train_dataloader.batch_size": [1, 4]},
        split="val",
        out=tmp_path / "out",
        work=tmp_path / "new" / "work",
        retry=["diverged"],
        limit=5,
        executor="in_process",
        workers=2,
    )
    assert report == "report"
    assert [dict(cell.overrides) for cell in started["cells"]] == [
        {"train_cfg.max_iters": 7, "train_dataloader.batch_size": size} for size in (1, 4)
    ]
    assert {(cell.seed, cell.tasks, cell.backbone, cell.split) for cell in started["cells"]} == {
        (3, ("depth",), "resnet18", "val")
    }
    assert (started["retry"], started["limit"]) == (["diverged"], 5)
    assert (started["executor"].name, started["executor"].workers) == ("in_process", 2)
    assert (started["store"].root, started["store"].work) == (tmp_path / "out", tmp_path / "new" / "work")
    assert (tmp_path / "new" / "work").is_dir()
    assert started["prepared"] == ["synthetic"] * 2


def test_without_choices_a_grid_has_seed_0_without_a_regularizer_and_tries_failures_again(
    started: dict[str, Any], tmp_path: Path
) -> None:
    """Data are not prepared for cells that are all done."""
    started["state"] = "done"
    run_grid("smoke", ["hard_sharing"], out=tmp_path)
    (cell,) = started["cells"]
    assert (cell.regularizer, cell.seed, dict(cell.overrides), cell.split) == ("none", 0, {}, "test")
    assert (tuple(started["retry"]), started["limit"], started["prepared"]) == (("failed",), None, [])
    assert started["executor"].name == "local"
    assert started["store"].work == tmp_path / "work"
    assert started["needed"](cell) == ()


def test_cells_in_the_named_states_alone_are_run(started: dict[str, Any], tmp_path: Path) -> None:
    for only, number in ((["failed"], 0), (["failed", "missing"], 1), ([], 1)):
        run_grid("smoke", ["hard_sharing"], out=tmp_path, only=only)
        assert len(started["cells"]) == number


@pytest.mark.parametrize("choice", [{}, {"recipe": "smoke", "board": "nyuv2"}, {"grid": "a.toml", "board": "nyuv2"}])
def test_one_of_recipe_board_and_grid_is_named(choice: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="name one of recipe, board and grid"):
        run_grid(**choice)  # type: ignore[arg-type]


def test_a_board_and_a_grid_file_hold_the_cells(started: dict[str, Any], tmp_path: Path) -> None:
    text = 'recipe = "smoke"\n[[cells]]\nmethods = ["mtan"]\nregularizers = ["none"]\nseeds = [4]\n'
    file = tmp_path / "mine.toml"
    file.write_text(text)
    run_grid(grid=file, out=tmp_path)
    assert [(cell.method, cell.seed) for cell in started["cells"]] == [("mtan", 4)]


@pytest.mark.parametrize(
    "argument",
    [
        {"methods": ["mtan"]},
        {"regularizers": ["aux_heads"]},
        {"seeds": [1]},
        {"backbone": "resnet18"},
        {"tasks": ["semseg"]},
        {"settings": {"train_cfg.max_iters": 4}},
        {"sweep": {"train_cfg.max_iters": [4, 8]}},
        {"split": "val"},
    ],
)
def test_arguments_that_choose_cells_are_refused_beside_a_board(argument: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(argument))}: a board or a grid file names its own cells"):
        run_grid(board="nyuv2_lite", out=tmp_path, **argument)


def test_the_cells_that_a_cell_needs_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, asked = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0), []

    def needs(cell: RunSpec) -> Any:
        asked.append(cell)
        return SimpleNamespace(cells=("teacher",))

    monkeypatch.setattr(launch, "needs_of", needs)
    plan = GridPlan((), (spec,), (), store=None)  # type: ignore[arg-type]
    assert (plan.needed(spec), plan.needed(spec), asked) == (("teacher",), ("teacher",), [spec])
