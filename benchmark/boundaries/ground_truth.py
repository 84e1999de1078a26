"""True boundaries from annotations: segments or drawn boundaries."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.protocols import Variant
from benchmark.boundaries.thinning import thin

Mask = NDArray[np.bool_]


class Annotation(NamedTuple):
    """Annotation of an image by one annotator.

    Args:
        segments: (H, W) label of the segment of each pixel.
        boundaries: (H, W) the drawn boundaries.
    """

    segments: NDArray[Any]
    boundaries: Mask


def annotation_of(drawn: NDArray[Any]) -> Annotation:
    """Annotation from one map (H, W), used as segments and as boundaries: pixels other than 0 are boundaries."""
    return Annotation(drawn, drawn != 0)


def true_boundaries(annotation: Annotation, variant: Variant) -> Mask:
    """Boundary mask (H, W) of an annotation; see `Variant`."""
    return thin(outlines(annotation.segments)) if variant == "seism" else annotation.boundaries


def outlines(segments: NDArray[Any]) -> Mask:
    """Mask (H, W) of the pixels whose label differs from the label of the right, lower or lower right neighbour.

    The last row is compared with the right neighbours only, the last column with the lower neighbours only.
    """
    differs = np.zeros(segments.shape, np.bool_)
    differs[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    differs[:-1] |= segments[:-1] != segments[1:]
    differs[:-1, :-1] |= segments[:-1, :-1] != segments[1:, 1:]
    return differs
