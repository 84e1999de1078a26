"""Parts of PAP and PSD: task branches, and heads that refine their hidden features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor, nn

from benchmark.heads import FCNHead, head_width, task_heads
from benchmark.tasks import TaskSet
from mtl_methods._shared.residual_blocks import bottleneck

Logits = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Final and initial logits by task; the initial ones may be empty."""


class RefinedHeads(nn.Module):
    """Heads of hard sharing whose hidden features get a residual before the last layer.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        make_refinement: channels of the hidden features -> module that maps the hidden features (B, C, h, w) of all
            tasks to residuals of the same shape, both by task.
    """

    def __init__(self, tasks: TaskSet, channels: int, make_refinement: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.heads = task_heads(channels, tasks)
        self.refinement = make_refinement(head_width(channels))

    def forward(self, shared: Tensor) -> Logits:
        """Shared map (B, C, h, w) -> final logits at its size, and no initial logits."""
        heads = cast(Mapping[str, FCNHead], self.heads)
        features = {name: head.features(shared) for name, head in heads.items()}
        residuals: dict[str, Tensor] = self.refinement(features)
        return {name: head.logits(features[name] + residuals[name]) for name, head in heads.items()}, {}


def residual_branches(tasks: TaskSet, channels: int, width: int) -> nn.ModuleDict:
    """Two residual blocks for each task: (B, channels, h, w) -> (B, width, h, w)."""
    return nn.ModuleDict(
        {
            name: nn.Sequential(bottleneck(channels, width, project=True), bottleneck(width, width, project=False))
            for name in tasks
        }
    )


def projection(channels: int, width: int) -> nn.Sequential:
    """1x1 convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(channels, width, kernel_size=1, bias=False), nn.BatchNorm2d(width))


def zero_residual(width: int, kernel_size: int) -> nn.Sequential:
    """Convolution and batch normalisation whose scale starts at zero, so that the output starts at zero."""
    layers = nn.Sequential(
        nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, bias=False), nn.BatchNorm2d(width)
    )
    nn.init.zeros_(cast(nn.BatchNorm2d, layers[1]).weight)
    return layers
