"""A posed clip of any format: frames in order of time, with poses, cameras and the unit of depth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.images import read_numbers
from datasets.layout.frame_files import Array
from datasets.loading.poses import is_rigid
from datasets.preparation.reading import check_shape, describe

Intrinsics = tuple[float, float, float, float]
"""fx, fy, cx, cy; pixel centres are at integer + 0.5."""

_UNIT_LENGTH = 5e-2
"""Largest deviation of the length of a quaternion from 1; some trackers round to two digits."""
_ASPECT = 0.01


@dataclass(frozen=True)
class Camera:
    """The camera of a frame.

    Args:
        intrinsics: fx, fy, cx, cy in pixels of an image of `size`.
        size: (H, W); None for the size of the image file.
    """

    intrinsics: Intrinsics
    size: tuple[int, int] | None = None

    def scaled_to(self, size: tuple[int, int], where: Path) -> Intrinsics:
        """Intrinsics in pixels of an image of another size.

        Raises:
            DataError: if the image has another aspect ratio, so that it is no scaled copy.
        """
        if self.size is None:
            return self.intrinsics
        rows, columns = size[0] / self.size[0], size[1] / self.size[1]
        if abs(rows / columns - 1) > _ASPECT:
            image_size, camera_size = (f"{width}x{height}" for height, width in (size, self.size))
            raise DataError(
                f"{where}: an image of {image_size} pixels is no scaled copy of the {camera_size} of its camera; "
                "give the camera of these files (--intrinsics FX FY CX CY)"
            )
        fx, fy, cx, cy = self.intrinsics
        return fx * columns, fy * rows, cx * columns, cy * rows


@dataclass(frozen=True)
class DepthCode:
    """Code of 16-bit depth.

    Args:
        per_metre: units per metre.
        missing: codes of pixels without a measurement.
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
        name: unique name; the order of the names is the order of time.
        image: path of the picture.
        depth: path of the 16-bit depth PNG.
        pose: 16 numbers of the (4, 4) camera-to-world matrix row by row, metres, camera frame x right, y down, z
            forward.
        camera: camera of the frame.
    """

    name: str
    image: Path
    depth: Path
    pose: tuple[float, ...]
    camera: Camera

    def read_depth(self, code: DepthCode, size: tuple[int, int]) -> Array:
        """(H, W) float32 depth in metres at the size of the image, 0 missing.

        Raises:
            DataError: if the file is wrong or of another size.
        """
        depth = code.read(self.depth)
        check_shape(depth, size, str(self.depth))
        return depth


@dataclass(frozen=True)
class Clip:
    """A posed clip.

    Args:
        kind: name of the format.
        frames: frames in order of time.
        depth: code of the depth files.
        notes: omitted frames and derived quantities.
    """

    kind: str
    frames: tuple[ClipFrame, ...]
    depth: DepthCode
    notes: str = ""


class NoPoseError(DataError):
    """A frame without a pose: the tracker wrote NaN, infinity or zeros. Such frames are left out and counted."""


def frame_names(stems: Sequence[str]) -> list[str]:
    """Names of frames in order of time: the file names, or numbers if the file names sort differently."""
    names = [re.sub(r"[^\w.\-]+", "_", stem) for stem in stems]
    is_sorted = all(first < second for first, second in pairwise(names))
    return names if is_sorted else [f"{number:06d}" for number in range(len(names))]


def file_below(folder: Path, name: str, where: str) -> Path:
    """Path of a file that is named in a table of the clip, with slashes or backslashes.

    Args:
        folder: folder of the clip.
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
        count: expected number of words.
        where: file and line, for the message.
        expected: meaning of the words, for the message.

    Raises:
        NoPoseError: if a number is not finite.
        DataError: if the count is wrong, or a word is no number.
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
    """(4, 4) pose of a rotation and a translation.

    Args:
        quaternion: x, y, z, w, of length 1 up to rounding; it is normalised.
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
    # Imported here, since it takes half a second, and only the preparation of clips needs it.
    from scipy.spatial.transform import Rotation

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
    """16 numbers of a (4, 4) pose, row by row, for frames.csv."""
    return tuple(pose.ravel().tolist())
