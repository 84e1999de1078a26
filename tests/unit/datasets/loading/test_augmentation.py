"""Augmentation of a recipe: checked keys, ranges of the draws, redraws of the crop."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.loading.augmentation import CROP_REDRAWS, Augmentation, is_mixed, random_crop, random_zoom
from datasets.loading.transforms import Frame, zoom_window

K = np.array([[20.0, 0, 8.0], [0, 20.0, 6.0], [0, 0, 1]])


def frame_of(labels: np.ndarray) -> Frame:
    return Frame(np.zeros((*labels.shape, 3), np.uint8), K, semseg=labels.astype(np.uint8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flipp": 0.5}, "no option named 'flipp'. Did you mean 'flip'?"),
        ({"zooom": (1, 2)}, "Did you mean 'zoom'"),
        ({"rotate": 3}, "no option named 'rotate'. Options: zoom, scale, crop"),
        ({"scale": (0.5, 2.0)}, "give crop="),
        ({"zoom": (0.5, 2.0)}, "zoom starts at 1"),
        ({"zoom": (1, 2), "crop": (4, 4)}, "give zoom, or scale and crop"),
        ({"zoom": (2, 1)}, r"zoom is \(low, high\), found \(2, 1\)"),
        ({"crop": 425}, "crop is a pair of positive numbers, found 425"),
        ({"crop": (4.5, 4)}, "whole pixels"),
        ({"flip": 1.5}, "flip is a probability, found 1.5"),
        ({"crop": (4, 4), "cat_max_ratio": 75}, "cat_max_ratio is a share"),
    ],
)
def test_a_wrong_option_is_explained(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation.from_mapping(options)


def test_lists_of_a_json_recipe_are_pairs():
    assert Augmentation.from_mapping({"zoom": [1, 1.5]}) == Augmentation(zoom=(1, 1.5))


def test_only_padding_draws_nothing():
    assert Augmentation(pad=(4, 4)).is_deterministic()
    assert Augmentation().is_deterministic()
    for options in ({"flip": 0.5}, {"photometric": 1.0}, {"zoom": (1.0, 1.0)}, {"crop": (4, 4)}):
        assert not Augmentation(**options).is_deterministic(), options


def test_a_window_is_mixed_below_the_ratio_and_with_two_classes():
    """75 of 100 labelled pixels are too many, 74 are not; unlabelled pixels do not count."""
    labels = np.zeros((10, 20), np.uint8)
    labels[:, 10:] = 255
    assert not is_mixed(labels, 0.75)
    labels.ravel()[np.flatnonzero(labels.ravel() == 0)[:25]] = 7
    assert not is_mixed(labels, 0.75)
    labels.ravel()[np.flatnonzero(labels.ravel() == 0)[:1]] = 7
    assert is_mixed(labels, 0.75)
    assert not is_mixed(np.full((4, 4), 255), 0.75)


def test_crop_is_redrawn_until_mixed():
    """7 of 49 windows hold 5 to 11 columns of each class: one draw finds one in 1/7, eleven in 1 - (6/7)^11 = 0.82."""
    labels = np.zeros((8, 64))
    labels[:, 40:] = 5
    crops = [random_crop(frame_of(labels), (8, 16), 0.75, np.random.default_rng(seed)) for seed in range(200)]
    share = np.mean([is_mixed(c.semseg, 0.75) for c in crops])
    single = [random_crop(frame_of(labels), (8, 16), 1.0, np.random.default_rng(seed)) for seed in range(200)]
    assert 0.05 < np.mean([is_mixed(c.semseg, 0.75) for c in single]) < 0.25
    assert 0.72 < share < 0.92


def test_crop_gives_up_after_ten_redraws(monkeypatch):
    calls = []
    monkeypatch.setattr("datasets.loading.augmentation._draw_corner", lambda *_: (calls.append(1) or 0, 0))
    random_crop(frame_of(np.zeros((8, 8))), (4, 4), 0.75, np.random.default_rng(0))
    assert len(calls) == 1 + CROP_REDRAWS == 11


def test_crop_without_labels_is_explained():
    with pytest.raises(ValueError, match="needs the semseg labels"):
        random_crop(Frame(np.zeros((8, 8, 3), np.uint8), K), (4, 4), 0.75, np.random.default_rng(0))


def test_crop_reaches_every_position():
    labels = np.arange(5 * 6).reshape(5, 6)
    corners = {random_crop(frame_of(labels), (3, 4), 1.0, np.random.default_rng(s)).semseg[0, 0] for s in range(300)}
    assert corners == {row * 6 + column for row in range(3) for column in range(3)}


def test_a_small_frame_is_taken_whole_and_padded():
    labels = np.arange(48).reshape(6, 8)
    augmentation = Augmentation(scale=(0.5, 0.5), crop=(6, 8))
    result = augmentation(frame_of(labels), np.random.default_rng(0))
    assert result.size == (6, 8)
    assert (result.semseg != 255).sum() == 3 * 4
    np.testing.assert_allclose(result.intrinsics, [[10, 0, 4 + 2], [0, 10, 3 + 1], [0, 0, 1]])


def test_zoom_reaches_every_position_and_keeps_the_size():
    labels = np.arange(4 * 12).reshape(4, 12)
    results = [random_zoom(frame_of(labels), (2.0, 2.0), np.random.default_rng(s)) for s in range(400)]
    assert {r.size for r in results} == {(4, 12)}
    assert zoom_window((4, 12), 2.0) == (2, 6)
    assert {r.semseg[0, 0] for r in results} == {row * 12 + column for row in range(3) for column in range(7)}


def test_flip_happens_with_its_probability():
    labels = np.arange(4).reshape(1, 4)
    flips = [Augmentation(flip=0.25)(frame_of(labels), np.random.default_rng(s)).semseg[0, 0] == 3 for s in range(800)]
    assert 0.2 < np.mean(flips) < 0.3


def test_the_published_chain_gives_a_padded_normalised_frame():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    frame = Frame(image, K, semseg=rng.integers(0, 40, (20, 30), dtype=np.uint8))
    augmentation = Augmentation(
        scale=(0.5, 2), crop=(20, 30), cat_max_ratio=0.75, flip=0.5, photometric=1.0, pad=(22, 32)
    )
    for seed in range(10):
        result = augmentation(frame, np.random.default_rng(seed))
        assert result.size == (22, 32)
        assert result.image.dtype == np.float32
        assert np.abs(result.image).max() < 2.7
        assert (result.image[0] == 0).all()
