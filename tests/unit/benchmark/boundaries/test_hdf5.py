"""MAT files of version 7.3 that point to other files, or whose arrays are too large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmark.boundaries.files import read_strength
from benchmark.boundaries.formats.content import DataError


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Another file of this machine."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.full((8, 9), 0.5)
    return path


def external_link(file: Any, secret: Path) -> None:
    file["map"] = h5py.ExternalLink(str(secret), "/a")


def soft_link(file: Any, secret: Path) -> None:
    file["#refs#/other"] = h5py.ExternalLink(str(secret), "/a")
    file["map"] = h5py.SoftLink("/#refs#/other")


def external_storage(file: Any, secret: Path) -> None:
    file.create_dataset("map", (8, 9), "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(file: Any, secret: Path) -> None:
    layout = h5py.VirtualLayout((8, 9), "f8")
    layout[...] = h5py.VirtualSource(str(secret), "a", (8, 9))
    file.create_virtual_dataset("map", layout)


def huge(file: Any, secret: Path) -> None:
    file.create_dataset("map", (2**20, 2**20), "f8", chunks=(64, 64), compression="gzip")


CASES = {
    external_link: "'map' is a link, and links are not followed",
    soft_link: "'map' is a link, and links are not followed",
    external_storage: "the values of '/map' lie in another file",
    virtual: "the values of '/map' lie in another file",
    huge: "'/map' needs 8.19e+03 GiB, at most 1 are read",
}


@pytest.mark.parametrize("make", CASES)
def test_content_outside_the_file_and_huge_arrays_are_refused(tmp_path: Path, secret: Path, make: Any) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        make(file, secret)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(DataError) as caught:
        read_strength(path)
    assert str(caught.value).startswith(f"{path}: {CASES[make]}")
