"""Base class of the NYU-v2 sources, with their camera, crop and derived labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.tasks import and_more
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord, LabelInfo, pinhole_matrix
from datasets.nyuv2.boundaries import boundaries_from_labels
from datasets.nyuv2.normals import normals_from_depth

TASKS = ("semseg", "depth", "normals", "boundary")
OFFICIAL_SIZE = (480, 640)
DATA_VERSION = 2
"""Version of the prepared data. 2: class 40 in the training frames of the folder; half a pixel in the intrinsics."""
PUBLISHED_INTRINSICS = (518.857901, 519.469611, 325.582449, 253.736166)
"""fx, fy, cx, cy of the colour camera at 480x640, from the authors' toolbox (camera_params.m).

The calibration is OpenCV's: the centre of the first pixel is (0, 0).
"""

CROP_TOP, CROP_LEFT = 45, 40
CROPPED_SIZE = (425, 560)
"""The part without the white border: rows 45:470 and columns 40:600, as in the published benchmarks."""

DERIVED_NORMALS = "derived: plane fits on the depth, datasets/nyuv2/normals.py; not the published normals"
DERIVED_BOUNDARY = (
    "derived: class boundaries of the label map, datasets/nyuv2/boundaries.py; not the published boundaries"
)
RESEARCH_ONLY = "Research use; cite Silberman et al. 2012."

Intrinsics = tuple[float, float, float, float]


def half_pixel_added(intrinsics: Intrinsics) -> Intrinsics:
    """Convert intrinsics from pixel centres at integers to pixel centres at integer + 0.5."""
    fx, fy, cx, cy = intrinsics
    return fx, fy, cx + 0.5, cy + 0.5


OFFICIAL_INTRINSICS = half_pixel_added(PUBLISHED_INTRINSICS)
"""`PUBLISHED_INTRINSICS` with pixel centres at integer + 0.5."""


class NYUv2Source(ABC):
    """A copy of NYU-v2 on disk, checked without reading pixels: a `preparing.Source`.

    Subclasses are frozen dataclasses with these fields.

    Args:
        records: all frames, as frames.csv will list them.
        size: (H, W) of every prepared frame.
        notes: caveats, one sentence each, for dataset.json.
        name: name and classes, the beginning of the data-set id: "nyuv2-40c".
        classes: names of the classes 1..C.
    """

    records: tuple[FrameRecord, ...]
    size: tuple[int, int]
    notes: tuple[str, ...]
    name: str
    classes: tuple[str, ...]

    @property
    def version(self) -> int:
        """Version of the prepared data."""
        return DATA_VERSION

    @property
    def tasks(self) -> tuple[str, ...]:
        """All four tasks; missing normals and boundaries are computed from depth and labels."""
        return TASKS

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """Empty: all tasks are standard."""
        return {}

    @property
    @abstractmethod
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""

    @property
    def frames(self) -> tuple[tuple[str, str], ...]:
        """Name and split of every frame."""
        return tuple((record.name, record.split) for record in self.records)

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """The record of a frame with its size, and its arrays as stored.

        Raises:
            DataError: naming the file that is truncated or wrong.
        """
        record = self._by_name[name]
        return replace(record, size=self.size), self.arrays(record)

    @abstractmethod
    def arrays(self, frame: FrameRecord) -> dict[str, Array]:
        """All modalities of a frame, coded as in `datasets.layout.frame_files`.

        Raises:
            DataError: naming the file that is truncated or wrong.
        """

    @cached_property
    def _by_name(self) -> dict[str, FrameRecord]:
        return {record.name: record for record in self.records}


def cropped(intrinsics: Intrinsics) -> Intrinsics:
    """Intrinsics after the crop, which moves the principal point."""
    fx, fy, cx, cy = intrinsics
    return fx, fy, cx - CROP_LEFT, cy - CROP_TOP


def resized(intrinsics: Intrinsics, size: tuple[int, int], to_size: tuple[int, int]) -> Intrinsics:
    """Intrinsics after resizing the picture from `size` to `to_size`, each (H, W)."""
    fx, fy, cx, cy = intrinsics
    down, right = to_size[0] / size[0], to_size[1] / size[1]
    return fx * right, fy * down, cx * right, cy * down


def crop(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Crop every modality of a 480x640 frame to the part without the white border."""
    rows, columns = slice(CROP_TOP, CROP_TOP + CROPPED_SIZE[0]), slice(CROP_LEFT, CROP_LEFT + CROPPED_SIZE[1])
    return {modality: np.ascontiguousarray(array[rows, columns]) for modality, array in arrays.items()}


def add_derived(arrays: dict[str, Array], intrinsics: Intrinsics, quantisation: float = 0.0) -> dict[str, Array]:
    """Compute missing normals and boundaries from depth and semseg.

    Args:
        arrays: the modalities of a frame, coded as stored; missing ones are added.
        intrinsics: fx, fy, cx, cy of these pictures.
        quantisation: step of the depth in metres, 0 where it is negligible.

    Returns:
        All modalities in the order of the layout.
    """
    if "normals" not in arrays:
        normals = normals_from_depth(arrays["depth"], pinhole_matrix(intrinsics), quantisation=quantisation)
        arrays["normals"] = normals.astype(np.float16)
    if "boundary" not in arrays:
        arrays["boundary"] = boundaries_from_labels(arrays["semseg"])
    return {modality: arrays[modality] for modality in ("images", *TASKS)}


def check_splits(train: Sequence[str], test: Sequence[str], train_where: str, test_where: str) -> None:
    """Refuse a frame that is listed twice, in one split or in both splits.

    Raises:
        DataError: naming the frame and the file.
    """
    for names, where in ((train, train_where), (test, test_where)):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{where}: frame {twice[0]} is listed twice")
    both = sorted(set(train) & set(test))
    if both:
        raise DataError(
            f"{test_where}: frame {both[0]} is in the train split too{and_more(len(both), 'frame')}; "
            "a test frame may not be trained on"
        )
