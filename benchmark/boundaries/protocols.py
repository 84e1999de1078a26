"""Published evaluation protocols of boundary maps, as data. Imports no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Variant = Literal["seism", "direct"]
"""Conversion of an annotation to true boundaries. `seism`: the thinned outlines of its segments; a drawn boundary map
is read as a segmentation too, so the outlines of the drawn lines count. `direct`: the drawn boundaries."""

MAX_DISTANCE = {"nyud": 0.011, "pascal": 0.0075, "bsds": 0.0075}
"""Largest distance between matched pixels as a share of the image diagonal, by data set, as papers use them."""


@dataclass(frozen=True)
class Protocol:
    """Evaluation protocol of boundary maps.

    Args:
        name: suffix of its metrics, as in `odsF@seism`.
        thresholds: ascending thresholds of a predicted map.
        comparison: ">" or ">=" the threshold; ">" is computed in single precision.
        suppressed: True if the protocol applies non-maximum suppression; False if it expects suppressed maps.
        thinned: True if each thresholded map is thinned.
        ground_truth: conversion of annotations to boundaries.
        interpolated: True if the best F is also searched between thresholds.
        max_distance: largest distance between matched pixels as a share of the image diagonal.
    """

    name: str
    thresholds: tuple[float, ...]
    comparison: Literal[">", ">="]
    suppressed: bool
    thinned: bool
    ground_truth: Variant
    interpolated: bool
    max_distance: float

    def __post_init__(self) -> None:
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"thresholds must ascend, found {self.thresholds}")
        if self.thresholds[0] < 0 or self.thresholds[-1] > 1:
            raise ValueError(f"thresholds must lie in 0..1, found {self.thresholds[0]:g}..{self.thresholds[-1]:g}")
        if not 0 <= self.max_distance <= 1:
            raise ValueError(f"max_distance is a share of the image diagonal, 0..1; found {self.max_distance:g}")

    @property
    def label(self) -> str:
        """Suffix of metric names: `seism`, or `seism-direct` if the ground truth is not the default of the protocol."""
        own = PROTOCOLS[self.name].ground_truth if self.name in PROTOCOLS else None
        return self.name if self.ground_truth == own else f"{self.name}-{self.ground_truth}"


def evenly_spaced(count: int) -> tuple[float, ...]:
    """Evenly spaced thresholds of BSDS, from 1 / (count + 1) to count / (count + 1)."""
    first = 1 / (count + 1)
    step = (1 - first - first) / max(1, count - 1)
    return tuple(first + position * step for position in range(count))


SEISM = Protocol(
    name="seism",
    thresholds=(0.001, *(step / 100 for step in range(1, 100)), 0.999),
    comparison=">",
    suppressed=True,
    thinned=True,
    ground_truth="seism",
    interpolated=False,
    max_distance=MAX_DISTANCE["nyud"],
)
"""Protocol of odsF in papers on multi-task learning: Pont-Tuset and Marques, "Supervised evaluation of image
segmentation and object proposal techniques", IEEE PAMI 2016, with their tool SEISM, as it was adapted to NYUD-v2.
PASCAL-Context has a `max_distance` of its own."""

BSDS = Protocol(
    name="bsds",
    thresholds=evenly_spaced(99),
    comparison=">=",
    suppressed=False,
    thinned=True,
    ground_truth="direct",
    interpolated=True,
    max_distance=MAX_DISTANCE["bsds"],
)
"""Protocol of papers on boundary detection: Arbelaez, Maire, Fowlkes, Malik, "Contour detection and hierarchical image
segmentation", IEEE PAMI 2011. Predicted maps are suppressed before the evaluation."""

PROTOCOLS = {protocol.name: protocol for protocol in (SEISM, BSDS)}
