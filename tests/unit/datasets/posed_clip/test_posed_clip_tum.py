"""Posed clips of TUM RGB-D: association of times, forms of the tables, faults in their lines."""

from __future__ import annotations

import numpy as np
import pytest
from clip_files import write_tum

from benchmark.boundaries.formats.content import DataError
from datasets.posed_clip.opening import open_clips
from datasets.posed_clip.tum import associate, nearest

START = 1305031102
TIMES = [f"{START}.100000", f"{START}.133000", f"{START}.166000"]


def opened(folder, intrinsics=None):
    return open_clips([folder], intrinsics, every=1, test_share=0)


def test_the_nearest_pairs_are_taken_first_and_each_time_once():
    """10 and 8 differ by 2 and are paired first, so 0 gets 12, and 30 has no partner left within 20."""
    assert associate([0, 10, 30], [8, 12, 60], 20) == [(0, 1), (1, 0)]
    assert associate([0, 100], [20, 121], 20) == [(0, 0)]
    assert associate([], [1], 20) == []


def test_the_nearest_pose_is_taken_and_the_earlier_of_two():
    assert nearest([0, 10, 30], 21, 20) == 2
    assert nearest([0, 10, 30], 20, 20) == 1
    assert nearest([0, 10, 30], 51, 20) is None
    assert nearest([], 0, 20) is None


def test_a_frame_has_the_pose_the_picture_and_the_depth_of_its_time(tmp_path):
    """90 degrees about z turn x to y; 5000 units are a metre."""
    folder = write_tum(
        tmp_path / "desk",
        TIMES,
        [f"{START}.140000", f"{START}.105000", f"{START}.170000"],
        [f"{START}.099000", f"{START}.134000", f"{START}.146000", f"{START}.165000"],
    )
    source = opened(folder)
    records, arrays = zip(*(source.read(*frame) for frame in source.frames), strict=True)
    assert [record.name for record in records] == [f"desk_{time}" for time in TIMES]
    expected = [[0, -1, 0, 0], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    for record, place in zip(records, (0, 1, 3), strict=True):
        expected[0][3] = place
        np.testing.assert_allclose(np.array(record.pose).reshape(4, 4), expected, atol=1e-12)
    assert [float(one["depth"][5, 5]) for one in arrays] == [2, 1, 3]
    assert arrays[0]["depth"][0, 0] == 0
    assert "left out" not in " ".join(source.notes)


def test_frames_without_depth_or_pose_within_two_hundredths_are_left_out_and_counted(tmp_path):
    """The times of the first frame differ by 0.02 s, which counts; as floating-point numbers they differ by more."""
    images, depths, poses = (
        [f"{START}.{part}" for part in parts] for parts in (("360", "410", "460"), ("38", "425"), ("34", "46"))
    )
    assert float(depths[0]) - float(images[0]) > 0.02
    folder = write_tum(tmp_path / "desk", images, depths, poses)
    source = opened(folder)
    assert [name for name, _ in source.frames] == [f"desk_{images[0]}"]
    assert "2 of 3 images left out: 1 without depth, 1 without a pose within 0.02 s" in " ".join(source.notes)


def test_the_usual_camera_counts_pixel_centres_at_integers_so_half_a_pixel_is_added(tmp_path):
    folder = write_tum(tmp_path / "desk", TIMES[:1], TIMES[:1], TIMES[:1], size=(240, 320))
    record, _ = opened(folder).read(*opened(folder).frames[0])
    assert record.intrinsics == (262.5, 262.5, 160, 120)
    record, _ = opened(folder, (517.3, 516.5, 318.6, 255.3)).read(*opened(folder).frames[0])
    assert record.intrinsics == pytest.approx((517.3, 516.5, 319.1, 255.8))


def test_clips_without_associated_times_are_refused(tmp_path):
    folder = write_tum(tmp_path / "desk", TIMES, TIMES, ["5.0"])
    with pytest.raises(DataError, match=r"desk: none of 3 images has a depth image \(3 have\) and a pose"):
        opened(folder)


@pytest.mark.parametrize(
    ("table", "text", "problem"),
    [
        (
            "groundtruth.txt",
            f"{TIMES[0]} 1 2 3 0 0 0",
            r"groundtruth\.txt, line 1: found 6 numbers, expected tx ty tz qx",
        ),
        (
            "groundtruth.txt",
            f"# t\n{TIMES[0]} 1 2 3 0 0 0 0",
            r"none of 3 images has a depth image \(3 have\) and a pose",
        ),
        ("groundtruth.txt", f"{TIMES[0]} 1 2 3 0 0 0 2", r"groundtruth\.txt, line 1: the pose is no rotation"),
        ("groundtruth.txt", f"{TIMES[0]} nan 2 3 0 0 0 1", r"none of 3 images has a depth image \(3 have\) and a pose"),
        ("groundtruth.txt", f"{TIMES[0]} 1 2 3 0 0 0 x", r"groundtruth\.txt, line 1: .*'x'"),
        ("groundtruth.txt", "1e999999999 1 2 3 0 0 0 1", r"groundtruth\.txt, line 1: '1e999999999' is no timestamp"),
        ("rgb.txt", f"{TIMES[0]} ../../etc/passwd", r"rgb\.txt, line 1: '../../etc/passwd' lies outside the folder"),
        ("rgb.txt", f"{TIMES[0]} C:\\desk\\1.png", r"rgb\.txt, line 1: .* lies outside the folder of the clip"),
        ("groundtruth.txt", "# nothing\n", r"groundtruth\.txt: lists nothing"),
        ("rgb.txt", "noon rgb/1.png", r"rgb\.txt, line 1: 'noon' is no timestamp"),
        ("rgb.txt", "inf rgb/1.png", r"rgb\.txt, line 1: 'inf' is no timestamp"),
        ("depth.txt", f"\n{TIMES[0]}", r"depth\.txt, line 2: nothing stands behind the timestamp"),
        ("depth.txt", f"{TIMES[0]} depth/gone.png", r"gone\.png: the file is missing"),
        ("rgb.txt", "\udcff", r"rgb\.txt: not a text file"),
    ],
)
def test_a_fault_in_a_table_is_named(tmp_path, table, text, problem):
    folder = write_tum(tmp_path / "desk", TIMES, TIMES, TIMES)
    (folder / table).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=problem):
        opened(folder)


