"""Pictures and arrays of a public release, checked and converted to the values of the canonical layout.

The results are coded as in `layout.frame_files`, at the size of the file. Values are checked here, although
`CanonicalWriter` checks them again, so that messages name the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.arrays import read_npy
from benchmark.boundaries.formats.content import DataError, describe_shape
from benchmark.boundaries.formats.images import read_numbers, read_pixels
from benchmark.boundaries.formats.matlab import read_variable
from benchmark.tasks import and_more
from datasets.layout.frame_files import Array, check_array

FARTHEST = 20.0
"""Metres; the range of the Kinect of NYU-v2 is 0.5 to 10 m."""
NEAREST_MEDIAN = 0.3
_LARGEST_CENTIMETRES = 600.0
_ROUNDING = 1e-3
_NEAR_ZERO = 0.02
SHORTEST, LONGEST = 0.5, 1.5
"""Lengths between which a vector counts as a unit normal; JPEG, resizing and 8-bit codes change the length."""


def describe(array: Array) -> str:
    """Shape and type, for a message."""
    return f"{describe_shape(array.shape)} {array.dtype}"


def check_shape(array: Array, shape: tuple[int, ...], where: str) -> None:
    """Refuse an array of another shape; the message recognises swapped axes.

    Raises:
        DataError: with both shapes.
    """
    if array.shape == shape:
        return
    swapped = ""
    if array.ndim == len(shape) and sorted(array.shape) == sorted(shape):
        swapped = ": the axes are swapped"
    raise DataError(f"{where}: found {describe_shape(array.shape)}, expected {describe_shape(shape)}{swapped}")


def check_presence(paths: Iterable[Path]) -> None:
    """Check that all files exist.

    Raises:
        DataError: naming the first missing file and the number of missing files.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: the file is missing{and_more(len(missing), 'file')}")


def read_colour(path: Path) -> Array:
    """(H, W, 3) uint8 RGB of a JPEG or PNG in colour; transparency is dropped.

    Raises:
        DataError: if the file is missing, damaged, or no 8-bit colour picture.
    """
    pixels = read_pixels(path)
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise DataError(f"{path}: found {describe(pixels)}, expected an 8-bit RGB picture")
    return pixels


def read_map(path: Path, key: str = "") -> Array:
    """A map of one value per pixel, from a PNG, .npy or .mat file; a last axis of length 1 is dropped.

    Args:
        path: the file.
        key: name of the variable in a .mat file.

    Raises:
        DataError: if the file is missing, truncated or no map.
    """
    array = read_array(path, key)
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array


