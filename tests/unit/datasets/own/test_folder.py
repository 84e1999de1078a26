"""A user's own data: the file formats that people have, what is missing or wrong, when it is prepared again."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
import torch

from benchmark.training.compose import load_recipe
from datasets.layout.frame_files import encode_png
from datasets.layout.layout import DataError, read_info
from datasets.own.folder import FolderDataset
from datasets.own.folder_example import CLASSES, MATERIALS, UNLABELLED_DEPTH, write_folder
from datasets.own.manifest import read_manifest

SIZE = (6, 8)


@pytest.fixture
def example(tmp_path):
    write_folder(tmp_path / "rooms")
    return tmp_path / "rooms"


def write(root, tasks, files, **more):
    """A folder of two frames with the given label files `{path: array}`."""
    root.mkdir()
    manifest = {"tasks": tasks, "splits": {"train": ["a"], "test": ["b"]}, **more}
    (root / "manifest.json").write_text(json.dumps(manifest))
    images = {f"images/{name}.png": np.zeros((*SIZE, 3), np.uint8) for name in "ab"}
    for path, array in {**images, **files}.items():
        (root / path).parent.mkdir(exist_ok=True)
        if path.endswith(".npy"):
            np.save(root / path, array)
        else:
            cv2.imwrite(str(root / path), array)
    return root


def target(root, name, split="train"):
    return FolderDataset(root, split).__getitem__(0)["targets"][name]


def test_every_task_of_the_manifest_is_offered_and_read(example):
    offered = FolderDataset.offered(example)
    data = FolderDataset(example, "train")
    assert (
        list(offered)
        == list(data.tasks)
        == ["semseg", "depth", "normals", "boundary", "human_parts", "saliency", "material"]
    )
    assert {name: task.channels for name, task in offered.items() if task.readout == "class"} == {
        "semseg": len(CLASSES),
        "human_parts": 5,
        "material": len(MATERIALS),
    }
    assert offered["material"].primary_metric == "mIoU"
    assert read_info(example / "prepared").id.startswith("rooms-48x64-")
    assert load_recipe("folder_lite", {"root": str(example)}).tasks.keys() == offered.keys()


def test_a_recipe_may_change_the_loss_of_an_own_task(example):
    recipe = load_recipe("folder_lite", {"tasks.material.loss_weight": 3.0, "root": str(example)})
    assert recipe.tasks.material == {"loss_weight": 3.0}


def test_a_frame_without_a_file_is_unlabelled_for_that_task_only(example):
    data = FolderDataset(example, "train")
    items = {data[index]["name"]: data[index]["targets"] for index in range(3)}
    assert not items[UNLABELLED_DEPTH]["depth"].any()
    assert items[UNLABELLED_DEPTH]["normals"].any()
    assert items["a"]["depth"].any()
    assert "depth 4" in " ".join(data.info.notes)


def test_class_numbers_start_where_the_manifest_says(tmp_path):
    numbers = np.array([[0, 1, 2, 9] * 2] * 6, np.uint8)
    tasks = {"semseg": {"classes": ["x", "y"], "first": 1, "ignore": [0, 9]}}
    root = write(tmp_path / "r", tasks, {"semseg/a.png": numbers})
    assert target(root, "semseg")[0, :4].tolist() == [255, 0, 1, 255]
    assert (target(root, "semseg", "test") == 255).all()


@pytest.mark.parametrize(
    ("options", "stored", "expected"),
    [
        ({}, ("png", np.array([0, 1500, 2000], np.uint16)), [0, 1.5, 2]),
        ({}, ("npy", np.array([0, 1.5, np.nan], np.float64)), [0, 1.5, 0]),
        ({"scale": 0.01}, ("npy", np.array([0, 150, np.inf], np.float32)), [0, 1.5, 0]),
        ({"scale": 0.1}, ("png", np.array([0, 15, 20], np.uint8)), [0, 1.5, 2]),
    ],
    ids=["millimetres", "metres", "centimetres", "8 bits"],
)
def test_depth_comes_in_metres_from_pictures_and_arrays(tmp_path, options, stored, expected):
    suffix, row = stored
    depth = np.resize(row, SIZE[1])[None].repeat(SIZE[0], 0)
    root = write(tmp_path / "r", {"depth": options}, {f"depth/a.{suffix}": depth})
    torch.testing.assert_close(target(root, "depth")[0, 0, :3], torch.tensor(expected, dtype=torch.float32))


def test_normals_come_from_arrays_and_8_bit_pictures_in_any_frame(tmp_path):
    vectors = np.zeros((*SIZE, 3), np.float32)
    vectors[..., 1], vectors[..., 2] = 0.6, 0.8
    vectors[0, 0] = 0
    codes = np.round((vectors + 1) / 2 * 255).astype(np.uint8)
    root = write(
        tmp_path / "r",
        {"normals": {"signs": [1, -1, 1]}},
        {"normals/a.npy": vectors, "normals/b.png": codes[..., ::-1]},
    )
    for split in ("train", "test"):
        found = target(root, "normals", split)
        assert not found[:, 0, 0].any()
        torch.testing.assert_close(found[:, 1, 1], torch.tensor([0, -0.6, 0.8]), atol=5e-3, rtol=0)


@pytest.mark.parametrize("whole", [1, 255])
def test_boundaries_and_masks_are_0_and_1_or_0_and_255(tmp_path, whole):
    drawn = np.zeros(SIZE, np.uint8)
    drawn[2], drawn[3] = whole, 9
    tasks = {"boundary": {"ignore": 9}, "saliency": {"ignore": 9}}
    root = write(tmp_path / "r", tasks, {"boundary/a.png": drawn, "saliency/a.png": drawn})
    for name in tasks:
        assert target(root, name)[0, 1:4, 0].tolist() == [0, 1, 255]


def test_frames_may_differ_in_size_and_images_may_be_grey_or_jpeg(tmp_path):
    root = write(tmp_path / "r", {"semseg": {"classes": ["x", "y"]}}, {"semseg/a.png": np.ones(SIZE, np.uint8)})
    (root / "images" / "b.png").unlink()
    cv2.imwrite(str(root / "images" / "b.jpeg"), np.full((9, 7, 3), 90, np.uint8))
    cv2.imwrite(str(root / "images" / "a.png"), np.full(SIZE, 90, np.uint8))
    assert FolderDataset(root, "test", size=(12, 10))[0]["images"].shape == (3, 12, 10)
    assert read_info(root / "prepared").size is None


def test_the_camera_is_taken_from_the_manifest_or_assumed(tmp_path):
    tasks, files = {"depth": {}}, {"depth/a.npy": np.ones(SIZE)}
    known = write(tmp_path / "known", tasks, files, intrinsics=[10, 11, 4, 3])
    assert FolderDataset(known, "train")[0]["intrinsics"].tolist() == [[10, 0, 4], [0, 11, 3], [0, 0, 1]]
    unknown = write(tmp_path / "unknown", tasks, files)
    assert FolderDataset(unknown, "train")[0]["intrinsics"].tolist() == [[8, 0, 4], [0, 8, 3], [0, 0, 1]]


def test_it_is_prepared_once_and_again_after_a_change(example):
    FolderDataset(example, "train")
    stamp = (example / "prepared" / "dataset.json").stat().st_mtime_ns
    first = FolderDataset(example, "test").info
    assert (example / "prepared" / "dataset.json").stat().st_mtime_ns == stamp
    path = example / "depth" / "a.npy"
    np.save(path, np.load(path) + 1)
    os.utime(path, (1, 1))
    second = FolderDataset(example, "train").info
    assert second.fingerprint != first.fingerprint
    (example / "train.txt").write_text("a\nb\n")
    assert FolderDataset(example, "train").info.counts["train"] == 2


def edit(root, **changes):
    path = root / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def task(**options):
    return {"tasks": {"semseg": {"classes": ["x", "y", "z", "w"], **options}}}


MANIFESTS = {
    "unknown key": ({"task": {}}, "the manifest has no \"task\". Did you mean 'tasks'?"),
    "no task": ({"tasks": {}}, '"tasks" names no task'),
    "unknown option": (task(clases=1), 'task "semseg" has no "clases". Did you mean \'classes\'?'),
    "own name": ({"tasks": {"material": {}}}, 'task "material": say which task it is "like": semseg, depth'),
    "no classes": ({"tasks": {"semseg": {}}}, '"classes" must list the names of 2 to 254 classes, found 0'),
    "scale of classes": (task(scale=2), '"scale" means nothing for labels like semseg'),
    "taken name": ({"tasks": {"images": {"like": "depth"}}}, 'the name "images" is taken'),
    "path": (task(folder="../x"), "is no name"),
    "text for number": (task(first="1"), '"first" of task "semseg" must be a number, found \'1\''),
    "no test split": ({"splits": {"train": ["a"]}}, '"splits" has no test'),
    "empty split": ({"splits": {"train": [], "test": ["a"]}}, "the train split is empty"),
    "leak": ({"splits": {"train": ["a", "b"], "test": ["b"]}}, "frame 'b' is in both splits"),
    "twice": ({"splits": {"train": ["a", "a"], "test": ["b"]}}, "the train split lists 'a' twice"),
    "no list": ({"splits": {"train": "nowhere.txt", "test": ["b"]}}, "nowhere.txt, which cannot be read"),
    "camera": ({"intrinsics": [1, 2]}, '"intrinsics" must be a list of 4 numbers'),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_wrong_manifest_is_explained_in_one_line(example, case):
    changes, message = MANIFESTS[case]
    edit(example, **changes)
    with pytest.raises(DataError) as caught:
        read_manifest(example)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(example / "manifest.json"))
    assert "\n" not in str(caught.value)


def test_no_manifest_and_no_json_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="there is no manifest"):
        FolderDataset.ensure(tmp_path)
    (tmp_path / "manifest.json").write_text('{"tasks":\n {,}')
    with pytest.raises(DataError, match=r"manifest\.json, line 2: not JSON"):
        FolderDataset.ensure(tmp_path)


def picture(values):
    return encode_png(np.asarray(values, np.uint8), 6)


FILES = {
    "label 4": (
        "semseg/a.png",
        picture(np.full((48, 64), 4)),
        "a.png: label 4 at row 0, column 0 (3072 such pixels), allowed are 0 to 3 and 255 (no label)",
    ),
    "other size": ("semseg/a.png", picture(np.zeros((64, 48))), "found 64x48, expected 48x64: the axes are swapped"),
    "colours": ("semseg/a.png", picture(np.arange(48 * 64 * 3).reshape(48, 64, 3) % 250), "a colour picture"),
    "truncated": ("semseg/a.png", picture(np.zeros((48, 64)))[:60], "truncated"),
    "truncated image": ("images/a.png", picture(np.zeros((48, 64, 3)))[:60], "truncated"),
    "no unit": ("depth/b.png", picture(np.ones((48, 64))), '8-bit values, of which nobody knows the unit; give "sca'),
    "two files": ("depth/a.png", picture(np.ones((48, 64))), "the frame has two files here"),
    "stray label": ("semseg/z.png", picture(np.zeros((48, 64))), "z.png: there is no image of that name"),
    "odd file": ("semseg/notes.doc", b"x", "files here end in .png, .npy"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_is_named_in_one_line(example, case):
    path, content, message = FILES[case]
    (example / path).write_bytes(content)
    with pytest.raises(DataError) as caught:
        FolderDataset.ensure(example)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (example / "prepared").exists()


def test_what_the_splits_or_the_tasks_need_must_be_there(example):
    (example / "images" / "c.png").unlink()
    with pytest.raises(DataError, match="images: no image of frame 'c'; the splits list it"):
        FolderDataset.ensure(example)
    edit(example, splits={"train": ["b"], "test": ["a"]})
    (example / "semseg" / "c.png").unlink()
    with pytest.raises(DataError, match="there is no image of that name"):
        FolderDataset.ensure(example)
