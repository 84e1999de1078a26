"""The data set over a canonical layout: frames in, collatable items out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmark.tasks import IGNORE_LABEL, NYUV2_TASKS, TaskSet
from datasets.augmentation import Augmentation
from datasets.cache import CachedFrames, cache_folder, ensure_cache
from datasets.layout import DatasetInfo, read_frames, read_info
from datasets.modalities import Array, DataError, read_modality
from datasets.transforms import Frame, resize

# Stored codes to codes in memory: semseg 0, 1..C -> 255, 0..C-1; boundary 0, 255, 128 -> 0, 1, 255.
_SEMSEG = np.roll(np.arange(256, dtype=np.uint8), 1)
_BOUNDARY = np.zeros(256, np.uint8)
_BOUNDARY[255], _BOUNDARY[128] = 1, IGNORE_LABEL


class CanonicalDataset(Dataset[dict[str, Any]]):
    """One split of a prepared data set.

    Args:
        root: folder with dataset.json.
        split: "train" or "test".
        size: (H, W) to which frames are resized before augmentation; None keeps the stored size.
        augmentation: see `datasets.augmentation.Augmentation`; the test split takes only `pad`.
        tasks: names of the tasks to load, all by default; labels that nobody asks for are not read.
        seed: of the augmentation.
        cache: keep the frames of this `size` in memory-mapped files below `root/cache`.

    Raises:
        DataError: if there is no data set, or a file of it is wrong.
        ValueError: if a split, task or augmentation is unknown.

    An item is `{"images", "targets", "intrinsics", "index", "name"}` of one frame, as `benchmark.contracts.Batch`
    describes it. Position p is frame p mod N in epoch p div N; the augmentation depends on (seed, epoch, frame) and
    on nothing else, so it is the same for any number of workers, after a resume, and whatever tasks are loaded.
    """

    tasks: TaskSet = NYUV2_TASKS
    """All tasks that the data set offers."""

    def __init__(
        self, root: Path | str, split: str, *, size: tuple[int, int] | None = None,
        augmentation: Mapping[str, Any] | None = None, tasks: Sequence[str] | None = None, seed: int = 0,
        cache: bool = False,
    ) -> None:
        self.root = Path(root)
        self.ensure(self.root)
        self.info: DatasetInfo = read_info(self.root)
        self.tasks = _offered(self.info)
        self.split = split
        self.frames = [frame for frame in read_frames(self.root) if frame.split == split]
        if not self.frames:
            raise ValueError(f"{self.root}: no split named {split!r}; there are {', '.join(self.info.counts)}")
        self.size = self.info.size if size is None else (int(size[0]), int(size[1]))
        self.augmentation = Augmentation.from_mapping(augmentation)
        if split != "train" and not self.augmentation.without_draws():
            raise ValueError(f"the {split} split takes no augmentation but pad, found {dict(augmentation or {})}")
        self.wanted = self._select(tasks)
        self.seed = seed
        self._cached = self._open_cache() if cache else None

    @classmethod
    def ensure(cls, root: Path | str) -> None:
        """Make the data if that is possible; here it is not.

        Raises:
            DataError: if there is no data set at `root`.
        """
        read_info(Path(root))

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The frames once, as in epoch 0."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, position: int) -> dict[str, Any]:
        if position < 0:
            raise IndexError(f"positions count from 0, found {position}")
        epoch, index = divmod(position, len(self))
        rng = np.random.default_rng((self.seed, epoch, index))
        frame = self.augmentation(self.read(index), rng)
        return {
            "images": torch.from_numpy(_own(frame.image.transpose(2, 0, 1))),
            "targets": {name: _TENSORS[name](getattr(frame, name)) for name in self.wanted},
            "intrinsics": torch.from_numpy(frame.intrinsics.astype(np.float32)),
            "index": index,
            "name": self.frames[index].name,
        }

    def read(self, index: int) -> Frame:
        """A frame of this size as it is before augmentation, with the labels that are needed.

        Raises:
            DataError: if a file is missing, truncated or wrong.
        """
        if self._cached is None:
            return self._read_files(index, self._needed())
        arrays = self._cached.read(index)
        return Frame(intrinsics=self._intrinsics(index), **arrays)

    def _select(self, names: Sequence[str] | None) -> tuple[str, ...]:
        for name in names or ():
            if name not in self.tasks:
                near = get_close_matches(name, self.tasks, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"{self.root}: no task named {name!r}.{hint} It offers {', '.join(self.tasks)}")
        return tuple(self.tasks if names is None else self.tasks.select(names))

    def _read_files(self, index: int, labels: Sequence[str]) -> Frame:
        record = self.frames[index]
        arrays = {
            name: read_modality(self.root, name, record.name, self.info.size, len(self.info.classes))
            for name in ("images", *labels)
        }
        image = arrays.pop("images")
        return resize(Frame(image, record.matrix(), **_decoded(arrays)), self.size)

    def _needed(self) -> tuple[str, ...]:
        """Labels to read: those asked for, and semseg where the crop looks at it."""
        extra = ("semseg",) if self.augmentation.needs_semseg and "semseg" not in self.wanted else ()
        if extra and "semseg" not in self.tasks:
            raise ValueError(f"{self.root}: cat_max_ratio needs semseg labels, there are {', '.join(self.tasks)}")
        return (*self.wanted, *extra)

    def _intrinsics(self, index: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        factors = np.array([self.size[1] / self.info.size[1], self.size[0] / self.info.size[0], 1.0])
        return self.frames[index].matrix() * factors[:, None]

    def _open_cache(self) -> CachedFrames:
        folder = cache_folder(self.root, self.info, self.size, self.split)
        ensure_cache(folder, len(self), lambda index: self._read_files(index, tuple(self.tasks)))
        return CachedFrames(folder, self._needed())


def _offered(info: DatasetInfo) -> TaskSet:
    """The tasks of dataset.json; semseg has as many channels as there are classes."""
    for name in info.tasks:
        if name not in NYUV2_TASKS:
            near = get_close_matches(name, NYUV2_TASKS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(f"dataset.json of {info.id}: no task named {name!r}.{hint}")
    tasks = NYUV2_TASKS.select(info.tasks)
    return TaskSet(
        replace(task, channels=len(info.classes)) if task.name == "semseg" and info.classes else task
        for task in tasks.values()
    )


def _decoded(arrays: dict[str, Array]) -> dict[str, Array]:
    """Stored codes -> the codes of `Frame`."""
    for name, table in (("semseg", _SEMSEG), ("boundary", _BOUNDARY)):
        if name in arrays:
            arrays[name] = cv2.LUT(arrays[name], table)
    return arrays


def _own(array: Array) -> Array:
    """Contiguous and writeable: a view of the cache is copied, all else is left alone."""
    return np.require(array, requirements=["C", "W"])


def _map_tensor(array: Array) -> Tensor:
    """(H, W) -> (1, H, W) float32."""
    return torch.from_numpy(_own(array)).float()[None]


def _class_tensor(array: Array) -> Tensor:
    """(H, W) -> int64."""
    return torch.from_numpy(_own(array)).long()


def _vector_tensor(array: Array) -> Tensor:
    """(H, W, 3) -> (3, H, W) float32; torch widens float16 many times faster than numpy."""
    return torch.from_numpy(_own(array)).permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format)


_TENSORS = {"semseg": _class_tensor, "depth": _map_tensor, "normals": _vector_tensor, "boundary": _map_tensor}
