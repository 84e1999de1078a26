"""Checks that need all frames: repeated pictures, absent classes, wrong axes on average."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.doctor.axes import UNRELATED, Agreement, advice, best_order, spelled
from datasets.doctor.frames import FrameFacts, Labels
from datasets.doctor.report import Finding, ModalityLine, problem, warning
from datasets.doctor.tables import Tables
from datasets.layout.frame_files import modality_path
from datasets.layout.label_kinds import IMAGES
from datasets.layout.layout import DatasetInfo

MOST_NAMES = 6
"""Largest number of classes named in one line."""


def lines(info: DatasetInfo, frames: Sequence[FrameFacts]) -> list[ModalityLine]:
    """Rows of the table of the report, by modality and split."""
    splits = sorted({frame.split for frame in frames}, reverse=True)
    return [
        _line(info, modality, split, [frame for frame in frames if frame.split == split])
        for modality in (IMAGES, *info.tasks)
        for split in splits
    ]


def check_pictures(root: Path, tables: Tables, frames: Sequence[FrameFacts]) -> Iterator[Finding]:
    """Repeated pictures: a problem across splits, a warning within a split.

    Args:
        root: folder of the data set.
        tables: its tables, with the digests of frames that were not read.
        frames: the frames that were read.
    """
    digests = dict(tables.digests or {})
    for frame in frames:
        digests.update(frame.digests)
    first: dict[str, tuple[str, str]] = {}
    doubled: dict[bool, list[tuple[str, str, str]]] = {True: [], False: []}
    for record, path in zip(tables.records, tables.files(IMAGES), strict=True):
        if path not in digests:
            continue
        name, split = first.setdefault(digests[path], (record.name, record.split))
        if name != record.name:
            doubled[split != record.split].append((path, name, split))
    for across, level in ((True, problem), (False, warning)):
        if doubled[across]:
            path, name, split = doubled[across][0]
            why = (
                "a test frame must not be trained on; remove one at the source and prepare again"
                if across
                else "it counts twice"
            )
            yield level(root / path, f"the same picture as {split} frame {name!r} ({len(doubled[across])} such); {why}")


def check_labels(root: Path, info: DatasetInfo, frames: Sequence[FrameFacts]) -> Iterator[Finding]:
    """Tasks without a label in a split, boundary and mask tasks without a positive pixel, absent classes."""
    for task in info.tasks:
        folder, by_split = root / task, _by_split(frames, task)
        for split, labels in by_split.items():
            if not any(one.valid for one in labels):
                yield problem(folder, f"no {split} frame has a labelled pixel; prepare the data set again")
            elif info.kinds[task] in ("probability", "mask") and not any(one.positive for one in labels):
                yield problem(folder, f"no pixel of any {split} frame is marked (255); prepare the data set again")
        if info.kinds[task] == "class":
            yield from _absent_classes(folder, info.classes_of(task), by_split)


def check_axes(root: Path, info: DatasetInfo, frames: Sequence[FrameFacts]) -> Iterator[tuple[str, Finding]]:
    """Findings about normals that disagree with the depth, each with its modality."""
    compared = [(frame, frame.agreement) for frame in frames if frame.agreement is not None]
    task = next((name for name in info.tasks if info.kinds[name] == "direction"), "")
    for frame, agreement in compared:
        path = modality_path(root, task, frame.name, info.kinds)
        if agreement.best:
            yield task, problem(path, _wrong_axes(agreement.angle, agreement.best_angle, agreement.best))
        elif agreement.angle > UNRELATED:
            yield (
                task,
                problem(
                    path,
                    f"the normals are {agreement.angle:.0f} degrees off the depth, in any order and sign of "
                    "the axes; are both of this frame, and neither flipped? Prepare again",
                ),
            )
    if compared and not any(agreement.best for _, agreement in compared):
        yield from (
            (task, finding) for finding in _wrong_on_average(root / task, [agreement for _, agreement in compared])
        )


def _wrong_axes(angle: float, best_angle: float, order: int) -> str:
    return (
        f"wrong axes: the normals are {angle:.0f} degrees off the depth, and {best_angle:.0f} as "
        f"{spelled(order)}; {advice(order)} (x right, y down, z towards the camera) and prepare again"
    )


def _wrong_on_average(folder: Path, agreements: Sequence[Agreement]) -> Iterator[Finding]:
    """Wrong axes on average over all frames; a single frame may have too few directions."""
    weights = np.array([agreement.pixels for agreement in agreements], np.float64)
    moments = np.average([agreement.moments for agreement in agreements], axis=0, weights=weights)
    order = best_order(moments)
    if order:
        angle = float(np.average([agreement.angle for agreement in agreements], weights=weights))
        yield problem(
            folder,
            f"wrong axes: over all frames the normals, {angle:.0f} degrees off the depth, would agree "
            f"better as {spelled(order)}; {advice(order)} and prepare again",
        )


def _absent_classes(
    folder: Path, classes: Sequence[str], by_split: Mapping[str, Sequence[Labels]]
) -> Iterator[Finding]:
    zeros = np.zeros(len(classes), np.int64)
    counts = {split: sum((one.counts for one in labels), zeros) for split, labels in by_split.items()}
    absent = np.flatnonzero(sum(counts.values(), zeros) == 0)
    if len(absent):
        yield warning(folder, f"never labelled: {_named(classes, absent)}")
    train, test = counts.get("train"), counts.get("test")
    if train is not None and test is not None:
        unlearnt = np.flatnonzero((train == 0) & (test > 0))
        if len(unlearnt):
            yield warning(folder, f"in test frames only, so never learnt: {_named(classes, unlearnt)}")


def _named(classes: Sequence[str], positions: Sequence[int] | np.ndarray[Any, np.dtype[np.intp]]) -> str:
    names = [f"class {position + 1} ({classes[position]})" for position in positions[:MOST_NAMES]]
    more = len(positions) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _by_split(frames: Sequence[FrameFacts], task: str) -> dict[str, list[Labels]]:
    by_split: dict[str, list[Labels]] = defaultdict(list)
    for frame in frames:
        if task in frame.labels:
            by_split[frame.split].append(frame.labels[task])
    return by_split


def _line(info: DatasetInfo, modality: str, split: str, frames: Sequence[FrameFacts]) -> ModalityLine:
    if modality == IMAGES:
        read = Counter(path.partition("/")[0] for frame in frames for path in frame.digests)
        return ModalityLine(modality, split, read[IMAGES], None)
    labels = [frame.labels[modality] for frame in frames if modality in frame.labels]
    pixels = sum(one.pixels for one in labels)
    coverage = sum(one.valid for one in labels) / pixels if pixels else 0.0
    return ModalityLine(modality, split, len(labels), coverage, _facts(info, modality, labels, frames))


def _facts(info: DatasetInfo, modality: str, labels: Sequence[Labels], frames: Sequence[FrameFacts]) -> dict[str, Any]:
    kind, valid = info.kinds[modality], sum(one.valid for one in labels)
    if not valid:
        return {}
    if kind == "class":
        counts = sum((one.counts for one in labels), np.zeros(len(info.classes_of(modality)), np.int64))
        return {"classes": f"{np.count_nonzero(counts)} of {len(counts)}"}
    if kind == "value":
        medians = [one.median for one in labels if one.median is not None]
        return {"median": f"{np.median(medians):.2f} m", "by frame": f"{min(medians):.2f} to {max(medians):.2f} m"}
    if kind == "direction":
        angles = [frame.agreement.angle for frame in frames if frame.agreement is not None]
        facts = {"length off by": max(one.deviation for one in labels)}
        return facts | ({"to depth": f"{np.median(angles):.1f} deg"} if angles else {})
    share = 100 * sum(one.positive for one in labels) / valid
    return {"boundary" if kind == "probability" else "foreground": f"{share:.1f} %"}
