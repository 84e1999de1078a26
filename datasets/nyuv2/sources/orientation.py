"""In which frame do the normals of a release stand? Found out from its own depth.

Ours is the camera frame x right, y down, z towards the camera. The published files do not say theirs. Of the 40 cluster
centres of the training normals that ATRC ships (nyu_centroids.npy, read for its numbers) ten have y > 0.5 and five
y < -0.5; clustered in our frame the real NYU-v2 has 4 or 5 and 10 or 11. Floors and table tops, which cameras see far
more often than ceilings, point to -y here: so the published y points up. Their x is not known from this, and other
copies may differ. Hence no release is trusted: coarse normals of its depth are compared with its normals.

Signs are found axis by axis: the correlation of a component of the two, over the pixels of a frame, is near 1 or near
-1 (0.68 or more in every tenth frame of NYU-v2), however little of the picture is floor. The order of the axes is found
from the mean cosine in each of the 48 ways to permute them and change their signs, which follows from one 3x3 matrix,
the mean of (normal of the depth) x (normal of the file)^T. Signs are made good; another order is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.layout.frame_files import Array, DataError
from datasets.layout.manifest_tables import FrameRecord
from datasets.nyuv2.sources.source import Intrinsics

Order = tuple[int, ...]
Signs = tuple[int, ...]
AXES: Order = (0, 1, 2)
AS_STORED: Signs = (1, 1, 1)
SAMPLE = 16
"""Frames by which the frame of a release's normals is found out."""

GOOD_AGREEMENT = 0.6
"""Mean cosine; normals of NYU-v2 agree with its depth to 0.85 to 0.98, those of another picture to 0.35 to 0.65."""
CLEARLY_BETTER = 0.1
FAR_BETTER = 0.25
"""A frame that agrees so much better in another order of the axes is stored wrongly: NYU-v2 has none at all."""
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
    """How the normals of a file agree with those of its depth.

    Args:
        products: (3, 3) mean of (normal of the depth) x (normal of the file)^T.
        squares: (2, 3) mean squares of the components, of the depth's and of the file's.
        pixels: that were compared.
    """

    products: NDArray[np.float64]
    squares: NDArray[np.float64]
    pixels: int

    def score(self, order: Order = AXES, signs: Signs = AS_STORED) -> float:
        """Mean cosine when component i is taken from `order[i]` of the file and multiplied by `signs[i]`."""
        return float(sum(signs[axis] * self.products[axis, order[axis]] for axis in range(3)))

    def correlation(self, axis: int) -> float | None:
        """Of one component; None where it is too weak to tell, as x and y are on a wall seen straight on."""
        if self.pixels < _FEWEST_PIXELS or self.squares[:, axis].min() < _WEAKEST**2:
            return None
        return float(self.products[axis, axis] / np.sqrt(self.squares[:, axis].prod()))


def agreement(depth: Array, normals: Array, intrinsics: Intrinsics) -> Agreement:
    """Compare one frame.

    Args:
        depth: (H, W) metres, 0 missing.
        normals: (H, W, 3) unit vectors, zero missing.
        intrinsics: fx, fy, cx, cy.
    """
    coarse, at = coarse_normals(depth, intrinsics)
    given = normals[at]
    known = (np.square(coarse).sum(-1) > 0) & (np.square(given).sum(-1) > 0)
    coarse, given, pixels = coarse[known], given[known], int(known.sum())
    squares = np.stack([np.square(coarse).sum(0), np.square(given).sum(0)])
    return Agreement(coarse.T @ given / max(pixels, 1), squares / max(pixels, 1), pixels)


