"""Photometric distortion of mmsegmentation, as in the ATRC and InvPT code.

Brightness, contrast, saturation and hue change with probability 1/2 each, contrast before or after the last two. The
image is truncated to uint8 after every step, as published; each step is an exact look-up table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.layout.frame_files import Array

Table = NDArray[np.uint8]
Number = TypeVar("Number", int, float)

BRIGHTNESS = 32.0
CONTRAST = (0.5, 1.5)
SATURATION = (0.5, 1.5)
HUE = 18

_HUES = 180
"""Number of hues of an 8-bit HSV image in OpenCV, two degrees each."""


@dataclass(frozen=True)
class Distortion:
    """One drawn distortion; None leaves a property unchanged.

    Args:
        brightness: added to every channel.
        contrast: factor of every channel.
        saturation: factor of the saturation in HSV.
        hue: added to the hue in HSV, in steps of two degrees.
        contrast_first: True for contrast before saturation and hue, False for contrast after them.
    """

    brightness: float | None = None
    contrast: float | None = None
    saturation: float | None = None
    hue: int | None = None
    contrast_first: bool = True

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Distortion:
        """Draw a distortion, with a fixed number of draws, so that later draws do not depend on the result.

        Args:
            rng: generator of the draws.
            strength: factor of every range, 1 as published.
        """
        applied = rng.random(5) < 0.5
        return cls(
            brightness=_if(applied[0], strength * rng.uniform(-BRIGHTNESS, BRIGHTNESS)),
            contrast=_if(applied[1], 1 + strength * (rng.uniform(*CONTRAST) - 1)),
            saturation=_if(applied[2], 1 + strength * (rng.uniform(*SATURATION) - 1)),
            hue=_if(applied[3], round(strength * int(rng.integers(-HUE, HUE)))),
            contrast_first=bool(applied[4]),
        )

    def __call__(self, image: Array) -> Table:
        """Distort (H, W, 3) RGB in 0..255, uint8 or float; float is truncated to uint8 first."""
        image = np.ascontiguousarray(image.astype(np.uint8, copy=False))
        before = _affine(1.0, self.brightness)
        if self.contrast_first:
            before = _affine(self.contrast, None)[before]
        if not np.array_equal(before, _IDENTITY):
            image = cv2.LUT(image, before)
        if self.saturation is not None:
            image = _through_hsv(image, 1, _affine(self.saturation, None))
        if self.hue is not None:
            image = _through_hsv(image, 0, ((np.arange(256) + self.hue) % _HUES).astype(np.uint8))
        if self.contrast is not None and not self.contrast_first:
            image = cv2.LUT(image, _affine(self.contrast, None))
        return image


def _if(applied: bool, value: Number) -> Number | None:
    return value if applied else None


_IDENTITY = np.arange(256, dtype=np.uint8)


def _affine(factor: float | None, offset: float | None) -> Table:
    """Table of v -> v * factor + offset, clipped to 0..255 and truncated to an integer."""
    values = _IDENTITY.astype(np.float32) * np.float32(1.0 if factor is None else factor)
    return np.clip(values + np.float32(offset or 0.0), 0, 255).astype(np.uint8)


def _through_hsv(image: Table, channel: int, table: Table) -> Table:
    """Apply a table to one channel of the 8-bit HSV image."""
    tables = np.repeat(_IDENTITY[:, None], 3, axis=1)
    tables[:, channel] = table
    changed = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables[None])
    return cv2.cvtColor(changed, cv2.COLOR_HSV2RGB)
