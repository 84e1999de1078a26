"""A folder of the 1449 labelled frames.

The folder holds INDEX.csv (id, path_rgb, path_depth, path_label, depth_max_m, intrinsics, split; paths relative to the
folder above) and classes.csv (id40, name40); scenes.csv (id, scene, scene_type, scene_source, type_source; any may be
empty) is optional. Pictures are 480x640: JPEG images, 8-bit depth codes v with metres = (v + 0.5) / 255 * depth_max_m,
and 8-bit labels, 0 unlabelled and 1..40. The intrinsics are as published: the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.images import read_numbers
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord
from datasets.nyuv2.sources.source import (
    CROPPED_SIZE,
    OFFICIAL_SIZE,
    RESEARCH_ONLY,
    Intrinsics,
    NYUv2Source,
    add_derived,
    check_splits,
    crop,
    cropped,
    half_pixel_added,
)
from datasets.preparation.reading import check_presence, check_shape, describe, read_colour, to_labels

NUM_CLASSES = 40
MERGED_LABEL = 255
"""Value in train frames of older copies for both unlabelled and class 40."""

SOURCES = {
    "images": "NYU-Depth-V2 labelled set (Silberman, Hoiem, Kohli, Fergus, ECCV 2012), JPEG quality 75 copies",
    "semseg": "NYU-40 classes (Gupta, Arbelaez, Malik, CVPR 2013) of the labelled set",
    "depth": "in-painted depth of the labelled set, 8-bit per frame: metres = (v + 0.5) / 255 * the frame's maximum",
    "normals": "plane fits on that depth, datasets/nyuv2/normals.py",
    "boundary": "class boundaries of the label map, datasets/nyuv2/boundaries.py",
}
NOTES = (
    "Images are JPEG copies of quality 75.",
    "Depth has 8 bits: 256 steps a frame, of 10 to 40 mm.",
    "Normals are derived from that depth; they are not the published normals.",
    "Boundaries are derived from the class labels; they are not the published boundaries.",
    RESEARCH_ONLY,
)

_COLUMNS = ("id", "path_rgb", "path_depth", "path_label", "depth_max_m", "intrinsics", "split")
_SCENE_COLUMNS = ("id", "scene", "scene_type", "scene_source", "type_source")


@dataclass(frozen=True)
class _Files:
    """One line of INDEX.csv.

    Args:
        split: "train" or "test".
        rgb: path of the JPEG image.
        depth: path of the 8-bit depth.
        label: path of the label map.
        depth_max: metres of the code 255, to within half a step.
        intrinsics: fx, fy, cx, cy at 480x640; pixel centres are at integer + 0.5.
    """

    split: str
    rgb: Path
    depth: Path
    label: Path
    depth_max: float
    intrinsics: Intrinsics


@dataclass(frozen=True)
class FolderSource(NYUv2Source):
    """Source for the folder that the top of this module describes; other fields as in `NYUv2Source`.

    Args:
        files: files of each frame, by its name.
        scene_sources: sources of the scene names, each with its number of frames.
    """

    classes: tuple[str, ...]
    records: tuple[FrameRecord, ...]
    files: Mapping[str, _Files]
    scene_sources: str
    name: str = "nyuv2-40c"
    size: tuple[int, int] = CROPPED_SIZE
    notes: tuple[str, ...] = NOTES

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        return {**SOURCES, "scene": self.scene_sources} if self.scene_sources else SOURCES

    def arrays(self, frame: FrameRecord) -> dict[str, Array]:
        """All modalities of a frame; normals and boundaries are computed before the crop, to be right at its border.

        Raises:
            DataError: if a file is truncated, of another size, or has a value that is not allowed.
        """
        files = self.files[frame.name]
        step = files.depth_max / 255
        depth = ((_read_gray(files.depth).astype(np.float32) + 0.5) * np.float32(step)).astype(np.float32)
        labels = _read_labels(files)
        image = read_colour(files.rgb)
        check_shape(image, (*OFFICIAL_SIZE, 3), str(files.rgb))
        arrays = {"images": image, "semseg": labels, "depth": depth}
        return crop(add_derived(arrays, files.intrinsics, quantisation=step))


def open_folder(folder: Path) -> FolderSource:
    """Read the tables and check that every file exists.

    Raises:
        DataError: naming the first missing file or wrong line.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds INDEX.csv, rgb/, depth8/ and label40/")
    index = folder / "INDEX.csv"
    rows = [_parse_row(row, folder, f"{index}, line {line}") for line, row in enumerate(_read_csv(index), start=2)]
    if not rows:
        raise DataError(f"{index}: lists no frames")
    by_split = {split: [name for name, one in rows if one.split == split] for split in ("train", "test")}
    check_splits(by_split["train"], by_split["test"], str(index), str(index))
    files = dict(rows)
    check_presence(path for _, one in rows for path in (one.rgb, one.depth, one.label))
    scenes = _read_scenes(folder)
    records = tuple(
        _with_scene(FrameRecord(name, one.split, cropped(one.intrinsics)), scenes.get(name, {}))
        for name, one in files.items()
    )
    sources = Counter(scenes[record.name]["scene_source"] for record in records if record.scene)
    listed = "; ".join(f"{count} of {len(records)} frames: {source}" for source, count in sources.items())
    return FolderSource(_read_classes(folder), records, files, listed)


