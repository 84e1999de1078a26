"""The two tables of a prepared data set: dataset.json describes it, frames.csv lists its frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from benchmark.records.validation import RecordError, parse_json
from benchmark.tasks import suggest
from datasets.layout.label_kinds import KINDS, STANDARD_KINDS

SCHEMA_VERSION = 2

_COLUMNS = ("name", "split", "held_out", "scene", "fx", "fy", "cx", "cy", "pose")
_TYPE_COLUMNS = ("scene_type", "scene_type_source")
_SIZE_COLUMNS = ("height", "width")

VARIED = "varied"
"""Value of the size in dataset.json and in the id if frames have different sizes, which frames.csv lists."""


@dataclass(frozen=True)
class FrameRecord:
    """One line of frames.csv.

    Args:
        name: name of the frame, unique in the data set.
        split: "train" or "test".
        scene: name of the scene; frames of one scene show the same place. Empty if it is not known.
        intrinsics: fx, fy, cx, cy in pixels of the stored image; pixel centres are at integer + 0.5.
        pose: 16 numbers of the (4, 4) camera-to-world matrix row by row, metres, camera frame x right, y down, z
            forward; None if it is not known.
        size: (H, W) if the frames of the data set have different sizes, else None.
        held_out: True for a training frame of the validation split, see `datasets.layout.validation`.
        scene_type: kind of room, as in "kitchen"; empty if it is not known.
        scene_type_source: source of the scene type, or empty.
    """

    name: str
    split: str
    intrinsics: tuple[float, float, float, float]
    scene: str = ""
    pose: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    held_out: bool = False
    scene_type: str = ""
    scene_type_source: str = ""

    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) pinhole matrix in pixels."""
        return pinhole_matrix(self.intrinsics)


