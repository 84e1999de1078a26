"""A user's own data: file formats, faults of files and manifests, and when the data are prepared again."""

from __future__ import annotations

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.training.recipe_files import load_recipe
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


def test_no_manifest_and_no_json_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="there is no manifest"):
        FolderDataset.ensure(tmp_path)
    (tmp_path / "manifest.json").write_text('{"tasks":\n {,}')
    with pytest.raises(DataError, match=r"manifest\.json: not readable as JSON: .* line 2"):
        FolderDataset.ensure(tmp_path)


def picture(values):
    return encode_png(np.asarray(values, np.uint8), 6)


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


def test_what_the_splits_or_the_tasks_need_must_be_there(example):
    (example / "images" / "c.png").unlink()
    with pytest.raises(DataError, match="images: no image of frame 'c'; the splits list it"):
        FolderDataset.ensure(example)
    edit(example, splits={"train": ["b"], "test": ["a"]})
    (example / "semseg" / "c.png").unlink()
    with pytest.raises(DataError, match="there is no image of that name"):
        FolderDataset.ensure(example)


def test_the_largest_16_bit_code_is_no_depth(tmp_path):
    depth = np.full(SIZE, 1500, np.uint16)
    depth[0, :2] = 65535
    root = write(tmp_path / "r", {"depth": {}}, {"depth/a.png": depth, "depth/b.npy": depth})
    for split in ("train", "test"):
        assert target(root, "depth", split)[0, 0, :3].tolist() == [0, 0, pytest.approx(1.5, rel=1e-6)]


@pytest.mark.parametrize(
    ("options", "depth", "message"),
    [
        ({}, np.full(SIZE, 2500.0), "float64, read in metres, has a median of 2500 m"),
        ({"scale": 0.001}, np.full(SIZE, 2.5), "read with a scale of 0.001 m per unit, has a median of 0.0025 m"),
        ({"scale": 1}, np.full(SIZE, 2500, np.uint16), "uint16, read with a scale of 1 m per unit"),
    ],
)
def test_depth_in_another_unit_is_refused(tmp_path, options, depth, message):
    root = write(tmp_path / "r", {"depth": options}, {"depth/a.npy": depth})
    with pytest.raises(DataError) as caught:
        FolderDataset.ensure(root)
    assert message in str(caught.value)
    assert '"scale" in the manifest is the metres per unit' in str(caught.value)


def test_a_mask_of_0_and_255_is_two_classes_only_if_the_manifest_says_so(tmp_path):
    drawn = np.zeros(SIZE, np.uint8)
    drawn[2] = 255
    tasks, files = {"semseg": {"classes": ["background", "object"]}}, {"semseg/a.png": drawn}
    with pytest.raises(DataError, match=r'write "values": \[0, 255\] .*; if it means no label, write "ignore": 255'):
        FolderDataset.ensure(write(tmp_path / "unclear", tasks, files))
    tasks["semseg"]["values"] = [0, 255]
    assert target(write(tmp_path / "classes", tasks, files), "semseg")[1:3, 0].tolist() == [0, 1]
    tasks["semseg"] = {"classes": ["background", "object"], "ignore": 255}
    assert target(write(tmp_path / "ignored", tasks, files), "semseg")[1:3, 0].tolist() == [0, 255]


def test_a_one_bit_label_map_has_two_classes(tmp_path):
    drawn = np.zeros(SIZE, bool)
    drawn[2] = True
    root = write(tmp_path / "r", {"semseg": {"classes": ["background", "object"]}}, {})
    (root / "semseg").mkdir()
    Image.fromarray(drawn).save(root / "semseg" / "a.png")
    assert target(root, "semseg")[1:3, 0].tolist() == [0, 1]


def test_an_image_is_turned_as_its_exif_orientation_says(tmp_path):
    """The label is drawn on the image as viewers show it: its marked corner is the bright one."""
    shown = np.zeros((*SIZE, 3), np.uint8)
    shown[:3, :4] = 200
    root = write(tmp_path / "r", {"semseg": {"classes": ["x", "y"]}}, {"semseg/a.png": (shown[..., 0] > 0) * 1})
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(shown[::-1, ::-1].copy()).save(root / "images" / "a.png", exif=exif)
    item = FolderDataset(root, "train")[0]
    bright = item["images"][0] > item["images"][0].mean()
    assert torch.equal(bright, item["targets"]["semseg"] == 1)


