"""Conversion of the release files to the label codes of the canonical layout.

The conventions are taken from the loaders of ASTMT (facebookresearch/astmt), also used by the survey, ATRC and InvPT;
read to understand, nothing copied.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.layout.frame_files import Array

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The 20 classes of PASCAL VOC and the background, which counts as a class."""

PARTS = {
    "head": ("head", "hair", "leye", "reye", "lear", "rear", "lebrow", "rebrow", "nose", "mouth"),
    "torso": ("torso", "neck"),
    "upper arm": ("luarm", "ruarm"),
    "lower arm": ("llarm", "rlarm", "lhand", "rhand"),
    "upper leg": ("luleg", "ruleg"),
    "lower leg": ("llleg", "rlleg", "lfoot", "rfoot"),
}
"""The six parts, each with its parts of PASCAL-Part; left and right are merged."""

PART_CLASSES = ("background", *PARTS)
PERSON = 15
"""Class number of people in PASCAL-Part."""

_PART_NUMBER = {part: number for number, parts in enumerate(PARTS.values(), start=1) for part in parts}
_FOREGROUND = 255
_MIDDLE = 128
"""Threshold of the 8-bit probability; the published loaders threshold at 0.5."""
_SHORTEST_NORMAL = 0.5


def semseg(labels: Array) -> Array:
    """Convert a class map (0..20, 255 unlabelled) to stored codes (1..21, 0 unlabelled).

    Raises:
        ValueError: for another label, with its position.
    """
    wrong = (labels >= len(CLASSES)) & (labels != 255)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"label {labels[row, column]} at row {row}, column {column} ({int(wrong.sum())} such pixels), allowed are "
            f"0 to {len(CLASSES) - 1} and 255"
        )
    return np.where(labels == 255, 0, labels + 1).astype(np.uint8)


def human_parts(parts: Iterable[tuple[str, Array]], size: tuple[int, int]) -> Array:
    """Stored codes of the parts of all people in an image: 1 is the background, 2..7 are the six parts.

    Args:
        parts: names in PASCAL-Part and masks (H, W), in the order of the file; a later one covers an earlier one.
        size: (H, W).

    Raises:
        ValueError: for an unknown part, or a mask of another size.
    """
    codes = np.ones(size, np.uint8)
    for name, mask in parts:
        if name not in _PART_NUMBER:
            raise ValueError(f"no human part named {name!r}; the parts are {', '.join(sorted(_PART_NUMBER))}")
        if mask.shape != size:
            raise ValueError(f"the mask of {name} is {mask.shape[0]}x{mask.shape[1]}, the image {size[0]}x{size[1]}")
        codes[mask != 0] = 1 + _PART_NUMBER[name]
    return codes


def people(annotation: Any) -> Iterator[tuple[str, Array]]:
    """Name and mask of every part of every person, from the variable `anno` of a file of PASCAL-Part.

    Args:
        annotation: result of `benchmark.boundaries.formats.matlab.read_variable`.

    Raises:
        LookupError, TypeError, ValueError: if it has another structure.
    """
    # Fields by position, as in the published loaders: image name, objects; class name, class, mask, parts; part name,
    # mask.
    for thing in _fields(annotation[0])[1]:
        _, number, _, parts = _fields(thing)
        if int(number.item()) != PERSON:
            continue
        for part in parts if isinstance(parts, list) else ():
            name, mask = _fields(part)
            yield str(name), mask


def _fields(record: Mapping[str, Any]) -> list[Any]:
    return list(record.values())


def saliency(codes: Array) -> Array:
    """Convert distilled 8-bit saliency to stored codes: 255 salient, 0 not salient."""
    return np.where(codes >= _MIDDLE, np.uint8(_FOREGROUND), np.uint8(0))


def normals(codes: Array, label_map: Array) -> Array:
    """Convert distilled 8-bit normals to (H, W, 3) float16 unit vectors; zero where the class is not in NYU-v2.

    Args:
        codes: (H, W, 3) uint8, n = 2 v / 255 - 1.
        label_map: (H, W) class 1..459 of PASCAL-Context. The normals come from a network trained on NYU-v2, so they are
            valid only for classes of NYU-v2.
    """
    vectors = codes.astype(np.float32) * np.float32(2 / 255) - 1
    length = np.sqrt(np.square(vectors).sum(-1))
    valid = np.isin(label_map, classes_with_normals()) & (length >= _SHORTEST_NORMAL)
    scale = np.divide(1.0, length, where=valid, out=np.zeros_like(length))
    return (vectors * scale[..., None]).astype(np.float16)


@cache
def classes_with_normals() -> NDArray[np.int64]:
    """Numbers of the PASCAL-Context classes whose name is one of the 894 names of NYU-v2, and of tvmonitor."""
    with open(Path(__file__).with_name("normals_classes.csv"), encoding="utf-8", newline="") as file:
        return np.array([int(row["id"]) for row in csv.DictReader(file)])


def training_boundary(label_map: Array) -> Array:
    """Training boundaries: pixels where the Laplacian of the class numbers is not 0, thinned; codes 0 and 255.

    As published, class changes at which the Laplacian is 0 by chance are missed.
    """
    from benchmark.boundaries.thinning import thin

    crossings = cv2.Laplacian(label_map.astype(np.float64), cv2.CV_64F) != 0
    return _codes(thin(crossings))


def evaluation_boundary(label_map: Array) -> Array:
    """Evaluation boundaries of the benchmark tool: the thinned outlines of the classes; codes 0 and 255."""
    from benchmark.boundaries.ground_truth import outlines
    from benchmark.boundaries.thinning import thin

    return _codes(thin(outlines(label_map)))


def _codes(boundary: NDArray[np.bool_]) -> Array:
    return np.where(boundary, np.uint8(255), np.uint8(0))
