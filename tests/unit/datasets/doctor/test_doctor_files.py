"""Damage to the files of a frame: one line with the first wrong file and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.doctor.examination import examine, spread
from datasets.doctor.report import Report
from datasets.layout.frame_files import encode_png
from datasets.layout.layout import FrameRecord


def doctor(root: Path, sample: int | None = None) -> Report:
    """Examine a data set in this process."""

    def track(frames: Iterator[Any], total: int) -> Iterator[Any]:
        yield from frames

    return examine(root, sample=sample, workers=1, track=track)


def only_problem(root: Path) -> str:
    """The line of the only problem; every finding is one line with a remedy."""
    report = doctor(root)
    assert len(report.problems) == 1, report.text()
    line = report.problems[0].line()
    assert "\n" not in line
    assert line in report.text()
    assert ";" in line, "what to do is missing"
    return line


def test_a_sound_data_set_is_ok(good):
    report = doctor(good)
    assert report.problems == [], report.text()
    assert report.counts == {"train": 4, "test": 2}
    assert report.text().splitlines()[-1] == "ok: no problem found, 1 warning"
    (note,) = report.findings
    assert "never labelled: class 10 (class 10)" in note.line()


def change_file(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Load an array, change it and store it under the same name, as in a manual repair."""
    np.save(path, change(np.load(path)))


