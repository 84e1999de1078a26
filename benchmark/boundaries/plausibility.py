"""Warnings about maps that are readable but probably inverted or wrongly scaled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.ground_truth import Mask
from benchmark.boundaries.protocols import Variant

MAX_BOUNDARY = 0.5
"""Largest plausible share of boundary pixels."""

BRIGHT = "the prediction is above half its range in most pixels; is it inverted? 0 is no boundary"
EMPTY = "the prediction is zero everywhere"
FAINT = "the prediction uses less than a hundredth of its range; uint8 reaches 255 and uint16 65535, so rescale it"
DRAWN_INVERTED = (
    "most pixels of the ground truth are boundary; is it inverted (0 is no boundary), or a map of segments, which "
    "needs --gt-variant seism?"
)


def doubts(strength: NDArray[Any], truths: Sequence[Mask], variant: Variant) -> tuple[str, ...]:
    """Warnings about one image.

    Args:
        strength: (H, W) as read, uint8 0..255 or 0..1.
        truths: (H, W) true boundaries of each annotator.
        variant: variant of the ground truth. Inverted segments have the same outlines, so they are not checked.
    """
    share = strength / (255 if strength.dtype == np.uint8 else 1)
    found = []
    if np.median(share) > 0.5:
        found.append(BRIGHT)
    if share.max() <= 0.01:
        found.append(EMPTY if not share.any() else FAINT)
    if variant == "direct" and any(truth.mean() > MAX_BOUNDARY for truth in truths):
        found.append(DRAWN_INVERTED)
    return tuple(found)


def common_doubts(by_image: Iterable[Sequence[str]]) -> list[str]:
    """Warnings about more than half of the images, each with the number of images."""
    listed = list(by_image)
    counts = Counter(doubt for found in listed for doubt in found)
    return [f"{count} of {len(listed)} images: {doubt}" for doubt, count in counts.items() if 2 * count > len(listed)]
