"""Readers of predicted maps and ground truth: PNG, NPY and MAT files, and the annotations of BSDS500."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.arrays import read_npy
from benchmark.boundaries.formats.content import DataError, describe_shape, is_system_file, read_bytes
from benchmark.boundaries.formats.hdf5 import array_names, member, open_hdf5, read_dataset
from benchmark.boundaries.formats.images import read_numbers, read_pixels
from benchmark.boundaries.formats.matlab import read_matlab
from benchmark.boundaries.ground_truth import Annotation, Mask, annotation_of, true_boundaries
from benchmark.boundaries.protocols import Variant

Array = NDArray[Any]

_HDF5_MAT = b"MATLAB 7.3"


def read_strength(path: Path) -> Array:
    """Read a predicted map (H, W): uint8 0..255, booleans, or floats 0..1; uint16 is divided by 65535.

    Args:
        path: a file whose suffix is one of `READERS`.

    Raises:
        DataError: if the file cannot be read, is not a gray map, or has a value out of range.
    """
    values = _gray(READERS[path.suffix.lower()](path), path)
    if values.dtype == np.uint16:
        return values / np.float64(65535)
    if values.dtype not in (np.uint8, np.bool_) and not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{path}: holds {values.dtype}; a prediction is uint8 0..255, or floats or booleans 0..1")
    top = 255 if values.dtype == np.uint8 else 1
    if not np.all((values >= 0) & (values <= top)):
        found = f"{np.nanmin(values):g}..{np.nanmax(values):g}" if np.isfinite(values).all() else "NaN or infinity"
        raise DataError(f"{path}: boundary strength must lie in 0..{top}, found {found}")
    return values


def read_truths(path: Path, variant: Variant) -> list[Mask]:
    """Read the true boundaries (H, W) of each annotator.

    Args:
        path: a file whose suffix is one of `READERS`.
        variant: conversion of the annotation to boundaries.

    Raises:
        DataError: if the file cannot be read, lacks the field of the variant, or holds other values than labels.
    """
    drawn = READERS[path.suffix.lower()](path)
    if isinstance(drawn, list):
        return [true_boundaries(_annotation(fields, variant, path), variant) for fields in drawn]
    return [true_boundaries(annotation_of(_labels(drawn, path)), variant)]


def _annotation(fields: dict[str, Array], variant: Variant, path: Path) -> Annotation:
    needed = "Segmentation" if variant == "seism" else "Boundaries"
    if needed not in fields:
        raise DataError(f"{path}: an annotation has no {needed}, it has {', '.join(fields) or 'nothing'}")
    map_of_labels = _labels(fields[needed], path)
    return Annotation(map_of_labels, map_of_labels != 0)


def _labels(values: Array, path: Path) -> Array:
    if values.ndim == 3 and values.shape[2] in (3, 4):
        # A segmentation may be drawn in colours.
        return values[..., :3].astype(np.int64) @ np.array([1, 256, 65536])
    values = _gray(values, path)
    if np.issubdtype(values.dtype, np.floating) and not np.array_equal(values, np.rint(values)):
        raise DataError(
            f"{path}: ground truth must hold labels or 0 and 1, not fractions or NaN; cut it at a threshold"
        )
    return values


def _gray(values: Array, path: Path) -> Array:
    if values.ndim == 3 and values.shape[2] in (3, 4) and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.squeeze(0 if values.shape[0] == 1 else 2)
    if values.ndim != 2 or not values.size:
        raise DataError(f"{path}: expected one gray map of height x width, found {describe_shape(values.shape)}")
    return values


def read_mat(path: Path) -> Array | list[dict[str, Array]]:
    """Read the only array of a MAT file, or the annotations of its `groundTruth` as fields by name.

    Raises:
        DataError: if the file cannot be read, or holds neither of the two.
    """
    if read_bytes(path).startswith(_HDF5_MAT):
        return _read_hdf5(path)
    content = read_matlab(path)
    if "groundTruth" in content:
        truth = content["groundTruth"]
        return [_fields(entry, path) for entry in (truth if isinstance(truth, list) else [truth])]
    arrays = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    return arrays[_only(list(arrays), path)]


def _fields(entry: Any, path: Path) -> dict[str, Array]:
    """Fields of one annotation, stored as a cell with a structure or as an element of a structure array."""
    if isinstance(entry, list) and entry:
        entry = entry[0]
    if not isinstance(entry, dict):
        raise DataError(f"{path}: groundTruth is not a cell array of structures, as BSDS500 has it")
    return {name: value for name, value in entry.items() if isinstance(value, np.ndarray)}


def _read_hdf5(path: Path) -> Array | list[dict[str, Array]]:
    """Read a MAT file of version 7.3. It stores arrays by columns, so they are transposed."""
    with open_hdf5(path) as file:
        truth = member(file, "groundTruth", path)
        if truth is not None:
            return [_referenced(file[reference], path) for reference in read_dataset(truth, path).ravel()]
        array = file[_only(array_names(file, path), path)]
        values = read_dataset(array, path).T
        return values.astype(np.bool_) if array.attrs.get("MATLAB_class", b"") == b"logical" else values


def _referenced(group: Any, path: Path) -> dict[str, Array]:
    return {name: read_dataset(group[name], path).T for name in array_names(group, path)}


def _only(names: list[str], path: Path) -> str:
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise DataError(f"{path}: expected groundTruth or a single numeric array, found {found}")
    return names[0]


def _read_png(path: Path) -> Array:
    try:
        return read_numbers(path)
    except DataError:
        # A map in colors; for a damaged file this raises the error again.
        return read_pixels(path)


READERS: dict[str, Callable[[Path], Any]] = {".png": _read_png, ".npy": read_npy, ".mat": read_mat}
"""Reader by lower-case suffix."""


def maps_in(folder: Path) -> dict[str, Path]:
    """Map files of a folder by name without suffix, in order of the names.

    Raises:
        DataError: if the folder is missing or has no map, or if two maps have the same name.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in _sorted_maps(folder):
        name = unicodedata.normalize("NFC", path.stem)
        if name in found:
            raise DataError(f"{folder}: found both {found[name].name} and {path.name}; keep one of them")
        found[name] = path
    if not found:
        raise DataError(f"{folder}: no {', '.join(READERS)} files in it; convert the maps to PNG, not to JPEG")
    return found


def _sorted_maps(folder: Path) -> Iterator[Path]:
    files = (path for path in sorted(folder.iterdir()) if not is_system_file(path.name))
    return (path for path in files if path.suffix.lower() in READERS and path.is_file())
