"""MTAN's NYU-v2 (Liu, Johns, Davison, CVPR 2019): 288x384 arrays with 13 classes, also used by LibMTL and others.

train/ and val/ each hold image/K.npy (H, W, 3) floats 0..1, label/K.npy (H, W) -1 unlabelled, 0..12, depth/K.npy
(H, W, 1) metres, 0 missing, normal/K.npy (H, W, 3), zero missing; K counts from 0. The code that made them is lost.
According to its author (github.com/lorenmt/mtan, tracker, entry 10), the invalid border was cropped, the rest
downsampled, and the normals come from Eigen and Fergus (ICCV 2015). The official frame numbers are not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord
from datasets.nyuv2.classes import NAMES_13
from datasets.nyuv2.sources.orientation import AS_STORED, Agreement, Signs, agreement, check_frame, find_signs
from datasets.nyuv2.sources.source import (
    CROPPED_SIZE,
    DERIVED_BOUNDARY,
    DERIVED_NORMALS,
    OFFICIAL_INTRINSICS,
    RESEARCH_ONLY,
    NYUv2Source,
    add_derived,
    cropped,
    resized,
)
from datasets.preparation.archives import folder_with
from datasets.preparation.reading import (
    check_presence,
    check_shape,
    describe,
    read_array,
    read_map,
    to_labels,
    to_metres,
    to_normals,
)

SIZE = (288, 384)
NUM_CLASSES = 13
INTRINSICS = resized(cropped(OFFICIAL_INTRINSICS), CROPPED_SIZE, SIZE)

TITLE = "NYU-v2 of MTAN (Liu, Johns, Davison, CVPR 2019)"
NOTES = (
    RESEARCH_ONLY,
    "Intrinsics are those of the 425x560 crop made smaller, as the author describes the preparation.",
    "The frames' official numbers and scenes are not known.",
)
REQUIRED = ("image", "label", "depth")
_FOLDERS = {"train": "train", "test": "val"}


@dataclass(frozen=True)
class MtanSource(NYUv2Source):
    """Source for the arrays that the top of this module describes; other fields as in `NYUv2Source`.

    Args:
        root: folder with train/ and val/.
        records: frames, named by split and K: train-0000, test-0000 and so on.
        has_normals: True if the folders have normals.
        notes: caveats.
        signs: factors of the components of the stored normals.
    """

    root: Path
    records: tuple[FrameRecord, ...]
    has_normals: bool
    notes: tuple[str, ...] = NOTES
    signs: Signs = AS_STORED
    name: str = f"nyuv2-{NUM_CLASSES}c"
    size: tuple[int, int] = SIZE
    classes: tuple[str, ...] = NAMES_13

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        return {
            "images": f"{TITLE}: image/*.npy, rounded to 8 bits",
            "semseg": f"{TITLE}: label/*.npy, 13 classes (Handa et al.) in that order",
            "depth": f"{TITLE}: depth/*.npy",
            "normals": f"{TITLE}: normal/*.npy" if self.has_normals else DERIVED_NORMALS,
            "boundary": DERIVED_BOUNDARY,
        }

    def path(self, folder: str, frame: FrameRecord) -> Path:
        """Path of a file of a frame."""
        return self.root / _FOLDERS[frame.split] / folder / f"{int(frame.name.rpartition('-')[2])}.npy"

    def arrays(self, frame: FrameRecord) -> dict[str, Array]:
        """All modalities of a frame.

        Raises:
            DataError: naming the file that is truncated or wrong.
        """
        path = self.path("label", frame)
        labels = to_labels(read_map(path), NUM_CLASSES - 1, SIZE, str(path), lowest=-1)
        arrays = {"images": self._image(frame), "semseg": labels, "depth": self._depth(frame)}
        if self.has_normals:
            path, normals = self.path("normal", frame), self.normals(frame)
            check_frame(agreement(arrays["depth"], normals, INTRINSICS), f"{path}: with {self.path('depth', frame)}")
            arrays["normals"] = normals.astype(np.float16)
        return add_derived(arrays, INTRINSICS)

    def normals(self, frame: FrameRecord) -> Array:
        """(H, W, 3) float32 unit normals: x right, y down, z towards the camera; zero missing."""
        path = self.path("normal", frame)
        return to_normals(read_array(path), SIZE, str(path)) * np.array(self.signs, np.float32)

    def agreement(self, frame: FrameRecord) -> Agreement:
        """Comparison of the normals of a frame with its depth."""
        return agreement(self._depth(frame), self.normals(frame), INTRINSICS)

    def _image(self, frame: FrameRecord) -> Array:
        path = self.path("image", frame)
        image = read_array(path)
        check_shape(image, (*SIZE, 3), str(path))
        if image.dtype.kind != "f" or not (image.min() >= -1e-3 and image.max() <= 1 + 1e-3):
            raise DataError(
                f"{path}: found {describe(image)} from {image.min():g} to {image.max():g}, expected numbers from 0 to 1"
            )
        return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)

    def _depth(self, frame: FrameRecord) -> Array:
        path = self.path("depth", frame)
        return to_metres(read_map(path), SIZE, str(path))


def open_mtan(folder: Path) -> MtanSource:
    """List the frames, check that their files exist, and determine the signs of the normals.

    Raises:
        DataError: naming the missing or wrong file.
    """
    root = folder_with(folder, tuple(_FOLDERS.values()), "MTAN's NYU-v2")
    records = tuple(
        FrameRecord(f"{split}-{number:04d}", split, INTRINSICS)
        for split, name in _FOLDERS.items()
        for number in range(_count(root / name))
    )
    has_normals = any((root / name / "normal").is_dir() for name in _FOLDERS.values())
    source = MtanSource(root, records, has_normals)
    folders = (*REQUIRED, "normal") if has_normals else REQUIRED
    check_presence(source.path(name, frame) for frame in records for name in folders)
    if not has_normals:
        return source
    signs, note = find_signs(records, source.agreement, str(root))
    return replace(source, signs=signs, notes=(*source.notes, note))


def _count(folder: Path) -> int:
    """Number of frames of a split: one more than the highest file number, so that a gap is a missing file."""
    numbers = [int(path.stem) for name in REQUIRED for path in (folder / name).glob("*.npy") if path.stem.isdecimal()]
    if not numbers:
        raise DataError(f"{folder}: no frames; expected {', '.join(f'{name}/0.npy' for name in REQUIRED)} and so on")
    return max(numbers) + 1