def pinhole_matrix(intrinsics: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """(3, 3) pinhole matrix of fx, fy, cx, cy."""
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def assumed_intrinsics(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels for an unknown camera: focal length = longer side (53 degrees), axis centred."""
    focal = float(max(size))
    return focal, focal, size[1] / 2, size[0] / 2


@dataclass(frozen=True)
class LabelInfo:
    """Entry of dataset.json about a modality.

    Args:
        kind: see `datasets.layout.label_kinds`.
        classes: names of the classes 1..C of a class map, in order.
    """

    kind: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetInfo:
    """Content of dataset.json.

    Args:
        id: name, variant, size and the first eight digits of the fingerprint.
        fingerprint: hash of the content, 64 hexadecimal digits.
        size: (H, W) of every frame; None if they differ, see `FrameRecord.size`.
        tasks: names of the tasks with labels.
        classes: names of the semseg classes 1..C, in order.
        counts: number of frames per split.
        sources: source of each modality.
        notes: caveats, one sentence each; tables of results print them.
        schema_version: version of this layout.
        labels: class maps other than semseg, and tasks that are not standard.
        version: version of the preparation; a data set class reads one version only.
        validation: number and choice of the held-out frames, in one sentence.
        findings: findings of the doctor during preparation, problems first.
    """

    id: str
    fingerprint: str
    size: tuple[int, int] | None
    tasks: tuple[str, ...]
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION
    labels: Mapping[str, LabelInfo] = field(default_factory=dict)
    version: int = 1
    validation: str = ""
    findings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Text of dataset.json."""
        fields = asdict(self)
        fields["size"] = self.size or VARIED
        fields["splits"] = dict(fields.pop("counts"))
        # Empty entries are left out.
        optional = {name: fields.pop(name) for name in ("labels", "findings")}
        return json.dumps(fields | {name: value for name, value in optional.items() if value}, indent=2) + "\n"

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of every modality, including the images."""
        named = {name: self.labels[name].kind if name in self.labels else STANDARD_KINDS[name] for name in self.tasks}
        return {"images": STANDARD_KINDS["images"], **named}

    def classes_of(self, modality: str) -> tuple[str, ...]:
        """Names of the classes of a class map; empty for other modalities."""
        if modality in self.labels:
            return self.labels[modality].classes
        return self.classes if modality == "semseg" else ()

    def size_of(self, frame: FrameRecord) -> tuple[int, int]:
        """(H, W) of a frame.

        Raises:
            DataError: if neither the data set nor the frame has a size.
        """
        size = frame.size or self.size
        if size is None:
            raise DataError(f"{self.id}: frames.csv has no height and width of frame {frame.name!r}")
        return size


def read_info(root: Path) -> DatasetInfo:
    """Read dataset.json.

    Raises:
        DataError: if the file is missing, not JSON, of another schema version, or lacks a field.
    """
    path = root / "dataset.json"
    try:
        fields = parse_json(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{path}: no prepared data set here; set MTL_DATA to the folder that holds it, or prepare it"
        ) from None
    except (RecordError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a JSON file ({error}); prepare the data set again") from None
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema_version {version!r}, this code reads {SCHEMA_VERSION}; prepare the data set again"
        )
    try:
        return DatasetInfo(
            id=fields["id"],
            fingerprint=fields["fingerprint"],
            size=_size(fields["size"]),
            tasks=tuple(fields["tasks"]),
            classes=tuple(fields["classes"]),
            counts=dict(fields["splits"]),
            sources=dict(fields["sources"]),
            notes=tuple(map(str, fields["notes"])),
            labels=_labels(fields),
            version=int(fields["version"]),
            validation=str(fields["validation"]),
            findings=tuple(map(str, fields.get("findings", ()))),
        )
    except KeyError as error:
        raise DataError(f"{path}: the field {error} is missing; prepare the data set again") from None
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"{path}: a field is of the wrong kind ({error}); prepare the data set again") from None


def _size(value: Any) -> tuple[int, int] | None:
    return None if value == VARIED else (int(value[0]), int(value[1]))


def _labels(fields: Mapping[str, Any]) -> dict[str, LabelInfo]:
    labels = {
        name: LabelInfo(entry["kind"], tuple(entry["classes"])) for name, entry in fields.get("labels", {}).items()
    }
    for name in fields["tasks"]:
        kind = labels[name].kind if name in labels else STANDARD_KINDS.get(name)
        if kind not in KINDS or kind == STANDARD_KINDS["images"]:
            raise ValueError(f"no task named {name!r}, and no kind of label for it.{suggest(name, STANDARD_KINDS)}")
    return labels


def read_frames(root: Path) -> list[FrameRecord]:
    """Read frames.csv.

    Raises:
        DataError: if the file is missing or a line is wrong.
    """
    path = root / "frames.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing; prepare the data set again") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not readable as a table ({error}); prepare the data set again") from None
    return [_parse_frame(row, f"{path}, line {line}") for line, row in enumerate(rows, start=2)]


def _parse_frame(row: Mapping[str, str], where: str) -> FrameRecord:
    missing = [column for column in _COLUMNS if row.get(column) is None]
    if missing:
        raise DataError(f"{where}: no column {missing[0]!r}; the columns are {', '.join(_COLUMNS)}")
    try:
        fx, fy, cx, cy = (float(row[column]) for column in ("fx", "fy", "cx", "cy"))
        pose = tuple(map(float, row["pose"].split())) or None
        size = (int(row["height"]), int(row["width"])) if row.get("height") else None
        held_out = bool(int(row["held_out"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: {error}") from None
    if pose is not None and len(pose) != 16:
        raise DataError(f"{where}: a pose has 16 numbers, found {len(pose)}")
    types = {column: row.get(column) or "" for column in _TYPE_COLUMNS}
    return FrameRecord(row["name"], row["split"], (fx, fy, cx, cy), row["scene"], pose, size, held_out, **types)


def frames_text(records: Iterable[FrameRecord]) -> str:
    """Text of frames.csv; the columns of scene type and size are left out if no frame has a value."""
    listed = list(records)
    typed, varied = any(record.scene_type for record in listed), any(record.size for record in listed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_COLUMNS, *(_TYPE_COLUMNS if typed else ()), *(_SIZE_COLUMNS if varied else ())))
    for record in listed:
        pose = " ".join(map(repr, map(float, record.pose))) if record.pose else ""
        # Converted to float, as they are read back, since the fingerprint is a hash of this text.
        numbers = map(repr, map(float, record.intrinsics))
        line = [record.name, record.split, int(record.held_out), record.scene, *numbers, pose]
        line += [record.scene_type, record.scene_type_source] if typed else []
        writer.writerow([*line, *(record.size or ("", "") if varied else ())])
    return text.getvalue()
