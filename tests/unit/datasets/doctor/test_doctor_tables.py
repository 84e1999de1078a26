"""Wrong tables, leaks between splits, and faults visible only in the whole data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_doctor_files import doctor, only_problem

from benchmark.boundaries.formats.content import DataError
from datasets.doctor.tables import NoDatasetError, read_checksums
from datasets.layout.layout import CanonicalWriter, FrameRecord, LabelInfo


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change the text of a file."""
    path.write_text(change(path.read_text()))


def wrong_axes(order: tuple[int, ...], signs: tuple[int, ...]) -> Callable[[dict[str, np.ndarray]], None]:
    """Change that permutes and negates the components of the normals of a frame."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["normals"] = (arrays["normals"][..., list(order)] * signs).astype(np.float16)

    return change


@pytest.mark.parametrize(
    ("order", "signs", "advice"),
    [
        ((1, 0, 2), (1, 1, 1), "store (y, x, z) of the stored components"),
        ((0, 1, 2), (1, 1, -1), "negate z"),
        ((0, 1, 2), (1, -1, -1), "negate y and z"),
        ((0, 2, 1), (1, 1, 1), "store (x, z, y) of the stored components"),
    ],
)
def test_wrong_axes_of_one_frame_are_named_with_the_right_ones(tmp_path, write_corner, order, signs, advice):
    root = write_corner(tmp_path / "wrong", {"0002": wrong_axes(order, signs)})
    line = only_problem(root)
    assert f"{root / 'normals' / '0002.npy'}: wrong axes" in line
    assert advice in line


def test_wrong_axes_of_all_frames_are_one_line(tmp_path, write_corner):
    root = write_corner(tmp_path / "wrong", {f"{n:04d}": wrong_axes((1, 0, 2), (1, 1, 1)) for n in range(1, 7)})
    line = only_problem(root)
    assert "store (y, x, z)" in line
    assert "(5 further files like this)" in line


def test_normals_of_another_place_are_named(tmp_path, write_corner):
    """Normals in random directions, 90 degrees off on average."""

    def scatter(arrays):
        normals = np.random.default_rng(0).standard_normal((48, 64, 3))
        arrays["normals"] = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float16)

    root = write_corner(tmp_path / "wrong", {"0002": scatter})
    assert "degrees off the depth, in any order" in only_problem(root)


def test_a_frame_in_both_splits_is_named(good):
    edit(
        good / "frames.csv",
        lambda text: (
            text + next(line for line in text.splitlines() if line.startswith("0001")).replace("train", "test") + "\n"
        ),
    )
    lines = [finding.line() for finding in doctor(good).problems]
    assert any("frame '0001' is in train and in test" in line for line in lines)


def test_the_same_picture_in_both_splits_is_named(tmp_path, write_corner):
    pictures = {}

    def keep(arrays):
        pictures["kept"] = arrays["images"]

    def repeat(arrays):
        arrays["images"] = pictures["kept"]

    root = write_corner(tmp_path / "leak", {"0002": keep, "0006": repeat})
    line = only_problem(root)
    assert f"{root / 'images' / '0006.png'}: the same picture as train frame '0002'" in line
    # For frames that are not read, the digests of checksums.csv are compared.
    assert "the same picture" in doctor(root, sample=1).problems[0].text


def test_the_same_picture_twice_in_a_split_is_a_warning(tmp_path, write_corner):
    pictures = {}
    root = write_corner(
        tmp_path / "double",
        {
            "0001": lambda arrays: pictures.update(kept=arrays["images"]),
            "0002": lambda arrays: arrays.update(images=pictures["kept"]),
        },
    )
    report = doctor(root)
    assert not report.problems
    assert any("it counts twice" in finding.text for finding in report.findings)


def test_a_scene_in_both_splits_is_a_warning(tmp_path, write_corner):
    report = doctor(write_corner(tmp_path / "scene", scenes={"0001": "kitchen", "0005": "kitchen"}))
    assert not report.problems
    assert any("scene 'kitchen' is in more than one split" in finding.text for finding in report.findings)


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        ("dataset.json", lambda text: text[:100], "dataset.json: not a JSON file"),
        ("dataset.json", lambda text: "[]", "dataset.json: schema_version None"),
        ("dataset.json", lambda text: text.replace('"depth"', '"dept"'), "Did you mean 'depth'?"),
        ("dataset.json", lambda text: text.replace('"train": 4', '"train": 7'), "4 train frames, dataset.json says 7"),
        ("dataset.json", lambda text: text.replace('"class 7"', '"sofa"'), "class names were changed"),
        ("dataset.json", lambda text: text.replace('"class 7"', "7"), "must be texts"),
        ("dataset.json", lambda text: text.replace("\n    64\n", '\n    "wide"\n'), "a field is of the wrong kind"),
        ("frames.csv", lambda text: text.replace("52.0", "52.5", 1), "checksums.csv or the class names were"),
        ("frames.csv", lambda text: text.replace("52.0", "wide", 1), "frames.csv, line 2: could not convert"),
        ("frames.csv", lambda text: text.replace("0001,", "../0001,", 1), "which is no name"),
        ("frames.csv", lambda text: text.replace("scene", "seen"), "no column 'scene'"),
        ("frames.csv", lambda text: text.splitlines()[0], "lists no frame"),
        ("frames.csv", lambda text: "\n".join(text.splitlines()[:-1]) + "\n", "1 test frames, dataset.json says 2"),
        ("checksums.csv", lambda text: text[:-5], "line 31 is no path and sha256"),
        ("checksums.csv", lambda text: text.replace("path,", "file,"), "the first line is not"),
        ("checksums.csv", lambda text: "\n".join(text.splitlines()[:-1]), "has no line for semseg/0006.png (1 in all)"),
    ],
)
def test_a_damaged_table_is_named(good, table, change, expected):
    edit(good / table, change)
    report = doctor(good)
    assert any(expected in finding.line() for finding in report.problems), report.text()


@pytest.mark.parametrize("table", ["dataset.json", "frames.csv", "checksums.csv"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b"\0" * 50, None])
def test_no_content_of_a_table_raises_an_exception(good, table, content):
    if content is None:
        (good / table).unlink()
    else:
        (good / table).write_bytes(content)
    problems = doctor(good).problems
    assert problems
    assert any(table in finding.line() for finding in problems)


def test_lost_intrinsics_are_named(good):
    edit(good / "frames.csv", lambda text: text.replace("52.0,52.0", "0.0,52.0", 1))
    assert any("have no focal length" in finding.text for finding in doctor(good).problems)


def test_a_pose_that_is_no_motion_is_named(good):
    scaled = " ".join(map(str, (np.eye(4) * 2).ravel()))
    edit(
        good / "frames.csv",
        lambda text: "\n".join(line + (scaled if line.startswith("0003") else "") for line in text.splitlines()) + "\n",
    )
    assert any("line 4: the pose is no rotation" in finding.text for finding in doctor(good).problems)


def test_a_file_without_a_frame_is_a_warning(good):
    (good / "depth" / "0099.npy").write_bytes(b"x")
    report = doctor(good)
    assert not report.problems
    assert any(finding.where == str(good / "depth" / "0099.npy") for finding in report.findings)


def test_a_folder_without_a_data_set_is_a_usage_error(tmp_path):
    with pytest.raises(NoDatasetError, match="no prepared data set here"):
        doctor(tmp_path)
    with pytest.raises(NoDatasetError, match="no such folder"):
        doctor(tmp_path / "absent")


@pytest.mark.parametrize(("name", "level"), [("nyuv2-40c", "warning"), ("pascal-context", "warning")])
def test_a_subset_of_an_official_data_set_is_reported(tmp_path, write_corner, name, level):
    report = doctor(write_corner(tmp_path / "part", name=name))
    assert [finding.level for finding in report.findings if "the complete data set has" in finding.text] == [level] * 2


def test_a_class_of_test_frames_only_is_never_learnt(tmp_path, write_corner):
    root = write_corner(tmp_path / "late", {"0005": lambda arrays: arrays["semseg"].__setitem__((9, 9), 40)})
    assert any("never learnt: class 40 (class 40)" in finding.text for finding in doctor(root).findings)


def test_a_task_without_any_label_is_named(tmp_path, write_corner):
    def erase(arrays):
        arrays["boundary"][:] = 128

    root = write_corner(tmp_path / "empty", {f"{number:04d}": erase for number in range(5, 7)})
    assert [finding.text for finding in doctor(root).problems] == [
        "no test frame has a labelled pixel; prepare the data set again"
    ]


def test_the_checksums_are_read_by_path(good):
    digests = read_checksums(good)
    assert len(digests) == 30
    (good / "checksums.csv").write_text("path,sha256\na," + 64 * "0" + "\na," + 64 * "0" + "\n")
    with pytest.raises(DataError, match="line 3"):
        read_checksums(good)


def test_any_tasks_and_frames_of_any_size_are_examined(tmp_path):
    """Class maps, masks and values of other names, every frame of another size; the second mask has a wrong code."""
    labels = {"rooms": LabelInfo("class", ("kitchen", "bath")), "glass": LabelInfo("mask")}
    root = tmp_path / "own"
    with CanonicalWriter(
        root,
        name="own",
        size=None,
        tasks=("rooms", "glass", "human_parts"),
        classes=(),
        sources={},
        labels=labels | {"human_parts": LabelInfo("class", ("background", "head"))},
    ) as writer:
        for number, size in enumerate([(40, 50), (33, 71)]):
            rng = np.random.default_rng(number)
            record = FrameRecord(f"f{number}", "train" if number else "test", (50.0, 50.0, 25.0, 16.0), size=size)
            writer.write(
                record,
                {
                    "images": rng.integers(0, 256, (*size, 3), dtype=np.uint8),
                    "rooms": rng.integers(0, 3, size, dtype=np.uint8),
                    "glass": rng.choice(np.array([0, 128, 255], np.uint8), size),
                    "human_parts": rng.integers(0, 3, size, dtype=np.uint8),
                },
            )
    report = doctor(root)
    assert not report.problems, report.text()
    assert {line.modality for line in report.lines} == {"images", "rooms", "glass", "human_parts"}
    glass = np.full((33, 71), 7, np.uint8)
    from datasets.layout.frame_files import encode_png

    (root / "glass" / "f1.png").write_bytes(encode_png(glass, 6))
    assert f"{root / 'glass' / 'f1.png'}: mask code 7" in only_problem(root)


def test_the_report_is_json(good):
    found = json.loads(json.dumps(doctor(good).to_dict()))
    assert found["ok"] is True
    assert found["frames"] == {"train": 4, "test": 2}
    depth = next(line for line in found["modalities"] if (line["modality"], line["split"]) == ("depth", "train"))
    assert depth["coverage"] == 1.0
