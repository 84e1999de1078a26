"""Data samples for the tests of metrics: made by a seed, of any size, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from numpy.typing import ArrayLike

TASKS = ("semseg", "depth", "normals", "boundary")


def sample(task: str, prediction: ArrayLike, target: ArrayLike, name: str = "0001") -> SegDataSample:
    """A sample of one task; both (C, H, W)."""
    made = SegDataSample(metainfo={"name": name})
    dtype = torch.int64 if task == "semseg" else torch.float32
    for kind, values in (("pred", prediction), ("gt", target)):
        data = torch.as_tensor(np.array(values), dtype=dtype)
        made.set_field(PixelData(data=data), f"{kind}_{task}", dtype=PixelData)
    return made


def random_samples(task: str, count: int, seed: int = 0, size: tuple[int, int] = (5, 6)) -> list[SegDataSample]:
    """Images with holes of different size, among them one without any label."""
    random = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        prediction, target, missing = random_pair(task, random, size)
        hole = random.random(size) < (1.0 if index == 1 else 0.3)
        samples.append(sample(task, prediction, np.where(hole, missing, target), name=f"{index:04}"))
    return samples


def random_pair(task: str, random: np.random.Generator, size: tuple[int, int]) -> tuple[Any, Any, float]:
    """Prediction, target and the value that marks a missing label."""
    if task == "semseg":
        target = random.integers(0, 40, (1, *size))
        return np.where(random.random((1, *size)) < 0.5, target, random.integers(0, 40, (1, *size))), target, 255
    if task == "depth":
        target = random.uniform(0.7, 10, (1, *size))
        return target + random.normal(size=(1, *size)), target, 0
    if task == "normals":
        target = random.normal(size=(3, *size))
        return target + random.normal(size=(3, *size)), target, 0
    return random.random((1, *size)), (random.random((1, *size)) < 0.3).astype(float), 255
