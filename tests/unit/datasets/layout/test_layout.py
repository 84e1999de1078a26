"""The canonical layout: writing and reading, the fingerprint, errors that name the wrong file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark.boundaries.formats.content import DataError
from datasets.layout.frame_files import encode_png, read_modality, read_npy
from datasets.layout.layout import CanonicalWriter, FrameRecord, content_fingerprint, read_frames, read_info
from datasets.layout.manifest_tables import frames_text

SIZE = (12, 16)


def read(root: Path, modality: str, name: str = "0001"):
    return read_modality(root, modality, name, SIZE, 40)


def test_written_arrays_are_read_back_unchanged(tmp_path, write_tiny):
    kept = {}
    root = write_tiny(tmp_path / "tiny", kept.update)
    for modality, array in kept.items():
        np.testing.assert_array_equal(read(root, modality), array, err_msg=modality)


def test_images_are_rgb_pngs_for_any_reader(tiny):
    """OpenCV reads blue first; the stored file has red first like every PNG."""
    blue_first = cv2.imread(str(tiny / "images" / "0001.png"))
    np.testing.assert_array_equal(blue_first[..., ::-1], read(tiny, "images"))


def test_info_and_frames_are_read_back(tiny):
    info, frames = read_info(tiny), read_frames(tiny)
    assert info.size == SIZE
    assert dict(info.counts) == {"train": 3, "test": 2}
    assert len(info.classes) == 40
    assert info.id == f"tiny-40c-12x16-{info.fingerprint[:8]}"
    assert frames[0] == FrameRecord("0001", "train", (10.5, 11.5, 8.25, 6.75), "a room")
    assert frames[1].pose == tuple(np.eye(4).ravel())
    np.testing.assert_array_equal(frames[0].matrix(), [[10.5, 0, 8.25], [0, 11.5, 6.75], [0, 0, 1]])


def change_image(arrays):
    arrays["images"][3, 4, 1] ^= 1


def change_semseg(arrays):
    arrays["semseg"][3, 4] = (arrays["semseg"][3, 4] + 1) % 41


def change_depth(arrays):
    arrays["depth"][3, 4] += np.float32(0.001)


def change_normals(arrays):
    arrays["normals"][3, 4] = 0


def change_boundary(arrays):
    arrays["boundary"][3, 4] = 255 - min(int(arrays["boundary"][3, 4]), 127)


@pytest.mark.parametrize(
    "change", [change_image, change_semseg, change_depth, change_normals, change_boundary], ids=lambda f: f.__name__
)
def test_fingerprint_changes_with_one_pixel(tmp_path, write_tiny, change):
    one, other = write_tiny(tmp_path / "one"), write_tiny(tmp_path / "other", change)
    assert read_info(one).fingerprint != read_info(other).fingerprint


def test_fingerprint_depends_on_the_content_not_on_the_compression(tmp_path, write_tiny):
    one, other = write_tiny(tmp_path / "one"), write_tiny(tmp_path / "other")
    assert read_info(one) == read_info(other)
    path = other / "images" / "0001.png"
    path.write_bytes(encode_png(read(other, "images"), 9))
    info = read_info(other)
    assert content_fingerprint(other, info, read_frames(other)) == info.fingerprint


def test_content_fingerprint_sees_a_pixel_changed_on_disk(tiny):
    info = read_info(tiny)
    depth = read(tiny, "depth")
    depth[5, 5] += 1
    np.save(tiny / "depth" / "0001.npy", depth)
    assert content_fingerprint(tiny, info, read_frames(tiny)) != info.fingerprint


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def spoil_depth(root: Path) -> None:
    depth = read(root, "depth")
    depth[2, 7] = np.nan
    np.save(root / "depth" / "0001.npy", depth)


def spoil_label(root: Path) -> None:
    labels = read(root, "semseg")
    labels[4, 9] = 41
    (root / "semseg" / "0001.png").write_bytes(encode_png(labels, 1))


def spoil_normals(root: Path) -> None:
    normals = read(root, "normals")
    normals[6, 1, 2] = np.inf
    np.save(root / "normals" / "0001.npy", normals)


def spoil_boundary(root: Path) -> None:
    codes = read(root, "boundary")
    codes[8, 3] = 1
    (root / "boundary" / "0001.png").write_bytes(encode_png(codes, 1))


def other_size(root: Path) -> None:
    (root / "images" / "0001.png").write_bytes(encode_png(np.zeros((10, 16, 3), np.uint8), 0))


WRONG = {
    "truncated image": (lambda root: cut(root / "images" / "0001.png"), "images", "0001.png: truncated image"),
    "truncated array": (lambda root: cut(root / "depth" / "0001.npy"), "depth", "0001.npy: truncated"),
    "empty array": (lambda root: (root / "depth" / "0001.npy").write_bytes(b""), "depth", "0001.npy: truncated"),
    "no picture": (lambda root: (root / "semseg" / "0001.png").write_bytes(b"GIF8"), "semseg", "0001.png: truncated"),
    "missing file": (lambda root: (root / "normals" / "0001.npy").unlink(), "normals", "0001.npy: the file is missing"),
    "missing image": (lambda root: (root / "images" / "0001.png").unlink(), "images", "0001.png: the file is missing"),
    "label 41": (spoil_label, "semseg", r"0001.png: label 41 at row 4, column 9 \(1 such pixels\), allowed are 0"),
    "NaN depth": (spoil_depth, "depth", r"0001.npy: depth nan m at row 2, column 7 \(1 such pixels\)"),
    "infinite normal": (spoil_normals, "normals", "0001.npy: normal .*inf.* at row 6, column 1"),
    "boundary code 1": (spoil_boundary, "boundary", "0001.png: boundary code 1 at row 8, column 3"),
    "wrong shape": (other_size, "images", "0001.png: wrong shape or type, found 10x16x3 uint8, .* 12x16x3 uint8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_named_with_what_is_wrong(tiny, case):
    spoil, modality, message = WRONG[case]
    spoil(tiny)
    with pytest.raises(DataError, match=message) as caught:
        read(tiny, modality)
    assert str(tiny / modality) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=message):
        content_fingerprint(tiny, read_info(tiny), read_frames(tiny))


def test_a_flipped_bit_inside_an_image_is_noticed(tiny):
    path = tiny / "images" / "0001.png"
    data = bytearray(path.read_bytes())
    data[300] ^= 16
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a readable PNG"):
        read(tiny, "images")


def edit_info(root: Path, **changes) -> None:
    path = root / "dataset.json"
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in fields.items() if value != "absent"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 7}, "schema_version 7, this code reads 2"),
        ({"classes": "absent"}, "field 'classes' is missing"),
        ({"size": None}, "wrong kind"),
    ],
)
def test_a_wrong_dataset_json_is_explained(tiny, changes, message):
    edit_info(tiny, **changes)
    with pytest.raises(DataError, match=message):
        read_info(tiny)


def test_an_absent_data_set_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"nowhere/dataset\.json: no prepared data set here"):
        read_info(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",10.5,", ",ten,", "line 2: could not convert string to float: 'ten'"),
        ("name,split", "name,part", "line 2: no column 'split'"),
        (" 0.0 1.0\n", " 0.0\n", "line 3: a pose has 16 numbers, found 15"),
    ],
)
def test_a_wrong_line_of_frames_csv_is_named(tiny, old, new, message):
    path = tiny / "frames.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=re.escape(message)):
        read_frames(tiny)


def test_a_failed_preparation_leaves_the_old_data_set_and_nothing_else(tmp_path, write_tiny):
    root = write_tiny(tmp_path / "tiny")
    before = read_info(root)

    def fail(arrays):
        arrays["depth"][0, 0] = np.nan

    with pytest.raises(DataError, match="frame 0001, depth: depth nan m"):
        write_tiny(root, fail)
    assert read_info(root) == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_new_preparation_replaces_the_old_one_whole(tmp_path, write_tiny):
    root = write_tiny(tmp_path / "tiny")
    (root / "cache").mkdir()
    before = read_info(root)
    write_tiny(root, change_image)
    assert read_info(root) != before
    assert not (root / "cache").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_frame_without_one_of_the_modalities_is_refused(tmp_path):
    writer = CanonicalWriter(tmp_path / "x", name="x", size=SIZE, tasks=("depth",), classes=(), sources={})
    image = np.zeros((*SIZE, 3), np.uint8)
    with pytest.raises(ValueError, match=r"frame 'a': needs \['depth/a.npy', 'images/a.png'\]"), writer:
        writer.write(FrameRecord("a", "train", (1, 1, 0, 0)), {"images": image})


def test_damaged_tables_and_arrays_are_reported_in_one_line(tmp_path):
    """Damage for which numpy and csv raise other errors: an invalid header, a byte that is no text."""
    header = b"\x93NUMPY\x01\x00" + (10).to_bytes(2, "little") + b"{'descr': "
    (tmp_path / "broken.npy").write_bytes(header)
    with pytest.raises(DataError, match=r"broken\.npy: truncated or not a \.npy array"):
        read_npy(tmp_path / "broken.npy")
    (tmp_path / "frames.csv").write_bytes(b"name,split\n\xff\xfe,train\n")
    with pytest.raises(DataError, match=r"frames\.csv: not readable as a table"):
        read_frames(tmp_path)


def test_whole_numbers_in_the_intrinsics_do_not_change_the_text_when_they_are_read_back():
    record = FrameRecord("a", "train", (50, 50, 30, 20))
    assert frames_text([record]) == frames_text([FrameRecord("a", "train", (50.0, 50.0, 30.0, 20.0))])
