"""Auxiliary heads: a second head per task on the shared features, in training only.

Source: the auxiliary heads of Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986, where this usual deep supervision is compared with the 3D-aware regularizer.
Differs from the paper: every head is an `FCNHead`, as in our hard sharing; the paper copies the heads of the method.
The weight 0.5 is ours, the default of `three_d_aware`. Unlike `three_d_aware`, each head reads all shared maps and all
maps of its task, predicts at the finest of their strides, and has no ramp. `matched_aux_heads` has the feature maps,
the size of predictions and the ramp of `three_d_aware`.
Consulted: nothing; no code of the paper is public.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.heads import FCNHead, concatenate_maps, head_width
from benchmark.losses import task_loss
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet


@REGULARIZERS.register("aux_heads", title="Auxiliary heads", paper="https://arxiv.org/abs/2310.00986", year=2024)
class AuxHeads(Regularizer):
    """One head per task on the shared maps and the maps of the task, at the finest of their strides.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, multiplied with the tasks' own loss weights.

    Raises:
        ValueError: if a task has no feature map to read.
    """

    by_parts = True

    def __init__(self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.tasks = tasks
        self.readable = {name: readable_maps(feature_specs, name) for name in tasks}
        self.heads = nn.ModuleDict()
        for name, task in tasks.items():
            channels = sum(feature_specs[position].channels for position in self.readable[name])
            self.heads[name] = FCNHead(channels, head_width(channels), task.channels)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term per task: the task's own loss of the prediction of its auxiliary head."""
        return {
            f"loss_aux_heads_{name}": self.weight * task.loss_weight * self._loss(name, batch, output)
            for name, task in self.tasks.items()
        }

    def _loss(self, name: str, batch: Batch, output: MultiTaskOutput) -> Tensor:
        maps = concatenate_maps([output.features[position] for position in self.readable[name]])
        return task_loss(self.tasks[name], self.heads[name](maps), batch["targets"][name])


def readable_maps(feature_specs: Sequence[FeatureSpec], task: str) -> list[int]:
    """Positions of the shared maps and the maps of a task, finest first.

    Raises:
        ValueError: without such a map.
    """
    positions = [position for position, spec in enumerate(feature_specs) if spec.task in (None, task)]
    if not positions:
        raise ValueError(f"the method returns no feature map for {task}: regularizers have nothing to read; use 'none'")
    return sorted(positions, key=lambda position: feature_specs[position].stride)
