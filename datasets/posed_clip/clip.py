"""What every kind of clip is read into: its frames in order of time, their poses, and how its depth is coded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from datasets.layout.frame_files import Array, DataError, read_png
from datasets.loading.poses import is_rigid
from datasets.preparation.reading import check_shape, describe

Intrinsics = tuple[float, float, float, float]
"""fx, fy, cx, cy; pixel centres are at integer + 0.5."""

_UNIT_LENGTH = 1e-2
"""By how much the length of a quaternion may differ from 1; files round to four digits."""
_ASPECT = 0.01


@dataclass(frozen=True)
class Camera:
    """The camera of a frame.

    Args:
        intrinsics: in pixels of an image of `size`.
        size: (H, W); None for that of the image, whatever it is.
    """

    intrinsics: Intrinsics
    size: tuple[int, int] | None = None

    def of(self, size: tuple[int, int], where: Path) -> Intrinsics:
        """The intrinsics in pixels of an image of another size.

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
    """How 16-bit depth is coded.

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
        codes = read_png(path)
        if codes.ndim != 2 or codes.dtype != np.uint16:
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
        notes: what was left out or derived.
    """

    kind: str
    frames: tuple[ClipFrame, ...]
    depth: DepthCode
    notes: str = ""


def frame_names(stems: Sequence[str]) -> list[str]:
    """Names of frames in order of time: those of their files, or numbers where the former would not sort that way."""
    names = [re.sub(r"[^\w.\-]+", "_", stem) for stem in stems]
    follow = all(first < second for first, second in pairwise(names))
    return names if follow else [f"{number:06d}" for number in range(len(names))]


def read_lines(path: Path) -> list[str]:
    """Lines of a text file.

    Raises:
        DataError: if it cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "the file is missing" if isinstance(error, FileNotFoundError) else f"not a readable text ({error})"
        raise DataError(f"{path}: {reason}") from None


def numbers_of(words: Sequence[str], count: int, where: str, expected: str) -> list[float]:
    """So many numbers.

    Args:
        words: the texts.
        count: how many there must be.
        where: file and line, for the message.
        expected: what they are, for the message.

    Raises:
        DataError: if there are more or fewer, or one is no number or not finite.
    """
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise DataError(f"{where}: {error}; expected {expected}") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: a number is not finite; expected {expected}")
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
        DataError: if the quaternion has another length.
    """
    length = float(np.linalg.norm(quaternion))
    if not abs(length - 1) <= _UNIT_LENGTH:
        raise DataError(f"{where}: the pose is no rotation and translation, the quaternion has length {length:g}")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = translation
    return checked(pose, where)


def checked(pose: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """The same pose.

    Raises:
        DataError: if it is not rigid.
    """
    if not is_rigid(pose):
        raise DataError(f"{where}: the pose is no rotation and translation; correct it, or take the frame out")
    return pose


def flat(pose: NDArray[np.float64]) -> tuple[float, ...]:
    """A pose as frames.csv has it."""
    return tuple(pose.ravel().tolist())
