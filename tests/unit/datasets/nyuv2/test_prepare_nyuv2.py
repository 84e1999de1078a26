"""Preparation of NYU-v2: crop, codes, and a one-line message for every input error."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.layout.frame_files import read_modality
from datasets.layout.layout import read_frames, read_info
from datasets.loading.canonical import CanonicalDataset
from tools.prepare_nyuv2 import main

ROOT = Path(__file__).resolve().parents[4]
INTRINSICS = "518.857901 519.469611 325.582449 253.736166"
SIZE = (425, 560)


@pytest.fixture
def source(tmp_path) -> Path:
    """Two synthetic frames in the format of the source: 0001 test, 0002 train."""
    folder = tmp_path / "shared" / "nyuv2"
    for sub in ("rgb", "depth8", "label40"):
        (folder / sub).mkdir(parents=True)
    rows = []
    for name, split in (("0001", "test"), ("0002", "train")):
        v, u = np.mgrid[:480, :640]
        image = np.stack([u % 256, v % 256, np.full_like(u, int(name) * 40)], -1).astype(np.uint8)
        labels = (1 + (u // 160) + 4 * (v // 160)).astype(np.uint8)
        labels[300:350, 300:400] = 40
        labels[0:200, 0:60] = 0
        labels[380:420, 300:400] = 0
        cv2.imwrite(str(folder / "rgb" / f"{name}.jpg"), image[..., ::-1])
        cv2.imwrite(str(folder / "depth8" / f"{name}.png"), np.full((480, 640), 127, np.uint8))
        cv2.imwrite(str(folder / "label40" / f"{name}.png"), labels)
        rows.append(
            [
                f"nyuv2/{name}",
                f"nyuv2/rgb/{name}.jpg",
                f"nyuv2/depth8/{name}.png",
                f"nyuv2/label40/{name}.png",
                "4.0",
                INTRINSICS,
                split,
            ]
        )
    with open(folder / "INDEX.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path_rgb", "path_depth", "path_label", "depth_max_m", "intrinsics", "split"])
        writer.writerows(rows)
    names = "".join(f"{number},class {number},1,x\n" for number in range(1, 41))
    (folder / "classes.csv").write_text("id40,name40,id13,name13\n0,unlabelled,0,unlabelled\n" + names)
    return folder


def run(source: Path, out: Path, *more: str) -> int:
    return main(["--from-folder", str(source), "--out", str(out), "--workers", "1", *more])


def test_a_prepared_frame_is_the_documented_crop(source, tmp_path, capsys):
    out = tmp_path / "data" / "nyuv2"
    assert run(source, out) == 0
    info = read_info(out)
    assert info.id.startswith("nyuv2-40c-425x560-")
    assert info.id in capsys.readouterr().out
    assert dict(info.counts) == {"test": 1, "train": 1}
    assert info.classes[0] == "class 1"
    assert len(info.classes) == 40
    # fx fy as they are, cx + 0.5 - 40, cy + 0.5 - 45.
    assert read_frames(out)[0].intrinsics == pytest.approx((518.857901, 519.469611, 286.082449, 209.236166))

    test = {m: read_modality(out, m, "0001", SIZE, 40) for m in ("images", *info.tasks)}
    # Rows 45:470 and columns 40:600; JPEG is off by a few grey levels.
    assert abs(int(test["images"][10, 20, 0]) - 60) < 8
    assert abs(int(test["images"][10, 20, 1]) - 55) < 8
    assert test["semseg"][0, 0] == 0
    assert test["semseg"][0, 25] == 1
    assert test["semseg"][300, 300] == 40
    # (127 + 0.5) / 255 * 4 m = 2 m: a wall straight ahead.
    np.testing.assert_allclose(test["depth"], 2.0, rtol=1e-6)
    np.testing.assert_allclose(test["normals"], np.broadcast_to([0, 0, 1], (*SIZE, 3)), atol=1e-3)
    # The class changes between columns 159 and 160, that is 119 and 120 after the crop.
    assert (test["boundary"][170, 118:121] == [0, 255, 0]).all()

    train = CanonicalDataset(out, "train")[0]["targets"]
    assert (train["semseg"][260:300, 265:355] == 39).all(), "class 40 is a class of training frames too"
    assert (train["semseg"][340:370, 265:355] == 255).all(), "0 is unlabelled"
    assert train["boundary"][0, 355, 310] == 255, "the middle of a wide unlabelled region does not count"
    assert train["boundary"][0, 280, 259] == 1, "class 40 has an outline"


def test_scene_names_are_kept_with_their_sources(source, tmp_path):
    (source / "scenes.csv").write_text(
        "id,scene,scene_type,split,scene_source,type_source\n"
        "0001,,kitchen,test,,a list\n0002,den_1,den,train,a paper,name\n"
    )
    assert run(source, tmp_path / "out") == 0
    first, second = read_frames(tmp_path / "out")
    assert (first.scene, first.scene_type, first.scene_type_source) == ("", "kitchen", "a list")
    assert (second.scene, second.scene_type, second.scene_type_source) == ("den_1", "den", "name")
    assert read_info(tmp_path / "out").sources["scene"] == "1 of 2 frames: a paper"


def test_the_notes_list_the_deviations_from_the_published_data(source, tmp_path):
    assert run(source, tmp_path / "out") == 0
    notes = json.loads((tmp_path / "out" / "dataset.json").read_text())["notes"]
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in notes)
    text = " ".join(notes)
    assert all(word in text for word in ("JPEG", "8 bits", "Normals are derived", "Boundaries are derived"))


def test_several_workers_write_the_same_data(source, tmp_path):
    assert run(source, tmp_path / "one") == 0
    assert run(source, tmp_path / "two", "--workers", "2") == 0
    assert read_info(tmp_path / "one") == read_info(tmp_path / "two")


def test_limit_takes_so_many_frames_of_each_split(source, tmp_path):
    text = (source / "INDEX.csv").read_text()
    (source / "INDEX.csv").write_text(text + text.splitlines()[-1].replace("nyuv2/0002,", "nyuv2/0003,") + "\n")
    assert run(source, tmp_path / "out", "--limit", "1") == 0
    assert [frame.name for frame in read_frames(tmp_path / "out")] == ["0001", "0002"]


def cut_image(folder: Path) -> None:
    path = folder / "rgb" / "0002.jpg"
    path.write_bytes(path.read_bytes()[:2000])


def cut_depth(folder: Path) -> None:
    path = folder / "depth8" / "0001.png"
    path.write_bytes(path.read_bytes()[:-30])


def paint(name: str, value: int):
    def change(folder: Path) -> None:
        path = folder / "label40" / f"{name}.png"
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        labels[211, 222] = value
        cv2.imwrite(str(path), labels)

    return change


def replace_in_index(old: str, new: str):
    def change(folder: Path) -> None:
        path = folder / "INDEX.csv"
        path.write_text(path.read_text().replace(old, new, 1))

    return change


def small_image(folder: Path) -> None:
    cv2.imwrite(str(folder / "rgb" / "0001.jpg"), np.zeros((240, 320, 3), np.uint8))


ERRORS = {
    "truncated image": (cut_image, "rgb/0002.jpg: truncated or damaged JPEG image"),
    "empty image": (
        lambda f: (f / "rgb" / "0001.jpg").write_bytes(b""),
        "rgb/0001.jpg: not a PNG or JPEG image, the file is empty",
    ),
    "truncated depth": (cut_depth, "depth8/0001.png: truncated, the PNG image ends after"),
    "not a picture": (
        lambda f: (f / "rgb" / "0001.jpg").write_bytes(b"\1\xff\xd9"),
        "0001.jpg: not a PNG or JPEG image",
    ),
    "other size": (small_image, "rgb/0001.jpg: found 240x320x3, expected 480x640x3"),
    "label 41": (paint("0001", 41), "0001.png: label 41 at row 211, column 222 (1 such pixels), allowed are 0 to"),
    "label 255 in test": (paint("0001", 255), "label40/0001.png: label 255 at row 211, column 222"),
    "label 77 in train": (paint("0002", 77), "label 77 at row 211, column 222 (1 such pixels), allowed are 0 to 40"),
    "old label 255": (paint("0002", 255), "0002.png: label 255 (1 pixels): an older copy, which cannot tell class 40"),
    "scene columns": (lambda f: (f / "scenes.csv").write_text("id\n0001\n"), "scenes.csv, line 2: no column 'scene'"),
    "missing image": (lambda f: (f / "rgb" / "0002.jpg").unlink(), "rgb/0002.jpg: the file is missing"),
    "missing labels": (lambda f: shutil.rmtree(f / "label40"), "0001.png: the file is missing (and 1 more file)"),
    "missing index": (lambda f: (f / "INDEX.csv").unlink(), "INDEX.csv: the file is missing"),
    "missing classes": (lambda f: (f / "classes.csv").unlink(), "classes.csv: the file is missing"),
    "missing folder": (shutil.rmtree, "no such folder; give the folder that holds INDEX.csv"),
    "missing column": (replace_in_index("depth_max_m", "depth"), "line 2: the column 'depth_max_m' is missing"),
    "wrong split": (replace_in_index(",test", ",val"), "INDEX.csv, line 2: split 'val', allowed are train and test"),
    "wrong depth": (replace_in_index("4.0", "nan"), "INDEX.csv, line 2: depth_max_m is nan"),
    "wrong intrinsics": (replace_in_index(INTRINSICS, "518 519"), "INDEX.csv, line 2: intrinsics are four numbers"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_input_error_is_one_line_and_exit_code_2(source, tmp_path, capsys, case):
    spoil, message = ERRORS[case]
    spoil(source)
    assert run(source, tmp_path / "out") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prepare_nyuv2:")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*.building"))


def test_an_error_in_a_worker_arrives_as_one_line(source, tmp_path, capsys):
    cut_image(source)
    assert run(source, tmp_path / "out", "--workers", "2") == 2
    error = capsys.readouterr().err
    assert "0002.jpg: truncated or damaged JPEG image" in error
    assert "Traceback" not in error


def test_an_existing_folder_is_not_overwritten_without_the_option(source, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(source, out) == 0
    before = read_info(out)
    paint("0001", 40)(source)
    assert run(source, out) == 2
    assert "the folder is not empty; give --overwrite" in capsys.readouterr().err
    assert read_info(out) == before
    assert run(source, out, "--overwrite") == 0
    assert read_info(out).fingerprint != before.fingerprint


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = (
        "import sys, runpy; sys.argv = ['prepare_nyuv2.py', '--help']\n"
        "try: runpy.run_path('tools/prepare_nyuv2.py', run_name='__main__')\n"
        "except SystemExit: print(sorted({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert time.perf_counter() - start < 10
