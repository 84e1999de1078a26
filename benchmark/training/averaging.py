"""Exponential moving average of a model's weights.

If a recipe sets `ema = dict(decay=0.998)`, the averaged weights are evaluated and saved in place of the last weights.
The average covers parameters and the running statistics of batch normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from benchmark.training.data_parallel import unwrapped


@HOOKS.register_module()
class AveragingHook(Hook):
    """Averages the weights of the model after each optimizer step, and sets them as its weights after the training.

    Args:
        decay: share of the old average that a step keeps, at least 0 and below 1. In step t it is at most
            (1 + t) / (10 + t), to remove the influence of the initial weights.
    """

    priority = "LOW"

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema.decay must be at least 0 and below 1, found {decay}")
        self.decay = decay
        self.steps = 0
        self.average: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Start from the initial weights; a resumed training then loads its saved average."""
        self.average = {
            name: tensor.detach().clone() for name, tensor in floating(unwrapped(runner.model).model).items()
        }

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Update the average, if this iteration ends with a step of the optimizer."""
        wrapper = runner.optim_wrapper
        if not wrapper.should_update():
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        weights = floating(unwrapped(runner.model).model)
        torch._foreach_lerp_(list(self.average.values()), [weights[name] for name in self.average], 1 - decay)

    def after_train(self, runner: Runner) -> None:
        """Replace the weights of the model by their average."""
        unwrapped(runner.model).model.load_state_dict(self.average, strict=False)

    def state_dict(self) -> dict[str, Any]:
        """Number of steps and the averaged tensors."""
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.steps = int(state["steps"])
        for name, tensor in self.average.items():
            tensor.copy_(state["average"][name])


def floating(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a model that are floating-point numbers, by name."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
