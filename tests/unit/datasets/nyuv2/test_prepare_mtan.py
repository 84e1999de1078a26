"""Preparation of MTAN's arrays: 13 classes, missing values, one-line messages."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from release_files import CLASSES_13, room, write_mtan

from datasets.layout.frame_files import read_modality
from datasets.layout.layout import read_frames, read_info
from datasets.loading.canonical import CanonicalDataset
from tools.prepare_nyuv2 import main

SIZE = (288, 384)
# The 425x560 crop made smaller: 518.857901 * 384 / 560, 519.469611 * 288 / 425, 286.082449 * ..., 209.236166 * ...
CAMERA = (355.788275, 352.017054, 196.170822, 141.788272)
TASKS = ("semseg", "depth", "normals", "boundary")


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return write_mtan(tmp_path_factory.mktemp("mtan") / "nyuv2", CAMERA)


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A writable copy of the arrays."""
    return Path(shutil.copytree(original, tmp_path / "in"))


def prepare(source: Path, out: Path, *more: str) -> int:
    return main(["--from-mtan", str(source), "--out", str(out), "--workers", "1", *more])


def test_arrays_are_exact_and_have_13_classes(original, tmp_path):
    out = tmp_path / "out"
    assert prepare(original, out) == 0
    info, frames = read_info(out), read_frames(out)
    assert info.id.startswith("nyuv2-13c-288x384-")
    assert info.classes[0] == "bed"
    assert info.classes[12] == "window"
    assert [frame.name for frame in frames] == ["test-0000", "test-0001", "train-0000", "train-0001"]
    assert frames[0].intrinsics == pytest.approx(CAMERA, abs=1e-5)
    assert info.sources["boundary"].startswith("derived")
    assert "The sign of y of the normals was changed" in " ".join(info.notes)
    for name, seed in (("train-0001", 2), ("test-0000", 3)):
        found = {m: read_modality(out, m, name, SIZE, 13) for m in ("images", *TASKS)}
        one = room(SIZE, CAMERA, seed)
        labels = one.classes(CLASSES_13)
        one.depth[2], one.normals[2], labels[2] = 0, 0, 0
        np.testing.assert_array_equal(found["images"], one.image)
        np.testing.assert_array_equal(found["semseg"], labels)
        np.testing.assert_array_equal(found["depth"], one.depth)
        np.testing.assert_array_equal(found["normals"], one.normals.astype(np.float16))


def test_the_data_set_offers_13_channels(original, tmp_path):
    assert prepare(original, tmp_path / "out", "--limit", "1") == 0
    data = CanonicalDataset(tmp_path / "out", "train")
    assert data.tasks["semseg"].channels == 13
    targets = data[0]["targets"]["semseg"]
    assert (targets[2] == 255).all()
    assert int(targets[targets != 255].max()) <= 12


def test_missing_normals_are_derived(folder, tmp_path):
    for split in ("train", "val"):
        shutil.rmtree(folder / split / "normal")
    assert prepare(folder, tmp_path / "out", "--limit", "1") == 0
    assert read_info(tmp_path / "out").sources["normals"].startswith("derived")


def test_an_archive_is_taken_too(original, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "nyuv2"), "zip", original.parent, original.name)
    assert prepare(Path(archive), tmp_path / "one", "--limit", "1") == 0
    assert prepare(original, tmp_path / "two", "--limit", "1") == 0
    assert read_info(tmp_path / "one") == read_info(tmp_path / "two")


def edit(name: str, change):
    def apply(folder: Path) -> None:
        np.save(folder / name, change(np.load(folder / name)))

    return apply


def cut(folder: Path) -> None:
    path = folder / "train/normal/1.npy"
    path.write_bytes(path.read_bytes()[:5000])


CORRUPTIONS = {
    "truncated": (cut, "train/normal/1.npy: truncated or not a .npy array"),
    "missing": (lambda f: (f / "val/depth/0.npy").unlink(), "val/depth/0.npy: the file is missing"),
    "missing frame": (
        lambda f: [(f / "val" / kind / "0.npy").unlink() for kind in ("image", "label", "depth", "normal")],
        "val/image/0.npy: the file is missing (and 3 more files)",
    ),
    "no validation": (lambda f: shutil.rmtree(f / "val"), "not MTAN's NYU-v2, which has train, val"),
    "no arrays": (
        lambda f: [shutil.rmtree(f / "val" / kind) for kind in ("image", "label", "depth")],
        "val: no frames; expected",
    ),
    "channels first": (
        edit("train/image/0.npy", lambda a: a.transpose(2, 0, 1)),
        "found 3x288x384, expected 288x384x3: the axes are",
    ),
    "image 0..255": (
        edit("train/image/0.npy", lambda a: a * 255),
        "train/image/0.npy: found 288x384x3 float32 from 0 to 255",
    ),
    "label 41": (edit("val/label/1.npy", lambda a: a * 0 + 41), "val/label/1.npy: label 41 at row 0, column 0"),
    "label 13": (edit("val/label/1.npy", lambda a: a * 0 + 13), "column 0 (110592 such pixels), allowed are -1 to 12"),
    "millimetres": (edit("val/depth/1.npy", lambda a: a * 1000), "val/depth/1.npy: depth of type float32, median"),
    "H and W swapped": (
        edit("val/depth/1.npy", lambda a: a.swapaxes(0, 1)),
        "found 384x288, expected 288x384: the axes are swapped",
    ),
    "x and z swapped": (edit("val/normal/1.npy", lambda a: a[..., ::-1]), "val/normal/1.npy: with"),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_a_corruption_is_named_in_one_line(folder, tmp_path, capsys, case):
    spoil, message = CORRUPTIONS[case]
    spoil(folder)
    assert prepare(folder, tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    found = [line for line in printed.splitlines() if line.startswith("prepare_nyuv2:")]
    assert len(found) == 1
    assert message in found[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.lock", "in"]


@pytest.mark.parametrize(
    "options",
    [
        ["--from-mtan", "a", "--from-folder", "b"],
        ["--from-mtan", "a", "--splits", "b"],
        [],
        ["--from-mtan", "a", "--full-size"],
        ["--from-mat", "a", "--release", "atrc"],
        ["--from-release", "a", "--release", "x"],
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(capsys, options):
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