def test_pictures_whose_names_do_not_sort_by_time_are_numbered(tmp_path):
    """Pairs of views are neighbours by name."""
    folder = write_tum(tmp_path / "desk", ["9.5", "10.5"], ["9.5", "10.5"], ["9.5", "10.5"])
    assert [name for name, _ in opened(folder).frames] == ["desk_000000", "desk_000001"]


def rewrite(folder, change):
    """Change every line of the tables."""
    for name in ("rgb.txt", "depth.txt", "groundtruth.txt"):
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("".join(f"{line if line.startswith('#') else change(line)}\n" for line in lines))


FORMS = {
    "commas": lambda line: line.replace(" ", ","),
    "commas and blanks": lambda line: line.replace(" ", ", "),
    "tabs": lambda line: line.replace(" ", "\t"),
    "backslashes": lambda line: line.replace("/", "\\"),
    "nanoseconds": lambda line: line.replace(".", "", 1).replace(" ", "000 ", 1),
    "CRLF": lambda line: line + "\r",
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_are_read_in_the_forms_of_common_tools(tmp_path, form):
    folder = write_tum(tmp_path / "desk", TIMES, TIMES, TIMES)
    expected = [opened(folder).read(*frame)[0].pose for frame in opened(folder).frames]
    rewrite(folder, FORMS[form])
    assert [opened(folder).read(*frame)[0].pose for frame in opened(folder).frames] == expected


def test_names_of_files_may_hold_blanks(tmp_path):
    folder = write_tum(tmp_path / "desk", TIMES, TIMES, TIMES)
    for part in ("rgb", "depth"):
        (folder / part / f"{TIMES[0]}.png").rename(folder / part / "a frame.png")
        table = folder / f"{part}.txt"
        table.write_text(table.read_text().replace(f"{part}/{TIMES[0]}.png", f"{part}/a frame.png"))
    assert len(opened(folder).frames) == 3


@pytest.mark.parametrize("pose", ["nan nan nan nan nan nan nan", "1 2 3 0 0 0 0", "inf 2 3 0 0 0 1"])
def test_lines_without_a_pose_are_left_out_and_counted(tmp_path, pose):
    folder = write_tum(tmp_path / "desk", TIMES, TIMES, TIMES)
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    lines[2] = f"{TIMES[1]} {pose}"
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    source = opened(folder)
    assert [name for name, _ in source.frames] == [f"desk_{TIMES[0]}", f"desk_{TIMES[2]}"]
    assert "1 of 3 images left out: 0 without depth, 1 without a pose" in " ".join(source.notes)
    assert "1 lines of groundtruth.txt left out" in " ".join(source.notes)


def test_a_quaternion_rounded_to_two_digits_is_normalised(tmp_path):
    folder = write_tum(tmp_path / "desk", TIMES[:1], TIMES[:1], [])
    (folder / "groundtruth.txt").write_text(f"{TIMES[0]} 1 2 3 0.73 0 0 0.73\n")
    record, _ = opened(folder).read(*opened(folder).frames[0])
    np.testing.assert_allclose(np.array(record.pose).reshape(4, 4)[1, :3], [0, 0, -1], atol=1e-12)
