"""Preparation of the NYUD-MT releases: recognition by content, exact pixels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from release_files import CLASSES_40, FORMATS, TOP, edges, room, write_release

from datasets.layout.frame_files import read_modality
from datasets.layout.layout import read_frames, read_info
from tools.prepare_nyuv2 import main

TITLES = {"astmt": "ASTMT", "mtl_pytorch": "Multi-Task-Learning-PyTorch", "atrc": "ATRC"}
TASKS = ("semseg", "depth", "normals", "boundary")


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    """One folder per release."""
    folder = tmp_path_factory.mktemp("originals")
    for kind in FORMATS:
        write_release(folder / kind, kind)
    return folder


@pytest.fixture
def release(originals, tmp_path) -> Callable[[str], Path]:
    """A writable copy of a release."""
    return lambda kind: Path(shutil.copytree(originals / kind / TOP[kind], tmp_path / "in" / TOP[kind]))


def prepare(source: Path, out: Path, *more: str) -> int:
    return main(["--from-release", str(source), "--out", str(out), "--workers", "1", *more])


def read_all(out: Path, name: str) -> dict[str, np.ndarray]:
    info = read_info(out)
    return {m: read_modality(out, m, name, info.size, len(info.classes)) for m in ("images", *TASKS)}


def angles(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Angles in degrees between normals, at pixels with a normal."""
    known = (found != 0).any(-1)
    length = np.linalg.norm(found[known].astype(float), axis=-1)
    return np.degrees(np.arccos(np.clip((found[known].astype(float) * true[known]).sum(-1) / length, -1, 1)))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_release_is_recognised_and_exact(originals, tmp_path, capsys, kind):
    out = tmp_path / "nyuv2"
    assert prepare(originals / kind, out) == 0
    size, camera, suffixes = FORMATS[kind]
    info, frames = read_info(out), read_frames(out)
    assert info.id.startswith(f"nyuv2-40c-{size[0]}x{size[1]}-")
    assert info.id in capsys.readouterr().out
    assert TITLES[kind] in info.sources["images"]
    assert [(frame.name, frame.split) for frame in frames] == [("0001", "test"), ("0002", "test"), ("0003", "train")]
    assert frames[0].intrinsics == pytest.approx(camera)
    assert info.classes[0] == "wall"
    assert info.classes[39] == "otherprop"
    for name in ("0001", "0003"):
        expected, found = room(size, camera, int(name)), read_all(out, name)
        np.testing.assert_array_equal(found["semseg"], expected.classes(CLASSES_40))
        np.testing.assert_array_equal(found["depth"], expected.depth)
        np.testing.assert_array_equal(found["boundary"], edges(expected.part))
        if suffixes["images"] == "png":
            np.testing.assert_array_equal(found["images"], expected.image)
        else:
            assert np.abs(found["images"].astype(int) - expected.image).mean() < 4
        # Half a step of an 8-bit code is 0.22 degrees per component; JPEG mixes the two sides of an edge.
        wrong = angles(found["normals"], expected.normals)
        assert np.median(wrong) < {"npy": 0.1, "png": 0.5, "jpg": 3}[suffixes["normals"]]
        if suffixes["normals"] != "jpg":
            assert wrong.max() < 0.6


@pytest.mark.parametrize("archive", ["NYUD.tgz", "NYUD.tar", "NYUD.zip"])
def test_an_archive_gives_the_same_data_as_its_folder(originals, tmp_path, archive):
    source = tmp_path / archive
    kind = {".tgz": "gztar", ".tar": "tar", ".zip": "zip"}[source.suffix]
    made = shutil.make_archive(str(tmp_path / "made"), kind, originals / "atrc", TOP["atrc"])
    Path(made).rename(source)
    assert prepare(source, tmp_path / "data" / "a") == 0
    assert prepare(originals / "atrc", tmp_path / "data" / "b") == 0
    assert read_info(tmp_path / "data" / "a") == read_info(tmp_path / "data" / "b")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [".a.lock", ".b.lock", "a", "b"]


@pytest.mark.slow
def test_several_workers_write_the_same_data(originals, tmp_path):
    assert prepare(originals / "mtl_pytorch", tmp_path / "one") == 0
    assert prepare(originals / "mtl_pytorch", tmp_path / "two", "--workers", "2") == 0
    assert read_info(tmp_path / "one") == read_info(tmp_path / "two")


