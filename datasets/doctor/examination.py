"""Examination of a whole data set, in several processes."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2

from benchmark.records.processes import map_in_processes
from datasets.doctor import summary
from datasets.doctor.frames import FrameFacts, examine_frame
from datasets.doctor.report import Report, grouped
from datasets.doctor.tables import Tables, check_tables, open_tables
from datasets.layout.frame_files import modality_path
from datasets.layout.label_kinds import IMAGES
from datasets.layout.layout import DatasetInfo, FrameRecord

Track = Callable[[Iterator[FrameFacts], int], Iterator[FrameFacts]]


def examine(root: Path, *, sample: int | None, workers: int, track: Track) -> Report:
    """Examine a prepared data set; nothing is changed.

    Args:
        root: folder of the data set.
        sample: number of frames, evenly spread, whose files are read; None for all. The tables are checked in full.
        workers: number of processes.
        track: yields the finished frames unchanged, given their total number, and may show progress.

    Raises:
        NoDatasetError: if `root` holds no prepared data set.
    """
    tables, findings = open_tables(root)
    if tables is None:
        return Report(str(root), "", {}, 0, 0, [], findings)
    findings += check_tables(root, tables)
    chosen = spread(tables.records, sample)
    frames = list(track(_examined(root, tables, chosen, workers), len(chosen)))
    frame_findings = [(modality, finding) for frame in frames for modality, finding in frame.findings]
    findings += grouped([*frame_findings, *summary.check_axes(root, tables.info, frames)])
    findings += summary.check_pictures(root, tables, frames)
    if len(chosen) == len(tables.records):
        findings += summary.check_labels(root, tables.info, frames)
    counts = dict(sorted(Counter(record.split for record in tables.records).items(), reverse=True))
    return Report(
        str(root),
        tables.info.id,
        counts,
        len(chosen),
        len(tables.records),
        summary.lines(tables.info, frames),
        sorted(findings, key=lambda finding: finding.level),
    )


def spread(records: Sequence[FrameRecord], sample: int | None) -> list[FrameRecord]:
    """Sample of frames, evenly spread over both splits in the order of their names."""
    ordered = sorted(records, key=lambda record: (record.split, record.name))
    if sample is None or sample >= len(ordered):
        return ordered
    return [ordered[position * len(ordered) // sample] for position in range(sample)]


def _examined(root: Path, tables: Tables, records: Sequence[FrameRecord], workers: int) -> Iterator[FrameFacts]:
    """Facts of every frame in order, computed in `workers` processes."""
    work = partial(_task, root=root, info=tables.info)
    jobs = [(record, _expected(tables, record)) for record in records]
    if workers == 1:
        yield from map(work, jobs)
        return
    yield from map_in_processes(work, jobs, workers, chunksize=4, initializer=_quiet_and_single_threaded)


def _task(job: tuple[FrameRecord, Mapping[str, str]], root: Path, info: DatasetInfo) -> FrameFacts:
    record, expected = job
    return examine_frame(root, info, record, expected)


def _expected(tables: Tables, record: FrameRecord) -> dict[str, str]:
    """Digests in checksums.csv of the files of one frame."""
    info, digests = tables.info, tables.digests or {}
    paths = [modality_path(Path(), name, record.name, info.kinds).as_posix() for name in (IMAGES, *info.tasks)]
    return {path: digests[path] for path in paths if path in digests}


def _quiet_and_single_threaded() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    # The PNG library prints lines about damaged files, which the report covers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
