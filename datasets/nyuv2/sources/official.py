"""The official `nyu_depth_v2_labeled.mat` with `splits.mat`.

The file is MATLAB 7.3, that is HDF5 with the axes in reverse: images (1449, 3, 640, 480) uint8, depths
(1449, 640, 480) float32 metres (in-filled), labels (same) uint16 of 894 names, 0 unlabelled, instances (same) uint8;
names and scenes are cells of strings, hence references to arrays of character codes. splits.mat has trainNdxs and
testNdxs, which count from 1. One frame at a time is read, so memory does not depend on the size of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmark.boundaries.formats.content import DataError, first_line
from benchmark.boundaries.formats.hdf5 import check_dataset, member, read_dataset
from benchmark.boundaries.formats.matlab import read_variable
from benchmark.visualization.nyu40 import NAMES_40
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord
from datasets.nyuv2.boundaries import boundaries_from_labels
from datasets.nyuv2.classes import class_of_name
from datasets.nyuv2.sources.source import (
    CROPPED_SIZE,
    DERIVED_NORMALS,
    OFFICIAL_INTRINSICS,
    OFFICIAL_SIZE,
    RESEARCH_ONLY,
    NYUv2Source,
    add_derived,
    check_splits,
    crop,
    cropped,
)
from datasets.preparation.reading import read_array, to_labels, to_metres

HEIGHT, WIDTH = OFFICIAL_SIZE
NUM_CLASSES = 40

SOURCES = {
    "images": "nyu_depth_v2_labeled.mat (Silberman, Hoiem, Kohli, Fergus, ECCV 2012), images",
    "semseg": "its labels, 894 names mapped to 40 classes (Gupta, Arbelaez, Malik, CVPR 2013)",
    "depth": "its depths: float32, in-filled by the authors",
    "normals": DERIVED_NORMALS,
    "boundary": (
        "derived: outlines of its object instances (changes of label or instance), datasets/nyuv2/boundaries.py; not "
        "the published boundaries"
    ),
}

_SHAPES = {
    "images": (3, WIDTH, HEIGHT),
    "depths": (WIDTH, HEIGHT),
    "labels": (WIDTH, HEIGHT),
    "instances": (WIDTH, HEIGHT),
}
_KINDS = {"images": ("u", "uint8"), "labels": ("ui", "whole numbers"), "instances": ("ui", "whole numbers")}
_INTERNAL = {"#refs#", "#subsystem#"}
_SPLITS = {"trainNdxs": "train", "testNdxs": "test"}
# Enough for one frame of every array where a compressed chunk spans several frames.
_CHUNK_CACHE = 32 * 2**20


@dataclass(frozen=True)
class OfficialSource(NYUv2Source):
    """Source for the file that the top of this module describes; other fields as in `NYUv2Source`.

    Args:
        path: the .mat file.
        records: frames, named by their official number.
        size: (425, 560), or (480, 640) with the white border.
        table: class 0..40 of each label, from label 0 on.
        notes: caveats.
    """

    path: Path
    records: tuple[FrameRecord, ...]
    size: tuple[int, int]
    table: tuple[int, ...]
    notes: tuple[str, ...]
    name: str = "nyuv2-40c"
    classes: tuple[str, ...] = NAMES_40

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        return SOURCES

    def arrays(self, frame: FrameRecord) -> dict[str, Array]:
        """All modalities of a frame; derived ones are computed before the crop.

        Raises:
            DataError: naming the array and the frame that is damaged or wrong.
        """
        image = self._array("images", frame).T
        depth = to_metres(self._array("depths", frame).T, OFFICIAL_SIZE, self._where("depths", frame))
        labels = self._array("labels", frame).T
        # Only a check: labels up to 894 do not fit into the 8 bits of the result.
        to_labels(labels, len(self.table) - 1, OFFICIAL_SIZE, self._where("labels", frame))
        objects = np.where(labels > 0, labels.astype(np.int64) * 2**16 + self._array("instances", frame).T, 0)
        arrays = {
            "images": np.ascontiguousarray(image),
            "semseg": np.array(self.table, np.uint8)[labels],
            "depth": depth,
            "boundary": boundaries_from_labels(objects),
        }
        arrays = add_derived(arrays, OFFICIAL_INTRINSICS)
        return arrays if self.size == OFFICIAL_SIZE else crop(arrays)

    def _array(self, key: str, frame: FrameRecord) -> Array:
        file = _opened(self.path, self.path.stat().st_mtime_ns)
        try:
            return file[key][int(frame.name) - 1]
        except (OSError, RuntimeError) as error:
            raise DataError(f"{self._where(key, frame)}: cannot be read ({first_line(error)})") from None

    def _where(self, key: str, frame: FrameRecord) -> str:
        return f"{self.path}: {key}, frame {frame.name}"


def open_official(path: Path, splits: Path, class_mapping: Path | None, *, full_size: bool) -> OfficialSource:
    """Open the file and check everything but the pixels.

    Args:
        path: nyu_depth_v2_labeled.mat.
        splits: splits.mat.
        class_mapping: classMapping40.mat; None for the copy of its table in this repository.
        full_size: True to keep 480x640 with the white border.

    Raises:
        DataError: naming the missing or wrong file or array.
    """
    try:
        file = _opened(path, path.stat().st_mtime_ns)
        count = _check_arrays(file, path)
        names, scenes = _strings(file, "names"), _strings(file, "scenes") or [""] * count
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except DataError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({first_line(error)})") from None
    if len(scenes) != count:
        raise DataError(f"{path}: scenes names {len(scenes)} frames, images has {count}")
    table = _table_of(names, class_mapping, path)
    split_of = _read_splits(splits, count, path)
    intrinsics = OFFICIAL_INTRINSICS if full_size else cropped(OFFICIAL_INTRINSICS)
    records = tuple(
        FrameRecord(f"{number:04d}", split, intrinsics, scenes[number - 1])
        for number, split in sorted(split_of.items())
    )
    notes = _notes(full_size=full_size, left_out=count - len(records), named=bool(names))
    return OfficialSource(path, records, OFFICIAL_SIZE if full_size else CROPPED_SIZE, table, notes)


def _notes(*, full_size: bool, left_out: int, named: bool) -> tuple[str, ...]:
    notes = [RESEARCH_ONLY]
    if full_size:
        notes.append("480x640 with the white border, which has no labels but in-filled depth.")
    if left_out:
        notes.append(f"{left_out} frames of the file are in neither split and were left out.")
    if not named:
        notes.append("The file does not name its labels; the official order of the 894 names was assumed.")
    return tuple(notes)


@lru_cache(maxsize=1)
def _opened(path: Path, modified: int) -> Any:
    """The open file, one per process and modification time, so that its chunk cache serves several frames."""
    try:
        return h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path}: truncated or not a MATLAB 7.3 (HDF5) file ({first_line(error)})") from None


def _check_arrays(file: Any, path: Path) -> int:
    """Check presence, shapes, types and lengths of the arrays, and return the number of frames."""
    counts = {}
    for key, shape in _SHAPES.items():
        array = member(file, key, path)
        if not isinstance(array, h5py.Dataset):
            raise DataError(f"{path}: no array {key!r}, it has {', '.join(sorted(set(file) - _INTERNAL)) or 'none'}")
        check_dataset(array, path)
        if array.shape[1:] != shape:
            swapped = not set(shape) - set(array.shape) and array.ndim == len(shape) + 1
            raise DataError(
                f"{path}: {key} is {'x'.join(map(str, array.shape))}, expected Nx{'x'.join(map(str, shape))} (MATLAB's "
                f"axes in reverse){': the axes are swapped' if swapped else ''}"
            )
        kinds, wanted = _KINDS.get(key, ("fui", "numbers"))
        if array.dtype.kind not in kinds or (wanted == "uint8" and array.dtype != wanted):
            raise DataError(f"{path}: {key} is {array.dtype}, expected {wanted}")
        counts[key] = array.shape[0]
    if len(set(counts.values())) > 1 or not counts["images"]:
        found = ", ".join(f"{key} {count}" for key, count in counts.items())
        raise DataError(f"{path}: a frame is missing, the numbers of frames are {found}")
    return counts["images"]


def _strings(file: Any, key: str) -> list[str]:
    """Strings of a cell; empty if the file has no such cell."""
    path = Path(file.filename)
    cell = member(file, key, path)
    if not isinstance(cell, h5py.Dataset):
        return []
    entries = read_dataset(cell, path).ravel()
    if h5py.check_ref_dtype(cell.dtype) is not None:
        return ["".join(map(chr, read_dataset(file[entry], path).ravel())) for entry in entries]
    return [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in entries]


def _table_of(names: Sequence[str], class_mapping: Path | None, path: Path) -> tuple[int, ...]:
    """Class 0..40 of every label, from label 0 on."""
    if class_mapping is not None:
        return _table_of_file(class_mapping, names)
    by_name = class_of_name()
    for label, name in enumerate(names, start=1):
        if name not in by_name:
            raise DataError(
                f"{path}: label {label} is named {name!r}, which is not one of the 894 official names; give "
                "--class-mapping classMapping40.mat"
            )
    return (0, *(by_name[name] for name in names or by_name))


def _table_of_file(path: Path, names: Sequence[str]) -> tuple[int, ...]:
    """Class of every label from `mapClass` of classMapping40.mat, checked against `allClassName`."""
    classes = read_array(path, "mapClass").ravel().tolist()
    if not classes or not all(value in range(1, NUM_CLASSES + 1) for value in classes):
        raise DataError(f"{path}: mapClass has values other than the classes 1 to {NUM_CLASSES}")
    if names and read_variable(path, "allClassName") != list(names):
        raise DataError(f"{path}: allClassName differs from `names` in the .mat file; the two do not belong together")
    return (0, *map(int, classes))


def _read_splits(path: Path, count: int, of_file: Path) -> dict[int, str]:
    """Split of each frame, by its number from 1 on."""
    numbers = {}
    for key in _SPLITS:
        values = read_array(path, key).ravel().tolist()
        wrong = [value for value in values if value not in range(1, count + 1)]
        if wrong:
            raise DataError(
                f"{path}: {key} names frame {wrong[0]:g}, which is not there; {of_file.name} has frames 1 to {count}"
            )
        numbers[key] = [f"{int(value):04d}" for value in values]
    if not any(numbers.values()):
        raise DataError(f"{path}: lists no frames")
    check_splits(numbers["trainNdxs"], numbers["testNdxs"], f"{path}: trainNdxs", f"{path}: testNdxs")
    return {int(name): split for key, split in _SPLITS.items() for name in numbers[key]}
