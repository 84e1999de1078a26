"""True boundaries from the drawings of annotators."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.protocols import Variant
from benchmark.boundaries.thinning import thin

Mask = NDArray[np.bool_]


class Annotation(NamedTuple):
    """The drawing of one annotator.

    Args:
        segments: (H, W) label of the segment of each pixel.
        boundaries: (H, W) the drawn boundaries.
    """

    segments: NDArray[Any]
    boundaries: Mask


def annotation_of(drawn: NDArray[Any]) -> Annotation:
    """One map (H, W) of labels, or of boundaries, taken as both: a pixel that is not 0 is a boundary."""
    return Annotation(drawn, drawn != 0)


def true_boundaries(annotation: Annotation, variant: Variant) -> Mask:
    """Boundary pixels (H, W) of an annotation; see `Variant`."""
    return thin(outlines(annotation.segments)) if variant == "seism" else annotation.boundaries


def outlines(segments: NDArray[Any]) -> Mask:
    """Pixels (H, W) whose label differs from that of the neighbour to the right, below, or both.

    The last row is compared with its right neighbours only, the last column with those below.
    """
    differs = np.zeros(segments.shape, np.bool_)
    differs[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    differs[:-1] |= segments[:-1] != segments[1:]
    differs[:-1, :-1] |= segments[:-1, :-1] != segments[1:, 1:]
    return differs
