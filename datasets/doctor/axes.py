"""Agreement of normals with the depth, in every order and sign of their components.

For a signed permutation P of the axes, the mean cosine of the normals d of the depth and the stored normals s is

    mean d . (P s) = sum of P * M,    M = mean of the outer products d s^T,

so nine numbers per frame are enough to compare all 48 signed permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from datasets.nyuv2.normals import normals_from_depth

Floats = NDArray[np.float64]

FEWEST_PIXELS = 200
"""Least number of pixels with both normals for a comparison."""

LONGEST_SIDE = 320
"""Length in pixels above which frames are subsampled, since axes need no detail."""

GAIN = 0.05
"""Least gain in mean cosine of a better order of the axes.

On correct data no order gains; on 1446 wrong frames (six wrong orders of 241 frames, rendered and real) the gain was
0.069 or more.
"""

UNRELATED = 50.0
"""Mean angle in degrees, in any order of the axes, above which the normals belong to another picture.

The largest angle on real data is 25 degrees.
"""


def _signed_permutations() -> Floats:
    return np.array(
        [
            np.diag(signs) @ np.eye(3)[list(order)]
            for order in permutations(range(3))
            for signs in product((1, -1), repeat=3)
        ]
    )


ORDERS = _signed_permutations()
"""(48, 3, 3); the first is the identity."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of the normals of one frame with its depth.

    Args:
        moments: M, (3, 3).
        pixels: number of pixels with both normals.
        angle: mean angle between both normals in degrees.
        best: position in `ORDERS` of a clearly better order; 0, the stored order, if none is.
        best_angle: mean angle in the order `best`, in degrees.
    """

    moments: Floats
    pixels: int
    angle: float
    best: int
    best_angle: float


def agreement(depth: NDArray[np.float32], normals: NDArray[np.float16], intrinsics: Floats) -> Agreement | None:
    """Compare the normals of a frame with its depth.

    Args:
        depth: (H, W) metres, 0 missing.
        normals: (H, W, 3), zero missing.
        intrinsics: (3, 3) pinhole matrix in pixels.

    Returns:
        The comparison; None if too few pixels have both normals.
    """
    step = max(1, round(max(depth.shape) / LONGEST_SIDE))
    thin = intrinsics.copy()
    thin[:2] /= step
    # Subsampled pixel k shows the centre of pixel k * step, at k * step + 0.5.
    thin[:2, 2] += 0.5 - 0.5 / step
    derived = normals_from_depth(np.ascontiguousarray(depth[::step, ::step]), thin)
    stored = normals[::step, ::step].astype(np.float64)
    both = (derived != 0).any(-1) & (stored != 0).any(-1)
    if both.sum() < FEWEST_PIXELS:
        return None
    d, s = derived[both].astype(np.float64), stored[both]
    s /= np.linalg.norm(s, axis=-1, keepdims=True)
    moments = d.T @ s / len(d)
    best = best_order(moments)
    return Agreement(moments, len(d), mean_angle(d, s), best, mean_angle(d, s @ ORDERS[best].T))


def best_order(moments: Floats) -> int:
    """Position in `ORDERS` of the best order if its gain exceeds `GAIN`, else 0."""
    cosines = np.einsum("kij,ij->k", ORDERS, moments)
    best = int(cosines.argmax())
    return best if cosines[best] - cosines[0] > GAIN else 0


def mean_angle(first: Floats, second: Floats) -> float:
    """Mean angle in degrees between vectors (N, 3) of any length."""
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return float(np.degrees(np.arctan2(across, (first * second).sum(-1))).mean())


def spelled(order: int) -> str:
    """Components of an order in terms of the stored ones, as in "(y, x, -z)"."""
    parts = []
    for row in ORDERS[order]:
        axis = int(np.abs(row).argmax())
        parts.append(("-" if row[axis] < 0 else "") + "xyz"[axis])
    return f"({', '.join(parts)})"


def advice(order: int) -> str:
    """Remedy for a wrong order of the axes."""
    matrix = ORDERS[order]
    if (np.abs(matrix) == np.eye(3)).all():
        negated = [axis for axis, sign in zip("xyz", np.diag(matrix), strict=True) if sign < 0]
        return f"negate {' and '.join(negated)}"
    return f"store {spelled(order)} of the stored components"
