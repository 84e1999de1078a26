"""Rendering of the data set into the canonical layout, room by room, in several processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmark.boundaries.formats.content import DataError
from benchmark.records.processes import map_in_processes
from benchmark.visualization.nyu40 import NAMES_40
from datasets.doctor.tables import read_checksums
from datasets.layout.frame_files import Array, modality_path, write_frame
from datasets.layout.layout import (
    CanonicalWriter,
    DatasetInfo,
    FrameRecord,
    exclusive,
    fingerprint,
    read_frames,
    read_info,
)
from datasets.synthetic.render import Frame, render_room

GENERATOR_VERSION = 1
"""Version of the generator. Raise it with every change of pixels: data of another version are rendered again."""

TASKS = ("semseg", "depth", "normals", "boundary")
SPLITS = ("train", "test")
SOURCES = dict.fromkeys(("images", *TASKS), "rendered by datasets/synthetic of this project, free of third-party data")
NOTES = (
    "Furnished rooms, ray cast at pixel centres; the image has 2x2 samples per pixel, shadows and sensor noise.",
    "Depth and normals are exact, boundaries separate objects.",
    "Frames of a scene overlap; no scene is in two splits.",
)


@dataclass(frozen=True)
class RoomPlan:
    """Number, size and seed of the rendered rooms.

    Args:
        train_rooms: number of rooms in the train split, each with two to four views.
        test_rooms: number of rooms in the test split.
        seed: seed of all random choices; a room depends only on it, its split and its number.
        size: (H, W) of the frames, each at least 32.

    Raises:
        ValueError: if a value is not allowed.
    """

    train_rooms: int = 128
    test_rooms: int = 32
    seed: int = 0
    size: tuple[int, int] = (120, 160)

    def __post_init__(self) -> None:
        if self.train_rooms < 1 or self.test_rooms < 1:
            raise ValueError(f"each split needs a room, found {self.train_rooms} for train, {self.test_rooms} for test")
        if min(self.size) < 32:
            raise ValueError(f"frames of at least 32x32 are rendered, found {self.size[0]}x{self.size[1]}")
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative, found {self.seed}")

    @property
    def name(self) -> str:
        """Name and variant of the data set, the beginning of its id."""
        return f"{id_prefix()}{self.train_rooms}+{self.test_rooms}rooms-seed{self.seed}"

    def rooms(self) -> list[tuple[str, int]]:
        """Split and number of every room."""
        counts = (self.train_rooms, self.test_rooms)
        return [(split, number) for split, count in zip(SPLITS, counts, strict=True) for number in range(count)]


def id_prefix() -> str:
    """Beginning of the ids of data from this version of the generator."""
    return f"synthetic-v{GENERATOR_VERSION}-"


def workers_by_default() -> int:
    """One process per core that this process may use, at most eight."""
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)


def _record(frame: Frame, split: str, scene: str, number: int) -> FrameRecord:
    matrix = frame.camera.intrinsics
    intrinsics = (float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
    return FrameRecord(f"{scene}-{number}", split, intrinsics, scene, tuple(map(float, frame.camera.pose.ravel())))


def _make_room(room: tuple[str, int], plan: RoomPlan, folder: Path) -> list[tuple[FrameRecord, dict[str, str]]]:
    """Render a room and write its frames; return the record and the digests of each frame."""
    split, number = room
    frames = render_room((GENERATOR_VERSION, plan.seed, SPLITS.index(split)), number, plan.size)
    made = []
    for view, frame in enumerate(frames):
        record = _record(frame, split, f"{split}-{number:04d}", view)
        arrays: dict[str, Array] = {
            "images": frame.image,
            "semseg": frame.semseg,
            "depth": frame.depth,
            "normals": frame.normals.astype(np.float16),
            "boundary": frame.boundary.astype(np.uint8) * np.uint8(255),
        }
        made.append((record, write_frame(folder, record.name, arrays, plan.size, len(NAMES_40))))
    return made


@contextmanager
def _mapped(plan: RoomPlan, folder: Path, workers: int) -> Iterator[Iterable[list[tuple[FrameRecord, dict[str, str]]]]]:
    """The written frames of every room, in order, from this process or from `workers` processes."""
    work, rooms = partial(_make_room, plan=plan, folder=folder), plan.rooms()
    if workers <= 1:
        yield map(work, rooms)
        return
    try:
        yield map_in_processes(work, rooms, workers, chunksize=2)
    except BrokenProcessPool:
        raise RuntimeError(
            "a rendering process was killed, perhaps for lack of memory; run it again with fewer workers"
        ) from None


def generate(root: Path, plan: RoomPlan, workers: int | None = None) -> DatasetInfo:
    """Render the data set completely or not at all.

    If another process may do the same, the caller holds `exclusive(root)`.

    Args:
        root: folder of the data set; an older synthetic data set is replaced.
        plan: number, size and seed of the rooms.
        workers: number of processes, one per core by default; 1 renders in this process.

    Raises:
        DataError: if something that is not a synthetic data set lies at `root`.
        ImportError: if the package embreex is missing.
        RuntimeError: if a rendering process was killed.
    """
    refuse_foreign(root)
    writer = CanonicalWriter(
        root,
        name=plan.name,
        size=plan.size,
        tasks=TASKS,
        classes=NAMES_40,
        sources=SOURCES,
        notes=NOTES,
        version=GENERATOR_VERSION,
    )
    count = min(workers or workers_by_default(), len(plan.rooms()))
    with writer, _mapped(plan, writer.folder, count) as rooms:
        label = f"rendering {len(plan.rooms())} rooms of the data set 'synthetic'"
        for made in track(rooms, label, total=len(plan.rooms()), console=Console(stderr=True)):
            for record, digests in made:
                writer.add(record, digests)
    if writer.info is None:
        raise RuntimeError(f"{root}: the data set was not written")
    return writer.info


def refuse_foreign(root: Path) -> None:
    """Refuse to replace a folder that holds anything but an older synthetic data set.

    Raises:
        DataError: if the folder holds something else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    try:
        is_ours = read_info(root).id.startswith("synthetic-")
    except DataError:
        is_ours = (root / "images").is_dir() and any((root / "images").glob("train-0000-*.png"))
    if not is_ours:
        raise DataError(f"{root}: not a synthetic data set, so it is not replaced; choose another folder or remove it")


