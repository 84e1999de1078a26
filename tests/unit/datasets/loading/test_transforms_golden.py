"""The published ATRC / InvPT transforms, compared with 48 golden arrays computed by the published code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from datasets.loading.photometric import Distortion
from datasets.loading.transforms import Frame, crop, flip, normalise, pad, scale

NAMES = {"image": "image", "semseg": "semseg", "depth": "depth", "normals": "normals", "edge": "boundary"}


@pytest.fixture(scope="module")
def golden(golden_folder):
    with np.load(golden_folder / "functions.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith(("tf_in.", "tf.atrc.", "tf.invpt."))}


@pytest.fixture(scope="module")
def start(golden) -> Frame:
    return Frame(intrinsics=np.eye(3), **{ours: golden[f"tf_in.{theirs}"] for theirs, ours in NAMES.items()})


def thinned(array, expected):
    """Subsample an array to the stored rows and columns: all, or every fourth."""
    step = -(-array.shape[0] // expected.shape[0])
    return array[::step, ::step].reshape(expected.shape)


def check(frame: Frame, golden, case: str, repository: str) -> None:
    for theirs, ours in NAMES.items():
        expected = golden[f"tf.{repository}.{case}.{theirs}"]
        actual = thinned(getattr(frame, ours), expected)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6, err_msg=f"{case}, {theirs}")


pytestmark = pytest.mark.parametrize("repository", ["atrc", "invpt"])


@pytest.mark.parametrize("factor", ["0.5", "0.77", "1", "1.3", "2"])
def test_scale(start, golden, repository, factor):
    check(scale(start, float(factor)), golden, f"RandomScaling_{factor}", repository)


def cropped(start: Frame) -> Frame:
    return crop(scale(start, 1.3), 7, 11, (40, 52))


def test_scale_then_crop(start, golden, repository):
    check(cropped(start), golden, "Scaling1.3_Crop40x52_off7_11", repository)


def test_flip(start, golden, repository):
    check(flip(start), golden, "RandomHorizontalFlip_forced", repository)
    check(flip(cropped(start)), golden, "then_flip", repository)


def test_normalise_then_pad(start, golden, repository):
    """The published code then writes 255 for missing depth and normals; 0 here has the same meaning."""
    padded = pad(normalise(flip(cropped(start))), (44, 60))
    marked = replace(
        padded,
        depth=np.where(padded.depth == 0, 255, padded.depth),
        normals=np.where((padded.normals == 0).all(-1, keepdims=True), 255, padded.normals),
    )
    check(marked, golden, "then_norm_pad44x60_ignore", repository)


@pytest.mark.parametrize(
    ("case", "distortion"),
    [
        ("b20_c1.3first_s0.7_h-9", Distortion(brightness=20, contrast=1.3, saturation=0.7, hue=-9)),
        ("s1.4_c0.6last", Distortion(contrast=0.6, saturation=1.4, contrast_first=False)),
    ],
)
def test_photometric_distortion(start, golden, repository, case, distortion):
    expected = golden[f"tf.{repository}.PhotoMetric_{case}.image"]
    np.testing.assert_array_equal(thinned(distortion(start.image), expected), expected)