def read_array(path: Path, key: str = "") -> Array:
    """The numbers in a PNG, .npy or .mat file.

    Raises:
        DataError: if the file is missing, truncated, or does not hold numbers.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return read_npy(path)
    if suffix != ".mat":
        return read_numbers(path)
    array = read_variable(path, key)
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: {key!r} is text or a cell, expected numbers")
    return array


def to_labels(array: Array, highest: int, size: tuple[int, int], where: str, lowest: int = 0) -> Array:
    """(H, W) uint8 label map, from whole numbers of any type. A negative `lowest` is subtracted from all labels.

    Args:
        array: (H, W) map as read.
        highest: largest label.
        size: (H, W).
        where: the file, for the message.
        lowest: smallest label.

    Raises:
        DataError: if the size is another, or a label is not whole or out of range.
    """
    check_shape(array, size, where)
    wrong = ~((array >= lowest) & (array <= highest))
    if array.dtype.kind == "f":
        wrong |= array != np.round(array)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{where}: label {array[row, column]:g} at row {row}, column {column} ({int(wrong.sum())} such pixels), "
            f"allowed are {lowest} to {highest}"
        )
    return (array.astype(np.int64) - min(lowest, 0)).astype(np.uint8)


def to_metres(array: Array, size: tuple[int, int], where: str) -> Array:
    """(H, W) float32 depth in metres, 0 missing; depth beyond the range of indoor scenes is refused.

    Raises:
        DataError: if the size is another, no pixel has a depth, a value is negative or not finite, or the unit seems
            wrong.
    """
    check_shape(array, size, where)
    depth = array.astype(np.float32)
    check_array(depth, "depth", size, 0, where)
    valid = depth[depth > 0]
    if not valid.size:
        raise DataError(f"{where}: no pixel has a depth")
    middle, farthest = float(np.median(valid)), float(valid.max())
    if farthest > FARTHEST or middle < NEAREST_MEDIAN or array.dtype.kind != "f":
        raise DataError(
            f"{where}: depth of type {array.dtype}, median {middle:g}, maximum {farthest:g}: not metres"
            f"{_guessed_unit(array, middle)}; indoor depth has a median above {NEAREST_MEDIAN} and stays below "
            f"{FARTHEST:g} m"
        )
    return depth


def _guessed_unit(array: Array, middle: float) -> str:
    if array.max() <= 255 and (array.dtype == np.uint8 or (middle > FARTHEST and (array == np.round(array)).all())):
        return ", it looks like 8-bit codes"
    if middle > FARTHEST:
        return ", it looks like millimetres" if middle > _LARGEST_CENTIMETRES else ", it looks like centimetres"
    return ", it looks normalised" if array.max() <= 1 else ""


def to_normals(array: Array, size: tuple[int, int], where: str) -> Array:
    """(H, W, 3) float32 unit normals, zero missing, in the frame of the file.

    8-bit pictures are decoded as n = 2 v / 255 - 1. They cannot code a zero vector: the nearest codes, 127 and 128,
    mean missing. A vector shorter than `SHORTEST` counts as missing, and so does an 8-bit vector longer than `LONGEST`.
    Other vectors are normalised, except vectors of float files whose length is 1 up to rounding.

    Raises:
        DataError: if the size is another, a value is not finite, a vector not from 8 bits is longer than `LONGEST`, or
            most vectors are far from length 1.
    """
    check_shape(array, (*size, 3), where)
    vectors = array.astype(np.float32)
    if array.dtype == np.uint8:
        vectors = vectors * np.float32(2 / 255) - 1
    length = np.sqrt(np.square(vectors).sum(-1))
    if not np.isfinite(length).all():
        row, column = np.argwhere(~np.isfinite(length))[0]
        raise DataError(f"{where}: normal {vectors[row, column].tolist()} at row {row}, column {column} is not finite")
    too_long = length > LONGEST
    if array.dtype != np.uint8 and too_long.any():
        row, column = np.argwhere(too_long)[0]
        raise DataError(
            f"{where}: normal {vectors[row, column].tolist()} at row {row}, column {column} ({int(too_long.sum())} "
            "such pixels) is longer than 1; unit vectors or zero are expected, in x, y, z"
        )
    valid = (length >= SHORTEST) & ~too_long
    strange = int((~valid & (length > _NEAR_ZERO) & (array != 0).any(-1)).sum())
    if strange > array.shape[0] * array.shape[1] / 2:
        raise DataError(
            f"{where}: {strange} of its vectors are far from length 1; unit normals are expected, from 8 bits as "
            "n = 2 v / 255 - 1"
        )
    if array.dtype != np.uint8:
        length[np.abs(length - 1) < _ROUNDING] = 1
    scale = np.divide(1.0, length, where=valid, out=np.zeros_like(length))
    return vectors * scale[..., None]


def to_boundary(array: Array, size: tuple[int, int], where: str) -> Array:
    """(H, W) uint8 boundary map, 255 or 0, from 0 and 1 or 0 and 255; values between are thresholded in the middle.

    Raises:
        DataError: if the size is another or a value is out of range.
    """
    check_shape(array, size, where)
    if not (array.min() >= 0 and array.max() <= 255):
        raise DataError(f"{where}: boundary values {array.min():g} to {array.max():g}, expected 0 to 1 or 0 to 255")
    whole = 1 if array.max() <= 1 else 255
    return np.where(array >= whole / 2, np.uint8(255), np.uint8(0))
