"""Oriented non-maximum suppression of a predicted map, as in the boundary evaluation of MTL papers.

A pixel is kept if it is not clearly weaker than the map at one pixel to either side, across the boundary. The
orientation of the boundary comes from second derivatives of a smoothed map. The computation has the single precision
and the roundings of the published tool (Dollar and Zitnick, "Fast edge detection using structured forests", IEEE PAMI
2015), since these decide in flat regions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

SMOOTHING_RADIUS = 4
SUPPRESSION = np.float32(1.01)
"""A pixel is suppressed if it is weaker than a neighbour by more than this factor."""
BORDER = 5
"""Width of the border in which the map fades out."""


def suppress(strength: Map) -> Map:
    """Suppress a map (H, W): its value at maxima across the boundary, 0 elsewhere."""
    strength = np.ascontiguousarray(strength, np.float32)
    angle = orientation(smooth(strength))
    row, column = np.nonzero(strength)
    kept = maxima(strength, angle[row, column], row, column)
    thin = np.zeros_like(strength)
    thin[row[kept], column[kept]] = strength[row[kept], column[kept]]
    return fade(thin)


def smooth(strength: Map) -> Map:
    """Smooth a map by a triangle filter along rows, then along columns, mirrored at the border."""
    size = SMOOTHING_RADIUS + 1
    across = _triangle(strength.T, np.float32(1) / np.float32(size**4))
    return _triangle(across.T, np.float32(1))


def _triangle(values: Map, scale: np.float32) -> Map:
    """Weighted sums along the first axis, as running sums of running sums; a convolution would round differently."""
    size, count = SMOOTHING_RADIUS + 1, len(values)
    mirrored = np.pad(values, ((size, size), (0, 0)), mode="symmetric")
    ramp = np.add.accumulate(mirrored[size : 2 * size], axis=0)
    start = scale * (2 * np.add.accumulate(ramp, axis=0)[-1] - ramp[-1])
    change = mirrored[: count - 1] + mirrored[2 * size : 2 * size + count - 1] - 2 * values[:-1]
    slope = scale * np.add.accumulate(change, axis=0)
    return np.add.accumulate(np.concatenate([start[None], slope]), axis=0)


def orientation(smoothed: Map) -> Map:
    """Angle across the boundary at each pixel, in 0..pi, from right towards down."""
    right, down = _slope(smoothed, 1), _slope(smoothed, 0)
    right_right, down_right, down_down = _slope(right, 1), _slope(down, 1), _slope(down, 0)
    ratio = down_down * np.sign(-down_right) / (right_right + np.float32(1e-5))
    # Single-precision results of the library differ between processors, so they are rounded from double precision.
    return np.mod(np.arctan(ratio, dtype=np.float64).astype(np.float32), np.float32(np.pi))


def _slope(values: Map, axis: int) -> Map:
    """Central differences; one-sided at both ends."""
    values = np.moveaxis(values, axis, 0)
    slope = np.zeros_like(values)
    if len(values) > 1:
        slope[1:-1] = np.float32(0.5) * (values[2:] - values[:-2])
        slope[0], slope[-1] = values[1] - values[0], values[-1] - values[-2]
    return np.moveaxis(slope, 0, axis)


def maxima(strength: Map, angle: Map, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for pixels that are not clearly weaker than the map at one pixel to either side, along their angle."""
    right = np.cos(angle, dtype=np.float64).astype(np.float32)
    down = np.sin(angle, dtype=np.float64).astype(np.float32)
    raised = strength[row, column] * SUPPRESSION
    before = interpolated(strength, row - down, column - right)
    after = interpolated(strength, row + down, column + right)
    return ~((raised < before) | (raised < after))


def interpolated(strength: Map, row: Map, column: Map) -> Map:
    """Bilinear interpolation of the map; positions outside are moved to the border."""
    height, width = strength.shape
    row = np.clip(row.astype(np.float32), 0, np.float32(max(0, height - 1.001)))
    column = np.clip(column.astype(np.float32), 0, np.float32(max(0, width - 1.001)))
    top, left = row.astype(np.int64), column.astype(np.int64)
    down, right = row - top.astype(np.float32), column - left.astype(np.float32)
    up, back = np.float32(1) - down, np.float32(1) - right
    bottom, end = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    return (
        strength[top, left] * back * up
        + strength[top, end] * right * up
        + strength[bottom, left] * back * down
        + strength[bottom, end] * right * down
    )


def fade(strength: Map) -> Map:
    """Fade the border of a map linearly to 0; opposite sides together, columns before rows."""
    faded = strength.copy()
    border = min(BORDER, *(length // 2 for length in strength.shape))
    ramp = (np.arange(border, dtype=np.float32) / np.float32(max(1, border)))[:, None]
    for values in (faded.T, faded):
        values[:border] *= ramp
        values[len(values) - border :] *= ramp[::-1]
    return faded
