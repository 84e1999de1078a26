"""Arrays from HDF5 files, which include MATLAB files of version 7.3.

A foreign file may name other files of this machine as parts of itself: external links, external storage and virtual
arrays are refused. The size of an array is bounded before it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import MAX_BYTES, DataError, first_line

FAULTS = (OSError, KeyError, AttributeError, TypeError, ValueError, RuntimeError, IndexError, MemoryError)
"""Exceptions of h5py for damaged files."""


@contextmanager
def open_hdf5(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Open a file for reading; faults of the file inside the block become a `DataError`.

    Args:
        path: the file.
        options: for `h5py.File`.

    Raises:
        DataError: if the file is missing, truncated or damaged.
    """
    try:
        with h5py.File(path, "r", **options) as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except DataError:
        raise
    except FAULTS as error:
        raise DataError(f"{path}: truncated or not a MAT file ({first_line(error)})") from None


def array_names(group: h5py.Group, path: Path) -> list[str]:
    """Names of the arrays in a group, without MATLAB's own `#refs#`.

    Raises:
        DataError: for a link, which could lead to another file.
    """
    names = [name for name in group if not name.startswith("#")]
    return [name for name in names if isinstance(member(group, name, path), h5py.Dataset)]


def member(group: h5py.Group, name: str, path: Path) -> Any:
    """A member of a group, itself a group or an array; None if the name is missing.

    Raises:
        DataError: for a link, which could lead to another file.
    """
    if isinstance(group.get(name, getlink=True), (h5py.ExternalLink, h5py.SoftLink)):
        raise DataError(f"{path}: {name!r} is a link, and links are not followed; store the array itself")
    return group.get(name)


def read_dataset(dataset: h5py.Dataset, path: Path, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """Values of an array.

    Raises:
        DataError: if the values lie outside the file, or need more than `max_bytes` in memory.
    """
    check_dataset(dataset, path)
    if dataset.size * dataset.dtype.itemsize > max_bytes:
        raise DataError(
            f"{path}: {dataset.name!r} needs {dataset.size * dataset.dtype.itemsize / 2**30:.3g} GiB, at most "
            f"{max_bytes / 2**30:.3g} are read"
        )
    return np.asarray(dataset[()])


def check_dataset(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse an array whose values lie in other files.

    Raises:
        DataError: for external storage and virtual arrays.
    """
    if dataset.external or dataset.is_virtual:
        raise DataError(f"{path}: the values of {dataset.name!r} lie in another file; store the array itself")
