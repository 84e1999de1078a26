"""Agreement of normals with the depth, as stored and in every other order and sign of their components.

For a signed permutation P of the axes the mean cosine between the normals d of the depth and the stored ones s is

    mean d . (P s) = sum of P * M,    M = mean of the outer products d s^T,

so nine numbers per frame decide between all 48 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from datasets.nyuv2.normals import normals_from_depth

Floats = NDArray[np.float64]

FEWEST_PIXELS = 200
"""Least number of pixels with both normals for a statement."""

LONGEST_SIDE = 320
"""Larger frames are thinned out: axes need no detail."""

GAIN = 0.05
"""An order of the axes must raise the mean cosine by more than this to be named; on right data none raises it at all,
and of 1446 wrong frames (six wrong orders of 241 frames, rendered and real) all were raised by 0.069 and more."""

UNRELATED = 50.0
"""Degrees. A larger mean angle, which no order of the axes mends, means normals of something else; on real data the
worst frame has 25."""


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
        pixels: that have both normals.
        angle: mean angle between them in degrees.
        best: position in `ORDERS` that would agree best, 0 where the stored order does or none is clearly better.
        best_angle: mean angle in that order.
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
        intrinsics: 3x3 pinhole matrix.

    Returns:
        None where too few pixels have both.
    """
    step = max(1, round(max(depth.shape) / LONGEST_SIDE))
    thin = intrinsics.copy()
    thin[:2] /= step
    # The thinned pixel k shows the centre of pixel k * step, at k * step + 0.5.
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
    """Position in `ORDERS` of the order that is clearly better than the stored one, else 0."""
    cosines = np.einsum("kij,ij->k", ORDERS, moments)
    best = int(cosines.argmax())
    return best if cosines[best] - cosines[0] > GAIN else 0


def mean_angle(first: Floats, second: Floats) -> float:
    """Mean angle in degrees between vectors (N, 3) of any length."""
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return float(np.degrees(np.arctan2(across, (first * second).sum(-1))).mean())


def spelled(order: int) -> str:
    """The components to store instead, in terms of the stored ones: "(y, x, -z)"."""
    parts = []
    for row in ORDERS[order]:
        axis = int(np.abs(row).argmax())
        parts.append(("-" if row[axis] < 0 else "") + "xyz"[axis])
    return f"({', '.join(parts)})"


def advice(order: int) -> str:
    """Remedy for a wrong order, in words."""
    matrix = ORDERS[order]
    if (np.abs(matrix) == np.eye(3)).all():
        negated = [axis for axis, sign in zip("xyz", np.diag(matrix), strict=True) if sign < 0]
        return f"negate {' and '.join(negated)}"
    return f"store {spelled(order)} of what is there"
