"""A posed clip of any format: its frames in order of time, their poses and cameras, the unit of its depth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.images import read_numbers
from datasets.layout.frame_files import Array
from datasets.loading.poses import is_rigid
from datasets.preparation.reading import check_shape, describe

Intrinsics = tuple[float, float, float, float]
"""fx, fy, cx, cy; pixel centres are at integer + 0.5."""

_UNIT_LENGTH = 5e-2
"""Largest difference of a quaternion's length from 1; some trackers round to two digits. It is normalised."""
_ASPECT = 0.01


@dataclass(frozen=True)
class Camera:
    """The camera of a frame.

    Args:
        intrinsics: in pixels of an image of `size`.
        size: (H, W); None for the size of the image.
    """

    intrinsics: Intrinsics
    size: tuple[int, int] | None = None

    def of(self, size: tuple[int, int], where: Path) -> Intrinsics:
        """Intrinsics in pixels of an image of another size.

        Raises:
            DataError: if the image has another shape, so that it is no scaled copy.
        """
        if self.size is None:
            return self.intrinsics
        rows, columns = size[0] / self.size[0], size[1] / self.size[1]
        if abs(rows / columns - 1) > _ASPECT:
            found, known = (f"{width}x{height}" for height, width in (size, self.size))
            raise DataError(
                f"{where}: an image of {found} pixels is no scaled copy of the {known} that the camera is known for; "
                "give the camera of these files (--intrinsics FX FY CX CY)"
            )
        fx, fy, cx, cy = self.intrinsics
        return fx * columns, fy * rows, cx * columns, cy * rows


@dataclass(frozen=True)
class DepthCode:
    """Code of 16-bit depth.

    Args:
        per_metre: units to the metre.
        missing: codes that stand for no measurement.
    """

    per_metre: float
    missing: tuple[int, ...]

    def read(self, path: Path) -> Array:
        """(H, W) float32 metres, 0 missing.

        Raises:
            DataError: if the file is missing, truncated or no 16-bit grey PNG.
        """
        codes = read_numbers(path)
        if codes.dtype != np.uint16:
            raise DataError(f"{path}: found {describe(codes)}, expected one channel of 16 bits")
        return np.where(np.isin(codes, self.missing), 0, codes / self.per_metre).astype(np.float32)


MILLIMETRES = DepthCode(1000, (0, 65535))


@dataclass(frozen=True)
class ClipFrame:
    """One frame of a clip.

    Args:
        name: unique in the clip; names sort as the frames follow each other.
        image: its picture.
        depth: its 16-bit PNG.
        pose: 4x4 camera-to-world row by row, metres, camera frame x right, y down, z forward.
        camera: its intrinsics.
    """

    name: str
    image: Path
    depth: Path
    pose: tuple[float, ...]
    camera: Camera

    def read_depth(self, code: DepthCode, size: tuple[int, int]) -> Array:
        """Depth at the size of the image.

        Raises:
            DataError: if the file is wrong or of another size.
        """
        depth = code.read(self.depth)
        check_shape(depth, size, str(self.depth))
        return depth


@dataclass(frozen=True)
class Clip:
    """A clip.

    Args:
        kind: its format, by the name that users know.
        frames: in order of time.
        depth: how its depth is coded.
        notes: frames left out, quantities derived.
    """

    kind: str
    frames: tuple[ClipFrame, ...]
    depth: DepthCode
    notes: str = ""


class NoPoseError(DataError):
    """The tracker had no pose at that time: it wrote NaN, infinity or zeros. Such frames are left out and counted."""


def frame_names(stems: Sequence[str]) -> list[str]:
    """Names of frames in order of time: the names of their files, or numbers if these would sort differently."""
    names = [re.sub(r"[^\w.\-]+", "_", stem) for stem in stems]
    follow = all(first < second for first, second in pairwise(names))
    return names if follow else [f"{number:06d}" for number in range(len(names))]


def file_below(folder: Path, name: str, where: str) -> Path:
    """A file that a table of the clip names, with slashes or backslashes.

    Args:
        folder: of the clip.
        name: path relative to the folder.
        where: file and line, for the message.

    Raises:
        DataError: if the path leads out of the folder.
    """
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or PureWindowsPath(name).drive or ".." in relative.parts:
        raise DataError(f"{where}: {name!r} lies outside the folder of the clip; give paths relative to it")
    return folder / relative


def numbers_of(words: Sequence[str], count: int, where: str, expected: str) -> list[float]:
    """Convert words to numbers.

    Args:
        words: the texts.
        count: how many there must be.
        where: file and line, for the message.
        expected: their meaning, for the message.

    Raises:
        NoPoseError: if one is not finite.
        DataError: if there are more or fewer, or one is no number.
    """
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise DataError(f"{where}: {error}; expected {expected}") from None
    if len(numbers) == count and not np.isfinite(numbers).all():
        raise NoPoseError(f"{where}: a number is not finite; expected {expected}")
    if len(numbers) != count:
        raise DataError(f"{where}: found {len(numbers)} numbers, expected {expected}")
    return numbers


def pose_of(quaternion: Sequence[float], translation: Sequence[float], where: str) -> NDArray[np.float64]:
    """The (4, 4) pose of a rotation and a translation.

    Args:
        quaternion: x, y, z, w, of length 1 but for rounding.
        translation: x, y, z.
        where: file and line, for the message.

    Raises:
        NoPoseError: if the quaternion is zero.
        DataError: if the quaternion has another length.
    """
    length = float(np.linalg.norm(quaternion))
    if length == 0:
        raise NoPoseError(f"{where}: the pose is no rotation and translation, the quaternion has length 0")
    if not abs(length - 1) <= _UNIT_LENGTH:
        raise DataError(f"{where}: the pose is no rotation and translation, the quaternion has length {length:g}")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = translation
    return checked(pose, where)


def checked(pose: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """Return the pose if it is rigid.

    Raises:
        NoPoseError: if its rotation is zero.
        DataError: if it is not rigid.
    """
    if not pose[:3, :3].any():
        raise NoPoseError(f"{where}: the rotation is zero")
    if not is_rigid(pose):
        raise DataError(f"{where}: the pose is no rotation and translation; correct it, or take the frame out")
    return pose


def flat(pose: NDArray[np.float64]) -> tuple[float, ...]:
    """The 16 numbers of a pose for frames.csv, row by row."""
    return tuple(pose.ravel().tolist())
