"""The three NYUD-MT releases of multi-task papers, with one folder layout and different file formats.

| | `astmt` | `mtl_pytorch` | `atrc` |
| --- | --- | --- | --- |
| by | Maninis et al., CVPR 2019 | Vandenhende et al., TPAMI 2021 | Bruggemann et al., ICCV 2021; InvPT |
| images/ | jpg | jpg | png |
| segmentation/ | mat `segmentation` | png | png |
| depth/ | mat `depth` | npy | npy |
| normals/ | 8-bit jpg | float npy | 8-bit png |
| edge/ | png | npy | png |
| size | 425x560 | 480x640 | 425x560 |

gt_sets/train.txt and val.txt list the frames; val is the test split. Labels are 0 unlabelled, 1..40; depth in metres.
8 bits cannot code a zero normal: the published loaders read a missing normal of the 8-bit releases as a direction, here
it is missing. normals/ and edge/ may be absent; both are then derived.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.visualization.nyu40 import NAMES_40
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord
from datasets.nyuv2.sources.orientation import AS_STORED, Agreement, Signs, agreement, check_frame, find_signs
from datasets.nyuv2.sources.source import (
    CROPPED_SIZE,
    DERIVED_BOUNDARY,
    DERIVED_NORMALS,
    OFFICIAL_INTRINSICS,
    OFFICIAL_SIZE,
    RESEARCH_ONLY,
    NYUv2Source,
    add_derived,
    check_splits,
    cropped,
)
from datasets.preparation.archives import folder_with
from datasets.preparation.reading import (
    check_presence,
    check_shape,
    read_array,
    read_colour,
    read_map,
    to_boundary,
    to_labels,
    to_metres,
    to_normals,
)

NUM_CLASSES = 40
INTRINSICS = {CROPPED_SIZE: cropped(OFFICIAL_INTRINSICS), OFFICIAL_SIZE: OFFICIAL_INTRINSICS}


@dataclass(frozen=True)
class Release:
    """A published release.

    Args:
        title: title for dataset.json.
        suffixes: suffix of the files by folder.
    """

    title: str
    suffixes: Mapping[str, str]


def _release(title: str, images: str, segmentation: str, depth: str, normals: str, edge: str) -> Release:
    return Release(
        title, {"images": images, "segmentation": segmentation, "depth": depth, "normals": normals, "edge": edge}
    )


RELEASES = {
    "astmt": _release("NYUD_MT of ASTMT (Maninis et al., CVPR 2019)", ".jpg", ".mat", ".mat", ".jpg", ".png"),
    "mtl_pytorch": _release(
        "NYUD_MT of Multi-Task-Learning-PyTorch (Vandenhende et al., TPAMI 2021)",
        ".jpg",
        ".png",
        ".npy",
        ".npy",
        ".npy",
    ),
    "atrc": _release("NYUDv2 of ATRC (Bruggemann et al., ICCV 2021)", ".png", ".png", ".npy", ".png", ".png"),
}
OPTIONAL = ("normals", "edge")
_MODALITY = {"images": "images", "segmentation": "semseg", "depth": "depth", "normals": "normals", "edge": "boundary"}
_SPLIT_FILES = {"train": "train.txt", "test": "val.txt"}
_FRAME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class ReleaseSource(NYUv2Source):
    """Source for a release that the top of this module describes; other fields as in `NYUv2Source`.

    Args:
        root: folder with images/ and gt_sets/.
        release: the recognised or forced release.
        folders: names of the existing folders.
        records: frames of both splits.
        size: (H, W) of every picture.
        notes: caveats.
        signs: factors of the components of the stored normals.
    """

    root: Path
    release: Release
    folders: tuple[str, ...]
    records: tuple[FrameRecord, ...]
    size: tuple[int, int]
    notes: tuple[str, ...] = (RESEARCH_ONLY,)
    signs: Signs = AS_STORED
    name: str = f"nyuv2-{NUM_CLASSES}c"
    classes: tuple[str, ...] = NAMES_40

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        derived = {"normals": DERIVED_NORMALS, "boundary": DERIVED_BOUNDARY}
        given = {
            _MODALITY[folder]: f"{self.release.title}: {folder}/*{self.release.suffixes[folder]}"
            for folder in self.folders
        }
        if "normals" in given and self.release.suffixes["normals"] != ".npy":
            given["normals"] += ", 8-bit; codes 127 and 128 mean missing, which the published loaders do not know"
        return {modality: given.get(modality) or derived[modality] for modality in _MODALITY.values()}

    def path(self, folder: str, frame: FrameRecord) -> Path:
        """Path of a file of a frame."""
        return self.root / folder / f"{frame.name}{self.release.suffixes[folder]}"

    def arrays(self, frame: FrameRecord) -> dict[str, Array]:
        """All modalities of a frame.

        Raises:
            DataError: naming the file that is truncated or wrong.
        """
        arrays = {"images": self._image(frame), "semseg": self._labels(frame), "depth": self._depth(frame)}
        if "normals" in self.folders:
            normals = self.normals(frame)
            where = f"{self.path('normals', frame)}: with {self.path('depth', frame)}"
            check_frame(agreement(arrays["depth"], normals, frame.intrinsics), where)
            arrays["normals"] = normals.astype(np.float16)
        if "edge" in self.folders:
            path = self.path("edge", frame)
            arrays["boundary"] = to_boundary(read_map(path), self.size, str(path))
        return add_derived(arrays, frame.intrinsics)

    def normals(self, frame: FrameRecord) -> Array:
        """(H, W, 3) float32 unit normals: x right, y down, z towards the camera; zero missing."""
        path = self.path("normals", frame)
        array = read_colour(path) if path.suffix in {".jpg", ".png"} else read_array(path)
        return to_normals(array, self.size, str(path)) * np.array(self.signs, np.float32)

    def agreement(self, frame: FrameRecord) -> Agreement:
        """Comparison of the normals of a frame with its depth."""
        return agreement(self._depth(frame), self.normals(frame), frame.intrinsics)

    def _image(self, frame: FrameRecord) -> Array:
        path = self.path("images", frame)
        image = read_colour(path)
        check_shape(image, (*self.size, 3), str(path))
        return image

    def _labels(self, frame: FrameRecord) -> Array:
        path = self.path("segmentation", frame)
        return to_labels(read_map(path, "segmentation"), NUM_CLASSES, self.size, str(path))

    def _depth(self, frame: FrameRecord) -> Array:
        path = self.path("depth", frame)
        return to_metres(read_map(path, "depth"), self.size, str(path))


def open_release(folder: Path, forced: str | None) -> ReleaseSource:
    """Recognise a release, list its frames, check that their files exist, and determine the signs of its normals.

    Args:
        folder: the unpacked release, or a folder around it.
        forced: a key of `RELEASES`, None to recognise it by its files.

    Raises:
        DataError: naming the missing or wrong file or folder.
    """
    root = folder_with(folder, ("gt_sets", "images"), "an NYUD-MT release")
    folders = tuple(name for name in _MODALITY if (root / name).is_dir())
    release = RELEASES[forced] if forced else _recognise(root, folders)
    missing = [name for name in _MODALITY if name not in folders and name not in OPTIONAL]
    if missing:
        raise DataError(f"{root / missing[0]}: the folder is missing")
    names = {split: _read_list(root / "gt_sets" / file) for split, file in _SPLIT_FILES.items()}
    check_splits(names["train"], names["test"], *(str(root / "gt_sets" / file) for file in _SPLIT_FILES.values()))
    source = ReleaseSource(root, release, folders, (), CROPPED_SIZE)
    frames = [FrameRecord(name, split, (0, 0, 0, 0)) for split in names for name in names[split]]
    check_presence(source.path(name, frame) for frame in frames for name in folders)
    size = _size_of(source.path("images", frames[0]))
    frames = [replace(frame, intrinsics=INTRINSICS[size]) for frame in frames]
    source = replace(source, records=tuple(frames), size=size, notes=_notes(root, frames, release))
    return _with_signs(source)


def _recognise(root: Path, folders: Sequence[str]) -> Release:
    """The release with the file suffixes of the folders."""
    suffix_by_folder = {name: suffix for name in folders if (suffix := _usual_suffix(root / name))}
    for release in RELEASES.values():
        if all(release.suffixes[name] == suffix for name, suffix in suffix_by_folder.items()):
            return release
    listed = ", ".join(f"{name}/*{suffix}" for name, suffix in suffix_by_folder.items())
    raise DataError(
        f"{root}: none of the releases {', '.join(RELEASES)} has {listed}; if files are missing or superfluous, name "
        "the nearest with --release"
    )


def _usual_suffix(folder: Path) -> str:
    suffixes = Counter(path.suffix for path in folder.iterdir() if not path.name.startswith("."))
    return suffixes.most_common(1)[0][0] if suffixes else ""


def _read_list(path: Path) -> list[str]:
    """Frame names of a list, one a line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable list ({error})") from None
    names = [line.strip() for line in lines if line.strip()]
    wrong = [name for name in names if not _FRAME_NAME.fullmatch(name)]
    if wrong:
        raise DataError(f"{path}: {wrong[0]!r} is no name of a frame")
    if not names:
        raise DataError(f"{path}: lists no frames")
    return names


def _size_of(path: Path) -> tuple[int, int]:
    height, width = read_colour(path).shape[:2]
    if (height, width) not in INTRINSICS:
        sizes = " or ".join(f"{height}x{width}" for height, width in INTRINSICS)
        raise DataError(f"{path}: found {height}x{width}, a release has {sizes}")
    return height, width


def _notes(root: Path, frames: Sequence[FrameRecord], release: Release) -> tuple[str, ...]:
    unlisted = {path.stem for path in (root / "images").glob(f"*{release.suffixes['images']}")}
    unlisted = {name for name in unlisted if not name.startswith(".")} - {frame.name for frame in frames}
    if not unlisted:
        return (RESEARCH_ONLY,)
    return RESEARCH_ONLY, f"{len(unlisted)} images are in neither split and were left out, first {min(unlisted)}."


def _with_signs(source: ReleaseSource) -> ReleaseSource:
    """Set the signs of the normals of a source."""
    if "normals" not in source.folders:
        return source
    signs, note = find_signs(source.records, source.agreement, str(source.root / "normals"))
    return replace(source, signs=signs, notes=(*source.notes, note))
