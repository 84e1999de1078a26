"""MATLAB files written by scipy, official files of NYU-v2 compared with scipy's reader, and damaged files."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.matlab import read_matlab, read_variable

RNG = np.random.default_rng(0)
VARIABLES = {
    "double": RNG.random((3, 4)),
    "single": RNG.random((2, 5)).astype(np.float32),
    "scalar": np.array([[7.0]]),
    "bytes": RNG.integers(0, 255, (5, 3), np.uint8),
    "short": np.array([[1, -2]], np.int16),
    "empty": np.zeros((0, 3)),
    "cube": RNG.integers(0, 9, (2, 3, 4)).astype(np.uint16),
    "long": np.array([[2**40]], np.int64),
    "truth": np.array([[True, False]]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_of_every_type_are_read(tmp_path, compressed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, VARIABLES, do_compression=compressed)
    found = read_matlab(path)
    assert set(found) == set(VARIABLES)
    for name, array in VARIABLES.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype or name == "truth"


def test_strings_cells_and_structures_are_read_and_other_kinds_skipped(tmp_path):
    path = tmp_path / "a.mat"
    cell = np.array([["wall", "floor mat", np.array([[1.0, 2.0]])]], object)
    other = {"struct": {"field": 1}, "complex": np.array([[1j]])}
    scipy.io.savemat(path, {"text": "hello", "cell": cell, **other, "last": 3})
    found = read_matlab(path)
    assert set(found) == {"text", "cell", "struct", "last"}
    assert [list(record) for record in found["struct"]] == [["field"]]
    assert found["struct"][0]["field"].item() == 1
    assert found["text"] == "hello"
    assert found["cell"][:2] == ["wall", "floor mat"]
    np.testing.assert_array_equal(found["cell"][2], [[1, 2]])


def test_numbers_stored_in_a_smaller_type_get_their_class(tmp_path):
    """MATLAB stores doubles that are small whole numbers as bytes; here by hand: 1x3 doubles 1, 2, 3 as uint8."""
    parts = (
        struct.pack("<IIII", 6, 8, 6, 0),
        struct.pack("<IIii", 5, 8, 1, 3),
        struct.pack("<HH4s", 1, 1, b"x\0\0\0"),
        struct.pack("<HH4s", 2, 3, b"\1\2\3\0"),
    )
    matrix = b"".join(parts)
    path = tmp_path / "a.mat"
    path.write_bytes(b" " * 124 + struct.pack("<H2s", 0x100, b"IM") + struct.pack("<II", 14, len(matrix)) + matrix)
    found = read_variable(path, "x")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1, 2, 3]])
    np.testing.assert_array_equal(scipy.io.loadmat(path)["x"], found)


@pytest.mark.parametrize("name", ["splits.mat", "classMapping40.mat"])
def test_official_files_are_read_as_scipy_reads_them(shared, name):
    path = shared / "data" / "nyuv2" / name
    found = read_matlab(path)
    for key, value in scipy.io.loadmat(path).items():
        if key.startswith("__"):
            continue
        if value.dtype == object:
            assert found[key] == [str(cell[0]) for cell in value.ravel()]
        else:
            np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_anywhere_is_refused_or_lacks_whole_variables(tmp_path, compressed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, VARIABLES, do_compression=compressed)
    whole = path.read_bytes()
    complete = 0
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        with suppress(DataError):
            found = read_matlab(path)
            complete += 1
            assert all(np.array_equal(found[name], VARIABLES[name]) for name in found)
    assert complete < 2 * len(VARIABLES) + 3


@pytest.mark.parametrize("compressed", [False, True])
def test_flipped_bytes_never_raise_another_error(tmp_path, compressed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {**VARIABLES, "cell": np.array([["a", "b"]], object)}, do_compression=compressed)
    whole = path.read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for place in RNG.integers(0, len(data), 4):
            data[place] = RNG.integers(0, 256)
        path.write_bytes(data)
        with suppress(DataError):
            read_matlab(path)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_variable(path, "x")
    return str(caught.value)


def test_the_error_of_an_unreadable_file_has_the_reason(tmp_path):
    path = tmp_path / "a.mat"
    assert refused(path) == f"{path}: the file is missing"
    scipy.io.savemat(path, {"y": 1})
    assert refused(path) == f"{path}: no variable 'x', it has y"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform" + bytes(500))
    assert "version 7.3; save it with -v7" in refused(path)
    path.write_bytes(b"no header" * 100)
    assert "no MATLAB header" in refused(path)
    scipy.io.savemat(path, {"x": np.zeros((9, 9))})
    path.write_bytes(path.read_bytes()[:400])
    assert refused(path).startswith(f"{path}: truncated or not a MATLAB file that can be read (")
