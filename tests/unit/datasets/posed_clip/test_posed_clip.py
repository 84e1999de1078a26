"""Posed clips of 7-Scenes, and properties of clips of every format: hand-made folders, hand-calculated poses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from clip_files import SIZE, write_colmap, write_colour, write_picture, write_seven_scenes, write_tum

from benchmark.boundaries.formats.content import DataError
from benchmark.registry import DATASETS
from datasets.layout.frame_files import read_modality
from datasets.layout.layout import read_frames, read_info
from datasets.loading.poses import inverse, is_rigid
from datasets.posed_clip.opening import ClipSource, open_clips


def opened(*folders: Path, **options) -> ClipSource:
    return open_clips(folders, **{"intrinsics": None, "every": 1, "test_share": 0.2, **options})


def read(source: ClipSource, number: int):
    return source.read(*source.frames[number])


@pytest.fixture
def clip(tmp_path):
    return write_seven_scenes(tmp_path / "kitchen")


def test_a_frame_of_7_scenes_has_its_pose_its_picture_and_its_depth_in_metres(clip):
    record, arrays = read(opened(clip), 3)
    assert (record.name, record.scene, record.split) == ("kitchen_frame-000003", "kitchen", "train")
    assert record.pose == (0, -1, 0, 3, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)
    assert arrays["images"][5, 5].tolist() == [30, 20, 10]
    assert arrays["depth"].dtype == np.float32
    assert arrays["depth"][0, :3].tolist() == [0, 0, np.float32(1.503)]


def test_the_usual_camera_of_7_scenes_is_scaled_to_the_image(tmp_path):
    record, _ = read(opened(write_seven_scenes(tmp_path / "small", 2, (120, 160))), 0)
    assert record.intrinsics == pytest.approx((585 / 4, 585 / 4, 80, 60))
    assert record.size == (120, 160)


def test_a_given_camera_is_in_pixels_of_the_files(clip):
    record, _ = read(opened(clip, intrinsics=(20.0, 21.0, 8.5, 6.5)), 0)
    assert record.intrinsics == (20.0, 21.0, 8.5, 6.5)


def test_the_usual_camera_is_refused_for_an_image_of_another_shape(tmp_path):
    source = opened(write_seven_scenes(tmp_path / "wide", 1, (90, 160)))
    with pytest.raises(DataError, match=r"frame-000000\.color\.png: an image of 160x90 .* 640x480 .*--intrinsics"):
        read(source, 0)


def test_jpeg_pictures_are_read_too(clip):
    (clip / "frame-000000.color.png").unlink()
    write_colour(clip / "frame-000000.color.jpg")
    _, arrays = read(opened(clip), 0)
    assert np.abs(arrays["images"][5, 5].astype(int) - [30, 20, 10]).max() <= 3


@pytest.mark.parametrize("part", ["color.png", "depth.png", "pose.txt"])
def test_a_frame_that_lacks_a_file_is_named(clip, part):
    (clip / f"frame-000002.{part}").unlink()
    with pytest.raises(DataError, match=rf"frame-000002\.{part[:5]}.*: the file is missing"):
        opened(clip)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1", "no rotation and translation"),
        ("-1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1", "no rotation and translation"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 1 1", "no rotation and translation"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 0", "found 12 numbers"),
        ("1 0 0 x\n0 1 0 0\n0 0 1 0\n0 0 0 1", "'x'"),
    ],
)
def test_a_pose_that_is_not_rigid_is_refused_by_the_name_of_its_file(clip, text, problem):
    (clip / "frame-000004.pose.txt").write_text(text)
    with pytest.raises(DataError, match=rf"frame-000004\.pose\.txt: .*{problem}"):
        opened(clip)


@pytest.mark.parametrize("row", ["nan nan nan nan\n", "inf 0 0 0\n", "-1.#IND 0 0 0\n", "0 0 0 0\n"])
def test_frames_without_a_pose_are_left_out_and_counted(clip, row):
    (clip / "frame-000003.pose.txt").write_text(row.replace("-1.#IND", "-nan") * 3 + "0 0 0 1\n")
    source = opened(clip)
    assert [name[-1] for name, _ in source.frames] == ["0", "1", "2", "4"]
    assert "1 of 5 frames left out, whose pose has NaN, infinity or zeros" in " ".join(source.notes)


def test_poses_and_names_are_read_as_editors_and_systems_write_them(clip):
    for path in clip.glob("*.pose.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    (clip / "frame-000000.color.png").rename(clip / "frame-000000.color.PNG")
    (clip / "Thumbs.db").write_bytes(b"x")
    (clip / "._frame-000000.pose.txt").write_bytes(b"x")
    assert len(opened(clip).frames) == 5
    assert read(opened(clip), 0)[1]["images"][5, 5].tolist() == [30, 20, 10]


def test_depth_of_8_bits_and_of_another_size_is_refused(clip):
    source = opened(clip)
    write_picture(clip / "frame-000000.depth.png", np.ones(SIZE, np.uint8))
    with pytest.raises(DataError, match=r"000000\.depth\.png: found 12x16 uint8, expected one channel of 16 bits"):
        read(source, 0)
    write_picture(clip / "frame-000001.depth.png", np.ones((6, 8), np.uint16))
    with pytest.raises(DataError, match=r"frame-000001\.depth\.png: found 6x8, expected 12x16"):
        read(source, 1)


@pytest.mark.parametrize(("share", "test"), [(0.2, [4]), (0.4, [3, 4]), (0.01, [4]), (0.99, [1, 2, 3, 4]), (0.0, [])])
def test_the_last_frames_of_each_clip_are_for_testing(clip, share, test):
    splits = [split for _, split in opened(clip, test_share=share).frames]
    assert [place for place, split in enumerate(splits) if split == "test"] == test


def test_every_second_frame_keeps_the_names_of_the_files(clip):
    names = [name for name, _ in opened(clip, every=2).frames]
    assert names == ["kitchen_frame-000000", "kitchen_frame-000002", "kitchen_frame-000004"]


def test_clips_of_one_name_are_named_after_the_parent_folder(tmp_path):
    folders = [write_seven_scenes(tmp_path / top / "seq 01", 1) for top in ("chess", "fire")]
    more = [write_seven_scenes(tmp_path / "b" / "fire" / "seq 01", 1)]
    scenes = [opened(*folders, *more).entries[name].scene for name, _ in opened(*folders, *more).frames]
    assert scenes == ["chess_seq_01", "fire_seq_01", "fire_seq_01-2"]


def test_a_clip_that_is_given_twice_is_refused(clip):
    with pytest.raises(DataError, match=r"kitchen: the folder is given twice"):
        opened(clip, clip.parent / "." / "kitchen")


def test_a_folder_without_a_clip_is_refused_with_the_expected_files(tmp_path):
    looked_for = r"looked for frame-\*\.pose\.txt \(7-Scenes\); rgb\.txt .* \(TUM RGB-D\); cameras\.txt .* \(COLMAP\)$"
    with pytest.raises(DataError, match=looked_for) as one:
        opened(tmp_path)
    assert "\n" not in str(one.value)
    (tmp_path / "cameras.bin").touch()
    with pytest.raises(DataError, match="colmap model_converter"):
        opened(tmp_path)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        opened(tmp_path / "nowhere")


def test_a_folder_with_the_files_of_two_formats_is_refused(clip):
    write_tum(clip, ["1.0"], ["1.0"], ["1.0"])
    with pytest.raises(DataError, match=r"has the files of 7-Scenes and TUM RGB-D; keep the files of one"):
        opened(clip)


def test_clips_of_all_formats_can_be_combined(tmp_path):
    clips = [
        write_seven_scenes(tmp_path / "a", 2),
        write_tum(tmp_path / "b", ["1.0"], ["1.0"], ["1.0"]),
        write_colmap(tmp_path / "c"),
    ]
    source = opened(*clips, test_share=0)
    names = [name for name, _ in source.frames]
    assert names == ["a_frame-000000", "a_frame-000001", "b_1.0", "c_000000", "c_000001"]
    assert "7-Scenes" in source.sources["images"]
    assert "COLMAP" in source.sources["images"]


def test_the_example_is_two_scenes_in_which_poses_and_depth_agree(tmp_path):
    """Points of a frame, moved into the next camera, lie on the wall z = 2 + a x + b y of their scene."""
    DATASETS.entry("posed_clip").factory.example(tmp_path / "example")
    info, frames = read_info(tmp_path / "example"), read_frames(tmp_path / "example")
    assert {frame.scene: frame.split for frame in frames} == {"left": "test", "right": "test"}
    for frame in frames:
        depth = read_modality(tmp_path / "example", "depth", frame.name, info.size_of(frame), 0)
        rows, columns = np.nonzero(depth)
        fx, fy, cx, cy = frame.intrinsics
        z = depth[rows, columns]
        camera = np.stack(((columns + 0.5 - cx) / fx * z, (rows + 0.5 - cy) / fy * z, z, np.ones(len(z))))
        x, y, z, _ = np.array(frame.pose).reshape(4, 4) @ camera
        a, b = {"left": (-0.3, 0.1), "right": (0.3, -0.1)}[frame.scene]
        np.testing.assert_allclose(z, 2 + a * x + b * y, atol=1e-6)


def test_without_prepared_clips_the_command_is_named(tmp_path):
    with pytest.raises(DataError, match=r"tools/prepare_clips\.py --from"):
        DATASETS.create("posed_clip", tmp_path / "none", "train")


def test_a_picture_removed_after_opening_is_named(clip):
    source = opened(clip)
    shutil.rmtree(clip)
    with pytest.raises(DataError, match=r"frame-000000\.color\.png: the file is missing"):
        read(source, 0)


def test_the_inverse_of_a_pose_maps_world_to_camera():
    """Rotated by 90 degrees about z, at (1, 2, 3): the origin of the world is at (-2, 1, -3) in the camera."""
    pose = np.array([[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]])
    assert inverse(pose)[:3, 3].tolist() == [-2, 1, -3]
    np.testing.assert_array_equal(inverse(pose) @ pose, np.eye(4))
    assert is_rigid(inverse(pose))
