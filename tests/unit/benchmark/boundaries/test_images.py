"""Images and label maps from PNG and JPEG files, mostly written by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.images import read_image, read_numbers, read_pixels


def palette_picture(indices: np.ndarray) -> Image.Image:
    picture = Image.new("P", indices.shape[::-1])
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    return picture


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_the_colours_of_a_palette_do_not_matter(tmp_path, bits):
    indices = np.random.default_rng(0).integers(0, 2**bits, (7, 9))
    palette_picture(indices).save(tmp_path / "a.png", bits=bits)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.array(picture), indices)
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), indices)


def test_transparency_does_not_matter(tmp_path):
    indices = np.random.default_rng(0).integers(0, 21, (7, 9))
    palette_picture(indices).save(tmp_path / "a.png", transparency=3)
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_values_are_the_numbers(tmp_path, dtype):
    numbers = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 9)).astype(dtype)
    Image.fromarray(numbers).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), numbers)


def test_equal_channels_are_one_and_colours_are_refused(tmp_path):
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(np.repeat(numbers[..., None], 3, 2)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_numbers(tmp_path / "grey.png"), numbers)
    Image.fromarray(np.stack([numbers, numbers, numbers + 1], 2)).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match=r"colour\.png: a colour picture; a label map has one number per pixel"):
        read_numbers(tmp_path / "colour.png")


@pytest.mark.parametrize("kept", [-5, 60, 30, 10])
def test_a_truncated_file_is_named(tmp_path, kept):
    path = tmp_path / "a.png"
    palette_picture(np.zeros((50, 50))).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"a\.png: truncated"):
        read_numbers(path)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_values_of_few_bits_are_the_numbers_as_stored(tmp_path, bits):
    numbers = np.random.default_rng(0).integers(0, 2**bits, (7, 9)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png_bytes(numbers, bits))
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), numbers)


def png_bytes(numbers: np.ndarray, bits: int = 8, parts: int = 1) -> bytes:
    """A gray PNG made by hand, its pixels in so many IDAT chunks."""
    digits = np.unpackbits(numbers[..., None], axis=-1)[..., 8 - bits :].reshape(len(numbers), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in digits)
    data = zlib.compress(rows)
    header = struct.pack(">IIBBBBB", numbers.shape[1], numbers.shape[0], bits, 0, 0, 0, 0)
    step = -(-len(data) // parts)
    chunks = [(b"IHDR", header), *((b"IDAT", data[i : i + step]) for i in range(0, len(data), step)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in chunks)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_data_behind_the_end_mark_are_ignored(tmp_path):
    numbers = np.arange(63, dtype=np.uint8).reshape(7, 9)
    (tmp_path / "a.png").write_bytes(png_bytes(numbers) + b"trailer of a phone")
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), numbers)


def test_a_png_that_lost_a_chunk_is_refused(tmp_path):
    """All checksums are right; a decoder would fill the missing rows with zeros."""
    numbers = np.random.default_rng(0).integers(0, 256, (60, 90)).astype(np.uint8)
    data = png_bytes(numbers, parts=5)
    places = [at for at in range(len(data)) if data[at : at + 4] == b"IDAT"]
    (tmp_path / "a.png").write_bytes(data[: places[3] - 4] + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"a\.png: damaged, the pixels of the PNG image are not complete"):
        read_numbers(tmp_path / "a.png")


def test_the_size_of_a_png_is_bounded_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 65535, 65535, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match="an image of 65535x65535 pixels; at most"):
        read_pixels(tmp_path / "a.png")


SCENE = np.add.outer(np.arange(48) * 3, np.arange(64) * 2).astype(np.uint8)
COLORS = np.stack([SCENE, SCENE[::-1], 255 - SCENE], -1)


def jpeg_bytes(**options: Any) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 60, COLORS.shape, dtype=np.uint8)
    Image.fromarray(COLORS // 2 + noise).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


KINDS = {"baseline": {}, "progressive": {"progressive": True}, "optimized": {"optimize": True}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trailer", [b"\0\0\1Image_UTC_Data SEFT", bytes(3), b"\xff\xd8\xff\xe0 another image"])
def test_a_jpeg_with_data_behind_its_end_mark_is_read(tmp_path, kind, trailer):
    data = jpeg_bytes(**KINDS[kind])
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "b.jpg").write_bytes(data + trailer)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), read_image(tmp_path / "b.jpg"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["cut", "cut, with end mark", "zeros"])
def test_a_jpeg_with_missing_data_is_refused(tmp_path, kind, damage):
    """Pillow and OpenCV read most of these files and paint the missing part."""
    data = bytearray(jpeg_bytes(**KINDS[kind]))
    middle, length = len(data) // 2, len(data) // 8
    if damage == "zeros":
        data[middle : middle + length] = bytes(length)
    else:
        data = data[:middle] + (b"\xff\xd9" if damage == "cut, with end mark" else b"")
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.jpg: truncated or damaged JPEG image \(") as caught:
        read_image(tmp_path / "a.jpg")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("quality", [75, 92, 95])
def test_zeros_anywhere_in_a_jpeg_are_found(tmp_path, quality):
    """Behind many of these gaps a decoder finds its way without a warning."""
    buffer = io.BytesIO()
    Image.fromarray(COLORS).save(buffer, "JPEG", quality=quality)
    start = buffer.getvalue().index(b"\xff\xda") + 14
    for place in range(start, len(buffer.getvalue()) - 50, 40):
        data = bytearray(buffer.getvalue())
        data[place : place + 40] = bytes(40)
        (tmp_path / "a.jpg").write_bytes(data)
        with pytest.raises(DataError, match="a gap of zeros in the compressed data"):
            read_image(tmp_path / "a.jpg")


def test_a_flat_jpeg_with_optimised_tables_is_read(tmp_path):
    """Its compressed data are zeros."""
    Image.new("RGB", (640, 480), (200, 100, 50)).save(tmp_path / "a.jpg", optimize=True)
    data = (tmp_path / "a.jpg").read_bytes()
    assert bytes(100) in data[data.index(b"\xff\xda") :]
    assert np.ptp(read_image(tmp_path / "a.jpg"), axis=(0, 1)).max() == 0


def test_any_cut_of_a_jpeg_is_refused_in_one_line(tmp_path):
    data = jpeg_bytes()
    for length in range(4, len(data) - 60, 41):
        (tmp_path / "a.jpg").write_bytes(data[:length])
        with pytest.raises(DataError) as caught:
            read_image(tmp_path / "a.jpg")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_an_exif_orientation_is_applied_as_pillow_applies_it(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLORS).save(tmp_path / name, exif=exif, quality=95)
    with Image.open(tmp_path / name) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    found = read_image(tmp_path / name)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (0 if name == "a.png" else 3)


def test_the_format_is_read_from_the_content_and_not_from_the_name(tmp_path):
    (tmp_path / "a.png").write_bytes(jpeg_bytes())
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), read_image(tmp_path / "a.jpg"))
    Image.fromarray(COLORS).save(tmp_path / "b.jpg", "PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "b.jpg"), COLORS)


def test_an_image_may_be_gray_transparent_or_in_a_palette(tmp_path):
    image = Image.fromarray(COLORS)
    for mode in ("L", "LA", "RGBA", "1", "P"):
        image.convert(mode).save(tmp_path / "a.png")
        expected = np.array(image.convert(mode).convert("RGB"))
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected, err_msg=mode)


REFUSED = {
    "JPEG for numbers": (jpeg_bytes(), read_numbers, "a JPEG image, whose compression changes numbers"),
    "GIF": (b"GIF89a" + bytes(50), read_image, "not a PNG or JPEG image but GIF; convert it"),
    "WebP": (b"RIFF\0\0\0\0WEBP" + bytes(50), read_image, "not a PNG or JPEG image but WebP"),
    "empty": (b"", read_image, "not a PNG or JPEG image, the file is empty"),
    "web page": (b"<!DOCTYPE html><html></html>", read_image, "a web page in place of the file"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\n", read_numbers, "a Git LFS pointer in place of the file"),
    "JPEG header alone": (b"\xff\xd8\xff\xe0", read_image, "truncated or damaged JPEG image"),
    "no chunks": (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), read_image, "damaged, the PNG image has no header"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path, case):
    data, read, message = REFUSED[case]
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.png")
    assert str(caught.value).startswith(f"{tmp_path / 'a.png'}: {message}")
    assert "\n" not in str(caught.value)
