"""Boundaries from a map of classes or of object instances.

In NYU-v2 objects are separated by thin strips without a label: nine of ten label changes are between a label and such
a strip. So strips are closed first, each unlabelled pixel taking the nearest label, and the boundary runs along the
middle of the strip. A region wider than `2 * REACH` pixels is no strip: it is unlabelled here too, up to its outline,
which may or may not be a boundary and is not drawn.

The published boundary maps were made from instance masks and are shipped ready-made; no repository holds their recipe.
Ours are not theirs: they run between classes where only those are known, else between instances.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[Any]

REACH = 5
"""Half the width in pixels of the widest strip that is closed."""

BOUNDARY, UNLABELLED = 255, 128


def boundaries_from_labels(labels: Labels, unlabelled: int = 0) -> Labels:
    """Boundary map of the canonical layout.

    Args:
        labels: (H, W) map of whole numbers: classes, or objects where instances are known.
        unlabelled: the label that stands for no label.

    Returns:
        (H, W) uint8: 128 in wide regions without a label; 255 where a pixel differs from its right, lower or lower
        right neighbour; else 0.
    """
    missing = (labels == unlabelled).astype(np.uint8)
    if missing.all():
        return np.full(labels.shape, UNLABELLED, np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(
        missing, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # `nearest` numbers the labelled pixels from 1 in the order of the rows.
    closed = labels[missing == 0][nearest - 1]
    known = ~_wide_parts(missing, distance > REACH)
    result = np.where(known, 0, UNLABELLED).astype(np.uint8)
    result[_differs(closed, known)] = BOUNDARY
    return result


def _wide_parts(missing: Labels, core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Unlabelled pixels within reach of the core of their region: a morphological opening with a disc."""
    if not core.any():
        return core
    to_core = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return (missing > 0) & (to_core <= REACH + 1)


def _differs(labels: Labels, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose right, lower or lower right neighbour has another label, both known."""
    edge = np.zeros(labels.shape, bool)
    for down, right in ((0, 1), (1, 0), (1, 1)):
        rows, columns = labels.shape[0] - down, labels.shape[1] - right
        here, there = (slice(0, rows), slice(0, columns)), (slice(down, None), slice(right, None))
        edge[here] |= (labels[here] != labels[there]) & known[here] & known[there]
    return edge
