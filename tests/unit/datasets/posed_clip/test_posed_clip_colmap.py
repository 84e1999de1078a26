"""Posed clips of COLMAP: hand-made model of half the true lengths, see `clip_files.write_colmap`."""

from __future__ import annotations

import numpy as np
import pytest
from clip_files import COLMAP_SCALE, depth_codes, write_colmap, write_colour, write_picture

from benchmark.boundaries.formats.content import DataError
from datasets.posed_clip.opening import open_clips


@pytest.fixture
def model(tmp_path):
    return write_colmap(tmp_path / "hall")


def opened(folder, intrinsics=None):
    return open_clips([folder], intrinsics, every=1, test_share=0)


def records(folder):
    source = opened(folder)
    return [source.read(*frame)[0] for frame in source.frames]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_poses_are_camera_to_world_in_metres(model):
    """The centre (1, 2, 3) of the model is (2, 4, 6) in metres, and the camera looks along the x axis of the world."""
    first, second = (np.array(record.pose).reshape(4, 4) for record in records(model))
    np.testing.assert_allclose(first, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(second, [[0, 0, 1, 2], [0, 1, 0, 4], [-1, 0, 0, 6], [0, 0, 0, 1]], atol=1e-9)


def test_the_scale_and_its_spread_are_noted(model):
    assert f"scale {COLMAP_SCALE:g} m per unit from 12 observations, median deviation 0.00%" in " ".join(
        opened(model).notes
    )


def test_neither_wrong_matches_nor_missing_depth_move_the_scale(model):
    """Of 12 observations 3 see a wall behind their point, one has no depth, one lies outside, one behind the camera."""
    codes = depth_codes(7)
    codes[2, :3] = 9000
    codes[2, 3] = 0
    write_picture(model / "depth" / "10.png", codes)
    edit(model / "images.txt", " 4.5 5.5 -1", " 99.5 2.5 111 4.5 5.5 112")
    with open(model / "points3D.txt", "a") as file:
        file.write("112 0.5 0 0 1 2 3 0.5\n")
    source = opened(model)
    assert "scale 2 m per unit from 11 observations" in " ".join(source.notes)
    assert source.read(*source.frames[1])[0].pose[3] == pytest.approx(2)


def test_the_camera_of_the_model_is_used_unchanged(model):
    assert [record.intrinsics for record in records(model)] == [(20, 21, 8, 6)] * 2


@pytest.mark.parametrize(
    ("line", "intrinsics"),
    [
        ("7 SIMPLE_PINHOLE 16 12 20 8 6", (20, 20, 8, 6)),
        ("7 SIMPLE_RADIAL 16 12 20 8 6 0", (20, 20, 8, 6)),
        ("7 RADIAL 16 12 20 8 6 0 0", (20, 20, 8, 6)),
        ("7 OPENCV 16 12 20 21 8 6 0 0 0 0", (20, 21, 8, 6)),
        ("7 FULL_OPENCV 16 12 20 21 8 6 0 0 0 0 0 0 0 0", (20, 21, 8, 6)),
        ("7 PINHOLE 32 24 40 42 16 12", (20, 21, 8, 6)),
    ],
)
def test_cameras_without_distortion_are_pinholes_and_follow_the_size_of_the_image(model, line, intrinsics):
    (model / "cameras.txt").write_text(line)
    if "32 24" in line:
        # Pixels of the model's images, which are twice as large; the images in the folder are smaller copies.
        edit(model / "images.txt", " 2.9 ", " 5.8 ")
        lines = (model / "images.txt").read_text().splitlines()
        words = lines[2].split()
        words[0:36:3] = [str(2 * float(word)) for word in words[0:36:3]]
        (model / "images.txt").write_text("\n".join([*lines[:2], " ".join(words), *lines[3:], ""]))
    assert [record.intrinsics for record in records(model)] == [intrinsics] * 2
    assert "scale 2 m" in " ".join(opened(model).notes)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("7 SIMPLE_RADIAL 16 12 20 8 6 0.01", r"line 1: a SIMPLE_RADIAL camera with the distortion 0\.01; undistort"),
        (
            "7 OPENCV 16 12 20 21 8 6 0 0 -1e-3 0",
            r"line 1: a OPENCV camera with the distortion 0 0 -0\.001 0; undistort",
        ),
        (
            "7 OPENCV_FISHEYE 16 12 20 21 8 6 0 0 0 0",
            r"line 1: the camera model 'OPENCV_FISHEYE' is no pinhole; undistort",
        ),
        ("7", r"line 1: the camera model '' is no pinhole"),
        ("7 PINHOLE 16 12 20 8 6", r"line 1: found 6 numbers, expected CAMERA_ID PINHOLE WIDTH HEIGHT and 4 numbers"),
        ("7 PINHOLE 0 12 20 20 8 6", r"line 1: an image of 0x12 pixels"),
        ("8 PINHOLE 16 12 20 20 8 6", r"images\.txt: 1 a\.png is of camera 7, not in cameras\.txt"),
    ],
)
def test_cameras_that_are_no_pinholes_are_refused_by_name(model, line, problem):
    (model / "cameras.txt").write_text(line)
    with pytest.raises(DataError, match=problem):
        opened(model)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (" 7 10.png", "", r"images\.txt, line 2: found 8 words, expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"),
        (" 7 10.png", " x 10.png", r"images\.txt, line 2: .*'x'"),
        ("1 1 0 0 0", "1 0 0 0 0", r"images\.txt, line 4: the pose is no rotation .*, the quaternion has length 0"),
        (" 4.5 5.5 -1", " 4.5 5.5", r"images\.txt, line 3: 38 numbers are no triples X Y POINT3D_ID"),
        ("10.png", "11.png", r"11\.png: the file is missing"),
    ],
)
def test_a_fault_in_images_txt_is_named_by_its_line(model, old, new, problem):
    edit(model / "images.txt", old, new)
    if new == "11.png":
        (model / "depth" / "10.png").rename(model / "depth" / "11.png")
    with pytest.raises(DataError, match=problem):
        opened(model)