def _read_scenes(folder: Path) -> dict[str, dict[str, str]]:
    """Lines of scenes.csv by frame; empty where the folder has no such file."""
    path = folder / "scenes.csv"
    rows = _read_csv(path) if path.exists() else []
    for line, row in enumerate(rows, start=2):
        missing = [column for column in _SCENE_COLUMNS if row.get(column) is None]
        if missing:
            raise DataError(
                f"{path}, line {line}: no column {missing[0]!r}; the columns are {', '.join(_SCENE_COLUMNS)}"
            )
    return {row["id"]: row for row in rows}


def _with_scene(record: FrameRecord, row: Mapping[str, str]) -> FrameRecord:
    scene, scene_type, source = (row.get(column, "") for column in ("scene", "scene_type", "type_source"))
    return replace(record, scene=scene, scene_type=scene_type, scene_type_source=source)


def _read_csv(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable table ({error})") from None


def _parse_row(row: dict[str, str], folder: Path, where: str) -> tuple[str, _Files]:
    missing = [column for column in _COLUMNS if not row.get(column)]
    if missing:
        raise DataError(f"{where}: the column {missing[0]!r} is missing or empty")
    if row["split"] not in ("train", "test"):
        raise DataError(f"{where}: split {row['split']!r}, allowed are train and test")
    try:
        fx, fy, cx, cy = map(float, row["intrinsics"].split())
        depth_max = float(row["depth_max_m"])
    except ValueError as error:
        raise DataError(f"{where}: intrinsics are four numbers and depth_max_m is one ({error})") from None
    if not 0 < depth_max < np.inf:
        raise DataError(f"{where}: depth_max_m is {depth_max}, it must be a positive number of metres")
    rgb, depth, label = (folder.joinpath(*Path(row[key]).parts[1:]) for key in ("path_rgb", "path_depth", "path_label"))
    intrinsics = half_pixel_added((fx, fy, cx, cy))
    return row["id"].rpartition("/")[2], _Files(row["split"], rgb, depth, label, depth_max, intrinsics)


def _read_classes(folder: Path) -> tuple[str, ...]:
    """Names of the classes 1..40, from classes.csv."""
    path = folder / "classes.csv"
    names = {row.get("id40"): row.get("name40") or "" for row in _read_csv(path)}
    missing = [number for number in range(1, NUM_CLASSES + 1) if not names.get(str(number))]
    if missing:
        raise DataError(f"{path}: no name for class {missing[0]}")
    return tuple(names[str(number)] for number in range(1, NUM_CLASSES + 1))


def _read_labels(files: _Files) -> Array:
    """(480, 640) uint8 labels 0..40."""
    labels = _read_gray(files.label)
    if files.split == "train" and (labels == MERGED_LABEL).any():
        raise DataError(
            f"{files.label}: label {MERGED_LABEL} ({int((labels == MERGED_LABEL).sum())} pixels): an older copy, which "
            f"cannot tell class {NUM_CLASSES} from unlabelled; get the labels with 0 unlabelled and 1..{NUM_CLASSES}"
        )
    return to_labels(labels, NUM_CLASSES, OFFICIAL_SIZE, str(files.label))


def _read_gray(path: Path) -> Array:
    picture = read_numbers(path)
    check_shape(picture, OFFICIAL_SIZE, str(path))
    if picture.dtype != np.uint8:
        raise DataError(f"{path}: found {describe(picture)}, expected 8 bits per pixel")
    return picture
