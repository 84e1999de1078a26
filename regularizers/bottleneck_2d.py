"""2D bottleneck: control of the 3D-aware regularizer without a third dimension.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986; the paper has no such experiment. One thing differs from `three_d_aware`: a 2D map
with as many channels as the three planes, and one hidden layer per task on its pixels, replace triplane and rendering.
Feature maps, trunk, size of the predictions, losses, weights and ramp are the same. The hidden layers are widened until
the number of parameters is the same within 2 %.
Differs from the paper: not an experiment of the paper.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.options import LossSchedule, MapOptions
from regularizers.three_d_aware.planes import WIDTH, Trunk
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.scene import tasks_by_maps
from regularizers.three_d_aware.supervision import SmallPredictions


@dataclass(frozen=True)
class BottleneckOptions:
    """Size of the `three_d_aware` whose number of parameters is matched.

    Args:
        channels: channels of each of its planes; the 2D map has three times as many.
        plane_depth: texels of its planes along z.
    """

    channels: int = 32
    plane_depth: int = 64


@REGULARIZERS.register("bottleneck_2d", title="2D bottleneck", paper="regularizers/bottleneck_2d.py", year=2026)
class Bottleneck2D(SmallPredictions):
    """Small predictions of all tasks from one narrow 2D map.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, multiplied with the tasks' own loss weights.
        options: fields of `LossSchedule`, `MapOptions` and `BottleneckOptions`.

    Raises:
        ValueError: for a value outside of its range, or if a task has no feature map to read.
    """

    label = "bottleneck_2d"
    groups = (LossSchedule, MapOptions, BottleneckOptions)

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, **options)
        (size,) = self.options
        with torch.device("meta"):
            matched = ThreeDAware(
                tasks, feature_specs, **asdict(size), strides=self.maps.strides, task_weights=self.schedule.task_weights
            )
        groups = tasks_by_maps(feature_specs, self.task_factors, self.maps.strides).items()
        self.networks = nn.ModuleList(
            Network(
                maps,
                [feature_specs[position].channels for position in maps],
                {name: tasks[name].channels for name in names},
                3 * size.channels,
                sum(parameter.numel() for parameter in scene.parameters()),
            )
            for (maps, names), scene in zip(groups, matched.scenes, strict=True)
        )

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """See `SmallPredictions.predict`."""
        found: dict[str, Tensor] = {}
        for network in self.networks:
            found |= network(features, self.grid(batch))
        return found


class Network(nn.Module):
    """Trunk, narrow map, and one hidden layer per task.

    Args:
        maps: positions of the feature maps that it reads.
        in_channels: channels of these maps.
        outputs: channels of each task.
        channels: channels of the narrow map.
        num_parameters: number of parameters to reach by the width of the hidden layers.
    """

    def __init__(
        self,
        maps: Sequence[int],
        in_channels: Sequence[int],
        outputs: Mapping[str, int],
        channels: int,
        num_parameters: int,
    ) -> None:
        super().__init__()
        self.maps = tuple(maps)
        self.trunk = Trunk(in_channels)
        self.narrow = nn.Conv2d(WIDTH, channels, kernel_size=3, padding=1)
        used = sum(parameter.numel() for parameter in self.parameters()) + sum(outputs.values())
        per_unit = sum(channels + 1 + count for count in outputs.values())
        hidden = max(1, round((num_parameters - used) / per_unit))
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
