"""Reading predicted maps and ground truth, and the errors for wrong files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from boundary_cases import soft_scene
from numpy.typing import NDArray
from scipy.io import savemat

from benchmark.boundaries.files import maps_in, read_strength, read_truths
from benchmark.boundaries.folders import count_pair, pairs_of
from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.ground_truth import outlines
from benchmark.boundaries.protocols import BSDS, SEISM
from benchmark.boundaries.thinning import thin

STRENGTH, TRUTH = soft_scene(0)


def write(path: Path, values: NDArray[Any]) -> Path:
    """Store a map by its suffix."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".mat":
        savemat(path, {"map": values})
    else:
        cv2.imwrite(str(path), values)
    return path


def write_bsds(path: Path, annotations: list[dict[str, NDArray[Any]]]) -> Path:
    """BSDS500's groundTruth, a cell array of structures."""
    cells = np.empty((1, len(annotations)), object)
    cells[0] = annotations
    savemat(path, {"groundTruth": cells})
    return path


def write_hdf5(path: Path, content: Any) -> Path:
    """A MAT file of version 7.3 as MATLAB lays it out: HDF5 behind a header, arrays by columns."""
    with h5py.File(path, "w", userblock_size=512) as file:
        if isinstance(content, list):
            references = []
            for number, fields in enumerate(content):
                group = file.create_group(f"#refs#/{number}")
                for name, values in fields.items():
                    group[name] = values.T
                references.append(group.ref)
            file.create_dataset("groundTruth", data=np.array(references, h5py.ref_dtype)[:, None], dtype=h5py.ref_dtype)
        else:
            file["map"] = content.T.astype(np.uint8)
            file["map"].attrs["MATLAB_class"] = np.bytes_("logical")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".npy", ".mat"])
def test_an_8_bit_map_is_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    found = read_strength(write(tmp_path / f"a{suffix}", STRENGTH))
    assert found.dtype == np.uint8
    assert np.array_equal(found, STRENGTH)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("gray as colour.png", np.repeat(STRENGTH[..., None], 3, 2), STRENGTH),
        ("16 bit.png", STRENGTH.astype(np.uint16) * 257, STRENGTH / 255),
        ("floats.npy", (STRENGTH / 255).astype(np.float32), (STRENGTH / 255).astype(np.float32)),
        ("with channel.npy", STRENGTH[None] / 255, STRENGTH / 255),
        ("logical.mat", TRUTH, TRUTH),
        ("double.mat", STRENGTH / 255, STRENGTH / 255),
    ],
)
def test_a_prediction_is_read_from_each_format(tmp_path: Path, name: str, values: Any, expected: Any) -> None:
    found = read_strength(write(tmp_path / name, values))
    assert found.dtype == expected.dtype
    assert found == pytest.approx(expected, rel=1e-12)


def test_all_annotators_of_bsds_are_read(tmp_path: Path) -> None:
    segments = np.zeros(TRUTH.shape, np.uint16)
    segments[20:] = 1
    annotations = [{"Segmentation": segments, "Boundaries": drawn} for drawn in (TRUTH, np.roll(TRUTH, 2, 0))]
    for path in (write_bsds(tmp_path / "a.mat", annotations), write_hdf5(tmp_path / "b.mat", annotations)):
        direct = read_truths(path, "direct")
        assert len(direct) == 2
        for found, annotation in zip(direct, annotations, strict=True):
            assert np.array_equal(found, annotation["Boundaries"])
        assert np.array_equal(read_truths(path, "seism")[1], thin(outlines(segments)))


def test_the_only_array_of_a_file_of_version_73_is_read(tmp_path: Path) -> None:
    found = read_strength(write_hdf5(tmp_path / "a.mat", TRUTH))
    assert found.dtype == np.bool_
    assert np.array_equal(found, TRUTH)


def test_two_colours_of_equal_sum_are_two_segments(tmp_path: Path) -> None:
    """Red on the left, green on the right: a boundary before the third column."""
    colours = np.zeros((4, 5, 3), np.uint8)
    colours[:, :2, 2] = colours[:, 2:, 1] = 200
    (found,) = read_truths(write(tmp_path / "a.png", colours), "seism")
    assert np.unique(np.nonzero(found)[1]).tolist() == [1]


def test_a_segmentation_may_be_drawn_in_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 3)).astype(np.uint8)
    labels = np.random.default_rng(1).integers(0, 4, (20, 30))
    (found,) = read_truths(write(tmp_path / "a.png", colours[labels]), "seism")
    assert np.array_equal(found, thin(outlines(labels)))


