"""User data: file formats, values, and renewed preparation after changes."""

from __future__ import annotations

import os
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from user_folder import SIZE, picture, target, write

from benchmark.boundaries.formats.content import DataError
from benchmark.training.recipe_files import load_recipe
from datasets.layout.layout import read_info
from datasets.own.folder import FolderDataset
from datasets.own.folder_example import CLASSES, MATERIALS, UNLABELLED_DEPTH


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


def test_a_recipe_may_change_the_loss_of_a_user_task(example):
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


def test_an_image_is_rotated_by_its_exif_orientation(tmp_path):
    """The label is aligned with the rotated image: the marked corner is the bright corner."""
    upright = np.zeros((*SIZE, 3), np.uint8)
    upright[:3, :4] = 200
    root = write(tmp_path / "r", {"semseg": {"classes": ["x", "y"]}}, {"semseg/a.png": (upright[..., 0] > 0) * 1})
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(upright[::-1, ::-1].copy()).save(root / "images" / "a.png", exif=exif)
    item = FolderDataset(root, "train")[0]
    bright = item["images"][0] > item["images"][0].mean()
    assert torch.equal(bright, item["targets"]["semseg"] == 1)


def test_lists_and_names_are_read_as_editors_and_systems_write_them(tmp_path):
    """Byte-order mark, CRLF, endings, comments, decomposed letters, capitals in endings, system files."""
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
    for leftover in (".prepared.building", ".prepared.unpacking"):
        (example / leftover).mkdir()
    stamp = (example / ".prepared.old" / "dataset.json").stat().st_mtime_ns
    FolderDataset.ensure(example)
    assert (example / "prepared" / "dataset.json").stat().st_mtime_ns == stamp
    assert not list(example.glob(".prepared.[bou]*"))
