"""Preparation of damaged NYUD-MT releases: a one-line message for every corruption, and no partial output."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from release_files import FORMATS, TOP, save, write_release

from tools.prepare_nyuv2 import main


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """One folder per release, with one frame per split."""
    folder = tmp_path_factory.mktemp("pairs")
    for kind in FORMATS:
        write_release(folder / kind, kind, val=("0001",))
    return folder


@pytest.fixture
def pair(pairs, tmp_path) -> Callable[[str], Path]:
    """A writable copy of a release with one frame per split."""
    return lambda kind: Path(shutil.copytree(pairs / kind / TOP[kind], tmp_path / "in" / TOP[kind]))


def prepare(source: Path, out: Path, *more: str) -> int:
    return main(["--from-release", str(source), "--out", str(out), "--workers", "1", *more])


def cut(path: str, keep: float = 0.6):
    def change(root: Path) -> None:
        data = (root / path).read_bytes()
        (root / path).write_bytes(data[: int(len(data) * keep)])

    return change


def edit(path: str, change: Callable[[np.ndarray], np.ndarray]):
    """Rewrite an array or picture."""

    def apply(root: Path) -> None:
        file = root / path
        if file.suffix == ".npy":
            array = np.load(file)
        else:
            array = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            array = array[..., ::-1] if array.ndim == 3 else array
        save(file, change(array))

    return apply


def paint(value: float):
    def change(array: np.ndarray) -> np.ndarray:
        array[7, 9] = value
        return array

    return change


def lines(path: str, text: str):
    return lambda root: (root / "gt_sets" / path).write_text(text)


def other_suffix(root: Path) -> None:
    for path in (root / "edge").iterdir():
        path.rename(path.with_suffix(".bmp"))


# Faults inside one file are tested in sources/test_reading.py; these depend on the release.
CORRUPTIONS = {
    "truncated image": ("astmt", cut("images/0001.jpg"), "images/0001.jpg: truncated or damaged JPEG image"),
    "truncated labels": ("astmt", cut("segmentation/0001.mat"), "segmentation/0001.mat: truncated or not a MATLAB"),
    "truncated depth": ("atrc", cut("depth/0001.npy"), "depth/0001.npy: truncated or not a .npy"),
    "H and W swapped": (
        "mtl_pytorch",
        edit("depth/0001.npy", np.transpose),
        "depth/0001.npy: found 640x480, expected 480x640: the axes are swapped",
    ),
    "labels turned": (
        "atrc",
        edit("segmentation/0003.png", lambda a: a.T.copy()),
        "segmentation/0003.png: found 560x425, expected 425x560: the axes are swapped",
    ),
    "missing depth": ("atrc", lambda r: (r / "depth/0003.npy").unlink(), "depth/0003.npy: the file is missing"),
    "missing folder": ("atrc", lambda r: shutil.rmtree(r / "depth"), "depth: the folder is missing"),
    "no normals left": (
        "atrc",
        lambda r: [path.unlink() for path in (r / "normals").iterdir()],
        "normals/0003.png: the file is missing (and 1 more file)",
    ),
    "millimetres": ("atrc", edit("depth/0003.npy", lambda a: a * 1000), "0003.npy: depth of type float32, median"),
    "not a number": ("atrc", edit("depth/0003.npy", paint(np.nan)), "0003.npy: depth nan m at row 7, column 9 (1"),
    "label 41": ("atrc", edit("segmentation/0001.png", paint(41)), "0001.png: label 41 at row 7, column 9"),
    "edges beyond 255": ("mtl_pytorch", edit("edge/0003.npy", lambda a: a * 1000), "0003.npy: boundary values 0 to"),
    "another size": (
        "atrc",
        edit("images/0001.png", lambda a: a[:400]),
        "images/0001.png: found 400x560x3, expected 425x560x3",
    ),
    "all of another size": (
        "atrc",
        edit("images/0003.png", lambda a: a[::2, ::2]),
        "0003.png: found 213x280, a release has 425x560 or",
    ),
    "in both splits": (
        "atrc",
        lines("val.txt", "0001\n0003\n"),
        "val.txt: frame 0003 is in the train split too; a test frame",
    ),
    "twice": ("atrc", lines("train.txt", "0003\n0003\n"), "gt_sets/train.txt: frame 0003 is listed twice"),
    "not there": (
        "atrc",
        lines("train.txt", "0003\n0009\n"),
        "images/0009.png: the file is missing (and 4 more files)",
    ),
    "no list": ("atrc", lambda r: (r / "gt_sets/val.txt").unlink(), "gt_sets/val.txt: the file is missing"),
    "empty list": ("atrc", lines("val.txt", "\n"), "gt_sets/val.txt: lists no frames"),
    "a path as a name": ("atrc", lines("train.txt", "../../0003\n"), "train.txt: '../../0003' is no name of a frame"),
    "unknown suffix": ("atrc", other_suffix, "none of the releases astmt, mtl_pytorch, atrc has images/*.png"),
    "no release": ("atrc", lambda r: shutil.rmtree(r / "gt_sets"), "not an NYUD-MT release, which has gt_sets, images"),
}


def error_line(capsys, tmp_path: Path) -> str:
    """The only line of the message, after a check that no partial output is left."""
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    found = [line for line in printed.splitlines() if line.startswith("prepare_nyuv2:")]
    assert len(found) == 1
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out") and path.name != ".out.lock"]
    return found[0]


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_a_corruption_is_named_in_one_line(pair, tmp_path, capsys, case):
    kind, spoil, message = CORRUPTIONS[case]
    root = pair(kind)
    spoil(root)
    assert prepare(root, tmp_path / "out") == 2
    assert message in error_line(capsys, tmp_path)


@pytest.mark.parametrize(("order", "signs"), [((2, 1, 0), (1, 1, 1)), ((0, 1, 2), (1, -1, 1))])
def test_normals_of_one_frame_stored_otherwise_are_named(tmp_path, capsys, order, signs):
    root = write_release(tmp_path / "in", "mtl_pytorch")
    edit("normals/0002.npy", lambda a: a[..., order] * np.float32(signs))(root)
    assert prepare(root, tmp_path / "out") == 2
    message = error_line(capsys, tmp_path)
    assert f"{root}/normals/0002.npy: with {root}/depth/0002.npy: the axes of the normals are swapped" in message


def test_axes_swapped_everywhere_are_refused(pair, tmp_path, capsys):
    root = pair("mtl_pytorch")
    for path in (root / "normals").iterdir():
        np.save(path, np.load(path)[..., [0, 2, 1]])
    assert prepare(root, tmp_path / "out") == 2
    assert "normals: the axes of the normals are swapped: they agree with the depth" in error_line(capsys, tmp_path)


def test_a_corruption_in_an_archive_names_archive_and_member(pair, tmp_path, capsys):
    root = pair("atrc")
    cut("depth/0003.npy")(root)
    source = shutil.make_archive(str(tmp_path / "NYUDv2"), "gztar", root.parent, root.name)
    assert prepare(Path(source), tmp_path / "out", "--workers", "2") == 2
    assert f"prepare_nyuv2: {source}:NYUDv2/depth/0003.npy: truncated" in error_line(capsys, tmp_path)


def test_a_truncated_archive_is_named(pair, tmp_path, capsys):
    root = pair("atrc")
    source = Path(shutil.make_archive(str(tmp_path / "NYUDv2"), "gztar", root.parent, root.name))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    assert prepare(source, tmp_path / "out") == 2
    assert f"prepare_nyuv2: {source}: truncated or damaged archive" in error_line(capsys, tmp_path)


def test_an_archive_that_leads_outside_is_refused(pair, tmp_path, capsys):
    root = pair("atrc")
    source = tmp_path / "NYUDv2.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        archive.add(root, root.name)
        archive.addfile(tarfile.TarInfo("NYUDv2/../../evil"))
    assert prepare(source, tmp_path / "out") == 2
    assert "member 'NYUDv2/../../evil' points out of the archive (path traversal)" in error_line(capsys, tmp_path)
    assert not list(tmp_path.rglob("evil"))
