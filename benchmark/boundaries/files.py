"""Predicted maps and ground truth from files: PNG, NPY, and MATLAB's MAT, among them the annotations of BSDS500."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.ground_truth import Annotation, Mask, annotation_of, true_boundaries
from benchmark.boundaries.protocols import Variant

Array = NDArray[Any]

PNG_START = b"\x89PNG\r\n\x1a\n"
NUMBERS = {"logical", "double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
"""MATLAB's classes of numbers."""


class MapError(ValueError):
    """A file or a folder that cannot be scored; the message names it and says why."""


def read_strength(path: Path) -> Array:
    """A predicted map (H, W): uint8 0..255, or floats 0..1.

    Raises:
        MapError: if it cannot be read, is no gray map, or has a value out of range.
    """
    values = _gray(READERS[path.suffix.lower()](path), path)
    if values.dtype == np.uint16:
        return values / np.float64(65535)
    if values.dtype not in (np.uint8, np.bool_) and not np.issubdtype(values.dtype, np.floating):
        raise MapError(f"{path}: holds {values.dtype}; a prediction is uint8 0..255, or floats or booleans 0..1")
    top = 255 if values.dtype == np.uint8 else 1
    if not np.all((values >= 0) & (values <= top)):
        found = f"{np.nanmin(values):g}..{np.nanmax(values):g}" if np.isfinite(values).all() else "NaN or infinity"
        raise MapError(f"{path}: boundary strength must lie in 0..{top}, found {found}")
    return values


def read_truths(path: Path, variant: Variant) -> list[Mask]:
    """True boundaries (H, W) of each annotator.

    Raises:
        MapError: if it cannot be read, lacks what the variant needs, or its values are no labels.
    """
    drawn = READERS[path.suffix.lower()](path)
    if isinstance(drawn, list):
        return [true_boundaries(_annotation(fields, variant, path), variant) for fields in drawn]
    return [true_boundaries(annotation_of(_labels(drawn, path)), variant)]


def _annotation(fields: dict[str, Array], variant: Variant, path: Path) -> Annotation:
    needed = "Segmentation" if variant == "seism" else "Boundaries"
    if needed not in fields:
        raise MapError(f"{path}: an annotation has no {needed}, it has {', '.join(fields) or 'nothing'}")
    map_of_labels = _labels(fields[needed], path)
    return Annotation(map_of_labels, map_of_labels != 0)


def _labels(values: Array, path: Path) -> Array:
    if values.ndim == 3 and values.shape[2] in (3, 4):
        # A segmentation may be drawn in colours.
        return values[..., :3].astype(np.int64) @ np.array([1, 256, 65536])
    values = _gray(values, path)
    if np.issubdtype(values.dtype, np.floating) and not np.array_equal(values, np.rint(values)):
        raise MapError(f"{path}: ground truth must hold labels or 0 and 1, not fractions or NaN; cut it at a threshold")
    return values


def _gray(values: Array, path: Path) -> Array:
    if values.ndim == 3 and values.shape[2] in (3, 4) and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.squeeze(0 if values.shape[0] == 1 else 2)
    if values.ndim != 2 or not values.size:
        raise MapError(f"{path}: expected one gray map of height x width, found {_size(values)}")
    return values


def _size(values: Array) -> str:
    return "x".join(map(str, values.shape)) or "a single number"


def read_png(path: Path) -> Array:
    """A PNG as stored; colours in the order blue, green, red.

    Raises:
        MapError: if it cannot be read.
    """
    import cv2

    data = _bytes(path)
    _check_png(data, path)
    picture: Array | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise MapError(f"{path}: not a readable PNG image")
    return picture


def _check_png(data: bytes, path: Path) -> None:
    """Refuse what is damaged, which the decoder would complete in silence."""
    if not data.startswith(PNG_START):
        raise MapError(f"{path}: not a PNG image")
    place = len(PNG_START)
    while True:
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if place + 12 > len(data) or end > len(data):
            raise MapError(f"{path}: truncated, the PNG image ends after {len(data)} bytes")
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise MapError(f"{path}: damaged, a checksum of the PNG image is wrong")
        if data[place + 4 : place + 8] == b"IEND":
            return
        place = end


def read_npy(path: Path) -> Array:
    """An array.

    Raises:
        MapError: if it cannot be read.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MapError(f"{path}: truncated or not a .npy array ({_line(error)})") from None
    if not isinstance(values, np.ndarray):
        raise MapError(f"{path}: not a .npy array but an archive of several")
    return values


def read_mat(path: Path) -> Array | list[dict[str, Array]]:
    """The one array of a MAT file, or the annotations of its `groundTruth` as fields by name.

    Raises:
        MapError: if it cannot be read, or has neither.
    """
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    _bytes(path)
    try:
        classes = {name: kind for name, _, kind in whosmat(str(path))}
        content = loadmat(str(path))
    except NotImplementedError:
        return _read_hdf5(path)
    except (MatReadError, OSError, ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
        raise MapError(f"{path}: truncated or not a MAT file ({_line(error)})") from None
    if "groundTruth" in content:
        return [_fields(entry, path) for entry in content["groundTruth"].ravel()]
    name = _only([name for name, kind in classes.items() if kind in NUMBERS], path)
    return content[name].astype(np.bool_) if classes[name] == "logical" else content[name]


def _fields(entry: Any, path: Path) -> dict[str, Array]:
    """The fields of one annotation: a cell that holds a structure, or an element of a structure array."""
    if isinstance(entry, np.ndarray) and entry.size:
        entry = entry.ravel()[0]
    names = getattr(getattr(entry, "dtype", None), "names", None)
    if not names:
        raise MapError(f"{path}: groundTruth is not a cell array of structures, as BSDS500 has it")
    return {name: entry[name] for name in names}


def _read_hdf5(path: Path) -> Array | list[dict[str, Array]]:
    """A MAT file of version 7.3. It stores arrays by columns, so they come out transposed."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "groundTruth" in file:
                return [
                    {name: field[()].T for name, field in file[reference].items()}
                    for reference in file["groundTruth"][()].ravel()
                ]
            arrays = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            name = _only(list(arrays), path)
            kind = arrays[name].attrs.get("MATLAB_class", b"")
            values: Array = arrays[name][()].T
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise MapError(f"{path}: truncated or not a MAT file ({_line(error)})") from None
    return values.astype(np.bool_) if kind == b"logical" else values


def _only(names: list[str], path: Path) -> str:
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise MapError(f"{path}: expected groundTruth or a single numeric array, found {found}")
    return names[0]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MapError(f"{path}: {error.strerror or error}") from None


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


READERS: dict[str, Callable[[Path], Any]] = {".png": read_png, ".npy": read_npy, ".mat": read_mat}
"""By suffix in small letters."""


def maps_in(folder: Path) -> dict[str, Path]:
    """The maps of a folder by name without suffix, in order of the names.

    Raises:
        MapError: if the folder is missing or has none, or two have the same name.
    """
    if not folder.is_dir():
        raise MapError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in _sorted_files(folder):
        if path.stem in found:
            raise MapError(f"{folder}: both {found[path.stem].name} and {path.name} are there; keep one of them")
        found[path.stem] = path
    if not found:
        raise MapError(f"{folder}: no {', '.join(READERS)} files in it")
    return found


def _sorted_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix.lower() in READERS and path.is_file())
