"""Camera frame of the normals of a release, determined by comparison with its depth.

This suite uses the camera frame x right, y down, z towards the camera. The published files do not document their frame.
Of the 40 cluster centres of the training normals that ATRC ships (nyu_centroids.npy, read for its numbers) ten have
y > 0.5 and five y < -0.5; clusters of the real NYU-v2 in the frame used here have 4 or 5 and 10 or 11. Floors and table
tops, far more frequent than ceilings, point to -y here: so the published y points up. The sign of the published x does
not follow from this, and other copies may differ. Hence the normals of every release are compared with coarse normals
of its depth.

Signs are determined per axis: the correlation of a component of both normals, over the pixels of a frame, is near 1 or
near -1 (0.68 or more in every tenth frame of NYU-v2), even with little floor in the picture. The order of the axes is
determined from the mean cosine of each of the 48 signed permutations, which follows from one 3x3 matrix, the mean of
(normal of the depth) x (normal of the file)^T. Wrong signs are corrected; another order is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord
from datasets.nyuv2.sources.source import Intrinsics

Order = tuple[int, ...]
Signs = tuple[int, ...]
AXES: Order = (0, 1, 2)
AS_STORED: Signs = (1, 1, 1)
SAMPLE = 16
"""Number of frames from which the camera frame of the normals is determined."""

GOOD_AGREEMENT = 0.6
"""Mean cosine. Normals of NYU-v2 and its depth have 0.85 to 0.98, normals of another picture 0.35 to 0.65."""
CLEARLY_BETTER = 0.1
FAR_BETTER = 0.25
"""Gain in mean cosine above which a frame is stored in another order of the axes; no frame of NYU-v2 reaches it."""
OPPOSED = -0.5

_WEAKEST = 0.1
_FEWEST_PIXELS = 200
_STRIDE = 4
_LARGEST_BEND = 0.02
_MOSTLY_KNOWN = 0.5
_ORDERS: list[tuple[Order, Signs]] = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


@dataclass(frozen=True)
class Agreement:
    """Comparison of the normals of a file with the normals of its depth.

    Args:
        products: (3, 3) mean of (normal of the depth) x (normal of the file)^T.
        squares: (2, 3) mean squares of the components: of the normals of the depth, of the normals of the file.
        pixels: number of compared pixels.
    """

    products: NDArray[np.float64]
    squares: NDArray[np.float64]
    pixels: int

    def score(self, order: Order = AXES, signs: Signs = AS_STORED) -> float:
        """Mean cosine when component i is taken from `order[i]` of the file and multiplied by `signs[i]`."""
        return float(sum(signs[axis] * self.products[axis, order[axis]] for axis in range(3)))

    def correlation(self, axis: int) -> float | None:
        """Correlation of one component; None for few pixels or small values, as of x and y on a frontal wall."""
        if self.pixels < _FEWEST_PIXELS or self.squares[:, axis].min() < _WEAKEST**2:
            return None
        return float(self.products[axis, axis] / np.sqrt(self.squares[:, axis].prod()))


def agreement(depth: Array, normals: Array, intrinsics: Intrinsics) -> Agreement:
    """Compare the normals of one frame with its depth.

    Args:
        depth: (H, W) metres, 0 missing.
        normals: (H, W, 3) unit vectors, zero missing.
        intrinsics: fx, fy, cx, cy in pixels.
    """
    coarse, at = coarse_normals(depth, intrinsics)
    given = normals[at]
    valid = (np.square(coarse).sum(-1) > 0) & (np.square(given).sum(-1) > 0)
    coarse, given, pixels = coarse[valid], given[valid], int(valid.sum())
    squares = np.stack([np.square(coarse).sum(0), np.square(given).sum(0)])
    return Agreement(coarse.T @ given / max(pixels, 1), squares / max(pixels, 1), pixels)


def find_signs(
    frames: Sequence[FrameRecord], agreement_of: Callable[[FrameRecord], Agreement], where: str
) -> tuple[Signs, str]:
    """Factors of the components of the stored normals, and a note for dataset.json.

    The median over `SAMPLE` frames decides, so a few frames with other signs, which `check_frame` refuses, do not
    change the result.

    Args:
        frames: all frames; evenly spread ones are compared.
        agreement_of: compares the normals of a frame, as stored, with its depth.
        where: the release, for messages.

    Raises:
        DataError: if the axes are permuted.
    """
    sample = [agreement_of(frame) for frame in frames[:: max(1, len(frames) // SAMPLE)][:SAMPLE]]
    sample = [one for one in sample if one.pixels >= _FEWEST_PIXELS]
    signs = tuple(_sign([one.correlation(axis) for one in sample]) for axis in range(3))
    scores = {order: float(np.median([one.score(*order) for one in sample])) if sample else 0.0 for order in _ORDERS}
    best = max(_ORDERS, key=lambda order: scores[order])
    score = scores[AXES, signs]
    if scores[best] - score > CLEARLY_BETTER and scores[best] > GOOD_AGREEMENT:
        raise DataError(f"{where}: {_swap_message(best, scores[best], score)}")
    if score < GOOD_AGREEMENT:
        return AS_STORED, (
            "The frame of the normals could not be verified, since they do not agree with the depth (mean cosine "
            f"{score:.2f}); they are kept as stored."
        )
    if signs == AS_STORED:
        return AS_STORED, f"The normals agree with the depth to a mean cosine of {score:.2f}, signs as stored."
    return signs, (
        f"The sign of {_names(signs)} of the normals was changed: the release has another camera frame (mean cosine "
        f"with the depth {score:.2f}, as stored {scores[AXES, AS_STORED]:.2f}); here x is right, y down, z towards the "
        "camera."
    )


def _sign(correlations: Sequence[float | None]) -> int:
    values = [value for value in correlations if value is not None]
    return -1 if values and np.median(values) < OPPOSED else 1


def check_frame(one: Agreement, where: str) -> None:
    """Refuse a frame whose normals agree with its depth only with other signs or another order of the axes.

    Args:
        one: comparison of the frame, after correction of the signs of the release.
        where: the file, for the message.

    Raises:
        DataError: naming the order and signs that agree.
    """
    best = max(_ORDERS, key=lambda order: one.score(*order))
    if one.pixels >= _FEWEST_PIXELS and one.score(*best) > max(GOOD_AGREEMENT, one.score() + FAR_BETTER):
        raise DataError(f"{where}: {_swap_message(best, one.score(*best), one.score())}")
    signs = tuple(_sign([one.correlation(axis)]) for axis in range(3))
    if signs != AS_STORED and one.score(signs=signs) > GOOD_AGREEMENT:
        raise DataError(f"{where}: {_swap_message((AXES, signs), one.score(signs=signs), one.score())}")


def _names(signs: Signs) -> str:
    return ", ".join("xyz"[axis] for axis in range(3) if signs[axis] < 0)


def _swap_message(order: tuple[Order, Signs], score: float, as_stored: float) -> str:
    names = ", ".join(("-" if sign < 0 else "") + "xyz"[axis] for axis, sign in zip(*order, strict=True))
    return (
        f"the axes of the normals are swapped: they agree with the depth when x, y, z are read from {names} of the "
        f"file (mean cosine {score:.2f}, as they are {as_stored:.2f}); restore them, or remove the folder of normals "
        "to have them derived"
    )


def coarse_normals(depth: Array, intrinsics: Intrinsics) -> tuple[Array, tuple[Array, Array]]:
    """Normals at every fourth pixel by central differences, zero at bends and jumps of the depth.

    The inverse depth is smoothed, since it is linear in the pixel coordinates of a plane: smoothing keeps slanted
    planes, and the second difference is 0 on planes only.

    Returns:
        (N, 3) unit normals, and the rows and columns (N,) of their pixels.
    """
    fx, fy, cx, cy = intrinsics
    valid = depth > 0
    inverse = np.divide(1.0, depth, where=valid, out=np.zeros(depth.shape, np.float64))
    window = (2 * _STRIDE + 1, 2 * _STRIDE + 1)
    weight = cv2.boxFilter(valid.astype(np.float64), -1, window)
    inverse = np.divide(cv2.boxFilter(inverse, -1, window), weight, where=valid, out=inverse)
    rows, columns = np.mgrid[_STRIDE : depth.shape[0] : _STRIDE, _STRIDE : depth.shape[1] : _STRIDE]
    q = inverse[rows, columns]
    rays = np.stack([(columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy, np.ones(q.shape)], -1)
    points = np.divide(rays, q[..., None], where=q[..., None] > 0, out=rays)
    # With x right, y down, z forward the product down x across points to the camera; the last factor negates z.
    normals = np.cross(points[2:, 1:-1] - points[:-2, 1:-1], points[1:-1, 2:] - points[1:-1, :-2]) * (1, 1, -1)
    middle = q[1:-1, 1:-1]
    bend_across, bend_down = q[1:-1, 2:] + q[1:-1, :-2] - 2 * middle, q[2:, 1:-1] + q[:-2, 1:-1] - 2 * middle
    plane = np.maximum(np.abs(bend_across), np.abs(bend_down)) < _LARGEST_BEND * middle
    plane &= cv2.erode(weight, np.ones((3, 3)))[rows, columns][1:-1, 1:-1] > _MOSTLY_KNOWN
    length = np.linalg.norm(normals, axis=-1)
    scale = np.divide(1.0, length, where=plane & (length > 0), out=np.zeros_like(length))
    pixels = rows[1:-1, 1:-1].ravel(), columns[1:-1, 1:-1].ravel()
    return (normals * scale[..., None]).reshape(-1, 3), pixels
