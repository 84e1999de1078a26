"""TUM RGB-D: rgb.txt, depth.txt and groundtruth.txt, which belong together by their timestamps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.layout.frame_files import DataError
from datasets.posed_clip.clip import (
    Camera,
    Clip,
    ClipFrame,
    DepthCode,
    Intrinsics,
    flat,
    frame_names,
    numbers_of,
    pose_of,
    read_lines,
)
from datasets.preparation.reading import check_presence

KIND = "TUM RGB-D"
LOOKED_FOR = "rgb.txt with depth.txt and groundtruth.txt"
DEPTH = DepthCode(5000, (0,))
INTRINSICS, SIZE = (525.0, 525.0, 319.5, 239.5), (480, 640)
"""As published, pixel centres at integers; of an image of this size."""

WINDOW = 20_000_000
"""Nanoseconds by which times that belong together may differ: 0.02 s."""

_TABLES = ("rgb.txt", "depth.txt", "groundtruth.txt")


def recognise(folder: Path) -> bool:
    """Whether a folder is such a clip."""
    return all((folder / name).is_file() for name in _TABLES)


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """Bring images, depth and poses together, and see that every file is there.

    Args:
        folder: of the clip.
        intrinsics: in pixels of the files, pixel centres at integers; None for the usual ones.

    Raises:
        DataError: naming the first file or line that is wrong, or if no frame has depth and a pose.
    """
    images, depths, poses = (_read_table(folder / name) for name in _TABLES)
    pairs = associate([row.time for row in images], [row.time for row in depths], WINDOW)
    times = [row.time for row in poses]
    placed = [(images[first], depths[second], nearest(times, images[first].time, WINDOW)) for first, second in pairs]
    whole = [(image, depth, poses[place]) for image, depth, place in placed if place is not None]
    if not whole:
        raise DataError(
            f"{folder}: none of {len(images)} images has a depth image ({len(pairs)} have) and a pose within 0.02 s; "
            "are the times of rgb.txt, depth.txt and groundtruth.txt of one clock?"
        )
    check_presence(folder / row.words[0] for image, depth, _ in whole for row in (image, depth))
    names = frame_names([Path(image.words[0]).stem for image, _, _ in whole])
    camera = _camera(intrinsics)
    frames = (
        ClipFrame(name, folder / image.words[0], folder / depth.words[0], flat(_pose(pose)), camera)
        for name, (image, depth, pose) in zip(names, whole, strict=True)
    )
    return Clip(KIND, tuple(frames), DEPTH, _notes(len(images), len(pairs), len(whole)))


def associate(first: Sequence[int], second: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Pairs of nearest times, the smallest difference first, each time at most once.

    Args:
        first: times in ascending order.
        second: likewise.
        window: largest difference of a pair.

    Returns:
        positions in `first` and `second`, in order of time.
    """
    near = [
        (abs(time - second[place]), here, place)
        for here, time in enumerate(first)
        for place in range(bisect_left(second, time - window), bisect_left(second, time + window + 1))
    ]
    used: tuple[set[int], set[int]] = set(), set()
    pairs = []
    for _, here, place in sorted(near):
        if here not in used[0] and place not in used[1]:
            pairs.append((here, place))
            used[0].add(here)
            used[1].add(place)
    return sorted(pairs)


def nearest(times: Sequence[int], wanted: int, window: int) -> int | None:
    """Position of the nearest of some ascending times, the earlier of two; None where it is beyond the window."""
    after = bisect_left(times, wanted)
    near = [place for place in (after - 1, after) if 0 <= place < len(times) and abs(times[place] - wanted) <= window]
    return min(near, key=lambda place: abs(times[place] - wanted), default=None)


class _Row:
    """A line of a table: time in nanoseconds, the words behind it, and where it stands."""

    def __init__(self, line: str, where: str) -> None:
        time, *self.words = line.split()
        self.where = where
        try:
            # Not as float: a second of this century with nanoseconds has more digits than one holds.
            self.time = int(Decimal(time) * 1_000_000_000)
        except (InvalidOperation, ValueError, OverflowError):
            raise DataError(f"{where}: {time!r} is no timestamp") from None
        if not self.words:
            raise DataError(f"{where}: nothing stands behind the timestamp")


def _read_table(path: Path) -> list[_Row]:
    rows = [
        _Row(line, f"{path}, line {number}")
        for number, line in enumerate(read_lines(path), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not rows:
        raise DataError(f"{path}: lists nothing")
    return sorted(rows, key=lambda row: row.time)


def _pose(row: _Row) -> NDArray[np.float64]:
    numbers = numbers_of(row.words, 7, row.where, "tx ty tz qx qy qz qw behind the timestamp")
    return pose_of(numbers[3:], numbers[:3], row.where)


def _camera(intrinsics: Intrinsics | None) -> Camera:
    fx, fy, cx, cy = INTRINSICS if intrinsics is None else intrinsics
    return Camera((fx, fy, cx + 0.5, cy + 0.5), SIZE if intrinsics is None else None)


def _notes(images: int, with_depth: int, whole: int) -> str:
    if images == whole:
        return ""
    return (
        f"{images - whole} of {images} images left out: {images - with_depth} without depth, {with_depth - whole} "
        "without a pose within 0.02 s"
    )
