"""Predictions at a fraction of the image size under the losses of the tasks."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.losses import task_loss
from benchmark.tasks import IGNORE_LABEL, Task, TaskSet
from regularizers.three_d_aware.options import LossSchedule, MapOptions, flat_signature, grouped


def subsample_labels(task: Task, target: Tensor, stride: int) -> Tensor:
    """Labels of an image `stride` times smaller, one from each cell of stride x stride pixels.

    The label is the centre pixel of the cell. For boundaries, which would be missed at a width of one pixel, it is the
    maximum of the labelled pixels.
    """
    if stride == 1:
        return target
    if task.readout == "probability":
        labelled = torch.where(target == IGNORE_LABEL, -1.0, target)
        strongest = F.max_pool2d(labelled, stride, ceil_mode=True)
        return torch.where(strongest < 0, float(IGNORE_LABEL), strongest)
    height, width = (-(-extent // stride) for extent in target.shape[-2:])
    rows, columns = (
        (torch.arange(cells, device=target.device) * stride + stride // 2).clamp(max=extent - 1)
        for cells, extent in zip((height, width), target.shape[-2:], strict=True)
    )
    return target[..., rows[:, None], columns]


def depth_task(tasks: TaskSet) -> str | None:
    """Name of the first task that predicts a distance in metres, None without such a task."""
    for name, task in tasks.items():
        if task.readout == "value" and task.unit == "m" and task.channels == 1:
            return name
    return None


class SmallPredictions(Regularizer):
    """Base class: predictions of all tasks at 1 / `render_stride` of the image size, under the tasks' own losses.

    A subclass lists the dataclasses of its options in `groups`. A control fixes options of another regularizer:
    `class XYPlane(ThreeDAware, fixed={"rows": "none"})`.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, multiplied with the tasks' own loss weights.
        options: fields of `groups` that are not `fixed`.

    Raises:
        TypeError: for an unknown option.
        ValueError: for a value outside of its range, or if a task has no feature map to read.
    """

    label: ClassVar[str]
    """Prefix of the names of its terms."""
    groups: ClassVar[tuple[type[Any], ...]] = (LossSchedule, MapOptions)
    by_parts = True
    fixed: ClassVar[Mapping[str, Any]] = {}
    """Options with a value that cannot be set."""
    __signature__: ClassVar[inspect.Signature]
    steps: Tensor

    def __init_subclass__(cls, fixed: Mapping[str, Any] | None = None, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.fixed = {**cls.fixed, **(fixed or {})}
        cls.__signature__ = flat_signature(cls.__init__, cls.groups, cls.fixed)

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        refused = [name for name in options if name in self.fixed]
        if refused:
            raise TypeError(f"{self.label} fixes {refused[0]}={self.fixed[refused[0]]!r}")
        self.tasks = tasks
        self.schedule, self.maps, *self.options = grouped(self.groups, {**options, **self.fixed})
        self.task_factors = self.schedule.task_factors(tasks)
        # A buffer, so that a resumed run continues to count.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def predict(self, batch: Batch, features: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """Raw predictions (B, C, h, w) of the tasks in `task_factors`."""

    def predictions(self, batch: Batch, output: MultiTaskOutput) -> Mapping[str, Tensor]:
        """See `predict`."""
        return self.predict(batch, output.features)

    def skip(self) -> None:
        """Called in place of `predict` in a step without terms."""

    def ramp_factor(self) -> float:
        """See `LossSchedule.ramp`."""
        return self.schedule.ramp_factor(self.progress)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term per predicted task; zeros in a step that `every_k` or the ramp leaves out."""
        factor = self.weight * self._step_factor()
        if factor == 0:
            self.skip()
            return {f"loss_{self.label}_{name}": batch["images"].new_zeros(()) for name in self.task_factors}
        return self.terms(batch, output, factor)

    def terms(self, batch: Batch, output: MultiTaskOutput, factor: float) -> dict[str, Tensor]:
        """Terms of a step, multiplied by `factor`."""
        return self.weighted(self.label, self.predict(batch, output.features), batch["targets"], factor)

    def weighted(
        self, label: str, predictions: Mapping[str, Tensor], targets: Mapping[str, Tensor], factor: float
    ) -> dict[str, Tensor]:
        """`loss_<label>_<task>` of each task: the task's loss, with predictions upsampled bilinearly to the labels."""
        terms = {}
        for name, task_factor in self.task_factors.items():
            task = self.tasks[name]
            labels = subsample_labels(task, targets[name], self.schedule.label_stride)
            terms[f"loss_{label}_{name}"] = factor * task_factor * task_loss(task, predictions[name], labels)
        return terms

    def grid(self, batch: Batch) -> tuple[int, int]:
        """Height and width of the predictions for the images of a batch."""
        height, width = (-(-length // self.maps.render_stride) for length in batch["images"].shape[-2:])
        return height, width

    def _step_factor(self) -> float:
        """Factor of this step, 0 for a step without terms; counts the training steps if `every_k` is not 1."""
        factor = self.ramp_factor()
        if self.schedule.every_k == 1 or not self.training:
            return factor
        left_out = int(self.steps) % self.schedule.every_k != 0
        self.steps += 1
        return 0.0 if left_out else factor * self.schedule.every_k
