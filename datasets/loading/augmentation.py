"""Augmentation of a recipe, and its random draws.

All random numbers come from the given generator, in a fixed order: zoom or scale and crop, flip, photometric
distortion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np

from benchmark.tasks import IGNORE_LABEL, suggest
from datasets.layout.frame_files import Array
from datasets.loading.photometric import Distortion
from datasets.loading.transforms import Frame, crop, flip, normalise, pad, scale, zoom, zoom_window

CROP_REDRAWS = 10
"""Largest number of redraws of a crop that one class fills, as published."""


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of a split, ending with normalisation and padding; the default only normalises.

    Args:
        zoom: enlarge a random window by U(lo, hi), 1 <= lo, to the size of the frame; excludes scale and crop.
        scale: enlarge the frame by U(lo, hi); needs `crop`, since frames of a batch have one size.
        crop: (H, W) of a random window. A smaller frame is used whole and padded.
        cat_max_ratio: the crop is redrawn while one class covers this share of its labelled pixels; 1 for no redraw.
        flip: probability of a horizontal flip.
        photometric: strength of the distortion of brightness, contrast, saturation and hue; 1 as in mmsegmentation, 0
            for no distortion.
        pad: (H, W) to which the result is padded; None pads to `crop`, if it is given.

    Raises:
        ValueError: if a value or a combination is not allowed.
    """

    zoom: tuple[float, float] | None = None
    scale: tuple[float, float] | None = None
    crop: tuple[int, int] | None = None
    cat_max_ratio: float = 1.0
    flip: float = 0.0
    photometric: float = 0.0
    pad: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("zoom", "scale", "crop", "pad"):
            _check_pair(name, getattr(self, name))
        if self.zoom and (self.scale or self.crop):
            raise ValueError("augmentation: zoom is a scale and a crop in one; give zoom, or scale and crop")
        if self.zoom and self.zoom[0] < 1:
            raise ValueError(f"augmentation: zoom starts at 1 or above, found {self.zoom[0]}; use scale and crop")
        if self.scale and not self.crop:
            raise ValueError("augmentation: scale changes the size of the frame; give crop=(H, W) too")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"augmentation: flip is a probability, found {self.flip}")
        if not 0 <= self.photometric <= 1:
            raise ValueError(f"augmentation: photometric is a strength in 0..1, found {self.photometric}")
        if not 0 < self.cat_max_ratio <= 1:
            raise ValueError(f"augmentation: cat_max_ratio is a share in (0, 1], found {self.cat_max_ratio}")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any] | None) -> Augmentation:
        """Create the augmentation from the mapping of a recipe.

        Raises:
            ValueError: for an unknown key, with near matches, or a value that is not allowed.
        """
        names = [field.name for field in fields(cls)]
        for key in options or {}:
            if key not in names:
                raise ValueError(
                    f"augmentation: no option named {key!r}.{suggest(key, names)} Options: {', '.join(names)}"
                )
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in (options or {}).items()
        }
        return cls(**values)

    @property
    def needs_semseg(self) -> bool:
        """True if the crop needs the semseg labels, for any choice of tasks."""
        return self.crop is not None and self.cat_max_ratio < 1

    @property
    def fixed_size(self) -> bool:
        """True if the results have one size for input frames of all sizes."""
        return bool(self.pad or self.crop)

    def is_deterministic(self) -> bool:
        """True if nothing is random, as an evaluation split requires."""
        return replace(self, pad=None) == Augmentation()

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Draw and apply the augmentation; the resulting image is normalised."""
        if self.zoom:
            frame = random_zoom(frame, self.zoom, rng)
        if self.scale:
            frame = scale(frame, rng.uniform(*self.scale))
        if self.crop:
            frame = random_crop(frame, self.crop, self.cat_max_ratio, rng)
        if self.flip and rng.random() < self.flip:
            frame = flip(frame)
        if self.photometric:
            frame = frame.changed(image=Distortion.draw(rng, self.photometric)(frame.image))
        size = self.pad or self.crop
        return pad(normalise(frame), size) if size else normalise(frame)


def random_zoom(frame: Frame, factors: tuple[float, float], rng: np.random.Generator) -> Frame:
    """Enlarge a window of random size and position."""
    factor = rng.uniform(*factors)
    height, width = zoom_window(frame.size, factor)
    top, left = rng.integers(frame.size[0] - height + 1), rng.integers(frame.size[1] - width + 1)
    return zoom(frame, int(top), int(left), factor)


def random_crop(frame: Frame, size: tuple[int, int], cat_max_ratio: float, rng: np.random.Generator) -> Frame:
    """A random window of `size` (H, W), redrawn up to `CROP_REDRAWS` times until `is_mixed`.

    Raises:
        ValueError: if `cat_max_ratio` is below 1 and the frame has no semseg.
    """
    top, left = _draw_corner(frame.size, size, rng)
    if cat_max_ratio >= 1:
        return crop(frame, top, left, size)
    semseg = frame.labels().get("semseg")
    if semseg is None:
        raise ValueError("augmentation: cat_max_ratio below 1 needs the semseg labels of the frame")
    for _ in range(CROP_REDRAWS):
        if is_mixed(semseg[top : top + size[0], left : left + size[1]], cat_max_ratio):
            break
        top, left = _draw_corner(frame.size, size, rng)
    return crop(frame, top, left, size)


def is_mixed(labels: Array, cat_max_ratio: float) -> bool:
    """True if two classes occur and the most frequent one covers less than this share of the labelled pixels."""
    histogram = cv2.calcHist([np.ascontiguousarray(labels, np.uint8)], [0], None, [256], [0, 256])[:IGNORE_LABEL]
    return bool(np.count_nonzero(histogram) > 1 and histogram.max() < cat_max_ratio * histogram.sum())


def _draw_corner(frame: tuple[int, int], window: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    top = rng.integers(max(frame[0] - window[0], 0) + 1)
    left = rng.integers(max(frame[1] - window[1], 0) + 1)
    return int(top), int(left)


def _check_pair(name: str, value: Any) -> None:
    if value is None:
        return
    pair = isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, (int, float)) and v > 0 for v in value)
    if not pair:
        raise ValueError(f"augmentation: {name} is a pair of positive numbers, found {value!r}")
    if name in ("zoom", "scale") and value[0] > value[1]:
        raise ValueError(f"augmentation: {name} is (low, high), found {value!r}")
    if name in ("crop", "pad") and not all(isinstance(v, int) for v in value):
        raise ValueError(f"augmentation: {name} is (H, W) in whole pixels, found {value!r}")
