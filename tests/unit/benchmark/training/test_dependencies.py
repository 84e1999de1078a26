"""Cells that need other cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmark.records.result import RunSpec
from benchmark.training.cell import run_cell
from benchmark.training.dependencies import TRAIN_SECONDS, build_cell_model, needs_of, trained_methods, with_needed
from benchmark.training.model_files import MODEL_FILE, read_metadata, save_model
from benchmark.training.recipe_keys import ConfigError
from mtl_methods.cross_stitch import CrossStitch
from mtl_methods.single_task import SingleTask
from regularizers.aux_heads import AuxHeads

START = {"method.start": "single_task", "train_cfg.max_iters": 1}


@pytest.fixture(autouse=True)
def data(small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded data set, small."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))


def spec(**changes: Any) -> RunSpec:
    """A Cross-Stitch cell of the smoke recipe."""
    values: dict[str, Any] = dict(
        recipe="smoke",
        method="cross_stitch",
        regularizer="none",
        backbone="timm:test_resnet",
        tasks=("semseg", "depth"),
        seed=3,
        overrides={},
    )
    return RunSpec(**{**values, **changes})


def test_most_cells_need_no_other():
    assert needs_of(spec()).cells == ()
    assert with_needed([spec(), spec(method="hard_sharing")]) == [spec(), spec(method="hard_sharing")]


def test_a_needed_cell_has_the_same_setting_but_the_method_and_its_options():
    cell = spec(overrides={**START, "method.alpha": 0.5})
    single = spec(method="single_task", overrides={"train_cfg.max_iters": 1})
    assert needs_of(cell) == ({"single_task": single}, {})
    assert with_needed([cell]) == [single, cell]
    assert with_needed([single, cell]) == [single, cell]


def test_a_needed_cell_has_the_heads_that_the_other_has():
    dilated = spec(backbone="resnet50_dilated", overrides=START)
    assert needs_of(dilated).method["single_task"].overrides["method.head"] == "deeplab"
    hrnet = spec(overrides={**START, "method.head": "hrnet"})
    assert needs_of(hrnet).method["single_task"].overrides["method.head"] == "hrnet"


def test_a_cell_starts_from_the_trained_weights_and_counts_what_they_cost(tmp_path, monkeypatch):
    cell = spec(overrides=START)
    single = needs_of(cell).method["single_task"]
    assert run_cell(single, tmp_path / single.run_id).status == "done"
    spent = float(read_metadata(tmp_path / single.run_id / MODEL_FILE)[TRAIN_SECONDS])
    started: list[dict[str, torch.Tensor]] = []
    original = CrossStitch.start_from

    def spy(self: Any, trained: Any) -> None:
        original(self, trained)
        started.append({name: tensor.clone() for name, tensor in self.state_dict().items()})

    monkeypatch.setattr(CrossStitch, "start_from", spy)
    result = run_cell(cell, tmp_path / cell.run_id)
    assert result.status == "done", result.error
    assert result.cost["needed_train_seconds"] == pytest.approx(spent)
    assert spent > 0
    trained = load_file(tmp_path / single.run_id / MODEL_FILE)
    for name, tensor in trained.items():
        assert torch.equal(started[0][name.replace("method.", "stitched.", 1)], tensor), name
    whole = float(read_metadata(tmp_path / cell.run_id / MODEL_FILE)[TRAIN_SECONDS])
    assert whole == pytest.approx(spent + result.cost["train_seconds"])


def test_a_cell_without_the_weights_that_it_needs_fails_and_says_which(tmp_path):
    cell = spec(overrides=START)
    result = run_cell(cell, tmp_path / cell.run_id)
    needed = needs_of(cell).method["single_task"].run_id
    assert result.status == "failed"
    assert f"this cell needs the trained weights of {needed}" in (result.error or "")


def test_a_regularizer_is_given_the_trained_methods_too(tmp_path, monkeypatch):
    """Trained methods as the teachers of a distillation."""
    given: list[str] = []
    monkeypatch.setattr(AuxHeads, "needs", classmethod(lambda cls, backbone, options: {"single_task": {}}))
    monkeypatch.setattr(AuxHeads, "start_from", lambda self, trained: given.extend(trained))
    cell = spec(method="hard_sharing", regularizer="aux_heads", overrides={"train_cfg.max_iters": 1})
    single = needs_of(cell).regularizer["single_task"]
    assert single.regularizer == "none"
    save_model(build_cell_model(single), tmp_path / single.run_id / MODEL_FILE, {})
    result = run_cell(cell, tmp_path / cell.run_id)
    assert result.status == "done", result.error
    assert given == ["single_task"]
    assert result.cost["needed_train_seconds"] is None


def test_each_part_is_given_only_what_it_needs_itself(tmp_path, monkeypatch):
    """Cross-Stitch starts from its backbone although its regularizer has the trained single tasks."""
    monkeypatch.setattr(AuxHeads, "needs", classmethod(lambda cls, backbone, options: {"single_task": {}}))
    monkeypatch.setattr(CrossStitch, "start_from", lambda self, trained: pytest.fail("it asked for nothing"))
    cell = spec(regularizer="aux_heads", overrides={"train_cfg.max_iters": 1, "train_dataloader.batch_size": 1})
    single = needs_of(cell).regularizer["single_task"]
    save_model(build_cell_model(single), tmp_path / single.run_id / MODEL_FILE, {TRAIN_SECONDS: "7.5"})
    result = run_cell(cell, tmp_path / cell.run_id)
    assert result.status == "done", result.error
    assert result.cost["needed_train_seconds"] == 7.5


def test_reading_trained_methods_takes_no_random_numbers(tmp_path):
    cell = spec(overrides=START)
    single = needs_of(cell).method["single_task"]
    save_model(build_cell_model(single), tmp_path / single.run_id / MODEL_FILE, {})
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    trained = trained_methods({"single_task": single}, tmp_path / cell.run_id)["single_task"]
    assert torch.equal(torch.rand(3), expected)
    assert trained.train_seconds is None
    assert not trained.method.training


def test_a_cell_that_needs_itself_is_refused(monkeypatch):
    monkeypatch.setattr(SingleTask, "needs", classmethod(lambda cls, backbone, options: {"single_task": {}}))
    with pytest.raises(ConfigError, match="single_task needs a trained cell of itself"):
        needs_of(spec(method="single_task", seed=9, overrides={"train_cfg.max_iters": 7}))
