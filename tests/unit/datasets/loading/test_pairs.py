"""Pairs of posed views: choice of frames, pose after augmentation, and pairs joined with a labelled split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from benchmark.records.result import RunSpec
from benchmark.training.builders import build_split
from benchmark.training.compose import check_spec, compose
from benchmark.training.recipe_keys import ConfigError
from datasets.loading.pairs import PosedPairs, join_pairs, partners, relative_pose

TASKS = ("semseg", "depth", "normals", "boundary")


def rooms(data: Path, **options: Any) -> Any:
    """The training split of the small rooms."""
    return build_split("synthetic", str(data / "synthetic"), "train", TASKS, seed=0, **options)


def reprojected_depths(item: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Depth of the second view, predicted from the first view and the pose, and labelled, where both are valid.

    Reprojection of pixel centres by numpy, independent of the code of the data set.
    """
    depth, other = item["targets"]["depth"][0].numpy().astype(float), item["second_view"]
    height, width = depth.shape
    rows, columns = np.mgrid[:height, :width] + 0.5
    pixels = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    rays = np.linalg.inv(item["intrinsics"].numpy().astype(float)) @ pixels
    pose = other["pose"].numpy().astype(float)
    points = pose[:3, :3] @ (rays * depth.ravel()) + pose[:3, 3:]
    pixels = other["intrinsics"].numpy().astype(float) @ points
    x, y = (np.floor(pixels[axis] / pixels[2]).astype(int) for axis in (0, 1))
    inside = (points[2] > 0.1) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = other["targets"]["depth"][0].numpy().astype(float)[y[inside], x[inside]]
    return points[2][inside], seen


@pytest.mark.parametrize("augmentation", [None, {"zoom": (1.3, 1.5)}, {"flip": 1.0}, {"zoom": (1.0, 1.5), "flip": 0.5}])
def test_depth_of_one_view_predicts_the_other_through_zoom_and_flip(
    small_rooms: Path, augmentation: dict[str, Any] | None
) -> None:
    """Both cameras see most points of a room, at the depth predicted by the pose."""
    pairs = PosedPairs(rooms(small_rooms, size=(96, 128), augmentation=augmentation))
    errors = []
    for position in range(min(6, len(pairs))):
        foretold, seen = reprojected_depths(pairs[position])
        errors.append(np.median(np.abs(foretold - seen) / seen))
    assert np.median(errors) < 0.02


def test_the_inverse_pose_predicts_wrong_depths(small_rooms: Path) -> None:
    """Negative control of the test above."""
    item = PosedPairs(rooms(small_rooms, size=(96, 128)))[0]
    item["second_view"]["pose"] = torch.linalg.inv(item["second_view"]["pose"])
    foretold, seen = reprojected_depths(item)
    assert np.median(np.abs(foretold - seen) / seen) > 0.05


def test_partners_are_the_nearest_of_the_same_room(small_rooms: Path) -> None:
    data = rooms(small_rooms)
    found = partners(data, gap=1)
    assert found
    for index, others in found.items():
        assert 1 <= len(others) <= 2
        for other in others:
            assert other != index
            assert data.frames[other].scene == data.frames[index].scene
            assert index in found[other]


def test_relative_poses_by_hand() -> None:
    """The second camera is 2 m to the right: a point straight ahead is 2 m to its left; flipped, to its right."""
    first, second = np.eye(4), np.eye(4)
    second[0, 3] = 2.0
    mirror = np.diag([-1.0, 1.0, 1.0])
    assert relative_pose(first, second, np.eye(3), np.eye(3))[:3, 3].tolist() == [-2.0, 0.0, 0.0]
    assert relative_pose(first, second, mirror, mirror)[:3, 3].tolist() == [2.0, 0.0, 0.0]
    assert relative_pose(first, second, np.eye(3), mirror)[:3, 3].tolist() == [2.0, 0.0, 0.0]
    assert relative_pose(first, second, mirror, np.eye(3))[:3, 3].tolist() == [-2.0, 0.0, 0.0]
    assert relative_pose(first, second, np.eye(3) / 4, np.eye(3) / 4)[:3, 3].tolist() == [-0.5, 0.0, 0.0]


