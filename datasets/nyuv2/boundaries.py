"""Boundaries from a map of classes or of object instances.

In NYU-v2, thin unlabelled strips separate the objects: nine of ten label changes are between a label and such a strip.
Strips are closed first: each unlabelled pixel takes the nearest label, so the boundary runs along the middle of the
strip. An unlabelled region wider than `2 * REACH` pixels stays unlabelled, and its outline is no boundary.

The published boundary maps were made from instance masks, by a method that no repository documents. The maps made here
differ: they run between instances if instances are known, else between classes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[Any]

REACH = 5
"""Half of the largest width in pixels of a strip that is closed."""

BOUNDARY, UNLABELLED = 255, 128


def boundaries_from_labels(labels: Labels, unlabelled: int = 0) -> Labels:
    """Boundary map of the canonical layout.

    Args:
        labels: (H, W) integer map of classes or instances.
        unlabelled: the value of unlabelled pixels.

    Returns:
        (H, W) uint8: 128 in wide unlabelled regions; 255 where a pixel differs from its right, lower or lower
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
    valid = ~_wide_parts(missing, distance > REACH)
    result = np.where(valid, 0, UNLABELLED).astype(np.uint8)
    result[_label_changes(closed, valid)] = BOUNDARY
    return result


def _wide_parts(missing: Labels, core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of wide unlabelled regions: a morphological opening with a disc.

    Args:
        missing: (H, W) 1 at unlabelled pixels.
        core: (H, W) unlabelled pixels farther than `REACH` from a label.
    """
    if not core.any():
        return core
    to_core = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return (missing > 0) & (to_core <= REACH + 1)


def _label_changes(labels: Labels, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Valid pixels whose right, lower or lower right neighbour is valid and has another label."""
    edge = np.zeros(labels.shape, bool)
    for down, right in ((0, 1), (1, 0), (1, 1)):
        rows, columns = labels.shape[0] - down, labels.shape[1] - right
        pixel, neighbour = (slice(0, rows), slice(0, columns)), (slice(down, None), slice(right, None))
        edge[pixel] |= (labels[pixel] != labels[neighbour]) & valid[pixel] & valid[neighbour]
    return edge
