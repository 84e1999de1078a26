"""Thinning against skimage, which agrees with MATLAB."""

from __future__ import annotations

import numpy as np
import pytest
from boundary_cases import scattered
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.boundaries.thinning import thin, thin_sets

morphology = pytest.importorskip("skimage.morphology")


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), height=st.integers(1, 40), width=st.integers(1, 40), share=st.floats(0, 1))
def test_thinning_is_that_of_skimage(seed: int, height: int, width: int, share: float) -> None:
    boundary = scattered(seed, (height, width), share)
    assert np.array_equal(thin(boundary), morphology.thin(boundary))


def test_a_full_map_shrinks_to_a_line() -> None:
    full = np.ones((9, 30), bool)
    assert np.array_equal(thin(full), morphology.thin(full))


def test_nested_maps_are_thinned_each_on_its_own() -> None:
    strength = np.random.default_rng(0).random((25, 30))
    order = np.argsort(-strength, axis=None)
    counts = [0, 100, 101, 400, 750]
    for count, left in zip(counts, thin_sets(order, counts, strength.shape), strict=True):
        cut, found = np.zeros((2, 25, 30), bool)
        cut.flat[order[:count]] = True
        found.flat[order[left]] = True
        assert np.array_equal(found, morphology.thin(cut))


def test_an_empty_map_stays_empty() -> None:
    assert not thin(np.zeros((3, 4), bool)).any()
    assert thin_sets(np.array([], np.int64), [], (3, 4)) == []
