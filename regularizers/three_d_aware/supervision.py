"""How a rendered prediction, some eight times smaller than the image, meets its labels, and what the loss weighs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.losses import task_loss
from benchmark.tasks import IGNORE_LABEL, Task, TaskSet


def rendered_loss(task: Task, prediction: Tensor, target: Tensor, label_stride: int) -> Tensor:
    """The task's own loss of a prediction (B, C, h, w), which is upsampled bilinearly to the labels.

    Args:
        task: the task.
        prediction: as the task's heads give it: logits, metres, vectors of any length.
        target: labels at image size.
        label_stride: 1 for all labels; more for those of a smaller image, see `fewer_labels`.
    """
    return task_loss(task, prediction, fewer_labels(task, target, label_stride))


def fewer_labels(task: Task, target: Tensor, stride: int) -> Tensor:
    """Labels of an image `stride` times smaller, each from a cell of stride x stride pixels.

    A cell has the label of the pixel in its middle, but for boundaries: one pixel wide, they would mostly be missed, so
    a cell has the strongest of its labelled pixels.
    """
    if stride == 1:
        return target
    if task.readout == "probability":
        known = torch.where(target == IGNORE_LABEL, -1.0, target)
        strongest = F.max_pool2d(known, stride, ceil_mode=True)
        return torch.where(strongest < 0, float(IGNORE_LABEL), strongest)
    height, width = (-(-extent // stride) for extent in target.shape[-2:])
    rows, columns = (
        (torch.arange(cells, device=target.device) * stride + stride // 2).clamp(max=extent - 1)
        for cells, extent in zip((height, width), target.shape[-2:], strict=True)
    )
    return target[..., rows[:, None], columns]


def depth_task(tasks: TaskSet) -> str | None:
    """Name of the first task that predicts a distance in metres, None where there is none."""
    for name, task in tasks.items():
        if task.readout == "value" and task.unit == "m" and task.channels == 1:
            return name
    return None


class Strength(nn.Module):
    """What the loss of a rendered task is multiplied by, beside the weight of all.

    Args:
        tasks: tasks of the run.
        task_weights: factor by task, 1 where not named.
        ramp: share of the training over which the factor grows from 0.
        every_k: only every k-th step counts, k times.

    Raises:
        ValueError: if the arguments mean nothing.
    """

    steps: Tensor

    def __init__(self, tasks: TaskSet, task_weights: Mapping[str, float], ramp: float, every_k: int) -> None:
        super().__init__()
        unknown = [name for name in task_weights if name not in tasks]
        if unknown:
            raise ValueError(f"task_weights names {unknown[0]!r}, tasks here are {', '.join(tasks)}")
        if not 0 <= ramp <= 1 or every_k < 1 or any(factor < 0 for factor in task_weights.values()):
            raise ValueError(
                f"ramp must lie in [0, 1], every_k be at least 1 and no task weight negative, found ramp {ramp}, "
                f"every_k {every_k}, task_weights {dict(task_weights)}"
            )
        self.factors = {name: task.loss_weight * task_weights.get(name, 1.0) for name, task in tasks.items()}
        self.rendered = [name for name in tasks if task_weights.get(name, 1.0) > 0]
        if not self.rendered:
            raise ValueError("every task has weight 0 in task_weights: nothing is rendered; use the regularizer none")
        self.ramp = ramp
        self.every_k = every_k
        # A buffer, so that a resumed run goes on counting.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def of_task(self, name: str) -> float:
        """Factor of one task, with the task's own loss weight."""
        return self.factors[name]

    def next_factor(self, progress: float, training: bool) -> float:
        """Factor of all tasks in this step, 0 if it is left out; counts the steps of the training."""
        grown = min(1.0, progress / self.ramp) if self.ramp else 1.0
        if self.every_k == 1 or not training:
            return grown
        left_out = int(self.steps) % self.every_k != 0
        self.steps += 1
        return 0.0 if left_out else grown * self.every_k


class SmallPredictions(Regularizer):
    """Predictions of all tasks, smaller than the images, under the tasks' own losses.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        strength: what it is multiplied by, by task and step.
        label_stride: compare with labels of an image that many times smaller; 1 for all labels.
    """

    label: ClassVar[str]
    """Prefix of the names of its terms."""

    def __init__(
        self,
        tasks: TaskSet,
        feature_specs: tuple[FeatureSpec, ...],
        weight: float,
        strength: Strength,
        label_stride: int,
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.tasks = tasks
        self.strength = strength
        self.label_stride = label_stride

    @abstractmethod
    def predict(self, batch: Batch, features: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """(B, C, h, w) of every rendered task, as its heads give it."""

    def skip(self) -> None:
        """Called instead of `predict` in a step that is left out."""

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term per rendered task; zeros in a step that is left out."""
        factor = self.weight * self.strength.next_factor(self.progress, self.training)
        if factor == 0:
            self.skip()
            return {f"loss_{self.label}_{name}": batch["images"].new_zeros(()) for name in self.strength.rendered}
        return self.terms(batch, output, factor)

    def terms(self, batch: Batch, output: MultiTaskOutput, factor: float) -> dict[str, Tensor]:
        """The terms of a step that counts, each multiplied by `factor`."""
        return self.weighted(self.label, self.predict(batch, output.features), batch["targets"], factor)

    def weighted(
        self, label: str, predictions: Mapping[str, Tensor], targets: Mapping[str, Tensor], factor: float
    ) -> dict[str, Tensor]:
        """One term per rendered task, `loss_<label>_<task>`."""
        return {
            f"loss_{label}_{name}": factor
            * self.strength.of_task(name)
            * rendered_loss(self.tasks[name], predictions[name], targets[name], self.label_stride)
            for name in self.strength.rendered
        }
