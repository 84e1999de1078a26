"""Likely causes of a file that the layout refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.arrays import read_npy
from benchmark.boundaries.formats.images import read_pixels
from datasets.layout.frame_files import Array
from datasets.layout.label_kinds import KINDS


def hint(path: Path, kind: str, size: tuple[int, int], num_classes: int) -> str:
    """Remedy for a refused file, guessed from its content; empty if no cause is recognised.

    Args:
        path: path of the file.
        kind: see `datasets.layout.label_kinds`.
        size: expected (H, W).
        num_classes: C of a class map.

    Raises:
        DataError: if the file cannot be decoded.
    """
    array = read_npy(path) if path.suffix == ".npy" else read_pixels(path)
    wanted = size if KINDS[kind].channels is None else (*size, 3)
    if array.shape != wanted:
        return _shape_hint(array, wanted)
    if kind == "value":
        return _depth_hint(array)
    if kind == "direction":
        return _normals_hint(array)
    return _code_hint(array, kind, num_classes)


def _shape_hint(array: Array, wanted: tuple[int, ...]) -> str:
    height, width, *channels = wanted
    if array.shape == (width, height, *channels):
        return "height and width are exchanged: transpose it and prepare again"
    if channels and array.shape == (*channels, height, width):
        return "the channels come first: move them to the end and prepare again"
    if channels and array.shape == (height, width):
        return "it is grey: write three channels and prepare again"
    if not channels and array.ndim == 3 and array.shape[:2] == (height, width):
        return f"it has {array.shape[2]} channels: write one, not a coloured picture, and prepare again"
    return ""


def _depth_hint(array: Array) -> str:
    if np.issubdtype(array.dtype, np.integer):
        unit = " in millimetres? Divide by 1000, write" if array.size and np.median(array) > 100 else ": write"
        return f"whole numbers{unit} metres as float32 and prepare again"
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or (array < 0).any():
            return "write 0 where there is no depth and prepare again"
        return "write it as float32 and prepare again"
    return ""


def _normals_hint(array: Array) -> str:
    if not np.issubdtype(array.dtype, np.number):
        return ""
    if not np.isfinite(array).all():
        return "write zero vectors where there is no normal and prepare again"
    if array.size and array.max() > 2 and array.min() >= 0:
        return "an 8-bit code? Decode it as 2 v / 255 - 1 and prepare again"
    if array.dtype == KINDS["direction"].dtype:
        return "divide them by their length and prepare again"
    return "write it as float16 and prepare again"


def _code_hint(array: Array, kind: str, num_classes: int) -> str:
    if array.dtype != np.uint8 or kind == "image":
        return ""
    codes = set(np.unique(array).tolist())
    if kind == "class":
        if codes - {255} <= set(range(num_classes + 1)):
            return "255 for unlabelled? The layout has 0 for unlabelled and classes from 1; prepare again"
        return f"dataset.json names {num_classes} classes; correct the label or name the class, and prepare again"
    if codes == {0, 1} or codes == {1}:
        return "coded 0 and 1? The layout has 0, 255 and 128 for unlabelled; prepare again"
    return "the layout has 0, 255 and 128 for unlabelled; write it without interpolation or JPEG and prepare again"