def problem_with(root: Path) -> str | None:
    """Reason why the data at `root` cannot be used, in a few words; None if they can.

    Only the tables are read and the presence of every file is checked, which takes milliseconds. The content of a file
    is checked when it is read.
    """
    if not (root / "dataset.json").is_file():
        return "no data set found"
    try:
        info, records = read_info(root), read_frames(root)
        digests = read_checksums(root)
    except (DataError, OSError, ValueError) as error:
        return str(error)
    if not info.id.startswith(id_prefix()):
        return f"{info.id} is from another version of the generator"
    if fingerprint(digests, records, info.classes) != info.fingerprint:
        return "its tables do not agree with its fingerprint"
    names = [record.name for record in records]
    missing = (path for modality in ("images", *info.tasks) for path in _missing(root, modality, names))
    first = next(missing, None)
    return None if first is None else f"{first} is missing"


def _missing(root: Path, modality: str, names: Iterable[str]) -> Iterator[Path]:
    """Files of one modality that are absent or empty. The folder is listed, which is faster than asking for each."""
    present: set[str] = set()
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root / modality) as entries:
        present = {entry.name for entry in entries if entry.is_file() and entry.stat().st_size}
    suffix = modality_path(root, modality, "name").suffix
    yield from (root / modality / f"{name}{suffix}" for name in names if f"{name}{suffix}" not in present)


def ensure(root: Path, plan: RoomPlan | None = None, workers: int | None = None) -> DatasetInfo:
    """Render the data set if it is missing, incomplete or from another version of the generator.

    Args:
        root: folder of the data set.
        plan: rooms to render, the default plan if not given. Existing data may have another size.
        workers: see `generate`.
    """
    root = Path(root).absolute()
    if problem_with(root) is None:
        return read_info(root)
    with exclusive(root):
        # Another process may have rendered it while this one waited.
        problem = problem_with(root)
        if problem is None:
            return read_info(root)
        if root.exists() and any(root.iterdir()):
            Console(stderr=True).print(f"{root}: rendered again, {problem}", markup=False, highlight=False)
        return generate(root, plan or RoomPlan(), workers)


def identity(root: Path) -> dict[str, str]:
    """Id of the data at `root`, or of the data that `ensure` would render, without the hash of the content."""
    plan = RoomPlan()
    planned = f"{plan.name}-{plan.size[0]}x{plan.size[1]}"
    usable = problem_with(root) is None
    return {"id": read_info(root).id.rpartition("-")[0] if usable else planned}
