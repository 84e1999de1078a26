"""The published ways to score a boundary map, as data. No NumPy is needed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Variant = Literal["seism", "direct"]
"""How an annotation becomes true boundaries. `seism`: the outlines of its segments, thinned; a drawn boundary map is
taken for a segmentation too, so that the outline of the drawn lines counts. `direct`: the drawn boundaries."""

MAX_DISTANCE = {"nyud": 0.011, "pascal": 0.0075, "bsds": 0.0075}
"""Largest distance between matched pixels as a share of the image diagonal, by data set, as papers use them."""


@dataclass(frozen=True)
class Protocol:
    """A way to score boundary maps.

    Args:
        name: as numbers carry it, `odsF@seism`.
        thresholds: at which a predicted map is cut, ascending.
        comparison: ">" or ">=" the threshold; with ">" in single precision.
        suppressed: whether non-maximum suppression is part of the protocol; else it is up to whoever made the maps.
        thinned: whether each cut map is thinned.
        ground_truth: how annotations become boundaries.
        interpolated: whether the best F is looked for between thresholds, too.
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
        """What a number is of: `seism`, or `seism-direct` where the ground truth is not the protocol's own."""
        own = PROTOCOLS[self.name].ground_truth if self.name in PROTOCOLS else None
        return self.name if self.ground_truth == own else f"{self.name}-{self.ground_truth}"


def evenly_spaced(count: int) -> tuple[float, ...]:
    """Thresholds as BSDS spaces them, from 1 / (count + 1) to one minus that."""
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
"""What papers on multi-task learning report as odsF: Pont-Tuset and Marques, "Supervised evaluation of image
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
"""What papers on boundary detection report: Arbelaez, Maire, Fowlkes, Malik, "Contour detection and hierarchical image
segmentation", IEEE PAMI 2011. Its maps have been through non-maximum suppression before."""

PROTOCOLS = {protocol.name: protocol for protocol in (SEISM, BSDS)}
