"""Preparation of any source into the canonical layout, in several processes, completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2

from benchmark.boundaries.formats.content import DataError
from benchmark.records.processes import map_in_processes
from datasets.layout.frame_files import Array, write_frame
from datasets.layout.layout import CanonicalWriter, DatasetInfo, FrameRecord, LabelInfo

AXES_COMPARED = 60
"""Number of evenly spread frames whose normals are compared with the depth."""


class Written(NamedTuple):
    """A written frame.

    Args:
        record: its line of frames.csv.
        digests: digest of each of its files, by path.
        facts: measures of the examiner, None without an examiner.
    """

    record: FrameRecord
    digests: dict[str, str]
    facts: Any = None


Track = Callable[[Iterator[Written], int], Iterator[Written]]
"""Yields the finished frames unchanged, given their total number, and may show progress."""


class Source(Protocol):
    """A foreign data set on disk, checked without reading pixels, and picklable."""

    @property
    def name(self) -> str:
        """Beginning of the data-set id."""

    @property
    def tasks(self) -> Sequence[str]:
        """Names of the tasks with labels."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the semseg classes 1..C."""

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """Class maps other than semseg and tasks that are not standard, see `DatasetInfo`."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""

    @property
    def notes(self) -> Sequence[str]:
        """Caveats, one sentence each."""

    @property
    def version(self) -> int:
        """Version of the preparation, see `DatasetInfo`."""

    @property
    def frames(self) -> Sequence[tuple[str, str]]:
        """Name and split of every frame."""

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """The record of a frame with its size, and its arrays as the layout stores them.

        Raises:
            DataError: naming the missing or wrong file.
        """


class Examiner(Protocol):
    """Plausibility checks during preparation, picklable; see `datasets.doctor.at_preparation`."""

    def measure(
        self,
        record: FrameRecord,
        arrays: Mapping[str, Array],
        kinds: Mapping[str, str],
        num_classes: Mapping[str, int],
        compare_axes: bool,
    ) -> Any:
        """Measures of one frame, taken in the process that read it."""

    def findings(
        self, info: DatasetInfo, records: Sequence[FrameRecord], digests: Mapping[str, str], frames: Sequence[Any]
    ) -> tuple[str, ...]:
        """Findings for dataset.json from the measures of all frames."""


def progress(description: str) -> Track:
    """A `Track` that shows progress and remaining time on standard error."""

    def track(frames: Iterator[Written], total: int) -> Iterator[Written]:
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(frames, description=description, total=total, console=Console(stderr=True))

    return track


def check_vacant(out: Path, overwrite: bool) -> None:
    """Refuse an output folder that is not empty, unless it may be replaced.

    Raises:
        DataError: if the folder is not empty and `overwrite` is False.
    """
    if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: the folder is not empty; give --overwrite to replace it, or another --out")


def prepare(
    source: Source, out: Path, *, workers: int, limit: int | None, track: Track, examiner: Examiner | None = None
) -> DatasetInfo:
    """Read every frame of a source and write the canonical layout.

    Callers that may run at the same time hold `datasets.layout.layout.exclusive(out)`.

    Args:
        source: the data set to read.
        out: folder of the prepared data set; an older data set is replaced once the new one is complete.
        workers: number of processes.
        limit: number of frames of each split, from the first on; None for all.
        track: shows progress.
        examiner: its findings are stored in dataset.json.

    Raises:
        DataError: naming the first wrong file.
    """
    frames = _chosen(source.frames, limit)
    writer = CanonicalWriter(
        out,
        name=source.name,
        size=None,
        tasks=source.tasks,
        classes=source.classes,
        labels=source.labels,
        sources=source.sources,
        notes=source.notes,
        version=source.version,
    )
    with writer:
        facts = []
        job = _Job(source, writer.folder, writer.num_classes, writer.kinds, examiner)
        for written in track(_in_order(job, frames, workers), len(frames)):
            writer.add(written.record, written.digests)
            facts.append(written.facts)
        if examiner is not None:
            writer.examine = lambda info, records, digests: examiner.findings(info, records, digests, facts)
    if writer.info is None:
        raise DataError(f"{out}: nothing was written")
    return writer.info


@dataclass(frozen=True)
class _Job:
    """Arguments of a worker process that writes frames."""

    source: Source
    folder: Path
    num_classes: Mapping[str, int]
    kinds: Mapping[str, str]
    examiner: Examiner | None

    def __call__(self, task: tuple[str, str, bool]) -> Written:
        name, split, compare_axes = task
        record, arrays = self.source.read(name, split)
        size = record.size or arrays["images"].shape[:2]
        digests = write_frame(self.folder, record.name, arrays, size, self.num_classes, self.kinds)
        if self.examiner is None:
            return Written(record, digests)
        facts = self.examiner.measure(record, arrays, self.kinds, self.num_classes, compare_axes)
        return Written(record, digests, facts)


def _chosen(frames: Sequence[tuple[str, str]], limit: int | None) -> list[tuple[str, str]]:
    by_split: dict[str, list[tuple[str, str]]] = {}
    for frame in frames:
        by_split.setdefault(frame[1], []).append(frame)
    return [frame for split in by_split.values() for frame in split[:limit]]


def _in_order(job: _Job, frames: Sequence[tuple[str, str]], workers: int) -> Iterator[Written]:
    step = max(1, len(frames) // AXES_COMPARED)
    tasks = [(name, split, position % step == 0) for position, (name, split) in enumerate(frames)]
    if workers == 1:
        yield from map(job, tasks)
        return
    try:
        yield from map_in_processes(_work, tasks, workers, chunksize=4, initializer=_start, initargs=(job,))
    except BrokenProcessPool:
        raise DataError("a worker process was killed, perhaps for lack of memory; try --workers 1") from None


_JOB_OF_WORKER: list[_Job] = []
"""The job of a worker process; sent once, since it lists every frame."""


def _start(job: _Job) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    _JOB_OF_WORKER.append(job)


def _work(task: tuple[str, str, bool]) -> Written:
    return _JOB_OF_WORKER[-1](task)
