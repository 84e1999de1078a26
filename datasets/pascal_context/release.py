"""The release of PASCAL-Context for multi-task learning: PASCAL_MT of ASTMT, PASCALContext of ATRC and InvPT.

Both archives hold the same files, below folders of different names:

    JPEGImages/NAME.jpg
    ImageSets/Context/train.txt, val.txt     names, one a line
    pascal-context/trainval/NAME.mat         LabelMap, classes 1..459
    semseg/VOC12/NAME.png                    0..20, 255 unlabelled; if it is missing, semseg/pascal-context/NAME.png
    human_parts/NAME.mat                     anno, as in PASCAL-Part
    normals_distill/NAME.png                 (H, W, 3), n = 2 v / 255 - 1
    sal_distill/NAME.png                     probability in 8 bits
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.images import read_numbers
from benchmark.boundaries.formats.matlab import read_variable
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord, LabelInfo, assumed_intrinsics
from datasets.pascal_context import labels
from datasets.preparation.archives import folder_with
from datasets.preparation.reading import check_presence, check_shape, read_colour

TASKS = ("semseg", "human_parts", "saliency", "normals", "boundary")
SPLITS = {"train": "train", "val": "test"}
PUBLISHED_FRAMES = {"train": 4998, "test": 5105}

SOURCES = {
    "images": "PASCAL VOC (Everingham et al., IJCV 2010), the frames of PASCAL-Context (Mottaghi et al., CVPR 2014)",
    "semseg": "the 20 classes of PASCAL VOC and the background",
    "human_parts": "PASCAL-Part (Chen et al., CVPR 2014), united to six parts and the background",
    "saliency": "distilled: predictions of a network, cut at 0.5 (Maninis et al., CVPR 2019)",
    "normals": "distilled: predictions of a network that learned from NYU-v2, for classes that NYU-v2 has too",
    "boundary": "of the 459 classes: train thin(|Laplacian| > 0), test thin(outlines), as published",
}
NOTES = (
    "The camera is not known: intrinsics are assumed, with a focal length of the longer side.",
    "Saliency and normals are network predictions, not measurements.",
    "The test split is the published val split.",
)

_FOLDERS = (
    "JPEGImages",
    "ImageSets/Context",
    "pascal-context/trainval",
    "semseg",
    "human_parts",
    "normals_distill",
    "sal_distill",
)


@dataclass(frozen=True)
class Release:
    """A release on disk as a `datasets.preparation.preparing.Source`.

    Args:
        root: folder with JPEGImages/.
        frames: name and split of every frame.
        name: beginning of the data-set id.
        tasks: names of the tasks.
        classes: names of the semseg classes.
        notes: caveats.
        version: version of the preparation.
    """

    root: Path
    frames: tuple[tuple[str, str], ...]
    name: str = "pascal_context-21c"
    tasks: tuple[str, ...] = TASKS
    classes: tuple[str, ...] = labels.CLASSES
    notes: tuple[str, ...] = NOTES
    version: int = 1

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """Names of the classes of human_parts."""
        return {"human_parts": LabelInfo("class", labels.PART_CLASSES)}

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        return SOURCES

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """The record of a frame and its arrays as stored.

        Raises:
            DataError: naming the file that is truncated, of another size, or has a value that is not allowed.
        """
        image = read_colour(self.root / "JPEGImages" / f"{name}.jpg")
        size = (image.shape[0], image.shape[1])
        label_map = self._map(f"pascal-context/trainval/{name}.mat", size, lambda path: read_variable(path, "LabelMap"))
        normals = self._map(f"normals_distill/{name}.png", (*size, 3), read_colour)
        boundary = labels.training_boundary if split == "train" else labels.evaluation_boundary
        arrays = {
            "images": image,
            "semseg": self._semseg(name, size),
            "human_parts": self._human_parts(name, size),
            "saliency": labels.saliency(self._map(f"sal_distill/{name}.png", size, read_numbers)),
            "normals": labels.normals(normals, label_map),
            "boundary": boundary(label_map),
        }
        return FrameRecord(name, split, assumed_intrinsics(size), size=size), arrays

    def _map(self, file: str, shape: tuple[int, ...], read: Callable[[Path], Array]) -> Array:
        path = self.root / file
        array = read(path)
        if not isinstance(array, np.ndarray):
            raise DataError(f"{path}: found text or a cell, expected numbers")
        check_shape(array, shape, str(path))
        return array

    def _semseg(self, name: str, size: tuple[int, int]) -> Array:
        path = semseg_file(self.root, name)
        codes = read_numbers(path)
        check_shape(codes, size, str(path))
        try:
            return labels.semseg(codes)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None

    def _human_parts(self, name: str, size: tuple[int, int]) -> Array:
        path = self.root / "human_parts" / f"{name}.mat"
        annotation = read_variable(path, "anno")
        try:
            parts = list(labels.people(annotation))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{path}: anno is not the annotation of PASCAL-Part ({error})") from None
        try:
            return labels.human_parts(parts, size)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None


def open_release(folder: Path) -> Release:
    """Find the release below a folder, read its splits, and check that every file exists.

    Raises:
        DataError: naming the first missing file and the number of missing files.
    """
    root = folder_with(folder, _FOLDERS, "a release of PASCAL-Context")
    frames = tuple((name, split) for file, split in SPLITS.items() for name in _names(root, file))
    _check_names([name for name, _ in frames], root)
    check_presence(path for name, _ in frames for path in _files(root, name))
    counts = Counter(split for _, split in frames)
    expected = ", ".join(f"{number} {split}" for split, number in PUBLISHED_FRAMES.items())
    partial = f"The published release has {expected} frames; numbers on this one compare with no paper."
    return Release(root, frames, notes=NOTES if counts == PUBLISHED_FRAMES else (*NOTES, partial))


def semseg_file(root: Path, name: str) -> Path:
    """Label file of PASCAL VOC if it exists, else the label file of PASCAL-Context."""
    voc = root / "semseg" / "VOC12" / f"{name}.png"
    return voc if voc.is_file() else root / "semseg" / "pascal-context" / f"{name}.png"


def _files(root: Path, name: str) -> list[Path]:
    return [
        root / "JPEGImages" / f"{name}.jpg",
        root / "pascal-context" / "trainval" / f"{name}.mat",
        semseg_file(root, name),
        root / "human_parts" / f"{name}.mat",
        root / "normals_distill" / f"{name}.png",
        root / "sal_distill" / f"{name}.png",
    ]


def _names(root: Path, file: str) -> list[str]:
    path = root / "ImageSets" / "Context" / f"{file}.txt"
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error.reason})") from None
    if not names:
        raise DataError(f"{path}: lists no frames")
    return names


def _check_names(names: list[str], root: Path) -> None:
    """Refuse a name that is listed twice or that is no file name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{root / 'ImageSets' / 'Context'}: frame {twice[0]!r} is listed twice, or in both splits")
    odd = [name for name in names if Path(name).name != name]
    if odd:
        raise DataError(f"{root / 'ImageSets' / 'Context'}: {odd[0]!r} is not the name of a frame")
