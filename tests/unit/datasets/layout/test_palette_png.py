"""Label maps in PNG files: Pillow writes them, as the tools of the field do."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from datasets.layout.frame_files import DataError
from datasets.layout.palette_png import read_indices


def palette_picture(indices: np.ndarray) -> Image.Image:
    picture = Image.new("P", indices.shape[::-1])
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    return picture


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_a_palette_is_not_looked_at(tmp_path, bits):
    indices = np.random.default_rng(0).integers(0, 2**bits, (7, 9))
    palette_picture(indices).save(tmp_path / "a.png", bits=bits)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.array(picture), indices)
    np.testing.assert_array_equal(read_indices(tmp_path / "a.png"), indices)


def test_transparency_is_not_looked_at(tmp_path):
    indices = np.random.default_rng(0).integers(0, 21, (7, 9))
    palette_picture(indices).save(tmp_path / "a.png", transparency=3)
    np.testing.assert_array_equal(read_indices(tmp_path / "a.png"), indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_values_are_the_numbers(tmp_path, dtype):
    numbers = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 9)).astype(dtype)
    Image.fromarray(numbers).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "a.png"), numbers)


def test_equal_channels_are_one_and_colours_are_refused(tmp_path):
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(np.repeat(numbers[..., None], 3, 2)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "grey.png"), numbers)
    Image.fromarray(np.stack([numbers, numbers, numbers + 1], 2)).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match=r"colour\.png: a colour picture; a label map has one number per pixel"):
        read_indices(tmp_path / "colour.png")


@pytest.mark.parametrize("kept", [-5, 60, 30, 10])
def test_a_truncated_file_is_named(tmp_path, kept):
    path = tmp_path / "a.png"
    palette_picture(np.zeros((50, 50))).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"a\.png: truncated"):
        read_indices(path)
