"""Matched auxiliary heads: control of the 3D-aware regularizer with one 2D head per task and nothing that tasks share.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. One thing differs from `three_d_aware`: a head per task on the feature maps replaces
trunk, triplane and rendering. Feature maps, size of the predictions, losses, weights and ramp are the same.
`aux_heads` is the usual deep supervision, and also differs in feature maps, size of the predictions and ramp.
Differs from the paper: its auxiliary heads have the architecture of the heads of the method, and their resolution,
weight and schedule are not given. The number of parameters is not matched; `bottleneck_2d` matches it.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec
from benchmark.heads import FCNHead, head_width
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.planes import resize
from regularizers.three_d_aware.scene import tasks_by_maps
from regularizers.three_d_aware.supervision import SmallPredictions


@REGULARIZERS.register(
    "matched_aux_heads", title="Auxiliary heads, matched", paper="regularizers/matched_aux_heads.py", year=2026
)
class MatchedAuxHeads(SmallPredictions):
    """Small predictions of all tasks by an `FCNHead` per task on the resized feature maps.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, multiplied with the tasks' own loss weights.
        options: fields of `LossSchedule` and `MapOptions`.

    Raises:
        ValueError: for a value outside of its range, or if a task has no feature map to read.
    """

    label = "matched_aux_heads"

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, **options)
        self.tasks_by_maps = tasks_by_maps(feature_specs, self.task_factors, self.maps.strides)
        self.heads = nn.ModuleDict()
        for maps, names in self.tasks_by_maps.items():
            channels = sum(feature_specs[position].channels for position in maps)
            self.heads.update({name: FCNHead(channels, head_width(channels), tasks[name].channels) for name in names})

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """See `SmallPredictions.predict`."""
        grid = self.grid(batch)
        found = {}
        for maps, names in self.tasks_by_maps.items():
            inputs = torch.cat([resize(features[position], grid) for position in maps], dim=1)
            found.update({name: self.heads[name](inputs) for name in names})
        return found