@pytest.mark.parametrize("modality", ["images", "semseg", "boundary"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_truncated_picture_is_named(good, modality, share):
    path = good / modality / "0003.png"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert f"problem: {path}: truncated image" in only_problem(good)


@pytest.mark.parametrize("modality", ["depth", "normals"])
@pytest.mark.parametrize("left", [0, 4, 60, 130, 1000])
def test_a_truncated_array_is_named(good, modality, left):
    path = good / modality / "0003.npy"
    path.write_bytes(path.read_bytes()[:left])
    assert f"problem: {path}: " in only_problem(good)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 no archive", b"\x93NUMPY\x01\x00\xff\xff{'descr'", b"\x80\x04pickle", b"text"]
)
def test_a_file_of_another_format_is_refused_as_an_array(good, content):
    path = good / "depth" / "0002.npy"
    path.write_bytes(content)
    assert f"problem: {path}: " in only_problem(good)


def test_an_archive_in_the_place_of_an_array_is_named(good):
    path = good / "depth" / "0002.npy"
    with open(path, "wb") as file:
        np.savez(file, depth=np.ones((2, 2)))
    assert f"problem: {path}: " in only_problem(good)


def test_a_damaged_picture_inside_is_named(good):
    """The end mark is present, so only the content shows the damage."""
    path = good / "images" / "0001.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    assert f"problem: {path}: " in only_problem(good)


def test_a_missing_frame_is_named(good):
    for path in good.glob("*/0002.*"):
        path.unlink()
    report = doctor(good)
    assert [finding.where for finding in report.problems] == [
        str(good / name)
        for name in ("images/0002.png", "semseg/0002.png", "depth/0002.npy", "normals/0002.npy", "boundary/0002.png")
    ]
    assert all("the file is missing" in finding.text for finding in report.problems)


def test_a_missing_folder_is_named_once(good):
    for path in (good / "depth").iterdir():
        path.unlink()
    (good / "depth").rmdir()
    assert only_problem(good).startswith(f"problem: {good / 'depth'}: the folder is missing, with 6 files")


def test_a_transposed_array_is_named(good):
    path = good / "depth" / "0001.npy"
    change_file(path, np.transpose)
    line = only_problem(good)
    assert f"{path}: wrong shape or type, found 64x48 float32" in line
    assert "height and width are exchanged: transpose it" in line


def test_channels_first_are_named(good):
    change_file(good / "normals" / "0001.npy", lambda array: np.ascontiguousarray(array.transpose(2, 0, 1)))
    assert "the channels come first" in only_problem(good)


def test_a_transposed_picture_is_named(good):
    path = good / "semseg" / "0001.png"
    path.write_bytes(encode_png(np.ones((64, 48), np.uint8), 6))
    assert "height and width are exchanged" in only_problem(good)


def test_whole_millimetres_are_named(good):
    change_file(good / "depth" / "0001.npy", lambda depth: (1000 * depth).astype(np.uint16))
    assert "whole numbers in millimetres? Divide by 1000" in only_problem(good)


@pytest.mark.parametrize(("factor", "unit"), [(1000, "millimetres"), (100, "centimetres")])
def test_another_unit_of_depth_is_named(tmp_path, write_corner, factor, unit):
    def enlarge(arrays):
        arrays["depth"] *= factor

    root = write_corner(tmp_path / "wrong", {"0002": enlarge})
    line = only_problem(root)
    assert str(root / "depth" / "0002.npy") in line
    assert f"{unit}? Divide by {factor}" in line


def test_a_wrong_unit_everywhere_is_one_line_with_the_first_file(tmp_path, write_corner):
    def enlarge(arrays):
        arrays["depth"] *= 1000

    root = write_corner(tmp_path / "wrong", {f"{number:04d}": enlarge for number in range(1, 7)})
    line = only_problem(root)
    # The frames are read in the order of their splits.
    assert f"{root / 'depth' / '0005.npy'}: the median depth is" in line
    assert "(5 further files like this)" in line


def test_normalised_depth_is_named(tmp_path, write_corner):
    def normalise(arrays):
        arrays["depth"] /= 10 * arrays["depth"].max()

    root = write_corner(tmp_path / "wrong", {"0001": normalise})
    assert "inverse or normalised depth?" in only_problem(root)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_an_impossible_depth_is_named(good, value):
    def spoil(depth):
        depth[5, 7] = value
        return depth

    path = good / "depth" / "0004.npy"
    change_file(path, spoil)
    line = only_problem(good)
    assert f"{path}: depth {value} m at row 5, column 7" in line
    assert "write 0 where there is no depth" in line


def test_a_label_beyond_the_classes_is_named(good):
    labels = np.ones((48, 64), np.uint8)
    labels[3, 4] = 41
    path = good / "semseg" / "0006.png"
    path.write_bytes(encode_png(labels, 6))
    assert f"{path}: label 41 at row 3, column 4" in only_problem(good)


def test_the_unlabelled_mark_of_training_code_is_recognised(good):
    labels = np.ones((48, 64), np.uint8)
    labels[3, 4] = 255
    (good / "semseg" / "0006.png").write_bytes(encode_png(labels, 6))
    assert "255 for unlabelled? The layout has 0 for unlabelled" in only_problem(good)


def test_normals_without_unit_length_are_named(tmp_path, write_corner):
    def shorten(arrays):
        arrays["normals"][10, 20:24] *= np.float16(0.5)

    root = write_corner(tmp_path / "wrong", {"0003": shorten})
    line = only_problem(root)
    assert str(root / "normals" / "0003.npy") in line
    assert "4 of 3072 normals lack unit length, the first 0.500 at row 10, column 20" in line


def test_normals_in_eight_bits_are_recognised(good):
    change_file(good / "normals" / "0001.npy", lambda normals: ((normals + 1) * 127.5).astype(np.float16))
    assert "an 8-bit code? Decode it as 2 v / 255 - 1" in only_problem(good)


def test_exchanged_boundary_codes_are_named(tmp_path, write_corner):
    def exchange(arrays):
        arrays["boundary"] = 255 - arrays["boundary"]
        arrays["boundary"][:2] = 128

    root = write_corner(tmp_path / "wrong", {"0001": exchange})
    assert "are 0 and 255 exchanged?" in only_problem(root)


def test_boundaries_coded_0_and_1_are_recognised(good):
    (good / "boundary" / "0001.png").write_bytes(encode_png(np.eye(48, 64, dtype=np.uint8), 6))
    assert "coded 0 and 1?" in only_problem(good)


def test_changed_content_is_named(good):
    """One grey level of one pixel, in an otherwise valid file."""
    path = good / "images" / "0002.png"
    picture = np.zeros((48, 64, 3), np.uint8)
    path.write_bytes(encode_png(picture, 0))
    assert f"{path}: the content differs from its digest in checksums.csv" in only_problem(good)


def test_another_compression_is_no_change(good):
    """Digests are computed from the content, not from the bytes."""
    import cv2

    path = good / "semseg" / "0002.png"
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert doctor(good).problems == []


def test_a_sample_is_spread_over_both_splits_and_the_tables_are_still_checked(good):
    (good / "images" / "0003.png").unlink()
    report = doctor(good, sample=3)
    assert (report.examined, report.total) == (3, 6)
    assert [finding.where for finding in report.problems] == [str(good / "images" / "0003.png")]
    assert report.verdict().endswith("1 problem in 3 of 6 frames")


def test_a_sample_takes_every_so_many_frames():
    records = [FrameRecord(f"{number:02d}", "train" if number < 8 else "test", (1, 1, 1, 1)) for number in range(12)]
    assert [record.name for record in spread(records, 3)] == ["08", "00", "04"]
    assert len(spread(records, 50)) == len(spread(records, None)) == 12


def test_two_processes_find_what_one_finds(good):
    change_file(good / "depth" / "0001.npy", np.transpose)
    alone = doctor(good)
    together = examine(good, sample=None, workers=2, track=lambda frames, total: frames)
    assert together.to_dict() == alone.to_dict()


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, cut off, taken out or put in, often near the beginning."""
    kind, reach = rng.integers(4), len(data) if rng.random() < 0.5 else min(len(data), 130)
    at = int(rng.integers(reach))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[at + int(rng.integers(1, 50)) :]
    return data[:at] + rng.bytes(int(rng.integers(1, 40))) + data[at:]


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_raises_an_exception(good, seed):
    """Each file of one frame and each table, damaged in turn; every finding stays one line."""
    rng = np.random.default_rng(seed)
    for path in sorted([*good.glob("*/0003.*"), *good.glob("*.csv"), *good.glob("*.json")]):
        sound = path.read_bytes()
        path.write_bytes(damage(sound, rng))
        for finding in doctor(good).findings:
            assert len(finding.line().splitlines()) == 1
        path.write_bytes(sound)
    assert not doctor(good).problems
