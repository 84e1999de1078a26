"""Reader of MATLAB files of versions 5 to 7.

scipy's reader ends the process without an exception on some damaged files. This reader checks every length before it
uses it. It reads arrays of numbers, strings, cells and structures of these; variables of other kinds are left out.
Source: MathWorks, "MAT-File Format", sections on level 5 files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import MAX_BYTES, DataError, first_line, read_bytes

Array = NDArray[Any]

Value = Any
"""An array, a string, or a list: the values of a cell array, or one dictionary of fields per structure of a structure
array, both by columns."""

_HEADER_BYTES = 128
_HDF5_MARK = b"MATLAB 7.3"
# Types of stored elements, and classes of variables.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCTURE, _CHARACTERS = 1, 2, 4
_READ = {_CELL, _STRUCTURE, _CHARACTERS, *_CLASSES}
_COMPLEX, _LOGICAL = 0x08, 0x02
_MAX_DEPTH = 4


@dataclass(frozen=True)
class _Element:
    kind: int
    data: memoryview


def read_matlab(path: Path) -> dict[str, Value]:
    """Read the variables of a file, by name.

    Raises:
        DataError: if the file is missing, truncated, damaged, or of another version.
    """
    content = read_bytes(path)
    try:
        return dict(_variables(content))
    except (ValueError, struct.error, zlib.error, MemoryError) as error:
        raise DataError(f"{path}: truncated or not a MATLAB file that can be read ({first_line(error)})") from None


def read_variable(path: Path, name: str) -> Value:
    """Read one variable of a file.

    Raises:
        DataError: as `read_matlab`, and if the variable is missing.
    """
    variables = read_matlab(path)
    if name not in variables:
        raise DataError(f"{path}: no variable {name!r}, it has {', '.join(variables) or 'none'}")
    return variables[name]


def _variables(content: bytes) -> Iterator[tuple[str, Value]]:
    if content.startswith(_HDF5_MARK):
        raise ValueError("version 7.3; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER_BYTES])
    if order is None:
        raise ValueError("no MATLAB header")
    left = MAX_BYTES
    for element in _elements(memoryview(content)[_HEADER_BYTES:], order):
        if element.kind == _COMPRESSED:
            decompressed = _decompressed(element.data, left)
            left -= len(decompressed)
            for inner in _elements(memoryview(decompressed), order):
                yield from _variable(inner, order)
        else:
            yield from _variable(element, order)


def _decompressed(data: memoryview, max_bytes: int) -> bytes:
    decompressor = zlib.decompressobj()
    content = decompressor.decompress(data, max(max_bytes, 1))
    if not decompressor.eof:
        raise ValueError("a compressed variable is not complete or too large")
    return content


def _variable(element: _Element, order: str) -> Iterator[tuple[str, Value]]:
    if element.kind == _MATRIX:
        name, value = _matrix(element.data, order, 0)
        if value is not None:
            yield name, value


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """Consecutive elements: a tag with type and length, the data, and padding to eight bytes."""
    while len(data):
        first, length = struct.unpack_from(f"{order}II", data)
        start = 8
        if first >> 16:
            # A short element stores up to four bytes of data, and their number, in the tag itself.
            first, length, start = first & 0xFFFF, first >> 16, 4
            if length > 4:
                raise ValueError("a short element is longer than 4 bytes")
        if start + length > len(data):
            raise ValueError(f"an element of {length} bytes, {len(data) - start} are left")
        yield _Element(first, data[start : start + length])
        end = 8 if start == 4 else start + length
        # Only compressed elements have no padding. The padding of the last element may be missing.
        data = data[end if first == _COMPRESSED else -(-end // 8) * 8 :]


def _matrix(data: memoryview, order: str, depth: int) -> tuple[str, Value]:
    """Name and value of a variable; the value is None for skipped kinds."""
    if not len(data):
        return "", np.zeros((0, 0))
    parts = _elements(data, order)
    (word,) = struct.unpack_from(f"{order}I", _next(parts).data)
    kind = word & 0xFF
    if kind not in _READ or word >> 8 & _COMPLEX:
        return "", None
    shape_part, name_part = _next(parts), _next(parts)
    shape = tuple(_numbers(shape_part, order).tolist())
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"a variable of shape {shape}")
    name = bytes(name_part.data).decode("latin-1")
    if kind in (_CELL, _STRUCTURE):
        if depth == _MAX_DEPTH:
            raise ValueError("cells within cells")
        fields = _field_names(parts, order) if kind == _STRUCTURE else ()
        values = [_matrix(part.data, order, depth + 1)[1] for part in parts if part.kind == _MATRIX]
        return name, _records(fields, values, prod(shape)) if kind == _STRUCTURE else values
    if kind == _CHARACTERS:
        return name, _text(_next(parts), order)
    numbers = _numbers(_next(parts), order)
    if numbers.size != prod(shape):
        raise ValueError(f"{name!r} has {numbers.size} values for the shape {shape}")
    dtype = np.dtype(bool if word >> 8 & _LOGICAL else _CLASSES[kind])
    if numbers.size * dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{name!r} needs {numbers.size * dtype.itemsize / 2**30:.3g} GiB")
    with np.errstate(invalid="ignore"):
        return name, numbers.astype(dtype).reshape(shape, order="F")


def _field_names(parts: Iterator[_Element], order: str) -> tuple[str, ...]:
    """Names of the fields of a structure: their common length, then all of them, padded with zeros."""
    (length,) = _numbers(_next(parts), order).tolist()
    text = bytes(_next(parts).data)
    if length < 1 or len(text) % length:
        raise ValueError(f"field names of {len(text)} bytes, {length} each")
    starts = range(0, len(text), length)
    return tuple(text[start : start + length].split(b"\0")[0].decode("latin-1") for start in starts)


def _records(fields: tuple[str, ...], values: list[Value], count: int) -> list[dict[str, Value]]:
    if len(values) != len(fields) * count:
        raise ValueError(f"{count} structures of {len(fields)} fields have {len(values)} values")
    starts = range(0, len(values), len(fields)) if fields else []
    return [dict(zip(fields, values[start:], strict=False)) for start in starts]


def _next(parts: Iterator[_Element]) -> _Element:
    part = next(parts, None)
    if part is None:
        raise ValueError("a variable ends early")
    return part


def _numbers(element: _Element, order: str) -> Array:
    if element.kind not in _STORED:
        raise ValueError(f"numbers of the unknown type {element.kind}")
    return np.frombuffer(element.data, f"{order}{_STORED[element.kind]}")


def _text(element: _Element, order: str) -> str:
    if element.kind not in _TEXT:
        raise ValueError(f"text of the unknown type {element.kind}")
    encoding = _TEXT[element.kind]
    if encoding in {"utf-16", "utf-32"}:
        encoding += "-le" if order == "<" else "-be"
    return bytes(element.data).decode(encoding)
