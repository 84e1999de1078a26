"""Photometric distortion: truncation to bytes, fixed number of draws."""

from __future__ import annotations

import numpy as np

from datasets.loading.photometric import Distortion


def test_nothing_drawn_changes_nothing_but_the_type():
    image = np.array([[[1.9, 200.2, 255.0]]], np.float32)
    np.testing.assert_array_equal(Distortion()(image), [[[1, 200, 255]]])


def test_every_step_is_cut_to_bytes():
    """10 + 0.9 = 10.9 is cut to 10 before the contrast doubles it to 20 (not 21.8)."""
    image = np.full((1, 1, 3), 10, np.uint8)
    np.testing.assert_array_equal(Distortion(brightness=0.9, contrast=2.0)(image), 20)


def test_values_are_clipped_not_wrapped():
    image = np.array([[[0, 100, 250]]], np.uint8)
    np.testing.assert_array_equal(Distortion(brightness=20)(image), [[[20, 120, 255]]])
    np.testing.assert_array_equal(Distortion(brightness=-20)(image), [[[0, 80, 230]]])


def test_no_saturation_makes_grey_and_half_a_turn_of_hue_the_opposite_colour():
    red = np.array([[[200, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(Distortion(saturation=0.0)(red), 200)
    np.testing.assert_array_equal(Distortion(hue=90)(red), [[[0, 200, 200]]])


def test_draws_are_as_published():
    drawn = [Distortion.draw(np.random.default_rng(seed), strength=1.0) for seed in range(2000)]
    ranges = {"brightness": (-32, 32), "contrast": (0.5, 1.5), "saturation": (0.5, 1.5), "hue": (-18, 17)}
    for name, (low, high) in ranges.items():
        values = np.array([value for d in drawn if (value := getattr(d, name)) is not None])
        assert 0.45 < len(values) / len(drawn) < 0.55, name
        assert low <= values.min() < low + 0.05 * (high - low), name
        assert high >= values.max() > high - 0.05 * (high - low), name
    assert 0.45 < np.mean([d.contrast_first for d in drawn]) < 0.55


def test_half_the_strength_halves_every_change():
    """Factors change around 1, offsets around 0; the same draws underneath."""
    for seed in range(50):
        full, half = (Distortion.draw(np.random.default_rng(seed), strength=strength) for strength in (1.0, 0.5))
        assert full.contrast_first == half.contrast_first
        for name, unchanged, step in (("brightness", 0, 0), ("contrast", 1, 0), ("saturation", 1, 0), ("hue", 0, 0.5)):
            whole, part = getattr(full, name), getattr(half, name)
            assert (whole is None) == (part is None)
            if whole is not None:
                assert abs((part - unchanged) - (whole - unchanged) / 2) <= step + 1e-12, name


def test_later_draws_do_not_depend_on_the_drawn_distortion():
    following = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        Distortion.draw(rng, strength=1.0)
        after = np.random.default_rng(seed)
        after.random(5), after.uniform(size=3), after.integers(-18, 18)
        following.add(rng.random() == after.random())
    assert following == {True}