def test_a_joined_split_holds_labelled_frames_and_pairs_in_one_batch(small_rooms: Path) -> None:
    """Pairs without semseg: it is missing there, in both views; a labelled frame has no second view."""
    labelled = rooms(small_rooms, size=(48, 64))
    views = build_split("synthetic", str(small_rooms / "synthetic"), "train", ("depth",), seed=0, size=(48, 64))
    joined = join_pairs(labelled, views, TASKS)
    assert len(joined) == len(labelled) + len(PosedPairs(views))
    batch = default_collate([joined[0], joined[len(joined) - 1]])
    assert batch["second_view"]["has_second_view"].tolist() == [False, True]
    assert set(batch["targets"]) == set(batch["second_view"]["targets"]) == set(TASKS)
    assert (batch["targets"]["semseg"][1] == 255).all()
    assert (batch["second_view"]["targets"]["normals"][1] == 0).all()
    assert (batch["targets"]["boundary"][1] == 255).all()
    assert (batch["targets"]["depth"][1] > 0).any()
    assert torch.equal(batch["targets"]["semseg"][0], labelled[0]["targets"]["semseg"])
    assert batch["index"].tolist() == [0, len(joined) - 1]


@pytest.mark.parametrize(("named", "labelled"), [(("depth",), {"depth"}), (None, set(TASKS))])
def test_pairs_have_the_labels_of_the_named_tasks_or_of_all(
    small_rooms: Path, named: tuple[str, ...] | None, labelled: set[str]
) -> None:
    pairs = {"name": "synthetic", "root": str(small_rooms / "synthetic"), "gap": 1, "tasks": named}
    joined = rooms(small_rooms, size=(48, 64), pairs=pairs)
    targets = joined[len(joined) - 1]["targets"]
    missing = {"semseg": 255, "depth": 0, "normals": 0, "boundary": 255}
    assert {name for name, target in targets.items() if (target != missing[name]).any()} == labelled


def test_positions_beyond_the_first_epoch_draw_anew_and_repeat_exactly(small_rooms: Path) -> None:
    views = rooms(small_rooms, size=(48, 64), augmentation={"zoom": (1.0, 1.5), "flip": 0.5})
    joined = join_pairs(views, views, TASKS, gap=3)
    for position in (0, len(joined) - 1):
        first, again, later = joined[position], joined[position], joined[position + len(joined)]
        assert torch.equal(first["images"], again["images"])
        assert torch.equal(first["second_view"]["pose"], again["second_view"]["pose"])
        assert later["name"] == first["name"]
        assert not torch.equal(first["images"], later["images"])


def test_impossible_pairs_are_refused(small_rooms: Path) -> None:
    with pytest.raises(ValueError, match="gap must be 1 or more, found 0"):
        PosedPairs(rooms(small_rooms), gap=0)
    crop = {"scale": (0.5, 2.0), "crop": (48, 64), "cat_max_ratio": 0.75}
    with pytest.raises(ValueError, match="cat_max_ratio"):
        PosedPairs(rooms(small_rooms, augmentation=crop))
    alone = rooms(small_rooms)
    alone.chosen = [0]
    with pytest.raises(ValueError, match="no two frames"):
        PosedPairs(alone)


def spec(pairs: object) -> RunSpec:
    overrides = {"train_dataloader.dataset.pairs": pairs}
    return RunSpec("smoke", "hard_sharing", "three_d_aware_multiview", "resnet18", ("depth",), 0, overrides)


def test_views_named_in_a_recipe_join_the_training_split_only(tmp_path: Path) -> None:
    config = compose(spec({"name": "synthetic", "root": "other_rooms", "gap": 2}), tmp_path)
    assert config.train_dataloader.dataset.pairs.root.endswith("other_rooms")
    assert config.train_dataloader.dataset.pairs.gap == 2
    assert "pairs" not in config.test_dataloader.dataset
    assert "pairs" not in compose(spec(None), tmp_path).train_dataloader.dataset


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("synthetics", "Did you mean 'synthetic'"),
        ({"root": "x"}, "name, root and gap"),
        ({"name": "synthetic", "gab": 2}, "gab"),
    ],
)
def test_invalid_pairs_in_a_recipe_are_refused(pairs: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_spec(spec(pairs))
