"""tools/board_models.py: one model per row of a board, in half precision, with a manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import benchmark
from benchmark.inference.board_models import in_half_precision
from tools import board_models

BOARD = """
title = "Rooms"
recipe = "smoke"
version = {version}

[[cells]]
methods = ["hard_sharing"]
seeds = [0]
"""


def version_of(result: Path) -> int:
    """Version of the recipe in a result."""
    ingredients = json.loads(result.read_text())["spec"].get("ingredients") or {}
    return int(ingredients.get("versions", {}).get("recipe", 1))


@pytest.fixture
def results(trained_cell: Path, tmp_path: Path) -> Path:
    """A folder of results with a board, and the work folder of its cell."""
    root = tmp_path / "results"
    shutil.copytree(trained_cell.parents[2], root)
    (root / "boards").mkdir()
    (root / "boards" / "rooms.toml").write_text(BOARD.format(version=version_of(trained_cell)))
    return root


def run(*arguments: object) -> int:
    """Exit code of the tool."""
    return board_models.main([str(argument) for argument in arguments])


def test_a_row_gets_its_model_and_the_manifest_its_digest(results: Path, trained_cell: Path, capsys) -> None:
    assert run("--results", results) == 0
    file = results / "models" / f"{trained_cell.stem}.safetensors"
    manifest = json.loads((results / "models.json").read_text())
    assert manifest[trained_cell.stem]["row"] == "hard_sharing"
    assert manifest[trained_cell.stem]["bytes"] == file.stat().st_size
    assert {tensor.dtype for tensor in load_file(file).values()} <= {torch.float16, torch.float32, torch.int64}
    before = file.read_bytes(), (results / "models.json").read_bytes()
    assert run("--results", results) == 0
    assert (file.read_bytes(), (results / "models.json").read_bytes()) == before
    assert run("--results", results, "--check") == 0
    shutil.rmtree(results / "work")
    result = results / "runs" / "smoke" / trained_cell.name
    assert benchmark.load(result).description.run_id == trained_cell.stem
    assert run("--results", results) == 0
    assert json.loads((results / "models.json").read_text()) == manifest, "an entry stays without the weights"


def test_missing_and_changed_files_are_named(results: Path, trained_cell: Path, capsys) -> None:
    run("--results", results)
    file = results / "models" / f"{trained_cell.stem}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert run("--results", results, "--check") == 1
    assert "differs from models.json; download it again" in capsys.readouterr().err
    file.unlink()
    assert run("--results", results, "--check") == 1
    assert "missing; download the asset" in capsys.readouterr().err


def test_a_row_without_weights_is_named(results: Path, capsys) -> None:
    shutil.rmtree(results / "work")
    assert run("--results", results) == 0
    assert "rooms hard_sharing: no weights of its 1 finished cells" in capsys.readouterr().err


def test_values_beyond_half_precision_stay_in_float32() -> None:
    tensors = {"small": torch.ones(2), "large": torch.tensor([1e6]), "count": torch.tensor(3)}
    found = in_half_precision(tensors)
    assert [found[name].dtype for name in tensors] == [torch.float16, torch.float32, torch.int64]
