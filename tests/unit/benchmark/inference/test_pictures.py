"""Reading and scaling of pictures of any kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.boundaries.formats.content import DataError
from benchmark.inference.pictures import files_of, is_video, network_input, network_size, read_picture, video_frames

RED_OVER_BLUE = np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("picture", "trained", "expected"),
    [
        # The area is kept, and so is the aspect: 120 * 160 = 19200 = 160 * 120.
        ((480, 640), (120, 160), (120, 160)),
        ((640, 480), (120, 160), (160, 120)),
        ((3000, 4000), (120, 160), (120, 160)),
        ((425, 560), (425, 560), (425, 560)),
        # 1 : 100 is squeezed to 1 : 8; 19200 = 49 * 392.
        ((10, 1000), (120, 160), (49, 392)),
        ((31, 57), (16, 16), (32, 32)),
    ],
)
def test_a_picture_is_scaled_to_the_area_that_the_model_knows(picture, trained, expected):
    assert network_size(picture, trained) == expected


def test_the_network_input_is_normalised_by_the_statistics_of_imagenet():
    """White is (1 - mean) / std; 2.2489 for red."""
    image = network_input(np.full((40, 50, 3), 255, np.uint8), (32, 40))
    assert tuple(image.shape) == (3, 32, 40)
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([2.2489, 2.4286, 2.64]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "1", "P"])
def test_pictures_of_every_mode_are_rgb_of_the_same_size(mode: str, tmp_path: Path):
    name = "picture.jpg" if mode == "CMYK" else "picture.png"
    Image.new("RGB", (57, 31), (200, 200, 200)).convert(mode).save(tmp_path / name)
    pixels = read_picture(tmp_path / name)
    assert pixels.shape == (31, 57, 3)
    assert pixels.dtype == np.uint8
    if mode not in ("1", "P"):
        assert abs(pixels.astype(int) - 200).max() <= 3


def test_exif_orientation_is_applied_to_files_and_to_pillow_images(tmp_path: Path):
    """Orientation 3: the stored picture stands upside down."""
    exif = Image.Exif()
    exif[0x0112] = 3
    picture = Image.fromarray(np.repeat(np.repeat(RED_OVER_BLUE, 16, 0), 16, 1))
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    for source in (tmp_path / "turned.jpg", str(tmp_path / "turned.jpg"), Image.open(tmp_path / "turned.jpg")):
        pixels = read_picture(source)
        assert pixels[2, 8, 2] > 200 > 60 > pixels[2, 8, 0]


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.uint8(3)])
def test_an_array_that_is_no_picture_is_refused_with_its_shape(array):
    with pytest.raises(ValueError, match=r"a picture is \(H, W, 3\) or \(H, W\) uint8, found"):
        read_picture(array)


def test_files_of_a_folder_come_in_order_without_system_files(tmp_path: Path):
    for name in ("b.png", "a.jpg", ".hidden", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.png").touch()
    assert [file.name for file in files_of(tmp_path)] == ["a.jpg", "b.png", "c.png"]


def test_an_empty_folder_and_a_missing_file_are_named(tmp_path: Path):
    (tmp_path / "empty_folder").mkdir()
    with pytest.raises(DataError, match="empty_folder: the folder is empty"):
        files_of(tmp_path / "empty_folder")
    with pytest.raises(DataError, match="missing.jpg: no such file or folder"):
        files_of(tmp_path / "missing.jpg")


def test_a_picture_that_shrinks_is_averaged():
    """Columns in the order white, black, black, black become a quarter of white."""
    picture = np.zeros((64, 256, 3), np.uint8)
    picture[:, ::4] = 255
    shrunk = network_input(picture, (64, 64))
    torch.testing.assert_close(shrunk, network_input(np.full((64, 64, 3), 64, np.uint8), (64, 64)), rtol=0, atol=1e-4)


def test_a_picture_that_shrinks_in_one_direction_only_is_interpolated():
    """From 2 x 4 to 4 x 2 pixels: linear interpolation by OpenCV, not means over areas."""
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(2, 4, 3)
    expected = cv2.resize(pixels, (2, 4), interpolation=cv2.INTER_LINEAR)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    found = (network_input(pixels, (4, 2)) * std + mean) * 255
    torch.testing.assert_close(found, torch.from_numpy(expected).permute(2, 0, 1).float(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "expected"), [("a.mp4", True), ("A.MOV", True), ("a.png", False), ("mp4", False)])
def test_videos_are_told_by_their_endings(name: str, expected: bool):
    assert is_video(Path(name)) is expected


@pytest.mark.parametrize(("every", "numbers"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3])])
def test_every_nth_frame_of_a_video_comes_with_its_number(tmp_path: Path, every: int, numbers: list[int]):
    """Frames of red 0, 50, ... 200; the codec changes them by some units."""
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for number in range(5):
        writer.write(np.full((48, 64, 3), (0, 0, 50 * number), np.uint8))
    writer.release()
    frames = list(video_frames(path, every))
    assert [number for number, _ in frames] == numbers
    for number, pixels in frames:
        assert pixels.reshape(-1, 3).mean(0) == pytest.approx([50 * number, 0, 0], abs=12)


def test_a_file_that_is_no_video_is_named(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="a.mp4: not a video that OpenCV can decode"):
        list(video_frames(tmp_path / "a.mp4"))