def test_lists_and_names_are_read_as_editors_and_systems_write_them(tmp_path):
    """Byte-order mark, CRLF, endings, comments, decomposed letters, capitals in endings, files of systems."""
    tasks, files = {"semseg": {"classes": ["x", "y"]}}, {}
    root = write(tmp_path / "r", tasks, files, splits={"train": "train.txt", "test": "test.txt"})
    (root / "semseg").mkdir()
    (root / "images" / "a.png").rename(root / "images" / "Ku\u0308che.PNG")
    (root / "semseg" / "Ku\u0308che.jpg.png").write_bytes(picture(np.ones(SIZE)))
    for folder in ("images", "semseg"):
        for name in ("._b.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
            (root / folder / name).write_bytes(b"x")
    (root / "train.txt").write_bytes("\ufeff# list\r\nK\u00fcche.jpg \r\n\r\n".encode())
    (root / "test.txt").write_bytes("b\r\n".encode("utf-16"))
    (root / "manifest.json").write_bytes(b"\xef\xbb\xbf" + (root / "manifest.json").read_bytes())
    assert FolderDataset(root, "train")[0]["name"] == "K\u00fcche"
    assert (target(root, "semseg") == 1).all()
    assert FolderDataset(root, "test")[0]["name"] == "b"


def test_a_deeply_nested_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"manifest\.json: not readable as JSON"):
        FolderDataset.ensure(tmp_path)


def test_findings_about_the_data_are_stored_and_printed_once(tmp_path, capsys):
    """The boundary map is inverted, and the class y never occurs."""
    tasks = {"boundary": {}, "semseg": {"classes": ["x", "y"]}}
    drawn = np.full(SIZE, 255, np.uint8)
    drawn[2] = 0
    files = {"boundary/a.png": drawn, "boundary/b.png": drawn, "semseg/a.png": np.zeros(SIZE, np.uint8)}
    root = write(tmp_path / "r", tasks, files)
    findings = FolderDataset(root, "train").info.findings
    assert any("are 0 and 255 exchanged?" in finding for finding in findings)
    assert any("never labelled: class 2 (y)" in finding for finding in findings)
    assert read_info(root / "prepared").findings == findings
    assert all(finding in capsys.readouterr().err for finding in findings[:1])
    FolderDataset(root, "test")
    assert "exchanged" not in capsys.readouterr().err


def test_a_read_only_folder_is_prepared_below_the_folder_for_caches(example, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("datasets.own.folder.exclusive", refuse)
    with pytest.raises(DataError, match=r"cannot be written \(Permission denied\); set MTL_CACHE to a folder"):
        FolderDataset.ensure(example)
    monkeypatch.undo()
    monkeypatch.setenv("MTL_CACHE", str(tmp_path / "elsewhere"))
    data = FolderDataset(example, "train", cache=True)
    assert data.root.is_relative_to(tmp_path / "elsewhere")
    assert data[0]["images"].shape == (3, 48, 64)
    assert not (example / "prepared").exists()


def test_frames_are_read_without_a_cache_where_it_cannot_be_written(example, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(30, "Read-only file system")

    cached = FolderDataset(example, "train", cache=True)[0]["images"]
    shutil.rmtree(example / "prepared" / "cache")
    monkeypatch.setattr("datasets.loading.cache.ensure_cache", refuse)
    with pytest.warns(UserWarning, match=r"no cache, .*\(Read-only file system\); set MTL_CACHE to a folder"):
        data = FolderDataset(example, "train", cache=True)
    assert torch.equal(data[0]["images"], cached)


def test_data_that_a_killed_process_was_replacing_are_restored(example):
    FolderDataset.ensure(example)
    (example / "prepared").rename(example / ".prepared.old")
    (example / ".prepared.building").mkdir()
    stamp = (example / ".prepared.old" / "dataset.json").stat().st_mtime_ns
    FolderDataset.ensure(example)
    assert (example / "prepared" / "dataset.json").stat().st_mtime_ns == stamp
    assert not list(example.glob(".prepared.[bo]*"))
