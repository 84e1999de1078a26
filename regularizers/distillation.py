"""Distillation: the shared features, adapted to each task, must equal the features of trained single-task networks.

Source: Li, Bilen, "Knowledge Distillation for Multi-task Learning" (KD-MTL), ECCV 2020 Workshops,
https://arxiv.org/abs/2007.06889: sum over t of mu_t || norm(A_t(F)) - norm(F_t) ||^2.
Differs from the paper: the teachers are trained cells of `single_task` with the same recipe, backbone and seed. The
features are the maps that the heads read; the paper distils the output of the shared encoder. mu_t is 1.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec, Method, MultiTaskOutput, Regularizer
from benchmark.heads import concatenate_maps, upsample_to
from benchmark.losses.batch_parts import share
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.aux_heads import readable_maps

TEACHERS = "single_task"


@REGULARIZERS.register(
    "distillation", title="Distillation (KD-MTL)", paper="https://arxiv.org/abs/2007.06889", year=2020
)
class Distillation(Regularizer):
    """Mean squared distance between unit vectors of the adapted shared features and of the teacher's features.

    The teachers are frozen, are not part of the state dict, and cost one forward pass per step. Their training time is
    counted in this cell. An adaptor, a 1x1 convolution per task, is trained with the method.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, mu of the paper.

    Raises:
        ValueError: if a task has no feature map to read.
    """

    by_parts = True

    def __init__(self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 1.0) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.tasks = tasks
        self.readable = {name: readable_maps(feature_specs, name) for name in tasks}
        self.channels = {
            name: sum(feature_specs[position].channels for position in maps) for name, maps in self.readable.items()
        }
        self.adaptors = nn.ModuleDict()
        # In a list, so that it is not a submodule: not in the state dict, the optimiser or the parameter count.
        self._teachers: list[Method] = []

    @classmethod
    def needs(cls, backbone: str, options: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """The single-task networks, as teachers."""
        return {TEACHERS: {}}

    def start_from(self, trained: Mapping[str, Method]) -> None:
        """Receive the teachers and create an adaptor to the features of each.

        Raises:
            ValueError: if the teachers have no features of a task.
        """
        teacher = trained[TEACHERS].eval().requires_grad_(False)
        self._teachers[:] = [teacher]
        self._maps = {spec.task: position for position, spec in enumerate(teacher.feature_specs)}
        for name in self.tasks:
            if name not in self._maps:
                raise ValueError(f"the single-task networks have no map of {name}, only of {list(self._maps)}")
            channels = teacher.feature_specs[self._maps[name]].channels
            self.adaptors[name] = nn.Conv2d(self.channels[name], channels, 1)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term per task.

        Raises:
            RuntimeError: before `start_from`.
        """
        if not self._teachers:
            raise RuntimeError("distillation has no teachers: call start_from with trained single-task networks")
        teacher = self._teachers[0].to(batch["images"].device)
        with torch.no_grad():
            targets = teacher(batch["images"]).features
        return {
            f"loss_distillation_{name}": self.weight * self._distance(name, output, targets[self._maps[name]])
            for name in self.tasks
        }

    def _distance(self, name: str, output: MultiTaskOutput, target: Tensor) -> Tensor:
        maps = concatenate_maps([output.features[position] for position in self.readable[name]])
        adapted = upsample_to(self.adaptors[name](maps), target.shape[-2:])
        difference = F.normalize(adapted.float(), dim=1) - F.normalize(target.float(), dim=1)
        return share(difference.square().sum(1).mean())
