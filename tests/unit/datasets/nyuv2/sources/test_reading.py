"""Files of a source: exact values, and a one-line message with the file name for any fault."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from benchmark.boundaries.formats.content import DataError
from datasets.preparation.reading import (
    read_array,
    read_colour,
    read_map,
    to_boundary,
    to_labels,
    to_metres,
    to_normals,
)

SIZE = (6, 8)
DEPTH = np.linspace(1, 5, 48, dtype=np.float32).reshape(SIZE)
LABELS = np.arange(48, dtype=np.uint8).reshape(SIZE) % 41


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[2, 3] = value
    return changed


def test_every_format_of_a_map_gives_the_same_numbers(tmp_path):
    np.save(tmp_path / "a.npy", LABELS[..., None])
    cv2.imwrite(str(tmp_path / "a.png"), LABELS)
    scipy.io.savemat(tmp_path / "a.mat", {"segmentation": LABELS, "other": 1})
    for name in ("a.npy", "a.png", "a.mat"):
        np.testing.assert_array_equal(read_map(tmp_path / name, "segmentation"), LABELS)


def test_colours_are_red_first(tmp_path):
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[..., 0] = 200
    for name in ("a.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
        assert np.abs(read_colour(tmp_path / name).astype(int) - picture).max() < 4


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_labels_of_any_type_become_bytes(dtype):
    labels = to_labels(LABELS.astype(dtype), 40, SIZE, "x")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, LABELS)


def test_labels_that_begin_at_minus_one_are_moved_up():
    np.testing.assert_array_equal(to_labels(np.array([[-1.0, 0, 12]]), 12, (1, 3), "x", lowest=-1), [[0, 1, 13]])


def test_depth_keeps_its_value_in_single_precision():
    depth = to_metres(with_value(DEPTH.astype(np.float64), 0), SIZE, "x")
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, with_value(DEPTH, 0))


def test_unit_normals_of_float_files_keep_every_bit():
    vectors = np.random.default_rng(0).standard_normal((*SIZE, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[0, 0] = 0
    np.testing.assert_array_equal(to_normals(vectors, SIZE, "x"), vectors)


def test_8_bit_normals_are_decoded_to_unit_length():
    """2 * 255 / 255 - 1 = 1; 2 * 0 / 255 - 1 = -1; (204, 51, 128) is (.6, -.6, .004), that is (.707, -.707, .005)."""
    codes = np.full((*SIZE, 3), 128, np.uint8)
    codes[0, 0], codes[0, 1], codes[0, 2] = (255, 127, 128), (128, 0, 127), (204, 51, 128)
    codes[0, 3], codes[0, 4], codes[0, 5] = (127, 128, 127), (0, 0, 0), (255, 255, 255)
    normals = to_normals(codes, SIZE, "x")
    np.testing.assert_allclose(normals[0, 0], [1, 0, 0], atol=0.005)
    np.testing.assert_allclose(normals[0, 1], [0, -1, 0], atol=0.005)
    np.testing.assert_allclose(normals[0, 2], [0.7071, -0.7071, 0.0046], atol=1e-3)
    assert np.linalg.norm(normals[0, :3], axis=-1) == pytest.approx(1)
    # Codes near zero, and black and white, which are not unit vectors.
    assert not normals[0, 3:].any()
    assert not normals[1:].any()


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (0.0, 1.0), (False, True)])
def test_boundaries_are_0_and_255_whatever_the_file_holds(values):
    array = np.full(SIZE, values[0])
    array[2, 3] = values[1]
    np.testing.assert_array_equal(to_boundary(array, SIZE, "x"), with_value(np.zeros(SIZE, np.uint8), 255))


WRONG_VALUES = {
    "swapped": (to_metres, DEPTH.T, "F: found 8x6, expected 6x8: the axes are swapped"),
    "another size": (to_metres, DEPTH[:5], "F: found 5x8, expected 6x8"),
    "another dimension": (to_metres, DEPTH[None], "F: found 1x6x8, expected 6x8"),
    "channels first": (to_normals, np.zeros((3, *SIZE)), "F: found 3x6x8, expected 6x8x3: the axes are swapped"),
    "millimetres": (to_metres, DEPTH * 1000, "median 3000, maximum 5000: not metres, it looks like millimetres"),
    "whole millimetres": (to_metres, (DEPTH * 1000).astype(np.uint16), "depth of type uint16, median 2999.5, maximum"),
    "centimetres": (to_metres, DEPTH * 100, "not metres, it looks like centimetres"),
    "8 bits": (to_metres, (DEPTH * 40).astype(np.uint8), "not metres, it looks like 8-bit codes"),
    "8 bits as floats": (to_metres, np.round(DEPTH * 40), "not metres, it looks like 8-bit codes"),
    "normalised": (to_metres, DEPTH / 25, "not metres, it looks normalised"),
    "not a number": (to_metres, with_value(DEPTH, np.nan), "F: depth nan m at row 2, column 3 (1 such pixels)"),
    "infinite": (to_metres, with_value(DEPTH, np.inf), "F: depth inf m at row 2, column 3"),
    "negative": (to_metres, with_value(DEPTH, -1), "F: depth -1.0 m at row 2, column 3"),
    "no depth": (to_metres, DEPTH * 0, "F: no pixel has a depth"),
    "label 41": (to_labels, with_value(LABELS, 41), "label 41 at row 2, column 3 (1 such pixels), allowed are 0 to 40"),
    "label 255": (to_labels, with_value(LABELS, 255), "F: label 255 at row 2, column 3"),
    "label -1": (to_labels, with_value(LABELS.astype(int), -1), "F: label -1 at row 2, column 3"),
    "half a label": (to_labels, with_value(LABELS.astype(float), 1.5), "F: label 1.5 at row 2, column 3"),
    "label nan": (to_labels, with_value(LABELS.astype(float), np.nan), "F: label nan at row 2, column 3"),
    "normals not finite": (to_normals, np.full((*SIZE, 3), np.nan), "normal [nan, nan, nan] at row 0, column 0 is not"),
    "normals 0..255": (to_normals, np.full((*SIZE, 3), 255.0), "at row 0, column 0 (48 such pixels) is longer than 1"),
    "8 bits of something else": (
        to_normals,
        np.full((*SIZE, 3), 250, np.uint8),
        "F: 48 of its vectors are far from length 1; unit normals are",
    ),
    "edges beyond 255": (to_boundary, with_value(DEPTH, 300), "boundary values 1 to 300, expected 0 to 1 or 0 to 255"),
    "edges not finite": (to_boundary, with_value(DEPTH, np.nan), "F: boundary values nan to nan"),
}


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_a_wrong_value_is_named(case):
    convert, array, message = WRONG_VALUES[case]
    with pytest.raises(DataError) as caught:
        convert(array, 40, SIZE, "F") if convert is to_labels else convert(array, SIZE, "F")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def encoded(name: str) -> bytes:
    """Bytes of an undamaged file."""
    rng = np.random.default_rng(0)
    if name.endswith(".npy"):
        file = io.BytesIO()
        np.save(file, rng.random((20, 20)))
        return file.getvalue()
    if name.endswith(".mat"):
        file = io.BytesIO()
        scipy.io.savemat(file, {"depth": rng.random((20, 20))}, do_compression="packed" in name)
        return file.getvalue()
    return cv2.imencode(name[-4:], rng.integers(0, 256, (20, 20, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.npy", "a.mat", "packed.mat"])
def test_a_file_cut_anywhere_is_refused(tmp_path, name):
    whole, path = encoded(name), tmp_path / name
    read = read_array if name.endswith((".npy", ".mat")) else lambda path, key: read_colour(path)
    path.write_bytes(whole)
    assert read(path, "depth").shape[0] == 20
    for length in np.linspace(0, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=f"^{path}: ") as caught:
            read(path, "depth")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.npy", "a.mat", "packed.mat"])
def test_a_file_with_flipped_bytes_is_read_or_refused(tmp_path, name):
    """Any error of a library about a damaged file becomes a DataError."""
    rng, whole = np.random.default_rng(0), encoded(name)
    path = tmp_path / name
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 300), 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        with suppress(DataError):
            read_array(path, "depth")


def refused(path: Path, key: str = "") -> str:
    with pytest.raises(DataError) as caught:
        read_array(path, key)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_files_without_numbers_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["a", "b"]))
    assert "expected real numbers" in refused(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{}], object), allow_pickle=True)
    assert "truncated or not a .npy array" in refused(tmp_path / "b.npy")
    scipy.io.savemat(tmp_path / "c.mat", {"x": 1, "y": 2})
    assert "no variable 'depth', it has x, y" in refused(tmp_path / "c.mat", "depth")
    assert "the file is missing" in refused(tmp_path / "d.mat", "depth")
