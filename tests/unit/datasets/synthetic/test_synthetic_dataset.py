"""The rendered data set on disk: deterministic, split by room, rendered once, and read by the common class."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark.boundaries.formats.content import DataError
from benchmark.registry import DATASETS
from benchmark.visualization.nyu40 import NAMES_40
from datasets.layout.frame_files import read_modality
from datasets.layout.layout import content_fingerprint, read_frames, read_info
from datasets.synthetic import __main__ as command
from datasets.synthetic import generate
from datasets.synthetic.dataset import Synthetic
from datasets.synthetic.generate import RoomPlan, problem_with
from datasets.synthetic.render import render_room


@pytest.fixture
def copied(small_root: Path, tmp_path: Path) -> Path:
    """A writable copy of the small data set."""
    return Path(shutil.copytree(small_root, tmp_path / "synthetic"))


@pytest.fixture
def remade(monkeypatch: pytest.MonkeyPatch, small_root: Path) -> list[Path]:
    """Replace rendering by a copy, and list the rendered folders."""
    places: list[Path] = []

    def copy(root: Path, *_: object) -> object:
        places.append(root)
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(small_root, root)
        return read_info(root)

    monkeypatch.setattr(generate, "generate", copy)
    return places


def test_two_processes_write_the_same_data_as_one(small_root, tmp_path, small_plan):
    generate.generate(tmp_path / "twice", small_plan, workers=2)
    assert read_info(tmp_path / "twice").fingerprint == read_info(small_root).fingerprint


def test_fingerprint_matches_the_files(small_root):
    info = read_info(small_root)
    assert content_fingerprint(small_root, info, read_frames(small_root)) == info.fingerprint


def test_another_seed_gives_other_rooms(small_root, small_plan):
    other = render_room((generate.GENERATOR_VERSION, 6, 0), 0, small_plan.size)[0]
    stored = cv2.imread(str(small_root / "images" / "train-0000-0.png"))[..., ::-1]
    assert np.abs(other.image.astype(int) - stored).mean() > 10


def test_a_room_does_not_depend_on_how_many_there_are(small_root, small_plan):
    """Room 2 of the train split, rendered alone, is the one in the data set of three."""
    alone = render_room((generate.GENERATOR_VERSION, small_plan.seed, 0), 2, small_plan.size)[1]
    read = {name: read_modality(small_root, name, "train-0002-1", small_plan.size, 40) for name in generate.TASKS}
    np.testing.assert_array_equal(read["semseg"], alone.semseg)
    np.testing.assert_array_equal(read["depth"], alone.depth)
    np.testing.assert_array_equal(read["normals"], alone.normals.astype(np.float16))
    np.testing.assert_array_equal(read["boundary"] == 255, alone.boundary)


def test_no_room_is_in_both_splits(small_root):
    frames = read_frames(small_root)
    scenes = {split: {frame.scene for frame in frames if frame.split == split} for split in ("train", "test")}
    assert not scenes["train"] & scenes["test"]
    assert {split: len(names) for split, names in scenes.items()} == {"train": 3, "test": 1}
    images = [cv2.imread(str(small_root / "images" / f"{frame.name}.png")).tobytes() for frame in frames]
    assert len(set(images)) == len(images)


def test_every_frame_has_a_pose_and_intrinsics(small_root):
    for frame in read_frames(small_root):
        pose = np.array(frame.pose).reshape(4, 4)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
        assert pose[3].tolist() == [0, 0, 0, 1]
        assert frame.intrinsics[0] == pytest.approx(0.81 * 64, rel=0.07)


def test_items_have_the_common_format(small_root):
    """Values and shapes as in `benchmark.tasks`; every pixel is labelled."""
    data = Synthetic(small_root, "train")
    item = data[0]
    assert (item["name"], item["index"]) == ("train-0000-0", 0)
    assert item["images"].shape == (3, 48, 64)
    assert item["targets"]["semseg"].max() < 40
    assert item["targets"]["depth"].min() > 0
    assert set(item["targets"]["boundary"].unique().tolist()) == {0.0, 1.0}
    assert data.info.classes == NAMES_40
    for name, task in data.tasks.items():
        assert task.valid(item["targets"][name][None]).all(), name
    assert "synthetic" in DATASETS.names()


def test_ensure_renders_once(copied, remade):
    before = os.stat(copied / "dataset.json").st_mtime_ns
    Synthetic.ensure(copied)
    assert not remade
    assert os.stat(copied / "dataset.json").st_mtime_ns == before


def test_ensure_renders_a_missing_data_set(tmp_path, remade):
    Synthetic.ensure(tmp_path / "data" / "synthetic")
    assert remade == [tmp_path / "data" / "synthetic"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda root: (root / "depth" / "train-0001-0.npy").unlink(), "train-0001-0.npy is missing"),
        (lambda root: (root / "images" / "train-0001-0.png").write_bytes(b""), "train-0001-0.png is missing"),
        (lambda root: shutil.rmtree(root / "normals"), "normals/test-0000-0.npy is missing"),
        (lambda root: (root / "dataset.json").write_text('{"id": "synth'), "not a JSON file"),
        (lambda root: (root / "dataset.json").unlink(), "no data set found"),
        (lambda root: (root / "frames.csv").unlink(), "frames.csv"),
        (lambda root: (root / "checksums.csv").write_text("path,sha256\n"), "do not agree"),
        (
            lambda root: (root / "frames.csv").write_text((root / "frames.csv").read_text().replace("test-", "tset-")),
            "do not agree",
        ),
    ],
)
def test_damaged_data_are_detected_and_rendered_again(copied, remade, damage, reason, capsys):
    damage(copied)
    assert reason in str(problem_with(copied))
    Synthetic.ensure(copied)
    assert remade == [copied]
    assert "rendered again" in capsys.readouterr().err
    assert problem_with(copied) is None


def test_data_of_another_generator_version_are_rendered_again(copied, remade, monkeypatch):
    monkeypatch.setattr(generate, "GENERATOR_VERSION", generate.GENERATOR_VERSION + 1)
    assert "another version" in str(problem_with(copied))
    Synthetic.ensure(copied)
    assert remade == [copied]


def test_a_truncated_file_is_named_in_one_line(copied):
    path = copied / "depth" / "train-0000-0.npy"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"train-0000-0\.npy") as caught:
        Synthetic(copied, "train")[0]
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_never_replaced(tmp_path, small_plan):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="not a synthetic data set"):
        generate.generate(tmp_path, small_plan, workers=1)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_another_data_set_is_never_replaced(copied):
    info = json.loads((copied / "dataset.json").read_text())
    (copied / "dataset.json").write_text(json.dumps({**info, "id": "nyuv2-40c-425x560-00000000"}))
    with pytest.raises(DataError, match="not a synthetic data set"):
        Synthetic.ensure(copied)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, small_plan):
    monkeypatch.setattr(generate, "render_room", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate.generate(tmp_path / "synthetic", small_plan, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"train_rooms": 0}, "each split needs a room"),
        ({"size": (16, 64)}, "at least 32x32"),
        ({"seed": -1}, "must not be negative"),
    ],
)
def test_impossible_plans_are_refused(plan, message):
    with pytest.raises(ValueError, match=message):
        RoomPlan(**plan)


def test_command_line_renders_and_draws_a_contact_sheet(tmp_path, capsys):
    """Two rooms at 32x48; the sheet has five panels of 48 + 3 columns, twice enlarged."""
    root, sheet = tmp_path / "rooms", tmp_path / "sheet.png"
    arguments = ["--out", str(root), "--rooms", "2", "--seed", "9", "--size", "32x48", "--workers", "1"]
    assert command.main([*arguments, "--preview", str(sheet)]) == 0
    info = read_info(root)
    assert capsys.readouterr().out.startswith(info.id)
    assert info.size == (32, 48)
    assert len({frame.scene for frame in read_frames(root)}) == 2
    frames = min(12, sum(info.counts.values()))
    assert cv2.imread(str(sheet)).shape == (2 * frames * 35, 2 * 5 * 51, 3)


def test_command_line_answers_a_mistake_in_one_line(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert command.main(["--out", str(tmp_path), "--rooms", "2"]) == 1
    assert command.main(["--out", str(tmp_path / "rooms"), "--rooms", "1"]) == 1
    errors = capsys.readouterr().err.strip().split("\n")
    assert [line.split(":")[0] for line in errors] == ["error", "error"]
