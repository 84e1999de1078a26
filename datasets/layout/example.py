"""A tiny synthetic data set in the canonical layout, for tests and as an illustration of the layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.tasks import Task, TaskSet
from datasets.layout.frame_files import Array
from datasets.layout.layout import CanonicalWriter
from datasets.layout.manifest_tables import DatasetInfo, FrameRecord, LabelInfo, assumed_intrinsics

SIZES = ((48, 64), (64, 48), (40, 56))
FRAMES = {"train": 3, "test": 2}


def write_example(root: Path, name: str, tasks: TaskSet, *, varied: bool, version: int = 1) -> DatasetInfo:
    """Write five frames with labelled pixels and one unlabelled pixel for every task.

    Args:
        root: folder of the data set.
        name: beginning of its id.
        tasks: tasks of the data set.
        varied: True for frames of different sizes.
        version: of the preparation, see `DatasetInfo`.
    """
    classes = {task.name: _class_names(task) for task in tasks.values() if task.readout == "class"}
    writer = CanonicalWriter(
        root,
        name=name,
        size=None if varied else SIZES[0],
        tasks=tuple(tasks),
        classes=classes.pop("semseg", ()),
        labels={task: LabelInfo("class", names) for task, names in classes.items()},
        sources={"all": "made up"},
        version=version,
    )
    splits = [split for split, count in FRAMES.items() for _ in range(count)]
    with writer:
        for number, split in enumerate(splits):
            size = SIZES[number % len(SIZES)] if varied else SIZES[0]
            record = FrameRecord(f"{number:04d}", split, assumed_intrinsics(size), size=size if varied else None)
            writer.write(record, example_frame(tasks, size, number))
    if writer.info is None:
        raise DataError(f"{root}: nothing was written")
    return writer.info


def example_frame(tasks: TaskSet, size: tuple[int, int], seed: int) -> dict[str, Array]:
    """Image and labels of one frame in the codes of the layout; the first pixel is unlabelled."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {"images": rng.integers(0, 256, (*size, 3), dtype=np.uint8)}
    arrays |= {name: _label(task, size, rng) for name, task in tasks.items()}
    return arrays


def _class_names(task: Task) -> tuple[str, ...]:
    return tuple(f"{task.name} {number}" for number in range(1, task.channels + 1))


def _label(task: Task, size: tuple[int, int], rng: np.random.Generator) -> Array:
    rows, columns = np.mgrid[: size[0], : size[1]]
    if task.readout == "class":
        # Vertical stripes, one for each class.
        label = (1 + columns * task.channels // size[1]).astype(np.uint8)
    elif task.readout == "value":
        label = (1 + rows / size[0] + rng.random()).astype(np.float32)
    elif task.readout == "direction":
        label = np.zeros((*size, 3), np.float16)
        label[..., 2] = 1
    else:
        period = 8 if task.readout == "probability" else 2
        label = np.where(columns // 4 % period == 1, 255, 0).astype(np.uint8)
    label[0, 0] = 128 if task.readout in ("probability", "mask") else 0
    return label
