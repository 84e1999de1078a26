"""Cells on other data than NYU-v2: other tasks, frames of different sizes, a user's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard.tables import tables
from benchmark.records.result import RunSpec
from benchmark.records.store import Stored
from benchmark.registry import DATASETS
from benchmark.training.cell import run_cell
from benchmark.training.recipe_files import load_recipe

SMALL = {
    "train_cfg.max_iters": 2,
    "train_dataloader.batch_size": 2,
    "train_dataloader.num_workers": 0,
    "test_dataloader.batch_size": 2,
    "test_dataloader.num_workers": 0,
}
PASCAL = {
    **SMALL,
    "train_dataloader.dataset.augmentation.crop": (64, 64),
    "train_dataloader.dataset.augmentation.pad": None,
    "test_dataloader.dataset.augmentation.pad": (64, 64),
}
OWN = {
    **SMALL,
    "root": "rooms",
    "train_dataloader.dataset.size": (64, 64),
    "test_dataloader.dataset.size": (64, 64),
    "train_dataloader.dataset.cache": False,
    "test_dataloader.dataset.cache": False,
}
CASES = {"pascal_hrnet18": ("pascal_context", PASCAL), "folder_lite": ("rooms", OWN)}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["constant", "hard_sharing"])
@pytest.mark.parametrize("recipe", CASES)
def test_every_task_of_the_data_is_learned_measured_and_has_a_column(
    recipe: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, overrides = CASES[recipe]
    monkeypatch.setenv("MTL_DATA", str(tmp_path / "data"))
    factory: Any = DATASETS.entry(load_recipe(recipe).dataset).factory
    factory.example(tmp_path / "data" / folder)
    tasks = tuple(load_recipe(recipe, overrides).tasks)
    result = run_cell(RunSpec(recipe, method, "none", "timm:test_resnet", tasks, 0, overrides), tmp_path / "cell")
    assert result.status == "done", result.error
    assert tuple(result.metrics) == tasks
    (table,) = tables([Stored(result, tmp_path / "cell.json")])
    primary = {
        "semseg": "mIoU",
        "human_parts": "mIoU",
        "saliency": "maxF",
        "normals": "mean@pixel",
        "depth": "rmse@pixel",
        "boundary": "odsF@seism",
        "material": "mIoU",
    }
    assert [(column.task, column.name) for column in table.measured] == [(task, primary[task]) for task in tasks]
