"""Preparation of nyu_depth_v2_labeled.mat: exact pixels, object outlines, a one-line message for every corruption."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from release_files import CLASSES_40, CROPPED_CAMERA, FULL, FULL_CAMERA, mat_arrays, room, write_mat, write_strings

from benchmark.visualization.nyu40 import NAMES_40
from datasets.layout.frame_files import read_modality
from datasets.layout.layout import read_frames, read_info
from datasets.nyuv2.classes import NAMES_13, class_of_name
from datasets.nyuv2.sources.official import open_official
from tools.prepare_nyuv2 import main

NAMES = list(class_of_name())
CROP = (slice(45, 470), slice(40, 600))
TASKS = ("semseg", "depth", "normals", "boundary")
FRAMES = 3


def write_splits(path: Path, train: list[int], test: list[int]) -> Path:
    scipy.io.savemat(path, {"trainNdxs": np.array(train, np.uint16)[:, None], "testNdxs": np.array(test)[:, None]})
    return path


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Arrays of frames 1 to 3 in the order frame, row, column, channel."""
    return mat_arrays([room(FULL, FULL_CAMERA, number) for number in range(1, FRAMES + 1)], NAMES)


@pytest.fixture(scope="module")
def original(arrays, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    write_splits(folder / "splits.mat", [2], [1, 3])
    return write_mat(folder / "labeled.mat", arrays, NAMES, [f"room_{n:04d}" for n in range(1, FRAMES + 1)])


@pytest.fixture
def mat(original, tmp_path) -> Path:
    """A writable copy of the .mat file, with splits.mat in the same folder."""
    return Path(shutil.copytree(original.parent, tmp_path / "in")) / original.name


def prepare(path: Path, out: Path, *more: str) -> int:
    return main(["--from-mat", str(path), "--out", str(out), "--workers", "1", *more])


def read_all(out: Path, name: str) -> dict[str, np.ndarray]:
    info = read_info(out)
    return {m: read_modality(out, m, name, info.size, len(info.classes)) for m in ("images", *TASKS)}


def test_frames_are_the_documented_crop(original, arrays, tmp_path, capsys):
    out = tmp_path / "out"
    assert prepare(original, out) == 0
    info, frames = read_info(out), read_frames(out)
    assert info.id.startswith("nyuv2-40c-425x560-")
    assert info.id in capsys.readouterr().out
    assert info.classes == NAMES_40
    assert [(f.name, f.split, f.scene) for f in frames] == [
        ("0001", "test", "room_0001"),
        ("0002", "train", "room_0002"),
        ("0003", "test", "room_0003"),
    ]
    assert frames[0].intrinsics == pytest.approx(CROPPED_CAMERA)
    assert info.sources["normals"].startswith("derived")
    assert info.sources["boundary"].startswith("derived: outlines of its object instances")
    for index, name in enumerate(("0001", "0002", "0003")):
        found, expected = read_all(out, name), room(FULL, FULL_CAMERA, index + 1)
        np.testing.assert_array_equal(found["images"], arrays["images"][index][CROP])
        np.testing.assert_array_equal(found["depth"], arrays["depths"][index][CROP])
        classes = np.where(arrays["labels"][index] == 0, 0, expected.classes(CLASSES_40))
        np.testing.assert_array_equal(found["semseg"], classes[CROP])
        known = (found["normals"] != 0).any(-1)
        cosine = (found["normals"].astype(float) * expected.normals[CROP]).sum(-1)[known]
        assert known.mean() > 0.9
        assert np.median(cosine) > 0.9998, "normals of known planes, x right, y down, z towards the camera"


def test_boundaries_run_between_instances_of_one_label(original, tmp_path):
    """Floor left and right of four unlabelled columns 318..321: the middle is column 319, 279 after the crop."""
    assert prepare(original, tmp_path / "out", "--limit", "1") == 0
    boundary = read_all(tmp_path / "out", "0001")["boundary"]
    np.testing.assert_array_equal(boundary[424, 276:284], [0, 0, 0, 255, 0, 0, 0, 0])


def test_full_size_keeps_every_pixel(original, arrays, tmp_path):
    assert prepare(original, tmp_path / "out", "--full-size", "--limit", "1") == 0
    info = read_info(tmp_path / "out")
    assert info.id.startswith("nyuv2-40c-480x640-")
    assert read_frames(tmp_path / "out")[0].intrinsics == pytest.approx(FULL_CAMERA)
    np.testing.assert_array_equal(read_all(tmp_path / "out", "0001")["images"], arrays["images"][0])


@pytest.mark.slow
def test_several_workers_write_the_same_data(original, tmp_path):
    assert prepare(original, tmp_path / "one") == 0
    assert prepare(original, tmp_path / "two", "--workers", "2") == 0
    assert read_info(tmp_path / "one") == read_info(tmp_path / "two")


def write_mapping(path: Path, names: list[str], classes: list[int]) -> Path:
    cell = np.empty((1, len(names)), object)
    cell[0] = names
    scipy.io.savemat(path, {"mapClass": np.array([classes], np.uint8), "allClassName": cell})
    return path


def test_a_mapping_file_gives_the_same_data_as_the_built_in_table(original, tmp_path):
    mapping = write_mapping(tmp_path / "classMapping40.mat", NAMES, list(class_of_name().values()))
    splits = original.with_name("splits.mat")
    built_in, given = (open_official(original, splits, file, full_size=False) for file in (None, mapping))
    assert built_in.table == given.table
    assert given.table[NAMES.index("bookshelf") + 1] == 10


@pytest.mark.parametrize("kind", [h5py.string_dtype(), "S40"])
def test_names_may_be_plain_strings(mat, kind):
    """Other programs than MATLAB write plain strings."""
    with h5py.File(mat, "r+") as file:
        del file["names"]
        file["names"] = np.array(NAMES, dtype=kind)
    source = open_official(mat, mat.with_name("splits.mat"), None, full_size=False)
    assert source.table[NAMES.index("bookshelf") + 1] == 10


def test_without_names_the_official_order_is_assumed_and_noted(mat):
    with h5py.File(mat, "r+") as file:
        del file["names"]
    source = open_official(mat, mat.with_name("splits.mat"), None, full_size=False)
    assert source.table[NAMES.index("bookshelf") + 1] == 10
    assert "official order of the 894 names was assumed" in " ".join(source.notes)


def test_the_built_in_table_is_the_published_one(shared):
    mapping = scipy.io.loadmat(shared / "data" / "nyuv2" / "classMapping40.mat", squeeze_me=True)
    assert class_of_name() == dict(zip(mapping["allClassName"], mapping["mapClass"].tolist(), strict=True))
    assert list(mapping["className"]) == list(NAMES_40)
    names = scipy.io.loadmat(shared / "data" / "nyuv2" / "class13Mapping.mat", squeeze_me=True)["classMapping13"]
    assert list(names["classNames"].item()) == list(NAMES_13)


def test_labels_follow_names_and_not_numbers(arrays, tmp_path):
    """Labels with permuted names: the class of a label follows `names`, not its number."""
    names = ["wall", "floor", "ceiling", "bookshelf"]
    number = np.zeros(895, np.uint16)
    number[[NAMES.index(name) + 1 for name in names]] = [1, 2, 3, 4]
    changed = {**arrays, "labels": number[arrays["labels"]]}
    path = write_mat(tmp_path / "labeled.mat", changed, names, [])
    write_splits(tmp_path / "splits.mat", [2], [1, 3])
    assert prepare(path, tmp_path / "out", "--limit", "1") == 0
    classes = np.where(arrays["labels"][0] == 0, 0, room(FULL, FULL_CAMERA, 1).classes(CLASSES_40))
    np.testing.assert_array_equal(read_all(tmp_path / "out", "0001")["semseg"], classes[CROP])
    assert read_frames(tmp_path / "out")[0].scene == ""


def test_frames_in_neither_split_are_left_out_with_a_note(mat, tmp_path):
    write_splits(mat.with_name("splits.mat"), [2], [1])
    assert prepare(mat, tmp_path / "out") == 0
    assert "1 frames of the file are in neither split and were left out" in " ".join(read_info(tmp_path / "out").notes)


def cut(name: str, keep: float):
    def change(mat: Path) -> None:
        path = mat.with_name(name)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return change


def replaced(key: str, change: Callable[[np.ndarray], np.ndarray | None]):
    """Change that replaces an array of the file, or removes it."""

    def apply(mat: Path) -> None:
        with h5py.File(mat, "r+") as file:
            array = change(file[key][()])
            del file[key]
            if array is not None:
                file[key] = array

    return apply


def with_value(value: float):
    def change(array: np.ndarray) -> np.ndarray:
        array[1, 33, 22] = value
        return array

    return change


def without_a_frame(array: np.ndarray) -> np.ndarray:
    return array[:-1]


def strange_names(mat: Path) -> None:
    with h5py.File(mat, "r+") as file:
        del file["names"]
        write_strings(file, "names", ["wall", "gizmo"])


def splits(train: list[int], test: list[int]):
    return lambda mat: write_splits(mat.with_name("splits.mat"), train, test)


CORRUPTIONS = {
    "truncated": (cut("labeled.mat", 0.7), "labeled.mat: truncated or not a MATLAB 7.3 (HDF5) file"),
    "empty": (cut("labeled.mat", 0), "labeled.mat: truncated or not a MATLAB 7.3 (HDF5) file"),
    "missing": (lambda mat: mat.unlink(), "labeled.mat: the file is missing"),
    "no splits": (lambda mat: mat.with_name("splits.mat").unlink(), "splits.mat: the file is missing"),
    "truncated splits": (cut("splits.mat", 0.8), "splits.mat: truncated or not a MATLAB file"),
    "no such key": (lambda m: scipy.io.savemat(m.with_name("splits.mat"), {"a": 1}), "no variable 'trainNdxs', it has"),
    "no instances": (replaced("instances", lambda a: None), "no array 'instances', it has depths, images"),
    "depth swapped": (
        replaced("depths", lambda a: a.swapaxes(1, 2)),
        "depths is 3x480x640, expected Nx640x480 (MATLAB's axes in reverse): the axes are swapped",
    ),
    "images swapped": (
        replaced("images", lambda a: a.transpose(0, 3, 2, 1)),
        "images is 3x480x640x3, expected Nx3x640x480 (MATLAB's axes in reverse): the axes are swapped",
    ),
    "frame last": (replaced("labels", lambda a: a.transpose(2, 1, 0)), "labels is 480x640x3, expected Nx640x480"),
    "another size": (replaced("labels", lambda a: a[:, ::2]), "labels is 3x320x480, expected Nx640x480"),
    "missing frame": (
        replaced("depths", without_a_frame),
        "a frame is missing, the numbers of frames are images 3, depths 2",
    ),
    "images as floats": (replaced("images", lambda a: a / 255.0), "labeled.mat: images is float64, expected uint8"),
    "millimetres": (replaced("depths", lambda a: a * 1000), "depths, frame 0001: depth of type float32, median"),
    "not a number": (replaced("depths", with_value(np.nan)), "depths, frame 0002: depth nan m at row 22, column 33"),
    "label 895": (replaced("labels", with_value(895)), "labels, frame 0002: label 895 at row 22, column 33 (1 such"),
    "strange names": (strange_names, "label 2 is named 'gizmo', which is not one of the 894 official names; give"),
    "in both splits": (splits([1, 2], [3, 1]), "testNdxs: frame 0001 is in the train split too; a test frame"),
    "twice": (splits([2, 2], [1]), "splits.mat: trainNdxs: frame 0002 is listed twice"),
    "not there": (
        splits([2], [1, 4]),
        "splits.mat: testNdxs names frame 4, which is not there; labeled.mat has frames 1 to 3",
    ),
    "counted from 0": (splits([0, 1], [2]), "splits.mat: trainNdxs names frame 0, which is not there"),
    "no frames": (splits([], []), "splits.mat: lists no frames"),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_a_corruption_is_named_in_one_line(mat, tmp_path, capsys, case):
    spoil, message = CORRUPTIONS[case]
    spoil(mat)
    assert prepare(mat, tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    found = [line for line in printed.splitlines() if line.startswith("prepare_nyuv2:")]
    assert len(found) == 1
    assert message in found[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.lock", "in"]


def test_a_damaged_chunk_names_array_and_frame(mat, tmp_path, capsys):
    with h5py.File(mat) as file:
        chunk = file["depths"].id.get_chunk_info(1)
    data = bytearray(mat.read_bytes())
    # Offsets count from the end of the user block.
    data[512 + chunk.byte_offset + 100 : 512 + chunk.byte_offset + 200] = bytes(100)
    mat.write_bytes(data)
    assert prepare(mat, tmp_path / "out") == 2
    assert "labeled.mat: depths, frame 0002: cannot be read" in capsys.readouterr().err


def test_a_mapping_of_other_names_is_refused(original, tmp_path, capsys):
    mapping = write_mapping(tmp_path / "classMapping40.mat", NAMES[::-1], [1] * 894)
    assert prepare(original, tmp_path / "out", "--class-mapping", str(mapping)) == 2
    assert "the two do not belong together" in capsys.readouterr().err
    mapping = write_mapping(tmp_path / "classMapping40.mat", NAMES, [41] * 894)
    assert prepare(original, tmp_path / "out", "--class-mapping", str(mapping)) == 2
    assert "mapClass has values other than the classes 1 to 40" in capsys.readouterr().err
