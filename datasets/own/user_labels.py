"""Label files of a user's own data, read as the manifest says, into what the canonical layout stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets.layout.frame_files import Array, DataError, read_npy, read_png
from datasets.layout.label_kinds import KINDS
from datasets.layout.palette_png import read_indices
from datasets.own.manifest import OwnTask
from datasets.preparation.reading import check_shape, describe, read_jpeg, to_normals

MILLIMETRE = 0.001
_UNLABELLED = 128


def read_own_label(own: OwnTask, path: Path, size: tuple[int, int]) -> Array:
    """The label of a frame, as it is stored.

    Args:
        own: how its files are to be read.
        path: a PNG or .npy file.
        size: (H, W) of the image.

    Raises:
        DataError: naming the file, if it is wrong.
    """
    readers = {
        "class": _classes,
        "value": _metres,
        "direction": _directions,
        "probability": _two_valued,
        "mask": _two_valued,
    }
    return readers[own.task.readout](own, path, size)


def read_image(path: Path) -> Array:
    """(H, W, 3) uint8 RGB of a picture, grey or with transparency too.

    Raises:
        DataError: if it is missing, truncated or no picture with 8 bits a channel.
    """
    if path.suffix.lower() != ".png":
        return read_jpeg(path)
    picture = read_png(path)
    if picture.dtype != np.uint8:
        raise DataError(f"{path}: found {describe(picture)}, expected 8 bits a channel")
    colour = picture[..., :3] if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(colour[..., ::-1])


def unlabelled(own: OwnTask, size: tuple[int, int]) -> Array:
    """What is stored where a frame has no label for a task."""
    kind = KINDS[own.task.readout]
    return np.full(size if kind.channels is None else (*size, kind.channels), kind.unlabelled, kind.dtype)


def _classes(own: OwnTask, path: Path, size: tuple[int, int]) -> Array:
    numbers = _read_map(path)
    check_shape(numbers, size, str(path))
    hidden = np.isin(numbers, own.ignore)
    codes = numbers.astype(np.int64) - own.first + 1
    wrong = ~hidden & ((codes < 1) | (codes > len(own.classes)) | (numbers != codes + own.first - 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        last = own.first + len(own.classes) - 1
        ignored = f" and {', '.join(map(str, own.ignore))} (no label)" if own.ignore else ""
        raise DataError(
            f"{path}: label {numbers[row, column]:g} at row {row}, column {column} ({int(wrong.sum())} such pixels), "
            f"allowed are {own.first} to {last}{ignored}; see classes, first and ignore in the manifest"
        )
    return np.where(hidden, 0, codes).astype(np.uint8)


def _metres(own: OwnTask, path: Path, size: tuple[int, int]) -> Array:
    numbers = _read_map(path)
    check_shape(numbers, size, str(path))
    scale = own.scale
    if scale is None:
        if numbers.dtype == np.uint8:
            raise DataError(f'{path}: 8-bit values, of which nobody knows the unit; give "scale", metres per unit')
        scale = 1.0 if numbers.dtype.kind == "f" else MILLIMETRE
    metres = np.where(np.isfinite(numbers), numbers, 0).astype(np.float32) * np.float32(scale)
    if (metres < 0).any():
        row, column = np.argwhere(metres < 0)[0]
        raise DataError(f"{path}: {metres[row, column]:g} m at row {row}, column {column}; distances are positive")
    return metres.astype(np.float32)


def _directions(own: OwnTask, path: Path, size: tuple[int, int]) -> Array:
    vectors = read_npy(path) if path.suffix == ".npy" else read_image(path)
    return (to_normals(vectors, size, str(path)) * np.array(own.signs, np.float32)).astype(np.float16)


def _two_valued(own: OwnTask, path: Path, size: tuple[int, int]) -> Array:
    numbers = _read_map(path)
    check_shape(numbers, size, str(path))
    hidden = np.isin(numbers, own.ignore)
    shown = np.where(hidden, 0, numbers)
    if not (shown.min() >= 0 and shown.max() <= 255):
        raise DataError(f"{path}: values {shown.min():g} to {shown.max():g}, expected 0 and 1, or 0 and 255")
    whole = 1 if shown.max() <= 1 else 255
    return np.where(hidden, np.uint8(_UNLABELLED), np.where(shown >= whole / 2, np.uint8(255), np.uint8(0)))


def _read_map(path: Path) -> Array:
    if path.suffix != ".npy":
        return read_indices(path)
    array = read_npy(path)
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.iscomplexobj(array):
        raise DataError(f"{path}: found {describe(array)}, expected numbers")
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
