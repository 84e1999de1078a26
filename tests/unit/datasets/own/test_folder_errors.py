"""User data: faults of manifests and files, each named in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from user_folder import picture

from benchmark.boundaries.formats.content import DataError
from datasets.own.folder import FolderDataset
from datasets.own.manifest import read_manifest


def edit(root, **changes):
    path = root / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def task(**options):
    return {"tasks": {"semseg": {"classes": ["x", "y", "z", "w"], **options}}}


MANIFESTS = {
    "unknown key": ({"taks": {}}, "taks: not a known key. Did you mean 'tasks'?"),
    "no task": ({"tasks": {}}, "tasks: found {}, expected"),
    "unknown option": (task(clases=1), "tasks.semseg.clases: not a known key. Did you mean 'classes'?"),
    "own name": ({"tasks": {"material": {}}}, 'task "material": say which task it is "like": semseg, depth'),
    "no classes": ({"tasks": {"semseg": {}}}, '"classes" must list the names of 2 to 254 classes, found 0'),
    "scale of classes": (task(scale=2), '"scale" has no meaning for labels like semseg'),
    "taken name": ({"tasks": {"images": {"like": "depth"}}}, 'the name "images" is taken'),
    "path": (task(folder="../x"), "tasks.semseg.folder: found '../x', expected"),
    "text for number": (task(first="1"), "tasks.semseg.first: found '1', expected"),
    "huge number": (task(first=1e30), "tasks.semseg.first: found 1e+30, expected"),
    "huge integer": (task(first=10**30), "tasks.semseg.first: found 1000000000000000000000000000000, expected"),
    "NaN weight": (task(loss_weight=float("nan")), "manifest.json: not readable as JSON"),
    "negative weight": (task(loss_weight=-1), "tasks.semseg.loss_weight: found -1, expected"),
    "zero scale": ({"tasks": {"depth": {"scale": 0}}}, "tasks.depth.scale: found 0, expected"),
    "mirrored sign": ({"tasks": {"normals": {"signs": [1, 2, 1]}}}, "tasks.normals.signs.1: found 2, expected"),
    "class and no label": (task(ignore=2), '2 is the number of a class and in "ignore"'),
    "values and first": (task(values=[1, 2, 3, 4], first=1), 'give "first" or "values", not both'),
    "too few values": (task(values=[0, 255]), '"values" must list 4 different numbers'),
    "no test split": ({"splits": {"train": ["a"]}}, '"splits" has no test'),
    "empty split": ({"splits": {"train": [], "test": ["a"]}}, "the train split is empty"),
    "leak": ({"splits": {"train": ["a", "b"], "test": ["b"]}}, "frame 'b' is in both splits"),
    "twice": ({"splits": {"train": ["a", "a"], "test": ["b"]}}, "the train split lists 'a' twice"),
    "no list": ({"splits": {"train": "nowhere.txt", "test": ["b"]}}, "nowhere.txt, which cannot be read"),
    "list outside": (
        {"splits": {"train": "../../etc/passwd", "test": ["b"]}},
        "in ../../etc/passwd, outside the folder",
    ),
    "list by absolute path": ({"splits": {"train": "/etc/passwd", "test": ["b"]}}, "/etc/passwd, outside the folder"),
    "camera": ({"intrinsics": [1, 2]}, "intrinsics.2: missing"),
    "camera without focal length": ({"intrinsics": [0, 10, 4, 3]}, "intrinsics.0: found 0, expected"),
    "NaN camera": ({"intrinsics": [float("nan"), 10, 4, 3]}, "manifest.json: not readable as JSON"),
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


def test_a_missing_manifest_and_invalid_json_have_different_messages(tmp_path):
    with pytest.raises(DataError, match="there is no manifest"):
        FolderDataset.ensure(tmp_path)
    (tmp_path / "manifest.json").write_text('{"tasks":\n {,}')
    with pytest.raises(DataError, match=r"manifest\.json: not readable as JSON: .* line 2"):
        FolderDataset.ensure(tmp_path)


FILES = {
    "label 4": (
        "semseg/a.png",
        picture(np.full((48, 64), 4)),
        "a.png: label 4 at row 0, column 0 (3072 such pixels), allowed are 0 to 3 and 255 (no label)",
    ),
    "other size": (
        "semseg/a.png",
        picture(np.zeros((64, 48))),
        "found 64x48, the image has 48x64; the axes are swapped",
    ),
    "colours": ("semseg/a.png", picture(np.arange(48 * 64 * 3).reshape(48, 64, 3) % 250), "a colour picture"),
    "truncated": ("semseg/a.png", picture(np.zeros((48, 64)))[:60], "truncated"),
    "truncated image": ("images/a.png", picture(np.zeros((48, 64, 3)))[:60], "truncated"),
    "no unit": ("depth/b.png", picture(np.ones((48, 64))), '8-bit values in an unknown unit; give "sca'),
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


def test_files_required_by_splits_and_tasks_must_exist(example):
    (example / "images" / "c.png").unlink()
    with pytest.raises(DataError, match="images: no image of frame 'c'; the splits list it"):
        FolderDataset.ensure(example)
    edit(example, splits={"train": ["b"], "test": ["a"]})
    (example / "semseg" / "c.png").unlink()
    with pytest.raises(DataError, match="there is no image of that name"):
        FolderDataset.ensure(example)
