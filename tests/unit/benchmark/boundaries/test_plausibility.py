"""Warnings about maps that are probably inverted or badly scaled."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.boundaries.plausibility import BRIGHT, DRAWN_INVERTED, EMPTY, FAINT, common_doubts, doubts

DRAWN = np.zeros((20, 30), bool)
DRAWN[10] = True
STRENGTH = np.where(DRAWN, 204, 10).astype(np.uint8)


@pytest.mark.parametrize(
    ("strength", "truth", "expected"),
    [
        (STRENGTH, DRAWN, ()),
        (STRENGTH / 255, DRAWN, ()),
        (255 - STRENGTH, DRAWN, (BRIGHT,)),
        (1 - STRENGTH / 255, DRAWN, (BRIGHT,)),
        (np.zeros_like(STRENGTH), DRAWN, (EMPTY,)),
        (DRAWN.astype(np.uint8), DRAWN, (FAINT,)),
        (DRAWN, DRAWN, ()),
        (STRENGTH, ~DRAWN, (DRAWN_INVERTED,)),
        # 40 % of the pixels at 1, the others at 0.47: the median is below 0.5, the mean is not.
        (np.where(np.arange(600).reshape(20, 30) % 5 < 2, 255, 120).astype(np.uint8), DRAWN, ()),
    ],
)
def test_inverted_and_faint_maps_raise_a_doubt(strength, truth, expected):
    assert doubts(strength, [truth], "direct") == expected


def test_an_inverted_map_of_segments_raises_no_doubt():
    """Its outlines are the same."""
    assert doubts(STRENGTH, [~DRAWN], "seism") == ()


def test_only_doubts_about_most_images_are_reported():
    assert common_doubts([(EMPTY,), (), ()]) == []
    assert common_doubts([(EMPTY,), (EMPTY, BRIGHT), ()]) == [f"2 of 3 images: {EMPTY}"]


HALF = np.zeros((20, 30), bool)
HALF[:10] = True


def test_exactly_half_raises_no_doubt_and_exactly_a_hundredth_does():
    assert doubts(np.full((20, 30), 0.5), [HALF], "direct") == ()
    assert doubts(0.01 * DRAWN, [DRAWN], "direct") == (FAINT,)
    assert doubts(0.011 * DRAWN, [DRAWN], "direct") == ()
    more = HALF.copy()
    more[10, 0] = True
    assert doubts(STRENGTH, [DRAWN, more], "direct") == (DRAWN_INVERTED,)
    assert common_doubts([(EMPTY,), ()]) == []
