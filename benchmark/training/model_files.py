"""Files of trained weights: safetensors, written atomically, loaded without running code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from benchmark.records.atomic import replacing

MODEL_FILE = "model.safetensors"
REGULARIZER_FILE = "regularizer.safetensors"


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message has its path and the reason."""


def save_model(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the weights of a model alone, without regularizer or optimiser, as safetensors."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata=dict(metadata))


def save_regularizer(regularizer: nn.Module | None, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the state of a regularizer for later inspection; no file if it has no state."""
    state = regularizer.state_dict() if regularizer is not None else {}
    if not state:
        return
    # Clone, since safetensors refuses tensors that share memory, which a regularizer may have.
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata=dict(metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of a file from `save_model`.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            return dict(file.metadata() or {})
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; train the cell first") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error


def load_model(model: nn.Module, path: Path) -> None:
    """Load a file from `save_model` or `save_regularizer`; every tensor must match.

    Raises:
        CheckpointError: if the file is missing or damaged, or its tensors do not match the model.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; train the cell first")
    try:
        tensors = load_file(str(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    own = model.state_dict()
    problems = [f"missing {name}" for name in own if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in own]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if problems:
        raise CheckpointError(f"{path} does not fit the model: {'; '.join(problems[:3])} ({len(problems)} in all)")
    model.load_state_dict(tensors)
