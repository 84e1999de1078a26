"""Reader of .npy files; the size in the header is compared with the file before memory is allocated."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError, describe_shape, first_line, refuse_placeholder

_START_BYTES = 64
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Readers of .npy headers by version. Version 3 only changes names of fields, which arrays of numbers lack."""


def read_npy(path: Path) -> NDArray[Any]:
    """Read an array of real numbers or booleans.

    Raises:
        DataError: if the file is missing, truncated, not a .npy array, or holds other values.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_START_BYTES)
            refuse_placeholder(start, path)
            if start.startswith(b"PK\x03\x04"):
                raise DataError(f"{path}: an archive of several arrays (.npz); save the one array with numpy.save")
            file.seek(0)
            return _read(file, path)
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except DataError:
        raise
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, RecursionError, MemoryError, TypeError) as error:
        # numpy parses the header as Python, so a damaged header raises many types of errors.
        raise DataError(f"{path}: truncated or not a .npy array ({first_line(error)})") from None


def _read(file: IO[bytes], path: Path) -> NDArray[Any]:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format")
    shape, by_columns, dtype = _HEADERS[version](file)
    if dtype.kind not in "biuf":
        content = "Python objects" if dtype.hasobject else f"{dtype}"
        raise DataError(
            f"{path}: truncated or not a .npy array of numbers, it holds {content}, expected real numbers; "
            "save the plain array"
        )
    needed, left = prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
    if min(shape, default=0) < 0 or needed > left:
        raise ValueError(f"{describe_shape(shape)} {dtype} needs {needed} bytes, {left} are left")
    values = np.fromfile(file, dtype, count=prod(shape))
    return values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)
