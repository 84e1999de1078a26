"""Reading of label files of user data, decoded by the manifest, as values of the canonical layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.arrays import read_npy
from benchmark.boundaries.formats.content import DataError, describe_shape
from benchmark.boundaries.formats.images import read_image, read_numbers
from datasets.layout.frame_files import Array
from datasets.layout.label_kinds import KINDS
from datasets.own.manifest import UserTask
from datasets.preparation.reading import describe, to_normals

MILLIMETRE = 0.001
MEDIAN_DEPTHS = 0.02, 300.0
"""Range in metres of the median depth of a frame; outside, the unit is wrong.

Endoscopes see 0.05 m, aerial cameras 200 m.
"""
_UNLABELLED = 128
_MAX_CODE = 65535


def read_user_label(user_task: UserTask, path: Path, size: tuple[int, int]) -> Array:
    """Read the label of a frame in the codes of the canonical layout.

    Args:
        user_task: coding of its files.
        path: a PNG or .npy file.
        size: (H, W) of the image.

    Raises:
        DataError: naming the wrong file.
    """
    read = {"class": _classes, "value": _metres, "direction": _directions, "probability": _binary, "mask": _binary}
    return read[user_task.task.readout](user_task, path, size)


def unlabelled(user_task: UserTask, size: tuple[int, int]) -> Array:
    """Stored label of a frame without a file for the task: all pixels unlabelled."""
    kind = KINDS[user_task.task.readout]
    return np.full(size if kind.channels is None else (*size, kind.channels), kind.unlabelled, kind.dtype)


def _classes(user_task: UserTask, path: Path, size: tuple[int, int]) -> Array:
    numbers = _read_map(path, size)
    values = np.unique(numbers)
    if user_task.assumed_ignore and len(user_task.classes) == 2 and values.tolist() == [0, 255]:
        raise DataError(
            f'{path}: holds 0 and 255 only. If 255 is the class "{user_task.classes[1]}", write "values": [0, 255] for '
            f'"{user_task.task.name}" in the manifest; if it means no label, write "ignore": 255'
        )
    codes = np.zeros(len(values), np.uint8)
    for code, value in enumerate(user_task.values, start=1):
        codes[values == value] = code
    wrong = (codes == 0) & ~np.isin(values, user_task.ignore)
    if wrong.any():
        row, column = np.argwhere(numbers == values[wrong][0])[0]
        ignored = f" and {', '.join(map(str, user_task.ignore))} (no label)" if user_task.ignore else ""
        raise DataError(
            f"{path}: label {values[wrong][0]:g} at row {row}, column {column} "
            f"({int(np.isin(numbers, values[wrong]).sum())} such pixels), "
            f"allowed are {_listed(user_task.values)}{ignored}; "
            "see classes, first, values and ignore in the manifest"
        )
    return codes[np.searchsorted(values, numbers)]


def _listed(values: tuple[int, ...]) -> str:
    if values == tuple(range(values[0], values[0] + len(values))):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values))


def _metres(user_task: UserTask, path: Path, size: tuple[int, int]) -> Array:
    numbers = _read_map(path, size)
    scale = user_task.scale
    if scale is None:
        if numbers.dtype == np.uint8:
            raise DataError(f'{path}: 8-bit values in an unknown unit; give "scale", the metres per unit')
        scale = 1.0 if numbers.dtype.kind == "f" else MILLIMETRE
    # Sensors write the largest 16-bit code at pixels without a measurement.
    missing = numbers == _MAX_CODE if numbers.dtype.kind in "iu" else ~np.isfinite(numbers)
    metres = np.where(missing, 0, numbers).astype(np.float32) * np.float32(scale)
    if (metres < 0).any():
        row, column = np.argwhere(metres < 0)[0]
        raise DataError(
            f"{path}: {metres[row, column]:g} m at row {row}, column {column}; distances are positive, and a missing "
            "one is 0, NaN or infinite"
        )
    valid = metres[metres > 0]
    if valid.size and not MEDIAN_DEPTHS[0] <= np.median(valid) <= MEDIAN_DEPTHS[1]:
        default_unit = "in metres" if scale == 1 else "in millimetres"
        unit = f"with a scale of {scale:g} m per unit" if user_task.scale else default_unit
        raise DataError(
            f'{path}: {describe(numbers)}, read {unit}, has a median of {np.median(valid):.4g} m; "scale" in the '
            "manifest is the metres per unit of the files: 1 for metres, 0.001 for millimetres"
        )
    return metres


def _directions(user_task: UserTask, path: Path, size: tuple[int, int]) -> Array:
    vectors = read_npy(path) if path.suffix.lower() == ".npy" else read_image(path)
    if vectors.shape == (3, *size):
        raise DataError(f"{path}: found {describe(vectors)}, the channels come first; save it as height x width x 3")
    _check_size(vectors, size, path)
    return (to_normals(vectors, size, str(path)) * np.array(user_task.signs, np.float32)).astype(np.float16)


def _binary(user_task: UserTask, path: Path, size: tuple[int, int]) -> Array:
    numbers = _read_map(path, size)
    ignored = np.isin(numbers, user_task.ignore)
    codes = np.where(ignored, 0, numbers)
    if not (codes.min() >= 0 and codes.max() <= 255):
        raise DataError(f"{path}: values {codes.min():g} to {codes.max():g}, expected 0 and 1, or 0 and 255")
    largest = 1 if codes.max() <= 1 else 255
    positive = codes >= largest / 2
    return np.where(ignored, np.uint8(_UNLABELLED), np.where(positive, np.uint8(255), np.uint8(0)))


def _read_map(path: Path, size: tuple[int, int]) -> Array:
    """(H, W) values of a PNG or .npy file; an axis of length 1 is dropped."""
    numbers = read_npy(path) if path.suffix.lower() == ".npy" else read_numbers(path)
    if numbers.ndim == 3 and 1 in (numbers.shape[0], numbers.shape[-1]):
        numbers = numbers.squeeze(-1 if numbers.shape[-1] == 1 else 0)
    _check_size(numbers, size, path)
    return numbers


def _check_size(label: Array, size: tuple[int, int], path: Path) -> None:
    if label.shape[:2] == size:
        return
    found, expected = describe_shape(label.shape), describe_shape(size)
    if label.shape[:2] == size[::-1]:
        remedy = "the axes are swapped; the image is read as viewers show it, an EXIF rotation applied"
    else:
        height, width = size
        remedy = (
            f"resize it without interpolation, as by Pillow's resize(({width}, {height}), Image.Resampling.NEAREST)"
        )
    raise DataError(f"{path}: found {found}, the image has {expected}; {remedy}")
