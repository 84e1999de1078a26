"""Kinds of label: the `readout` of a task in files, transforms and tensors.

| kind          | on disk                                             | in memory                                   |
| ------------- | --------------------------------------------------- | ------------------------------------------- |
| `class`       | png, 0 unlabelled, 1..C the classes                 | (H, W) uint8 0..C-1, 255 unlabelled         |
| `value`       | npy float32, metres along the optical axis, 0 missing | (H, W) float32, as stored                 |
| `direction`   | npy float16, unit vectors, zero missing             | (H, W, 3) float16, as stored                |
| `probability` | png, 0 no boundary, 255 boundary, 128 unlabelled    | (H, W) uint8 0 or 1, 255 unlabelled         |
| `mask`        | png, 0 background, 255 foreground, 128 unlabelled   | (H, W) uint8 0 or 1, 255 unlabelled         |

A boundary is thin: downsampling must keep every boundary pixel. A mask is an area: downsampling takes the nearest
pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.tasks import IGNORE_LABEL, STANDARD_TASKS

IMAGES = "images"
"""Name of the modality of the images, the only one without labels."""

CODES = (0, 128, 255)
"""Codes in the file of a boundary or a mask: negative, unlabelled, positive."""


@dataclass(frozen=True)
class Kind:
    """Storage of one kind of label, and its codes for a missing pixel.

    Args:
        suffix: suffix of the file.
        dtype: type of the stored array.
        channels: length of its last axis; None for (H, W).
        unlabelled: code of an unlabelled pixel in the file.
        missing: code of an unlabelled pixel in memory.
        table: (256,) code in memory of each stored code; None if they are the same.
    """

    suffix: str
    dtype: str
    channels: int | None
    unlabelled: int
    missing: int
    table: NDArray[np.uint8] | None = None


def _two_valued() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[255], table[128] = 1, IGNORE_LABEL
    return table


KINDS: dict[str, Kind] = {
    "image": Kind(".png", "uint8", 3, 0, 0),
    "class": Kind(".png", "uint8", None, 0, IGNORE_LABEL, np.roll(np.arange(256, dtype=np.uint8), 1)),
    "value": Kind(".npy", "float32", None, 0, 0),
    "direction": Kind(".npy", "float16", 3, 0, 0),
    "probability": Kind(".png", "uint8", None, 128, IGNORE_LABEL, _two_valued()),
    "mask": Kind(".png", "uint8", None, 128, IGNORE_LABEL, _two_valued()),
}

STANDARD_KINDS: Mapping[str, str] = {IMAGES: "image", **{name: task.readout for name, task in STANDARD_TASKS.items()}}
"""Kind of the images and of each standard task."""


def kind_of(modality: str, kinds: Mapping[str, str] = STANDARD_KINDS) -> str:
    """Name of the kind of a modality.

    Raises:
        KeyError: if neither `kinds` nor the standard tasks have it.
    """
    return kinds.get(modality) or STANDARD_KINDS[modality]
