"""Boundaries from label maps, compared with hand-drawn results."""

from __future__ import annotations

import numpy as np

from datasets.nyuv2.boundaries import boundaries_from_labels


def picture(*rows: str) -> np.ndarray:
    return np.array([[int(c) for c in row] for row in rows], np.uint8)


def test_a_pixel_is_boundary_if_right_below_or_diagonal_differs():
    labels = picture("1122", "1122", "1133")
    expected = picture("0100", "0111", "0100") * 255
    np.testing.assert_array_equal(boundaries_from_labels(labels), expected)


def test_one_class_has_no_boundary():
    assert (boundaries_from_labels(np.full((6, 8), 7, np.uint8)) == 0).all()


def test_a_thin_unlabelled_strip_becomes_one_line_in_its_middle():
    """Columns 0..9 class 1, 10..15 unlabelled, 16..25 class 2: the middle lies between columns 12 and 13."""
    labels = np.zeros((9, 26), np.uint8)
    labels[:, :10], labels[:, 16:] = 1, 2
    codes = boundaries_from_labels(labels)
    assert set(np.unique(codes)) == {0, 255}
    assert {int(c) for c in np.nonzero((codes == 255).any(0))[0]} == {12}
    assert (codes[:, 12] == 255).all()


def test_a_thin_strip_inside_one_class_is_no_boundary():
    labels = np.full((9, 26), 3, np.uint8)
    labels[:, 10:16] = 0
    assert (boundaries_from_labels(labels) == 0).all()


def test_a_wide_unlabelled_region_is_unlabelled_without_an_outline():
    labels = np.full((60, 60), 3, np.uint8)
    labels[15:45, 15:45] = 0
    codes = boundaries_from_labels(labels)
    assert set(np.unique(codes)) == {0, 128}
    assert (codes[labels != 0] == 0).all()
    # The whole region except its rounded corners.
    assert (codes[15:45, 15:45] == 128).mean() > 0.98


def test_no_label_at_all_is_unlabelled():
    assert (boundaries_from_labels(np.zeros((5, 6), np.uint8)) == 128).all()
