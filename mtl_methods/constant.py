"""Constant: lower bound for every trained method.

Source: the dummy estimators of scikit-learn (strategies "most_frequent" and "mean"),
https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators; no paper.
Differs from them: every pixel of every image has the most frequent class, the mean depth, the mean normal, the share of
the foreground, and no boundary.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.registry import METHODS
from benchmark.tasks import Task, TaskSet

NO_BOUNDARY = -20.0
"""Logit of a probability of 2e-9, which no threshold counts as a boundary; finite in a loss."""


@METHODS.register(
    "constant",
    title="Constant (floor)",
    paper="https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators",
    year=2013,
    accepts_regularizers=False,
    expected_failures={
        "has_parameters": "its values are counted, not trained",
        "every_parameter_gets_a_gradient": "it has no parameters, so its loss has no graph",
        "has_shared_features": "it reads no pixel, so it has no features",
    },
)
class Constant(Method):
    """One value per task, taken from the training labels by `calibrate`. It has no features.

    Args:
        tasks: tasks to predict.
        backbone: not used.
    """

    def __init__(self, tasks: TaskSet, backbone: str) -> None:
        super().__init__(tasks, backbone)
        self.tasks = tasks
        self.feature_specs = ()
        for name, task in tasks.items():
            self.register_buffer(f"value_{name}", torch.zeros(task.channels))
            if task.readout == "probability":
                self.get_buffer(f"value_{name}").fill_(NO_BOUNDARY)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """The same prediction for every pixel; before `calibrate`, zeros except for boundaries."""
        batch, _, height, width = images.shape
        values = {name: self.get_buffer(f"value_{name}") for name in self.tasks}
        return MultiTaskOutput(
            {name: value.view(1, -1, 1, 1).repeat(batch, 1, height, width) for name, value in values.items()}
        )

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        """Set the values from the valid pixels of all batches; every pixel has the same weight.

        Raises:
            ValueError: if a task has no valid pixel.
        """
        counted = {name: task for name, task in self.tasks.items() if task.readout != "probability"}
        sums = {
            name: torch.zeros(task.target_channels or task.channels, dtype=torch.float64)
            for name, task in counted.items()
        }
        pixels = dict.fromkeys(counted, 0)
        for batch in targets:
            for name, task in counted.items():
                valid = task.valid(batch[name])
                sums[name] += pixel_sum(task, batch[name], valid)
                pixels[name] += int(valid.sum())
        for name, task in counted.items():
            if pixels[name] == 0:
                raise ValueError(f"no valid pixel of {name} in the training split: nothing to predict from")
            self.get_buffer(f"value_{name}").copy_(most_likely(task, sums[name], pixels[name]))


def pixel_sum(task: Task, target: Tensor, valid: Tensor) -> Tensor:
    """Sum over the valid pixels in float64: number of pixels of each class, or sum of values by channel of the target.

    Float64 counts are exact up to 9e15 pixels.
    """
    if task.readout == "class":
        return torch.bincount(target[valid], minlength=task.channels).double()
    return target.movedim(1, -1)[valid].double().sum(0)


def most_likely(task: Task, sums: Tensor, pixels: int) -> Tensor:
    """Raw prediction (channels,) for every pixel, from the sum over `pixels` valid ones."""
    if task.readout == "class":
        return majority(sums)
    if task.readout == "mask":
        logit = torch.logit(sums / pixels, eps=1e-9)
        return torch.cat([torch.zeros(task.channels - 1, dtype=torch.float64), logit])
    return sums / pixels


def majority(counts: Tensor) -> Tensor:
    """One-hot logits of the most frequent class, the first one in a tie."""
    return torch.nn.functional.one_hot(counts.argmax(), len(counts)).double()