def test_a_wrong_point_is_named_by_its_line(model):
    (model / "points3D.txt").write_text("100 1 2\n")
    with pytest.raises(DataError, match=r"points3D\.txt, line 1: found 3 numbers, expected POINT3D_ID X Y Z"):
        opened(model)


def test_a_scale_needs_ten_observations(tmp_path):
    assert "from 10 observations" in " ".join(opened(write_colmap(tmp_path / "ten", observations=10)).notes)
    with pytest.raises(DataError, match=r"nine: 9 observations of 3D points have a measured depth, 10 are needed"):
        opened(write_colmap(tmp_path / "nine", observations=9))


def test_images_without_depth_are_left_out_and_counted(model):
    (model / "depth" / "1 a.png").unlink()
    source = opened(model)
    assert [name for name, _ in source.frames] == ["hall_10"]
    assert "images without depth left out: 1" in " ".join(source.notes)
    (model / "depth" / "10.png").unlink()
    with pytest.raises(DataError, match=r"depth: no depth image for any of the 2 images"):
        opened(model)


def test_a_given_camera_is_refused(model):
    with pytest.raises(DataError, match=r"cameras\.txt: holds the cameras of this clip; leave out --intrinsics"):
        opened(model, (20.0, 20.0, 8.0, 6.0))


def test_images_follow_each_other_by_their_numbers_in_folders_too(model):
    for name in ("cam/2", "cam/12"):
        write_colour(model / "images" / f"{name}.jpg")
        write_picture(model / "depth" / f"{name}.png", depth_codes(0))
    with open(model / "images.txt", "a") as file:
        file.write("3 1 0 0 0 0 0 5 7 cam/12.jpg\n\n4 1 0 0 0 0 0 4 7 cam/2.jpg\n\n")
    source = opened(model)
    files = [source.entries[name].frame.image.name for name, _ in source.frames]
    assert files == ["1 a.png", "10.png", "2.jpg", "12.jpg"]
    assert [name for name, _ in source.frames] == [f"hall_{number:06d}" for number in range(4)]


@pytest.mark.parametrize("place", ["sparse/0", "sparse"])
def test_the_tables_may_lie_where_colmap_writes_them(model, place):
    poses = [opened(model).read(*frame)[0].pose for frame in opened(model).frames]
    (model / place).mkdir(parents=True)
    for path in model.glob("*.txt"):
        path.rename(model / place / path.name)
    assert [opened(model).read(*frame)[0].pose for frame in opened(model).frames] == poses


def test_depth_may_be_named_after_the_whole_name_of_the_image(model):
    (model / "depth" / "10.png").rename(model / "depth" / "10.png.png")
    assert len(opened(model).frames) == 2


def test_an_image_outside_the_folder_is_refused(model):
    edit(model / "images.txt", "10.png", "../../secret.png")
    with pytest.raises(DataError, match=r"images\.txt: '../../secret\.png' lies outside the folder"):
        opened(model)
