"""Write any source into the canonical layout: frame by frame, in several processes, all or nothing."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2

from datasets.layout.frame_files import Array, write_frame
from datasets.layout.layout import CanonicalWriter, DataError, DatasetInfo, FrameRecord, LabelInfo

Written = tuple[FrameRecord, dict[str, str]]
"""A frame, and the digests of its files."""

Track = Callable[[Iterator[Written], int], Iterator[Written]]
"""Passes the finished frames on, given their number, and may show progress."""


class Source(Protocol):
    """A data set somewhere on disk, opened, checked as far as that needs no pixels, and picklable."""

    @property
    def name(self) -> str:
        """Beginning of the data-set id."""

    @property
    def tasks(self) -> Sequence[str]:
        """Tasks that have labels."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the semseg classes 1..C."""

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """See `DatasetInfo`."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each modality comes from."""

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
        """A frame with its size, and its arrays as they are stored.

        Raises:
            DataError: naming the file that is missing or wrong.
        """


def progress(description: str) -> Track:
    """Shows progress with the time left, on standard error."""

    def track(frames: Iterator[Written], total: int) -> Iterator[Written]:
        from rich.console import Console
        from rich.progress import track as shown

        yield from shown(frames, description=description, total=total, console=Console(stderr=True))

    return track


def check_vacant(out: Path, overwrite: bool) -> None:
    """See that a data set may be written.

    Raises:
        DataError: if something lies there that may not be replaced.
    """
    if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: there is something here already; give --overwrite to replace it, or another --out")


def prepare(source: Source, out: Path, *, workers: int, limit: int | None, track: Track) -> DatasetInfo:
    """Read every frame of a source and write the canonical layout.

    Callers that may run at the same time hold `datasets.layout.layout.exclusive(out)` around it.

    Args:
        source: what is read.
        out: place of the data set; what is there is replaced once the new one is complete.
        workers: processes.
        limit: only the first so many frames of each split, None for all.
        track: shows progress.

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
        job = _Job(source, writer.folder, writer.num_classes, writer.kinds)
        for record, digests in track(_in_order(job, frames, workers), len(frames)):
            writer.add(record, digests)
    if writer.info is None:
        raise DataError(f"{out}: nothing was written")
    return writer.info


@dataclass(frozen=True)
class _Job:
    """What a process needs to write frames."""

    source: Source
    folder: Path
    num_classes: Mapping[str, int]
    kinds: Mapping[str, str]

    def __call__(self, frame: tuple[str, str]) -> Written:
        record, arrays = self.source.read(*frame)
        size = record.size or arrays["images"].shape[:2]
        return record, write_frame(self.folder, record.name, arrays, size, self.num_classes, self.kinds)


def _chosen(frames: Sequence[tuple[str, str]], limit: int | None) -> list[tuple[str, str]]:
    by_split: dict[str, list[tuple[str, str]]] = {}
    for frame in frames:
        by_split.setdefault(frame[1], []).append(frame)
    return [frame for split in by_split.values() for frame in split[:limit]]


def _in_order(job: _Job, frames: Sequence[tuple[str, str]], workers: int) -> Iterator[Written]:
    if workers == 1:
        yield from map(job, frames)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(job,)) as pool:
        try:
            yield from pool.map(_work, frames, chunksize=4)
        except BrokenProcessPool:
            raise DataError("a worker process was killed, perhaps for lack of memory; try --workers 1") from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_OF_THIS_WORKER: list[_Job] = []
"""What a worker process works on; sent once, since it lists every frame."""


def _start(job: _Job) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    _OF_THIS_WORKER.append(job)


def _work(frame: tuple[str, str]) -> Written:
    return _OF_THIS_WORKER[-1](frame)
