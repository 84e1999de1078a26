"""What the metrics of all tasks share: fields of a data sample in, numbers of the whole split out.

Each image leaves exact sums behind: integers, and float64 sums over its own pixels, which `math.fsum` adds without
rounding on the way. So the result is the same to the last bit whatever the batch size, the order of the images and the
number of processes.
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
        task: what is measured; its `valid` says which pixels count.
        collect_device: "cpu" or "gpu", how several processes exchange their sums.
        collect_dir: folder for the exchange on the CPU, None for a temporary one.
    """

    def __init__(self, task: Task, collect_device: str = "cpu", collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=task.name, collect_dir=collect_dir)
        self.task = task
        self.evaluated: list[Sums] = []

    @abstractmethod
    def measure(self, prediction: Tensor, target: Tensor) -> Sums:
        """What one image contributes.

        Args:
            prediction: (C, H, W) on the CPU.
            target: of the same shape.
        """

    @abstractmethod
    def metrics(self, images: Sequence[Sums]) -> dict[str, float]:
        """Numbers of the whole split by name, not rounded; empty where there is nothing to measure."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Add the images of a batch.

        Args:
            data_batch: not used.
            data_samples: `SegDataSample`s, or what their `to_dict` returns.

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
        """Keep what one image contributes, one entry per image, as mmengine's exchange between processes expects."""
        self.results.append(image)

    def compute_metrics(self, results: list[Sums]) -> dict[str, float]:
        """Numbers of the whole split, from the contributions of its images in any order."""
        self.evaluated = list(results)
        return self.metrics(results)

    def of_images(self) -> list[dict[str, float]]:
        """Metrics of each image of the last evaluation alone, as `<task>/<name>`, in the order of the split."""
        return [
            {f"{self.task.name}/{name}": value for name, value in self.of_image(image).items()}
            for image in self.evaluated
        ]

    def of_image(self, image: Sums) -> dict[str, float]:
        """Metrics of one image alone, from its contribution after the evaluation."""
        return self.metrics([image])

    def reset(self) -> None:
        """Forget the images so far, as `evaluate` does by itself."""
        self.results.clear()

    def _field(self, fields: Mapping[str, Any], kind: str) -> Tensor:
        name = f"{kind}_{self.task.name}"
        if name not in fields:
            raise ValueError(f"{_title(fields)}: no field {name}; fields there: {', '.join(map(str, fields))}")
        values: Tensor = fields[name]["data"]
        return values.detach().cpu()

    def _valid(self, target: Tensor) -> NDArray[np.bool_]:
        """(H, W) mask of the pixels that count."""
        batched = target if self.task.readout == "class" else target.unsqueeze(0)
        mask: Tensor = self.task.valid(batched)[0]
        return mask.numpy()


def as_floats(values: Tensor, valid: NDArray[np.bool_]) -> Floats:
    """The valid pixels (C, N) of an image (C, H, W) in float64.

    They are in C order, whatever the memory layout of the image, and so are the sums over them.
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
