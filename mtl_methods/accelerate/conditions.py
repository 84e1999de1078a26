"""Conditions under which a replaced layer runs as its fast form."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def runs_on_cpu(maps: Tensor) -> bool:
    """True if the maps are on a CPU and nothing is being compiled."""
    return maps.device.type == "cpu" and not torch.compiler.is_compiling()


def trains_on_cpu(layer: nn.Module, maps: Tensor) -> bool:
    """True for a layer in training mode on a CPU, with gradients and without autocast."""
    plain = runs_on_cpu(maps) and not torch.is_autocast_enabled("cpu")
    return plain and layer.training and torch.is_grad_enabled()
