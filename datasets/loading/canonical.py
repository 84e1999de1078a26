"""Data set class for the canonical layout, with items that can be collated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmark.boundaries.formats.content import DataError
from benchmark.tasks import IGNORE_LABEL, NYUV2_TASKS, STANDARD_TASKS, Task, TaskSet, suggest
from datasets.layout.example import write_example
from datasets.layout.frame_files import Array
from datasets.layout.label_kinds import IMAGES, KINDS
from datasets.layout.layout import DatasetInfo, read_frames, read_info, read_label
from datasets.loading.augmentation import Augmentation
from datasets.loading.cache import CachedFrames, cache_folder, try_cache
from datasets.loading.transforms import Frame, padding, resize

PARTS_OF_TRAIN = {"fit": False, "val": True}
"""Value of `FrameRecord.held_out` of each part of the training frames."""


class CanonicalDataset(Dataset[dict[str, Any]]):
    """One split of a prepared data set.

    Args:
        root: folder with dataset.json.
        split: "train", "test", or a part of the training frames: "val", the validation split that
            `datasets.layout.validation` holds out, or "fit", the other frames.
        size: (H, W) to which frames are resized before augmentation; None keeps the stored sizes.
        augmentation: see `datasets.loading.augmentation.Augmentation`; "test" and "val" take only `pad`.
        tasks: names of the tasks to load, all by default; other labels are read only if the augmentation needs them.
        seed: seed of the augmentation.
        cache: keep the frames of this `size` in memory-mapped files, see `datasets.loading.cache`.
        share: share in (0, 1] of the frames of "train" or "fit", the same frames for every seed. A larger share
            includes the frames of a smaller one.

    Raises:
        DataError: if the data set is missing, or a file of it is wrong.
        ValueError: if a split, task or augmentation is unknown, or the items would differ in size.

    An item is `{"images", "targets", "intrinsics", "index", "name"}` of one frame, as `benchmark.contracts.Batch`
    describes it, and "window" if an evaluation is padded. Position p is frame p mod N in epoch p div N. The
    augmentation depends only on (seed, epoch, frame), so it is the same for any number of workers, after a resume, and
    for any tasks.

    For "fit" and "val", `frames` lists all training frames, and `chosen` has the positions of the frames of the split.
    So the three splits share one cache, and a frame has the same augmentation in "train" and in "fit".
    """

    tasks: TaskSet = NYUV2_TASKS
    """All tasks of the data set."""
    varied: ClassVar[bool] = False
    """True if the frames have different sizes."""
    version: ClassVar[int | None] = None
    """Required `DatasetInfo.version` of the prepared data; None accepts all."""
    command: ClassVar[str] = ""
    """Command that prepares the data, without its option --out; empty for data that are prepared on first use."""

    def __init__(
        self,
        root: Path | str,
        split: str,
        *,
        size: tuple[int, int] | None = None,
        augmentation: Mapping[str, Any] | None = None,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
        cache: bool = False,
        share: float = 1.0,
    ) -> None:
        self.ensure(Path(root))
        self.root = self.prepared(Path(root))
        self.info: DatasetInfo = read_info(self.root)
        self.tasks = _tasks_of(self.info, self.offered(Path(root)))
        self.split = split
        self._stored_split = "train" if split in PARTS_OF_TRAIN else split
        self.frames = [frame for frame in read_frames(self.root) if frame.split == self._stored_split]
        part = PARTS_OF_TRAIN.get(split)
        positions = [index for index, frame in enumerate(self.frames) if part in (None, frame.held_out)]
        if not positions:
            splits = ", ".join((*self.info.counts, *PARTS_OF_TRAIN))
            raise ValueError(f"{self.root}: no frame in split {split!r}; splits are {splits}")
        self.size = self.info.size if size is None else (int(size[0]), int(size[1]))
        self.augmentation = Augmentation.from_mapping(augmentation)
        trains = split in ("train", "fit")
        if not trains and not self.augmentation.is_deterministic():
            raise ValueError(f"the {split} split takes no augmentation but pad, found {dict(augmentation or {})}")
        if self.size is None and not self.augmentation.fixed_size:
            raise ValueError(f"{self.root}: frames of different sizes; give size=(H, W), or an augmentation with pad")
        self.chosen = [positions[place] for place in chosen_frames(len(positions), share if trains else 1.0)]
        self.wanted = self._select(tasks)
        self.seed = seed
        self._kinds = self.info.kinds
        self._cached = self._open_cache() if cache else None

    @classmethod
    def ensure(cls, root: Path | str) -> None:
        """Check that the data set exists; subclasses may create it instead.

        Raises:
            DataError: if `root` holds no data set, or one of another version; with the command that prepares it.
        """
        folder = cls.prepared(Path(root))
        command = f": {cls.command} --out {root}{' --overwrite' * folder.exists()}" if cls.command else ""
        try:
            version = read_info(folder).version
        except DataError as error:
            raise DataError(f"{error}{command}") from None
        if cls.version not in (None, version):
            raise DataError(
                f"{folder}: prepared by version {version} of the preparation, this code reads version {cls.version}; "
                f"prepare the data set again{command}"
            )

    @classmethod
    def example(cls, root: Path) -> None:
        """Write a tiny synthetic instance at `root`, for tests."""
        write_example(root, f"{cls.__name__.lower()}-example", cls.tasks, varied=cls.varied, version=cls.version or 1)

    @classmethod
    def prepared(cls, root: Path) -> Path:
        """Folder with dataset.json of the data set at `root`: `root` itself, unless a subclass overrides it."""
        return root

    @classmethod
    def offered(cls, root: Path) -> TaskSet:
        """Tasks of the data set at `root`: the tasks of the class, unless a subclass reads them from `root`."""
        return cls.tasks

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate over the frames once, as in epoch 0."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, position: int) -> dict[str, Any]:
        if position < 0:
            raise IndexError(f"positions count from 0, found {position}")
        epoch, place = divmod(position, len(self))
        index = self.chosen[place]
        return self.item(index, self.augmented(index, np.random.default_rng((self.seed, epoch, index))))

    def augmented(self, index: int, rng: np.random.Generator) -> Frame:
        """A frame after the augmentation drawn from the generator."""
        return self.augmentation(self.read(index), rng)

    def item(self, index: int, frame: Frame) -> dict[str, Any]:
        """The item of an augmented frame."""
        labels = frame.labels()
        return {
            "images": torch.from_numpy(_writeable(frame.image.transpose(2, 0, 1))),
            "targets": {name: _target(self.tasks[name], labels[name]) for name in self.wanted},
            "intrinsics": torch.from_numpy(frame.intrinsics.astype(np.float32)),
            "index": index,
            "name": self.frames[index].name,
            **self._window(index),
        }

    def read(self, index: int) -> Frame:
        """A resized frame before augmentation, with the required labels.

        Raises:
            DataError: if a file is missing, truncated or wrong.
        """
        if self._cached is None:
            return self._read_files(index, self._needed())
        labels = self._cached.read(index)
        return Frame(labels.pop("image"), self._intrinsics(index), self._kinds, labels)

    def _select(self, names: Sequence[str] | None) -> tuple[str, ...]:
        for name in names or ():
            if name not in self.tasks:
                hint = suggest(name, self.tasks)
                raise ValueError(f"{self.root}: no task named {name!r}.{hint} It offers {', '.join(self.tasks)}")
        return tuple(self.tasks if names is None else self.tasks.select(names))

    def _read_files(self, index: int, labels: Sequence[str]) -> Frame:
        record = self.frames[index]
        image = read_label(self.root, self.info, record, IMAGES)
        arrays = {name: self._decoded(name, read_label(self.root, self.info, record, name)) for name in labels}
        frame = Frame(image, record.matrix(), self._kinds, arrays)
        return frame if self.size is None else resize(frame, self.size)

    def _decoded(self, name: str, array: Array) -> Array:
        """Convert stored codes to the codes of `Frame`."""
        table = KINDS[self._kinds[name]].table
        return array if table is None else cv2.LUT(array, table)

    def _window(self, index: int) -> dict[str, Tensor]:
        """(4,) row, column, height and width of a frame inside its padding; empty without padding for evaluation."""
        padded = self.augmentation.pad
        if padded is None or not self.augmentation.is_deterministic():
            return {}
        size = self.size or self.info.size_of(self.frames[index])
        return {"window": torch.tensor([*padding(size, padded), *size])}

    def _needed(self) -> tuple[str, ...]:
        """Names of the labels to read: the chosen tasks, and semseg if the crop needs it."""
        extra = ("semseg",) if self.augmentation.needs_semseg and "semseg" not in self.wanted else ()
        if extra and "semseg" not in self.tasks:
            raise ValueError(f"{self.root}: cat_max_ratio needs semseg labels, there are {', '.join(self.tasks)}")
        return (*self.wanted, *extra)

    def _intrinsics(self, index: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        record = self.frames[index]
        stored = self.info.size_of(record)
        size = self.size or stored
        factors = np.array([size[1] / stored[1], size[0] / stored[0], 1.0])
        return record.matrix() * factors[:, None]

    def _open_cache(self) -> CachedFrames | None:
        if self.size is None:
            raise ValueError(f"{self.root}: frames of different sizes; a cache needs size=(H, W)")
        folder = cache_folder(self.root, self.info, self.size, self._stored_split)
        made = try_cache(folder, len(self.frames), lambda index: self._read_files(index, tuple(self.tasks)))
        return CachedFrames(folder, self._needed()) if made else None


def chosen_frames(count: int, share: float) -> Sequence[int]:
    """Positions of a share of `count` frames, in ascending order.

    Raises:
        ValueError: if the share does not lie in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share of the training frames must lie in (0, 1], found {share}")
    if share == 1:
        return range(count)
    order = np.random.default_rng(0).permutation(count)
    return sorted(order[: max(1, round(count * share))].tolist())


