"""Joint transforms: hand-calculated intrinsics, and invariance of reprojected points."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.loading.transforms import Frame, crop, flip, normalise, pad, resize, scale, zoom, zoom_window

H, W = 12, 16
K = np.array([[20.0, 0, 7.0], [0, 22.0, 6.5], [0, 0, 1]])


@pytest.fixture
def frame() -> Frame:
    """Frame with a unique semseg number per pixel, which identifies the pixel after a transform."""
    rng = np.random.default_rng(0)
    normals = rng.standard_normal((H, W, 3)).astype(np.float32)
    return Frame(
        image=rng.integers(0, 256, (H, W, 3), dtype=np.uint8),
        intrinsics=K.copy(),
        semseg=np.arange(H * W, dtype=np.uint8).reshape(H, W),
        depth=rng.uniform(1, 5, (H, W)).astype(np.float32),
        normals=normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        boundary=(rng.random((H, W)) < 0.2).astype(np.uint8),
    )


def points(frame: Frame) -> np.ndarray:
    """(H, W, 3) reprojected pixel centres: z K^-1 (u, v, 1) with centres at integer + 0.5."""
    height, width = frame.size
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(frame.intrinsics).T
    return rays * frame.depth[..., None]


def originals(frame: Frame, values: np.ndarray) -> np.ndarray:
    """For each pixel of a transformed frame the value at the pixel that it came from."""
    return values.reshape(H * W, -1)[frame.semseg.astype(int)]


def test_crop_subtracts_its_offset(frame):
    cropped = crop(frame, 3, 5, (6, 8))
    np.testing.assert_array_equal(cropped.intrinsics, [[20, 0, 2], [0, 22, 3.5], [0, 0, 1]])
    assert cropped.size == (6, 8)
    assert cropped.semseg[0, 0] == 3 * W + 5
    np.testing.assert_allclose(points(cropped), originals(cropped, points(frame)), rtol=1e-6)


def test_crop_beyond_the_frame_is_clipped(frame):
    assert crop(frame, 8, 0, (6, 30)).size == (4, 16)


def test_flip_mirrors_cx_and_points_and_negates_x_of_normals(frame):
    flipped = flip(frame)
    assert flipped.intrinsics[0, 2] == W - 7.0
    np.testing.assert_array_equal(flipped.intrinsics[1], K[1])
    np.testing.assert_array_equal(flipped.image, frame.image[:, ::-1])
    np.testing.assert_array_equal(flipped.normals, frame.normals[:, ::-1] * [-1, 1, 1])
    np.testing.assert_allclose(points(flipped), originals(flipped, points(frame)) * [-1, 1, 1], rtol=1e-5)


def test_flip_works_alike_on_stored_half_precision_normals(frame):
    half = Frame(frame.image, K, normals=frame.normals.astype(np.float16))
    np.testing.assert_array_equal(flip(half).normals, half.normals[:, ::-1] * np.array([-1, 1, 1], np.float16))


def test_flipping_twice_changes_nothing(frame):
    twice = flip(flip(frame))
    np.testing.assert_array_equal(twice.intrinsics, K)
    for name, array in frame.labels().items():
        np.testing.assert_array_equal(getattr(twice, name), array, err_msg=name)


def test_scale_two_by_hand(frame):
    doubled = scale(frame, 2.0)
    np.testing.assert_array_equal(doubled.intrinsics, [[40, 0, 14], [0, 44, 13], [0, 0, 1]])
    np.testing.assert_array_equal(doubled.depth, np.repeat(np.repeat(frame.depth / 2, 2, 0), 2, 1))
    np.testing.assert_array_equal(doubled.normals, np.repeat(np.repeat(frame.normals, 2, 0), 2, 1))
    # Bilinear at a quarter pixel, by hand for the first two columns of the first row: the border repeats.
    first, second = frame.image[0, :2].astype(np.float32)
    np.testing.assert_allclose(doubled.image[0, 0], first)
    np.testing.assert_allclose(doubled.image[0, 1], 0.75 * first + 0.25 * second)


def test_scale_rounds_sizes_down_and_scales_intrinsics_by_the_rounded_sizes(frame):
    scaled = scale(frame, 1.3)
    assert scaled.size == (15, 20)
    np.testing.assert_allclose(scaled.intrinsics, [[25, 0, 8.75], [0, 27.5, 8.125], [0, 0, 1]])


@pytest.mark.parametrize("factor", [0.5, 0.77, 1.3, 2.0])
def test_scale_divides_space_by_the_factor(frame, factor):
    """Label resizing picks a pixel up to one source pixel away, hence the tolerance of one pixel of each size."""
    scaled = scale(frame, factor)
    expected = originals(scaled, points(frame)) / factor
    one_pixel = scaled.depth / 20 * (1 / factor + 1)
    assert (np.abs(points(scaled) - expected)[..., :2] <= one_pixel[..., None]).all()
    np.testing.assert_allclose(scaled.depth[..., None], originals(scaled, frame.depth) / factor, rtol=1e-6)


def test_zoom_by_hand(frame):
    """The 6x8 window at (2, 4), twice as large."""
    zoomed = zoom(frame, 2, 4, 2.0)
    assert zoomed.size == frame.size
    np.testing.assert_allclose(zoomed.intrinsics, [[40, 0, 6], [0, 44, 9], [0, 0, 1]])
    np.testing.assert_array_equal(zoomed.semseg, np.repeat(np.repeat(frame.semseg[2:8, 4:12], 2, 0), 2, 1))
    np.testing.assert_array_equal(zoomed.depth, np.repeat(np.repeat(frame.depth[2:8, 4:12] / 2, 2, 0), 2, 1))
    # The two pixels made of one have their mean at its centre.
    mean = points(zoomed).reshape(6, 2, 8, 2, 3).mean((1, 3))
    np.testing.assert_allclose(mean, points(frame)[2:8, 4:12] / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.2, 1.5])
def test_zoom_divides_space_by_the_factor(frame, factor):
    zoomed = zoom(frame, 1, 1, factor)
    half_pixel = zoomed.depth / 20 * 0.51
    difference = np.abs(points(zoomed) - originals(zoomed, points(frame)) / factor)
    assert (difference[..., :2] <= half_pixel[..., None]).all()


def test_zoom_window_of_the_lite_size():
    assert zoom_window((120, 160), 1.5) == (80, 107)


def test_resize_scales_intrinsics_per_axis_and_keeps_depth(frame):
    resized = resize(frame, (6, 4))
    np.testing.assert_allclose(resized.intrinsics, [[5, 0, 1.75], [0, 11, 3.25], [0, 0, 1]])
    assert set(resized.depth.ravel()) <= set(frame.depth.ravel())
    half_pixel = resized.depth / 5 * 0.51
    assert (np.abs(points(resized) - originals(resized, points(frame)))[..., :2] <= half_pixel[..., None]).all()


def test_resize_averages_the_image(frame):
    means = frame.image.reshape(6, 2, 4, 4, 3).mean((1, 3))
    assert np.abs(resize(frame, (6, 4)).image - means).max() <= 0.5


def test_resize_keeps_every_thin_boundary():
    """One boundary pixel in a footprint makes a boundary, also where footprints share a pixel (7 -> 3)."""
    boundary = np.zeros((7, 7), np.uint8)
    boundary[2, 4] = 1
    frame = Frame(np.zeros((7, 7, 3), np.uint8), K, boundary=boundary)
    expected = np.zeros((3, 3), np.uint8)
    # Footprints along an axis: 0..2.33, 2.33..4.67, 4.67..7; pixel 2..3 meets the first two, pixel 4..5 the last two.
    expected[:2, 1:] = 1
    np.testing.assert_array_equal(resize(frame, (3, 3)).boundary, expected)


def test_resize_keeps_unlabelled_only_without_boundary_pixels():
    boundary = np.full((4, 8), 255, np.uint8)
    boundary[0, 0] = 1
    frame = Frame(np.zeros((4, 8, 3), np.uint8), K, boundary=boundary)
    np.testing.assert_array_equal(resize(frame, (1, 2)).boundary, [[1, 255]])


def test_pad_puts_the_odd_pixel_below_and_right(frame):
    padded = pad(frame, (15, 19))
    np.testing.assert_array_equal(padded.intrinsics, [[20, 0, 8], [0, 22, 7.5], [0, 0, 1]])
    inside = slice(1, 13), slice(1, 17)
    outside = np.ones((15, 19), bool)
    outside[inside] = False
    fills = {"image": 0, "semseg": 255, "depth": 0, "normals": 0, "boundary": 255}
    for name, fill in fills.items():
        array = getattr(padded, name)
        np.testing.assert_array_equal(array[inside], getattr(frame, name), err_msg=name)
        assert (array[outside] == fill).all(), name
    back = crop(padded, 1, 1, (12, 16))
    np.testing.assert_allclose(points(back), points(frame), rtol=1e-6)


def test_pad_refuses_a_larger_frame(frame):
    with pytest.raises(ValueError, match="cannot pad a frame of 12x16 to 10x20; pad to at least 12x20"):
        pad(frame, (10, 20))


def test_normalise_bytes_and_floats_alike(frame):
    by_hand = (frame.image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    bytes_ = normalise(frame).image
    floats = normalise(Frame(frame.image.astype(np.float32), K)).image
    assert bytes_.dtype == floats.dtype == np.float32
    np.testing.assert_allclose(bytes_, by_hand, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(floats, by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: scale(f, 1.3),
        lambda f: crop(f, 1, 2, (5, 5)),
        flip,
        lambda f: zoom(f, 0, 0, 1.4),
        lambda f: resize(f, (6, 8)),
        normalise,
        lambda f: pad(f, (20, 20)),
    ],
    ids=["scale", "crop", "flip", "zoom", "resize", "normalise", "pad"],
)
def test_transforms_do_not_change_their_input(frame, transform):
    after = {"image": frame.image, "k": frame.intrinsics, **frame.labels()}
    before = {name: array.copy() for name, array in after.items()}
    transform(frame)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array, err_msg=name)
