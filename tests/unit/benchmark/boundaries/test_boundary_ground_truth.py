"""True boundaries from drawn maps, by hand."""

from __future__ import annotations

import numpy as np
from boundary_cases import soft_scene

from benchmark.boundaries.ground_truth import Annotation, annotation_of, outlines, true_boundaries
from benchmark.boundaries.thinning import thin


def test_a_pixel_is_an_outline_if_its_right_lower_or_lower_right_neighbour_differs() -> None:
    segments = np.array([[1, 1, 2], [1, 1, 2], [3, 1, 2]])
    expected = np.array([[0, 1, 0], [1, 1, 0], [1, 1, 0]], bool)
    assert np.array_equal(outlines(segments), expected)


def test_the_last_row_is_compared_to_the_right_and_the_last_column_below() -> None:
    segments = np.zeros((3, 3), int)
    segments[2, 2] = 1
    assert np.argwhere(outlines(segments)).tolist() == [[1, 1], [1, 2], [2, 1]]


def test_a_drawn_line_becomes_the_outline_of_itself() -> None:
    """A column of edge pixels differs from the column before it, and from the one after: two columns wide."""
    drawn = np.zeros((5, 7), np.uint8)
    drawn[:, 3] = 255
    assert np.array_equal(np.flatnonzero(outlines(drawn)[0]), [2, 3])
    annotation = annotation_of(drawn)
    assert np.array_equal(true_boundaries(annotation, "seism"), thin(outlines(drawn)))
    assert np.array_equal(true_boundaries(annotation, "direct"), drawn == 255)


def test_each_variant_reads_its_own_part_of_an_annotation() -> None:
    _, drawn = soft_scene(0)
    segments = np.zeros(drawn.shape, int)
    segments[:30] = 7
    annotation = Annotation(segments, drawn)
    assert np.argwhere(true_boundaries(annotation, "seism"))[:, 0].tolist() == [29] * 80
    assert np.array_equal(true_boundaries(annotation, "direct"), drawn)


def test_one_segment_has_no_outline() -> None:
    assert not outlines(np.full((4, 6), 3)).any()
    assert not outlines(np.zeros((1, 1))).any()
