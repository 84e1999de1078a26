"""TUM RGB-D: rgb.txt, depth.txt and groundtruth.txt, associated by their timestamps.

The words of a line are separated by blanks, tabs, commas or semicolons. Timestamps are in seconds; whole numbers of 14
or more digits are nanoseconds, as ROS and EuRoC write them. Poses with NaN or a zero quaternion are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.text import read_rows
from datasets.posed_clip.clip import (
    Camera,
    Clip,
    ClipFrame,
    DepthCode,
    Intrinsics,
    NoPoseError,
    file_below,
    flat,
    frame_names,
    numbers_of,
    pose_of,
)
from datasets.preparation.reading import check_presence

KIND = "TUM RGB-D"
LOOKED_FOR = "rgb.txt with depth.txt and groundtruth.txt"
DEPTH = DepthCode(5000, (0, 65535))
INTRINSICS, SIZE = (525.0, 525.0, 319.5, 239.5), (480, 640)
"""Published intrinsics with pixel centres at integers, for an image of this size."""

WINDOW = 20_000_000
"""Largest difference of associated times in nanoseconds: 0.02 s."""

_SEPARATOR = re.compile(r"[\s,;]+")
_TIMESTAMP = re.compile(r"\d{1,20}(\.\d{0,20})?(e[+-]?\d{1,2})?", re.IGNORECASE)
_NANOSECOND_DIGITS = 14
_TABLES = ("rgb.txt", "depth.txt", "groundtruth.txt")


def recognise(folder: Path) -> bool:
    """True if the folder holds a TUM RGB-D clip."""
    return all((folder / name).is_file() for name in _TABLES)


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """Associate images, depth and poses, and check that every file exists.

    Args:
        folder: folder of the clip.
        intrinsics: fx, fy, cx, cy in pixels of the files, pixel centres at integers; None for the published ones.

    Raises:
        DataError: naming the first wrong file or line, or if no frame has depth and a pose.
    """
    images, depths, lines = (_read_table(folder / name) for name in _TABLES)
    poses = [pose for pose in map(_pose, lines) if pose is not None]
    pairs = associate([row.time for row in images], [row.time for row in depths], WINDOW)
    times = [pose.time for pose in poses]
    placed = [(images[first], depths[second], nearest(times, images[first].time, WINDOW)) for first, second in pairs]
    complete = [(image, depth, poses[place]) for image, depth, place in placed if place is not None]
    if not complete:
        raise DataError(
            f"{folder}: none of {len(images)} images has a depth image ({len(pairs)} have) and a pose within 0.02 s; "
            "are the times of rgb.txt, depth.txt and groundtruth.txt of one clock?"
        )
    files = [(_file(folder, image), _file(folder, depth), pose) for image, depth, pose in complete]
    check_presence(path for image, depth, _ in files for path in (image, depth))
    names = frame_names([image.stem for image, _, _ in files])
    camera = _camera(intrinsics)
    frames = (
        ClipFrame(name, image, depth, flat(pose.matrix), camera)
        for name, (image, depth, pose) in zip(names, files, strict=True)
    )
    notes = _notes(len(images), len(pairs), len(complete), len(lines) - len(poses))
    return Clip(KIND, tuple(frames), DEPTH, notes)


def associate(first: Sequence[int], second: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Pairs of nearest times, the smallest difference first, each time at most once.

    Args:
        first: times in ascending order.
        second: times in ascending order.
        window: largest difference of a pair.

    Returns:
        Positions in `first` and `second`, in order of time.
    """
    near = [
        (abs(time - second[place]), index, place)
        for index, time in enumerate(first)
        for place in range(bisect_left(second, time - window), bisect_left(second, time + window + 1))
    ]
    used: tuple[set[int], set[int]] = set(), set()
    pairs = []
    for _, index, place in sorted(near):
        if index not in used[0] and place not in used[1]:
            pairs.append((index, place))
            used[0].add(index)
            used[1].add(place)
    return sorted(pairs)


def nearest(times: Sequence[int], wanted: int, window: int) -> int | None:
    """Position of the nearest of the ascending times, the earlier one of two; None beyond the window."""
    after = bisect_left(times, wanted)
    near = [place for place in (after - 1, after) if 0 <= place < len(times) and abs(times[place] - wanted) <= window]
    return min(near, key=lambda place: abs(times[place] - wanted), default=None)


class _Row(NamedTuple):
    """A line of a table.

    Args:
        time: time in nanoseconds.
        text: text after the timestamp.
        where: file and line.
    """

    time: int
    text: str
    where: str


class _Pose(NamedTuple):
    time: int
    matrix: NDArray[np.float64]


def _read_table(path: Path) -> list[_Row]:
    rows = [_row(line, f"{path}, line {number}") for number, line in read_rows(path)]
    if not rows:
        raise DataError(f"{path}: lists nothing")
    return sorted(rows, key=lambda row: row.time)


def _row(line: str, where: str) -> _Row:
    time, text = [*_SEPARATOR.split(line, maxsplit=1), ""][:2]
    if not _TIMESTAMP.fullmatch(time):
        raise DataError(f"{where}: {time[:40]!r} is no timestamp")
    if not text:
        raise DataError(f"{where}: nothing stands behind the timestamp")
    if len(time) >= _NANOSECOND_DIGITS and time.isdecimal():
        return _Row(int(time), text, where)
    # Decimal, since float64 cannot hold seconds since 1970 to the nanosecond.
    return _Row(int(Decimal(time) * 1_000_000_000), text, where)


def _file(folder: Path, row: _Row) -> Path:
    """File of a row of rgb.txt or depth.txt; the name may contain blanks."""
    named = file_below(folder, row.text, row.where)
    return named if named.exists() else file_below(folder, _SEPARATOR.split(row.text)[0], row.where)


def _pose(row: _Row) -> _Pose | None:
    """Pose of a row of groundtruth.txt; None if the tracker had no pose."""
    words = _SEPARATOR.split(row.text)
    try:
        numbers = numbers_of(words, 7, row.where, "tx ty tz qx qy qz qw behind the timestamp")
        return _Pose(row.time, pose_of(numbers[3:], numbers[:3], row.where))
    except NoPoseError:
        return None


def _camera(intrinsics: Intrinsics | None) -> Camera:
    fx, fy, cx, cy = INTRINSICS if intrinsics is None else intrinsics
    return Camera((fx, fy, cx + 0.5, cy + 0.5), SIZE if intrinsics is None else None)


def _notes(images: int, with_depth: int, complete: int, without_pose: int) -> str:
    parts = []
    if images != complete:
        parts.append(
            f"{images - complete} of {images} images left out: {images - with_depth} without depth, "
            f"{with_depth - complete} without a pose within 0.02 s"
        )
    if without_pose:
        parts.append(f"{without_pose} lines of groundtruth.txt left out, which have NaN or a zero quaternion")
    return "; ".join(parts)
