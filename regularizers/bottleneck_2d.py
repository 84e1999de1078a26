"""2D bottleneck: what the 3D-aware regularizer has but its third dimension, the control that its reviewers asked for.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986: the same trunk on the shared features, as many channels as the three planes have, at
the rendered size, a network of one hidden layer per task, the same losses of upsampled predictions.
Differs from the paper: the control is not in it. The hidden layers are widened until the parameters are as many as
those of `three_d_aware`, within 2 %.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.planes import WIDTH, Trunk
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.scene import tasks_by_maps
from regularizers.three_d_aware.supervision import SmallPredictions, Strength


@REGULARIZERS.register("bottleneck_2d", title="2D bottleneck", paper="https://arxiv.org/abs/2310.00986", year=2024)
class Bottleneck2D(SmallPredictions):
    """Small predictions of all tasks from one narrow map.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        task_weights: further factor by task, 1 where not named; a task of 0 is not predicted.
        ramp: share of the training over which the weight grows from 0.
        every_k: predict every k-th step only, with k times the weight.
        label_stride: compare with labels of an image that many times smaller; 1 for all labels.
        strides: of the feature maps that are read; None for all.
        render_stride: image size divided by the size of the predictions.
        channels: a third of those of the map.
        plane_depth: of the `three_d_aware` whose parameters are matched.

    Raises:
        ValueError: for an option that means nothing, or if a task has no map to read.
    """

    label = "bottleneck_2d"

    def __init__(
        self,
        tasks: TaskSet,
        feature_specs: tuple[FeatureSpec, ...],
        weight: float = 0.5,
        task_weights: Mapping[str, float] | None = None,
        ramp: float = 0.05,
        every_k: int = 1,
        label_stride: int = 1,
        strides: Collection[int] | None = None,
        render_stride: int = 8,
        channels: int = 32,
        plane_depth: int = 64,
    ) -> None:
        strength = Strength(tasks, task_weights or {}, ramp, every_k)
        super().__init__(tasks, feature_specs, weight, strength, label_stride)
        self.render_stride = render_stride
        with torch.device("meta"):
            matched = ThreeDAware(
                tasks,
                feature_specs,
                task_weights=task_weights,
                strides=strides,
                channels=channels,
                plane_depth=plane_depth,
            )
        groups = tasks_by_maps(feature_specs, strength.rendered, strides).items()
        self.networks = nn.ModuleList(
            Network(
                maps,
                [feature_specs[at].channels for at in maps],
                {name: tasks[name].channels for name in names},
                3 * channels,
                sum(parameter.numel() for parameter in scene.parameters()),
            )
            for (maps, names), scene in zip(groups, matched.scenes, strict=True)
        )

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """See `SmallPredictions.predict`."""
        height, width = (-(-length // self.render_stride) for length in batch["images"].shape[-2:])
        found: dict[str, Tensor] = {}
        for network in self.networks:
            found |= network(features, (height, width))
        return found


class Network(nn.Module):
    """Trunk, narrow map, and a hidden layer and a prediction for each task.

    Args:
        maps: positions of the feature maps that it reads.
        in_channels: channels of these maps.
        outputs: channels of each task.
        channels: of the narrow map.
        parameters: how many it should have.
    """

    def __init__(
        self,
        maps: Sequence[int],
        in_channels: Sequence[int],
        outputs: Mapping[str, int],
        channels: int,
        parameters: int,
    ) -> None:
        super().__init__()
        self.maps = tuple(maps)
        self.trunk = Trunk(in_channels)
        self.narrow = nn.Conv2d(WIDTH, channels, kernel_size=3, padding=1)
        taken = sum(parameter.numel() for parameter in self.parameters()) + sum(outputs.values())
        per_unit = sum(channels + 1 + count for count in outputs.values())
        hidden = max(1, round((parameters - taken) / per_unit))
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, count, 1))
                for name, count in outputs.items()
            }
        )

    def forward(self, features: Sequence[Tensor], grid: tuple[int, int]) -> dict[str, Tensor]:
        """Feature maps of the method -> (B, C_task, H, W) with `grid` = (H, W)."""
        narrow = self.narrow(self.trunk([features[position] for position in self.maps], grid))
        return {name: cast(Tensor, head(narrow)) for name, head in self.heads.items()}
