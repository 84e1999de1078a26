"""Training steps in parts: gradient accumulation over parts of one batch, for cells that run out of memory.

Steps, schedules, data order and the number of images behind a step of the optimizer stay the same. Losses are means
over the valid pixels of a part, so gradients equal the gradients of the whole batch only if all images have equally
many valid pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.records.result import RunSpec
from benchmark.training.builders import build_training_module
from benchmark.training.compose import module_options
from benchmark.training.model import TrainingModule
from benchmark.training.recipe_files import load_recipe

PARTS = 2


def reason_against_parts(spec: RunSpec) -> str | None:
    """Reason why a cell cannot be trained in parts of a batch with the same meaning; None if it can."""
    recipe = load_recipe(spec.recipe, spec.overrides)
    if recipe.train_dataloader.batch_size < PARTS:
        return "a batch of one image cannot be split"
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        module = build_training_module(**module_options(recipe, spec) | dict(compile_options=None))
    if any(isinstance(part, _BatchNorm) for part in module.modules()):
        return "batch norm would see other batches in a training by parts"
    return None


def train_in_parts(module: TrainingModule, parts: int) -> None:
    """Let a module compute each training step on parts of the batch, one after another."""

    def train_step(data: Mapping[str, Any], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        batch = module.data_preprocessor(data, True)
        chunks = list(split_batch(batch, parts))
        logged: dict[str, Tensor] = {}
        for number, (chunk, share) in enumerate(chunks, 1):
            with optim_wrapper.optim_context(module):
                loss, values = module.parse_losses(module(**chunk, mode="loss"))
            if number < len(chunks):
                optim_wrapper.scale_loss(loss * share).backward()
            else:
                optim_wrapper.update_params(loss * share)
            for name, value in values.items():
                logged[name] = logged.get(name, torch.zeros_like(value)) + value.detach() * share
        return logged

    # mmengine calls the method of the instance.
    module.train_step = train_step


def split_batch(batch: Mapping[str, Any], parts: int) -> Iterator[tuple[dict[str, Any], float]]:
    """Parts of a batch, each with its share of the images."""
    total = len(batch["images"])
    size = -(-total // parts)
    for start in range(0, total, size):
        count = min(size, total - start)
        yield {name: _part(value, start, count, total) for name, value in batch.items()}, count / total


def _part(value: Any, start: int, count: int, total: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _part(child, start, count, total) for name, child in value.items()}
    if isinstance(value, (Tensor, list, tuple)) and not isinstance(value, nn.Module) and len(value) == total:
        return value[start : start + count]
    return value
