"""Check of a data set before the training, to find faults of a user's class within seconds."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmark.tasks import Task, TaskSet


class DatasetContractError(TypeError):
    """A data set lacks an attribute or gives wrong items; the message is one line."""


def check_dataset(dataset: Any, tasks: Sequence[str]) -> None:
    """Check the attributes of a data set and its first item.

    Args:
        dataset: one split.
        tasks: names of the tasks that the cell trains.

    Raises:
        DatasetContractError: naming the class, the fault and the expected value.
    """
    where = f"data set {type(dataset).__name__}{_place(type(dataset))}"
    _check_attributes(dataset, tasks, where)
    item = dataset[0]
    if not isinstance(item, Mapping):
        raise DatasetContractError(f"{where}: item 0 is {type(item).__name__}, expected a dictionary as in Batch")
    missing = [key for key in ("images", "targets", "intrinsics", "index", "name") if key not in item]
    if missing:
        raise DatasetContractError(f"{where}: item 0 has no {missing[0]!r}, it has {', '.join(map(str, item))}")
    _check_tensor(item["images"], (3, None, None), torch.float32, "images", where)
    _check_tensor(item["intrinsics"], (3, 3), torch.float32, "intrinsics", where)
    size = tuple(item["images"].shape[-2:])
    for name in tasks:
        if not isinstance(item["targets"], Mapping) or name not in item["targets"]:
            raise DatasetContractError(f"{where}: targets of item 0 have no {name!r}")
        _check_target(item["targets"][name], dataset.tasks[name], size, where)


def _place(kind: type) -> str:
    """File and line of a class, for the message."""
    try:
        return f" ({inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind)[1]})"
    except (OSError, TypeError):
        return ""


def _check_attributes(dataset: Any, tasks: Sequence[str], where: str) -> None:
    for path, expected in (
        ("tasks", "the TaskSet that it offers"),
        ("info.id", "a text that identifies the data in results"),
        ("info.fingerprint", "a hash of the content as text"),
        ("__len__", "the number of its items"),
        ("__getitem__", "the item of a position"),
    ):
        value = dataset
        for name in path.split("."):
            if not hasattr(value, name):
                raise DatasetContractError(f"{where}: no attribute {path!r}, expected {expected}")
            value = getattr(value, name)
    if not isinstance(dataset.tasks, TaskSet):
        raise DatasetContractError(f"{where}: tasks is {type(dataset.tasks).__name__}, expected a TaskSet")
    for name in ("id", "fingerprint"):
        if not isinstance(getattr(dataset.info, name), str):
            raise DatasetContractError(f"{where}: info.{name} is {getattr(dataset.info, name)!r}, expected a text")
    absent = [name for name in tasks if name not in dataset.tasks]
    if absent:
        raise DatasetContractError(f"{where}: no task {absent[0]!r}, it offers {', '.join(dataset.tasks)}")
    if len(dataset) < 1:
        raise DatasetContractError(f"{where}: it is empty")


def _check_target(target: Any, task: Task, size: tuple[int, ...], where: str) -> None:
    channels = task.target_channels
    shape = size if channels is None else (channels, *size)
    dtype = torch.int64 if task.readout == "class" else torch.float32
    _check_tensor(target, shape, dtype, f"target {task.name!r}", where)


def _check_tensor(value: Any, shape: tuple[int | None, ...], dtype: torch.dtype, name: str, where: str) -> None:
    expected = f"expected {'x'.join('?' if length is None else str(length) for length in shape)} {dtype}"
    if not isinstance(value, Tensor):
        raise DatasetContractError(f"{where}: {name} of item 0 is {type(value).__name__}, {expected}")
    fits = len(value.shape) == len(shape) and all(
        wanted is None or found == wanted for found, wanted in zip(value.shape, shape, strict=True)
    )
    if not fits or value.dtype != dtype:
        found = "x".join(map(str, value.shape)) or "a single value"
        raise DatasetContractError(f"{where}: {name} of item 0 is {found} {value.dtype}, {expected}")
