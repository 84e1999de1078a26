"""Base class of the metrics of all tasks: from fields of data samples to numbers of the whole split.

Each image contributes integers and float64 sums over its pixels, which `math.fsum` adds without intermediate rounding.
So the result is bit-identical for any batch size, order of images and number of processes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from numpy.typing import NDArray
from torch import Tensor

from benchmark.tasks import Task

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Sums = TypeVar("Sums")


class TaskMetric(BaseMetric, Generic[Sums]):
    """Reads `pred_<task>` and `gt_<task>` from data samples; reports `<task>/<name>`.

    Args:
        task: task to measure; `task.valid` selects the pixels that count.
        collect_device: "cpu" or "gpu", device of the exchange between processes.
        collect_dir: folder for the exchange on the CPU, None for a temporary folder.
    """

    def __init__(self, task: Task, collect_device: str = "cpu", collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=task.name, collect_dir=collect_dir)
        self.task = task
        self.evaluated: list[Sums] = []

    @abstractmethod
    def measure(self, prediction: Tensor, target: Tensor) -> Sums:
        """Sums of one image.

        Args:
            prediction: (C, H, W) on the CPU.
            target: (C, H, W) on the CPU.
        """

    @abstractmethod
    def metrics(self, images: Sequence[Sums]) -> dict[str, float]:
        """Numbers of the whole split by name, not rounded; empty without valid pixels."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Add the images of a batch.

        Args:
            data_batch: not used.
            data_samples: `SegDataSample`s, or their dictionaries from `to_dict`.

        Raises:
            ValueError: if a field is missing, or prediction and target differ in shape.
        """
        for sample in data_samples:
            fields = sample if isinstance(sample, Mapping) else sample.to_dict()
            prediction, target = self._field(fields, "pred"), self._field(fields, "gt")
            if prediction.shape != target.shape:
                raise ValueError(
                    f"{_title(fields)}: {self.task.name} prediction {tuple(prediction.shape)} and target "
                    f"{tuple(target.shape)} differ in shape; a metric never resizes"
                )
            self.add(self.measure(prediction, target))

    def add(self, image: Sums) -> None:
        """Keep the sums of one image, one entry per image, as mmengine's exchange between processes requires."""
        self.results.append(image)

    def compute_metrics(self, results: list[Sums]) -> dict[str, float]:
        """Numbers of the whole split, from the sums of its images in any order."""
        self.evaluated = list(results)
        return self.metrics(results)

    def of_images(self) -> list[dict[str, float]]:
        """Metrics of each single image of the last evaluation, as `<task>/<name>`, in the order of the split."""
        return [
            {f"{self.task.name}/{name}": value for name, value in self.of_image(image).items()}
            for image in self.evaluated
        ]

    def of_image(self, image: Sums) -> dict[str, float]:
        """Metrics of one image, from its sums after the evaluation."""
        return self.metrics([image])

    def reset(self) -> None:
        """Discard the images so far, as `evaluate` does at its end."""
        self.results.clear()

    def _field(self, fields: Mapping[str, Any], kind: str) -> Tensor:
        name = f"{kind}_{self.task.name}"
        if name not in fields:
            raise ValueError(f"{_title(fields)}: no field {name}; fields: {', '.join(map(str, fields))}")
        values: Tensor = fields[name]["data"]
        return values.detach().cpu()

    def _valid(self, target: Tensor) -> NDArray[np.bool_]:
        """(H, W) mask of the pixels that count."""
        batched = target if self.task.readout == "class" else target.unsqueeze(0)
        mask: Tensor = self.task.valid(batched)[0]
        return mask.numpy()


def as_floats(values: Tensor, valid: NDArray[np.bool_]) -> Floats:
    """The valid pixels (C, N) of an image (C, H, W) in float64.

    The order of the values, and so of sums over them, does not depend on the memory layout of the image.
    """
    rows = values.to(torch.float64).contiguous().numpy().reshape(len(values), -1)
    return np.ascontiguousarray(rows[:, np.flatnonzero(valid)])


def total(parts: Sequence[Any], name: str) -> float:
    """Sum over images of the field `name`, correctly rounded."""
    return math.fsum(getattr(part, name) for part in parts)


def percent(part: float, whole: float) -> float:
    """Share in percent."""
    return 100 * part / whole


def _title(fields: Mapping[str, Any]) -> str:
    return f"image {fields['name']}" if "name" in fields else "data sample"
