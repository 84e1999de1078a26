"""Joint transforms of image, labels and intrinsics of a frame, each label according to its kind.

Each transform is a function of a `Frame` and of explicit numbers; `augmentation` draws the numbers. No function changes
its input. Common rules:

* pixel centres lie at integer + 0.5, so a resize multiplies fx, cx (fy, cy) by the factor of its axis, a crop subtracts
  its offset from cx, cy, and a flip maps cx to W - cx;
* enlarging an image by s divides its depth by s. Since fx and fy are multiplied by s, this is the same scene in units s
  times longer: every reprojected point X becomes X / s, and normals do not change;
* a flip negates x of the normals.

The transforms follow the published ATRC and InvPT code: `scale`, `crop`, `flip`,
`datasets.loading.photometric`, `normalise`, `pad`, with their interpolation and rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.contracts import IMAGENET_MEAN, IMAGENET_STD
from datasets.layout.frame_files import Array
from datasets.layout.label_kinds import KINDS, STANDARD_KINDS

_NORMALISE_FACTOR = 1.0 / (255.0 * np.array(IMAGENET_STD))
_NORMALISE_OFFSET = -np.array(IMAGENET_MEAN) / np.array(IMAGENET_STD)
_NORMALISED = (np.arange(256)[:, None] * _NORMALISE_FACTOR + _NORMALISE_OFFSET).astype(np.float32)


@dataclass(frozen=True, init=False, eq=False)
class Frame:
    """One image with its labels, which are also attributes by name; None if a label is not loaded.

    Args:
        image: (H, W, 3) RGB, 0..255, uint8 or float32; float32 and normalised after `normalise`.
        intrinsics: (3, 3) pinhole matrix in pixels.
        kinds: kind of each label; `datasets.layout.label_kinds` defines its codes in memory.
        given: labels by name.
        space: (3, 3) map from the original camera coordinates to the coordinates of this frame: zooms divide, flips
            mirror. The identity if not given.
        labels: further labels, as in `Frame(image, matrix, depth=metres)`.
    """

    image: Array
    intrinsics: NDArray[np.float64]
    kinds: Mapping[str, str]
    given: Mapping[str, Array]
    space: NDArray[np.float64]

    def __init__(
        self,
        image: Array,
        intrinsics: NDArray[np.float64],
        kinds: Mapping[str, str] = STANDARD_KINDS,
        given: Mapping[str, Array] | None = None,
        space: NDArray[np.float64] | None = None,
        **labels: Array | None,
    ) -> None:
        present = {name: array for name, array in {**(given or {}), **labels}.items() if array is not None}
        space = np.eye(3) if space is None else space
        self.__dict__.update(image=image, intrinsics=intrinsics, kinds=kinds, given=present, space=space)

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__
        if name in attributes.get("given", {}) or name in attributes.get("kinds", {}):
            return attributes["given"].get(name)
        raise AttributeError(f"a frame has no label named {name!r}")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[0], self.image.shape[1]

    def labels(self) -> dict[str, Array]:
        """The loaded labels by name."""
        return dict(self.given)

    def changed(
        self,
        labels: Mapping[str, Array] | None = None,
        *,
        image: Array | None = None,
        intrinsics: NDArray[np.float64] | None = None,
        space: NDArray[np.float64] | None = None,
    ) -> Frame:
        """A copy with some fields replaced."""
        return Frame(
            self.image if image is None else image,
            self.intrinsics if intrinsics is None else intrinsics,
            self.kinds,
            {**self.given, **(labels or {})},
            self.space if space is None else space,
        )


def scale(frame: Frame, factor: float) -> Frame:
    """Enlarge by `factor` to int(H factor) x int(W factor), as published.

    The image is interpolated bilinearly in float32, labels are resized by INTER_NEAREST of OpenCV, and depth is divided
    by `factor`.
    """
    size = int(frame.size[0] * factor), int(frame.size[1] * factor)
    labels = {name: _nearest(array, size, cv2.INTER_NEAREST) for name, array in frame.labels().items()}
    image = _resized(frame.image.astype(np.float32, copy=False), size, cv2.INTER_LINEAR)
    return frame.changed(
        _divide_depth(frame, labels, factor),
        image=image,
        intrinsics=_stretched(frame, size),
        space=frame.space / factor,
    )


def crop(frame: Frame, top: int, left: int, size: tuple[int, int]) -> Frame:
    """Crop the window of `size` (H, W) at (top, left), clipped at the border of the frame."""
    window = (slice(top, top + size[0]), slice(left, left + size[1]))
    intrinsics = frame.intrinsics.copy()
    intrinsics[0, 2] -= left
    intrinsics[1, 2] -= top
    labels = {name: array[window] for name, array in frame.labels().items()}
    return frame.changed(labels, image=frame.image[window], intrinsics=intrinsics)


def flip(frame: Frame) -> Frame:
    """Flip horizontally."""
    intrinsics = frame.intrinsics.copy()
    intrinsics[0, 2] = frame.size[1] - intrinsics[0, 2]
    labels = {name: _mirrored(array) for name, array in frame.labels().items()}
    for name, array in labels.items():
        if frame.kinds[name] == "direction":
            np.negative(array[..., 0], out=array[..., 0])
    return frame.changed(
        labels, image=_mirrored(frame.image), intrinsics=intrinsics, space=np.diag([-1.0, 1.0, 1.0]) @ frame.space
    )


def zoom(frame: Frame, top: int, left: int, factor: float) -> Frame:
    """Enlarge a window to the size of the frame, the augmentation of the lite recipe.

    Args:
        frame: the frame.
        top: first row of the window.
        left: first column of the window.
        factor: at least 1; the window has `zoom_window(frame.size, factor)` pixels.

    The image is interpolated bilinearly, labels take the value at the nearest pixel centre, depth is divided by
    `factor`.
    """
    window = crop(frame, top, left, zoom_window(frame.size, factor))
    labels = {name: _nearest(array, frame.size, cv2.INTER_NEAREST_EXACT) for name, array in window.labels().items()}
    image = _resized(window.image, frame.size, cv2.INTER_LINEAR)
    return frame.changed(
        _divide_depth(frame, labels, factor),
        image=image,
        intrinsics=_stretched(window, frame.size),
        space=frame.space / factor,
    )


def zoom_window(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """(H, W) of the window that `zoom` enlarges to `size`."""
    return max(1, round(size[0] / factor)), max(1, round(size[1] / factor))


def resize(frame: Frame, size: tuple[int, int]) -> Frame:
    """Resample the frame to `size` (H, W): intrinsics change per axis, depth does not change.

    If neither side grows, the image is averaged over each new pixel, and a pixel is boundary if its footprint contains
    a boundary pixel, so that thin lines remain. Otherwise the image is interpolated bilinearly. All other labels take
    the value at the nearest pixel centre.
    """
    if size == frame.size:
        return frame
    shrinks = size[0] <= frame.size[0] and size[1] <= frame.size[1]
    image = _resized(frame.image, size, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    labels = {name: _nearest(array, size, cv2.INTER_NEAREST_EXACT) for name, array in frame.labels().items()}
    for name, array in frame.labels().items():
        if frame.kinds[name] == "probability" and shrinks:
            share = _resized((array == 1).astype(np.float32), size, cv2.INTER_AREA)
            labels[name][share > 1e-6] = 1
    return frame.changed(labels, image=image, intrinsics=_stretched(frame, size))


def normalise(frame: Frame) -> Frame:
    """Convert an image in 0..255 to float32 with ImageNet mean 0 and deviation 1 per channel."""
    if frame.image.dtype == np.uint8:
        # A look-up table per channel, written into planes, so that the later tensor needs no copy.
        planes = np.empty((3, *frame.size), np.float32)
        for channel, plane in enumerate(cv2.split(frame.image)):
            cv2.LUT(plane, _NORMALISED[:, channel], dst=planes[channel])
        return frame.changed(image=planes.transpose(1, 2, 0))
    image = frame.image * _NORMALISE_FACTOR.astype(np.float32) + _NORMALISE_OFFSET.astype(np.float32)
    return frame.changed(image=image.astype(np.float32, copy=False))


def pad(frame: Frame, size: tuple[int, int]) -> Frame:
    """Pad a frame to `size` (H, W): the frame in the middle, the odd pixel below and to the right.

    Padding is 0 in the image (the mean colour after normalisation), and the code of a missing pixel in each label.

    Raises:
        ValueError: if the frame is larger than `size`.
    """
    below, right = size[0] - frame.size[0], size[1] - frame.size[1]
    if below < 0 or right < 0:
        raise ValueError(
            f"cannot pad a frame of {frame.size[0]}x{frame.size[1]} to {size[0]}x{size[1]}; "
            f"pad to at least {max(frame.size[0], size[0])}x{max(frame.size[1], size[1])}, or crop first"
        )
    if below == right == 0:
        return frame
    top, left = padding(frame.size, size)
    intrinsics = frame.intrinsics.copy()
    intrinsics[0, 2] += left
    intrinsics[1, 2] += top
    labels = {
        name: _padded(array, size, top, left, KINDS[frame.kinds[name]].missing)
        for name, array in frame.labels().items()
    }
    # Padded as planes, see `normalise`.
    image = _padded(frame.image.transpose(2, 0, 1), (3, *size), top, left, 0).transpose(1, 2, 0)
    return frame.changed(labels, image=image, intrinsics=intrinsics)


def padding(size: tuple[int, int], padded: tuple[int, int]) -> tuple[int, int]:
    """Rows above and columns to the left that `pad` adds to a frame of `size` for the size `padded`."""
    return (padded[0] - size[0]) // 2, (padded[1] - size[1]) // 2


def _padded(array: Array, size: tuple[int, ...], top: int, left: int, value: int) -> Array:
    """`array` inside a larger array of `value`; a `size` of three numbers means a leading axis of planes."""
    planes = len(size) == 3
    shape = size if planes else (*size, *array.shape[2:])
    result = np.full(shape, value, array.dtype)
    height, width = array.shape[1:] if planes else array.shape[:2]
    result[(slice(None),) * planes + (slice(top, top + height), slice(left, left + width))] = array
    return result


def _stretched(frame: Frame, size: tuple[int, int]) -> NDArray[np.float64]:
    """Intrinsics after a resize to `size`, with one factor per axis."""
    factors = np.array([size[1] / frame.size[1], size[0] / frame.size[0], 1.0])
    return frame.intrinsics * factors[:, None]


def _divide_depth(frame: Frame, labels: dict[str, Array], factor: float) -> dict[str, Array]:
    """Divide the depth labels by `factor`."""
    for name, array in labels.items():
        if frame.kinds[name] == "value":
            labels[name] = array / np.float32(factor)
    return labels


def _resized(array: Array, size: tuple[int, int], interpolation: int) -> Array:
    return cv2.resize(array, (size[1], size[0]), interpolation=interpolation)


def _nearest(array: Array, size: tuple[int, int], interpolation: int) -> Array:
    """Resize by nearest neighbour; float16 is passed to OpenCV as uint16."""
    if array.dtype == np.float16:
        return _resized(array.view(np.uint16), size, interpolation).view(np.float16)
    return _resized(array, size, interpolation)


def _mirrored(array: Array) -> Array:
    if array.dtype == np.float16:
        return cv2.flip(array.view(np.uint16), 1).view(np.float16)
    return cv2.flip(array, 1)