def _tasks_of(info: DatasetInfo, offered: TaskSet) -> TaskSet:
    """Tasks of dataset.json; a task with classes has one channel per class.

    A task unknown to the data set and to `benchmark.tasks` is based on the standard task of its kind.
    """
    return TaskSet(_task(name, info, offered) for name in info.tasks)


def _task(name: str, info: DatasetInfo, offered: TaskSet) -> Task:
    named = offered.get(name) or STANDARD_TASKS.get(name)
    if named is None:
        kind = info.kinds[name]
        named = replace(next(task for task in STANDARD_TASKS.values() if task.readout == kind), name=name)
    classes = info.classes_of(name)
    return replace(named, channels=len(classes)) if classes and named.readout == "class" else named


def _writeable(array: Array) -> Array:
    """A contiguous and writeable array; only a view of the cache is copied."""
    return np.require(array, requirements=["C", "W"])


def _target(task: Task, array: Array) -> Tensor:
    """Convert the label of a frame to the target of a task."""
    if task.background is not None and ((array == task.background) | (array == IGNORE_LABEL)).all():
        array = np.full_like(array, IGNORE_LABEL)
    return _TENSORS[task.readout](array)


def _map_tensor(array: Array) -> Tensor:
    """Convert (H, W) to (1, H, W) float32."""
    return torch.from_numpy(_writeable(array)).float()[None]


def _class_tensor(array: Array) -> Tensor:
    """Convert (H, W) to int64."""
    return torch.from_numpy(_writeable(array)).long()


def _vector_tensor(array: Array) -> Tensor:
    """Convert (H, W, 3) to (3, H, W) float32 by torch, which converts float16 many times faster than numpy."""
    return torch.from_numpy(_writeable(array)).permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format)


_TENSORS = {
    "class": _class_tensor,
    "value": _map_tensor,
    "direction": _vector_tensor,
    "probability": _map_tensor,
    "mask": _map_tensor,
}