def signs_of(
    frames: Sequence[FrameRecord], agreement_of: Callable[[FrameRecord], Agreement], where: str
) -> tuple[Signs, str]:
    """What the components of a release's normals are multiplied with, and a note on it.

    The median over some frames decides, so that a few that are stored otherwise, which `check_frame` names, do not
    mislead.

    Args:
        frames: all of them; as many as `SAMPLE` are looked at, spread evenly.
        agreement_of: compares a frame's normals, as stored, with its depth.
        where: the release, for messages.

    Raises:
        DataError: if the axes are permuted.
    """
    sample = [agreement_of(frame) for frame in frames[:: max(1, len(frames) // SAMPLE)][:SAMPLE]]
    sample = [one for one in sample if one.pixels >= _FEWEST_PIXELS]
    signs = tuple(_sign([one.correlation(axis) for one in sample]) for axis in range(3))
    scores = {way: float(np.median([one.score(*way) for one in sample])) if sample else 0.0 for way in _ORDERS}
    best = max(_ORDERS, key=lambda way: scores[way])
    found = scores[AXES, signs]
    if scores[best] - found > CLEARLY_BETTER and scores[best] > GOOD_AGREEMENT:
        raise DataError(f"{where}: {_swapped(best, scores[best], found)}")
    if found < GOOD_AGREEMENT:
        return AS_STORED, (
            "The frame of the normals could not be verified, since they do not agree with the depth (mean cosine "
            f"{found:.2f}); they are kept as stored."
        )
    if signs == AS_STORED:
        return AS_STORED, f"The normals agree with the depth to a mean cosine of {found:.2f}, signs as stored."
    return signs, (
        f"The sign of {_names(signs)} of the normals was changed: the release has another camera frame (mean cosine "
        f"with the depth {found:.2f}, as stored {scores[AXES, AS_STORED]:.2f}); here x is right, y down, z towards the "
        "camera."
    )


def _sign(correlations: Sequence[float | None]) -> int:
    known = [value for value in correlations if value is not None]
    return -1 if known and np.median(known) < OPPOSED else 1


def check_frame(one: Agreement, where: str) -> None:
    """Refuse a frame whose normals agree with its depth only with other signs or another order of the axes.

    Args:
        one: of the frame, after the signs of the release have been made good.
        where: the file.

    Raises:
        DataError: saying what is wrong.
    """
    best = max(_ORDERS, key=lambda way: one.score(*way))
    if one.pixels >= _FEWEST_PIXELS and one.score(*best) > max(GOOD_AGREEMENT, one.score() + FAR_BETTER):
        raise DataError(f"{where}: {_swapped(best, one.score(*best), one.score())}")
    signs = tuple(_sign([one.correlation(axis)]) for axis in range(3))
    if signs != AS_STORED and one.score(signs=signs) > GOOD_AGREEMENT:
        raise DataError(f"{where}: {_swapped((AXES, signs), one.score(signs=signs), one.score())}")


def _names(signs: Signs) -> str:
    return ", ".join("xyz"[axis] for axis in range(3) if signs[axis] < 0)


def _swapped(way: tuple[Order, Signs], score: float, as_stored: float) -> str:
    names = ", ".join(("-" if sign < 0 else "") + "xyz"[axis] for axis, sign in zip(*way, strict=True))
    return (
        f"the axes of the normals are swapped: they agree with the depth when x, y, z are read from {names} of the "
        f"file (mean cosine {score:.2f}, as they are {as_stored:.2f}); restore them, or remove the folder of normals "
        "to have them derived"
    )


def coarse_normals(depth: Array, intrinsics: Intrinsics) -> tuple[Array, tuple[Array, Array]]:
    """Normals at every fourth pixel by central differences, zero at bends and jumps of the depth.

    The inverse depth is smoothed, since it is linear in the pixels of a plane: that keeps slanted planes what they are,
    and its second difference tells a plane from anything else.

    Returns:
        (n, 3) normals, and the rows and columns of their pixels.
    """
    fx, fy, cx, cy = intrinsics
    known = depth > 0
    inverse = np.divide(1.0, depth, where=known, out=np.zeros(depth.shape, np.float64))
    window = (2 * _STRIDE + 1, 2 * _STRIDE + 1)
    weight = cv2.boxFilter(known.astype(np.float64), -1, window)
    inverse = np.divide(cv2.boxFilter(inverse, -1, window), weight, where=known, out=inverse)
    rows, columns = np.mgrid[_STRIDE : depth.shape[0] : _STRIDE, _STRIDE : depth.shape[1] : _STRIDE]
    q = inverse[rows, columns]
    rays = np.stack([(columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy, np.ones(q.shape)], -1)
    points = np.divide(rays, q[..., None], where=q[..., None] > 0, out=rays)
    # x right, y down, z forward: down x across points to the camera. Turned to z towards the camera z changes its sign.
    normals = np.cross(points[2:, 1:-1] - points[:-2, 1:-1], points[1:-1, 2:] - points[1:-1, :-2]) * (1, 1, -1)
    middle = q[1:-1, 1:-1]
    bend_across, bend_down = q[1:-1, 2:] + q[1:-1, :-2] - 2 * middle, q[2:, 1:-1] + q[:-2, 1:-1] - 2 * middle
    plane = np.maximum(np.abs(bend_across), np.abs(bend_down)) < _LARGEST_BEND * middle
    plane &= cv2.erode(weight, np.ones((3, 3)))[rows, columns][1:-1, 1:-1] > _MOSTLY_KNOWN
    length = np.linalg.norm(normals, axis=-1)
    scale = np.divide(1.0, length, where=plane & (length > 0), out=np.zeros_like(length))
    pixels = rows[1:-1, 1:-1].ravel(), columns[1:-1, 1:-1].ravel()
    return (normals * scale[..., None]).reshape(-1, 3), pixels