def test_a_drawn_map_is_read_as_boundaries_or_as_segments(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", TRUTH.astype(np.uint8) * 255)
    assert np.array_equal(read_truths(path, "direct")[0], TRUTH)
    assert np.array_equal(read_truths(path, "seism")[0], thin(outlines(TRUTH)))


def cut(path: Path, share: float = 0.5) -> Path:
    """Truncate a file."""
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


def spoil(path: Path) -> Path:
    """Change a byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.png", lambda p: cut(write(p, STRENGTH)), "truncated, the PNG image ends after"),
        ("a.png", lambda p: cut(write(p, STRENGTH), 0.99), "truncated, the PNG image ends after"),
        ("a.png", lambda p: cut(write(p, STRENGTH), 0), "not a PNG or JPEG image"),
        ("a.png", lambda p: spoil(write(p, STRENGTH)), "damaged, a checksum"),
        ("a.png", lambda p: p.write_text("no picture"), "not a PNG or JPEG image"),
        ("a.npy", lambda p: cut(write(p, STRENGTH)), r"truncated or not a \.npy array"),
        ("a.npy", lambda p: cut(write(p, STRENGTH), 0), r"truncated or not a \.npy array"),
        ("a.npy", lambda p: p.write_text("no array"), r"truncated or not a \.npy array"),
        ("a.npy", lambda p: write(p, np.array([{}])), r"truncated or not a \.npy array"),
        ("a.mat", lambda p: cut(write(p, STRENGTH)), "truncated or not a MAT"),
        ("a.mat", lambda p: cut(write(p, STRENGTH), 0), "truncated or not a MAT"),
        ("a.mat", lambda p: p.write_text("no matrix at all" * 20), "truncated or not a MAT"),
        ("a.mat", lambda p: cut(write_hdf5(p, TRUTH)), "truncated or not a MAT"),
        ("a.mat", lambda p: savemat(p, {"a": TRUTH, "b": TRUTH}), "expected groundTruth or a single .* found a, b"),
        ("a.mat", lambda p: savemat(p, {"name": "text"}), "expected groundTruth or a single .* found none"),
        ("a.npy", lambda p: write(p, STRENGTH.astype(np.float32)), r"must lie in 0\.\.1, found 0\.\.255"),
        ("a.npy", lambda p: write(p, np.array([[0.5, np.nan]])), r"must lie in 0\.\.1, found NaN or infinity"),
        ("a.npy", lambda p: write(p, np.array([[0.5, -0.1]])), r"must lie in 0\.\.1, found -0\.1\.\.0\.5"),
        ("a.npy", lambda p: write(p, STRENGTH.astype(np.int64)), "holds int64; a prediction is uint8"),
        ("a.npy", lambda p: write(p, np.zeros((3, 4, 5))), "expected one gray map of height x width, found 3x4x5"),
        ("a.npy", lambda p: write(p, np.zeros((0, 5))), "expected one gray map of height x width, found 0x5"),
        ("a.png", lambda p: write(p, np.random.default_rng(0).integers(0, 99, (5, 6, 3))), "found 5x6x3"),
        ("a.npy", lambda p: None, "the file is missing"),
    ],
)
def test_a_prediction_that_cannot_be_scored_is_named(tmp_path: Path, name: str, make: Any, message: str) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(DataError, match=message) as error:
        read_strength(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: write(p.with_suffix(".npy"), STRENGTH / 255), "must hold labels or 0 and 1, not fractions"),
        (lambda p: write_bsds(p, [{"Boundaries": TRUTH}]), "has no Segmentation, it has Boundaries"),
        (lambda p: savemat(p, {"groundTruth": TRUTH}) or p, "not a cell array of structures"),
    ],
)
def test_ground_truth_that_cannot_be_scored_is_named(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_truths(make(tmp_path / "a.mat"), "seism")


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        ([], ["a.png"], "pred: no .png, .npy, .mat files in it"),
        (["a.png", "a.npy"], ["a.png"], "pred: found both a.npy and a.png; keep one of them"),
        (["a.png", "b.png"], ["a.png"], r"pred/b.png: has no counterpart b\.\* in .*true$"),
        (["a.png"], ["a.png", "b.png", "c.mat"], r"true/b.png: has no counterpart b\.\* in .*pred \(and 1 more file\)"),
    ],
)
def test_folders_that_do_not_fit_are_refused(
    tmp_path: Path, predicted: list[str], true: list[str], message: str
) -> None:
    for folder, names in (("pred", predicted), ("true", true)):
        (tmp_path / folder).mkdir()
        for name in [*names, "Thumbs.db"]:
            (tmp_path / folder / name).touch()
    with pytest.raises(DataError, match=message):
        pairs_of(tmp_path / "pred", tmp_path / "true")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        maps_in(tmp_path / "nowhere")


def test_maps_of_different_size_are_both_named(tmp_path: Path) -> None:
    for folder, values in (("pred", STRENGTH), ("true", TRUTH.T.astype(np.uint8))):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "a.png", values)
    (pair,) = pairs_of(tmp_path / "pred", tmp_path / "true")
    with pytest.raises(DataError, match=r"pred/a.png is 60x80, .*true/a.png is 80x60; maps are never resized"):
        count_pair(pair, SEISM)


def test_ground_truth_without_an_annotator_is_refused(tmp_path: Path) -> None:
    for folder in ("pred", "true"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "pred" / "a.png", STRENGTH)
    write_bsds(tmp_path / "true" / "a.mat", [])
    (pair,) = pairs_of(tmp_path / "pred", tmp_path / "true")
    with pytest.raises(DataError, match="it holds no annotation"):
        count_pair(pair, BSDS)