@pytest.mark.parametrize(
    ("signs", "note"),
    [
        ((1, 1, 1), "signs as stored"),
        ((1, -1, 1), "The sign of y of the normals was changed"),
        ((-1, -1, 1), "The sign of x, y of"),
        ((-1, -1, -1), "The sign of x, y, z of"),
    ],
)
def test_the_frame_of_the_normals_is_determined_from_the_depth(tmp_path, signs, note):
    write_release(tmp_path / "in", "atrc", signs, val=("0001",))
    assert prepare(tmp_path / "in", tmp_path / "out") == 0
    size, camera, _ = FORMATS["atrc"]
    assert angles(read_all(tmp_path / "out", "0001")["normals"], room(size, camera, 1).normals).max() < 0.6
    assert note in " ".join(read_info(tmp_path / "out").notes)


def test_unrelated_normals_are_kept_as_stored_and_the_note_says_so(release, tmp_path):
    root = release("mtl_pytorch")
    rng = np.random.default_rng(0)
    for path in (root / "normals").iterdir():
        vectors = rng.standard_normal((480, 640, 3))
        np.save(path, (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32))
    assert prepare(root, tmp_path / "out") == 0
    assert "could not be verified" in " ".join(read_info(tmp_path / "out").notes)
    kept = read_all(tmp_path / "out", "0001")["normals"]
    np.testing.assert_array_equal(kept, np.load(root / "normals" / "0001.npy").astype(np.float16))


def test_missing_codes_of_8_bit_normals_are_missing(release, tmp_path):
    root = release("atrc")
    path = root / "normals" / "0001.png"
    picture = cv2.imread(str(path))
    picture[100:110, 50:60], picture[110:120, 50:60], picture[120:130, 50:60] = 127, 128, (127, 128, 127)
    cv2.imwrite(str(path), picture)
    assert prepare(root, tmp_path / "out") == 0
    missing = (read_all(tmp_path / "out", "0001")["normals"] == 0).all(-1)
    assert missing[100:130, 50:60].all()
    assert missing.sum() == 300
    assert "which the published loaders do not know" in read_info(tmp_path / "out").sources["normals"]


def test_zero_normals_of_float_files_are_missing(release, tmp_path):
    root = release("mtl_pytorch")
    path = root / "normals" / "0001.npy"
    normals = np.load(path)
    normals[30:40, 70:80] = 0
    np.save(path, normals)
    assert prepare(root, tmp_path / "out") == 0
    missing = (read_all(tmp_path / "out", "0001")["normals"] == 0).all(-1)
    assert missing[30:40, 70:80].all()
    assert missing.sum() == 100


def test_missing_modalities_are_derived_and_recorded(release, tmp_path):
    root = release("mtl_pytorch")
    shutil.rmtree(root / "normals")
    shutil.rmtree(root / "edge")
    assert prepare(root, tmp_path / "out", "--limit", "1") == 0
    info = read_info(tmp_path / "out")
    assert info.tasks == TASKS
    assert info.sources["normals"].startswith("derived")
    assert info.sources["boundary"].startswith("derived")
    assert "normals" not in " ".join(info.notes)
    size, camera, _ = FORMATS["mtl_pytorch"]
    expected, found = room(size, camera, 1), read_all(tmp_path / "out", "0001")
    known = (found["normals"] != 0).any(-1)
    assert known.mean() > 0.9
    assert np.median(angles(found["normals"], expected.normals)) < 1
    # Between classes only; the planes have no unlabelled strips between them.
    classes = expected.classes(CLASSES_40)
    np.testing.assert_array_equal(found["boundary"][:, :-1][classes[:, 1:] != classes[:, :-1]], 255)


def test_a_forced_release_reads_that_release_only(originals, tmp_path, capsys):
    assert prepare(originals / "atrc", tmp_path / "out", "--release", "astmt") == 2
    assert "images/0003.jpg: the file is missing (and 11 more files)" in capsys.readouterr().err
    assert prepare(originals / "atrc", tmp_path / "out", "--release", "atrc") == 0


def test_images_outside_both_splits_are_left_out_with_a_note(release, tmp_path):
    root = release("atrc")
    (root / "gt_sets" / "val.txt").write_text("0001\n")
    assert prepare(root, tmp_path / "out") == 0
    info = read_info(tmp_path / "out")
    assert dict(info.counts) == {"train": 1, "test": 1}
    assert "1 images are in neither split and were left out, first 0002" in " ".join(info.notes)
