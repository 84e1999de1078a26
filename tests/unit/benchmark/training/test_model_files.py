"""Files of weights: layouts, shared memory, metadata, and what a refusal names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from benchmark.training.model_files import CheckpointError, load_model, read_metadata, save_model, save_regularizer


def test_weights_of_any_layout_are_saved_with_their_metadata(tmp_path: Path) -> None:
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    save_model(model, tmp_path / "a", {"run_id": "x"})
    assert torch.equal(load_file(tmp_path / "a")["weight"], model.weight)
    assert read_metadata(tmp_path / "a") == {"run_id": "x"}


def test_a_regularizer_is_saved_with_shared_tensors_and_not_at_all_without_state(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    tied[1].weight = tied[0].weight
    save_regularizer(tied, tmp_path / "a", {"run_id": "x"})
    assert {name: torch.equal(found, tied[0].weight) for name, found in load_file(tmp_path / "a").items()} == {
        "0.weight": True,
        "1.weight": True,
    }
    assert read_metadata(tmp_path / "a") == {"run_id": "x"}
    for without in (None, nn.ReLU()):
        save_regularizer(without, tmp_path / "b", {})
    assert not (tmp_path / "b").exists()


def test_three_of_all_differences_are_named(tmp_path: Path) -> None:
    """Two layers of weight and bias are missing, and one pair of other names is left over: six in all."""
    save_model(nn.Sequential(nn.Linear(2, 2)), tmp_path / "a", {})
    wanted = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    with pytest.raises(CheckpointError) as caught:
        load_model(wanted, tmp_path / "a")
    assert str(caught.value) == (
        f"{tmp_path / 'a'} does not fit the model: missing a.weight; missing a.bias; missing b.weight (6 in all)"
    )


@pytest.mark.parametrize("content", [None, b"", b"text in place of weights"])
def test_a_missing_or_damaged_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    message = "no such checkpoint; train the cell first" if content is None else "not a readable safetensors file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model.safetensors: {message}"):
        read_metadata(path)
    with pytest.raises(CheckpointError, match=f"model.safetensors: {message}"):
        load_model(nn.Linear(2, 2), path)
