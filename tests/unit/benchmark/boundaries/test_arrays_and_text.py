"""Arrays of numbers from .npy files, and text in the encodings of the common editors."""

from __future__ import annotations

import io

import numpy as np
import pytest

from benchmark.boundaries.formats.arrays import read_npy
from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.text import read_lines, read_rows, read_text

VALUES = np.random.default_rng(0).normal(size=(5, 7, 3))


@pytest.mark.parametrize("dtype", ["f8", ">f4", "f2", "u2", ">i4", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_type_and_order_are_read_as_numpy_reads_them(tmp_path, dtype, order):
    np.save(tmp_path / "a.npy", np.array(VALUES * 50, dtype=dtype, order=order))
    found, expected = read_npy(tmp_path / "a.npy"), np.load(tmp_path / "a.npy")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def fields(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def saved(array: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


FORGED = {
    "huge shape": npy(fields("'<f8'", "(1000000, 1000000)"), bytes(80)),
    "negative shape": npy(fields("'<f8'", "(-1, 10)"), bytes(80)),
    "overflowing shape": npy(fields("'<f8'", "(4294967296, 4294967296, 4294967296)"), bytes(80)),
    "huge item": npy(fields("'|V2147483647'", "(1000,)"), bytes(80)),
    "huge text": npy(fields("'<U500000000'", "(2,)"), bytes(80)),
    "nested header": npy("(" * 5000, b""),
    "no dictionary": npy("[]", b""),
    "complex": saved(np.ones(3, complex)),
    "text": saved(np.array(["a"])),
    "records": saved(np.zeros(2, [("a", "f4"), ("b", "i8")])),
    "objects": saved(np.array([{}]), allow_pickle=True),
    "cut": saved(VALUES)[:-1],
    "empty": b"",
    "pickle": b"\x80\x04\x95",
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_or_damaged_array_is_refused_before_memory_is_allocated(tmp_path, case):
    (tmp_path / "a.npy").write_bytes(FORGED[case])
    with pytest.raises(DataError, match=r"a\.npy: truncated or not a \.npy array") as caught:
        read_npy(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


def test_an_archive_of_arrays_is_named(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        np.savez(file, a=VALUES)
    with pytest.raises(DataError, match=r"an archive of several arrays \(\.npz\)"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_of_common_editors_is_read(tmp_path, encoding, end):
    (tmp_path / "a.txt").write_bytes(end.join(["Küche", "", "# note", " Bad\t"]).encode(encoding))
    assert read_lines(tmp_path / "a.txt") == ["Küche", "", "# note", " Bad\t"]
    assert read_rows(tmp_path / "a.txt") == [(1, "Küche"), (4, "Bad")]


@pytest.mark.parametrize("content", ["Küche".encode("latin-1"), b"a\0b", "Küche".encode("utf-16-le")])
def test_other_encodings_are_refused_with_the_remedy(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.txt: not a text file.*save it as UTF-8"):
        read_text(tmp_path / "a.txt")
