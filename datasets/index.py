"""The two tables of a prepared data set: dataset.json says what it is, frames.csv lists its frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.modalities import DataError

SCHEMA_VERSION = 1

_COLUMNS = ("name", "split", "scene", "fx", "fy", "cx", "cy", "pose")


@dataclass(frozen=True)
class FrameRecord:
    """One line of frames.csv.

    Args:
        name: name of the frame, unique in the data set.
        split: "train" or "test".
        scene: frames of one scene show the same place; empty where it is not known.
        intrinsics: fx, fy, cx, cy in pixels of the stored image; pixel centres are at integer + 0.5.
        pose: 4x4 camera-to-world row by row, metres, camera frame x right, y down, z forward; None where not known.
    """

    name: str
    split: str
    intrinsics: tuple[float, float, float, float]
    scene: str = ""
    pose: tuple[float, ...] | None = None

    def matrix(self) -> NDArray[np.float64]:
        """The 3x3 pinhole matrix."""
        fx, fy, cx, cy = self.intrinsics
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class DatasetInfo:
    """What dataset.json says.

    Args:
        id: name, variant, size and the first eight digits of the fingerprint.
        fingerprint: hash of the content, 64 hexadecimal digits.
        size: (H, W) of every frame.
        tasks: names of the tasks that have labels.
        classes: names of the semseg classes 1..C, in order.
        counts: frames per split.
        sources: where each modality comes from.
        notes: caveats.
        schema_version: of this layout.
    """

    id: str
    fingerprint: str
    size: tuple[int, int]
    tasks: tuple[str, ...]
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Text of dataset.json."""
        fields = asdict(self)
        fields["splits"] = dict(fields.pop("counts"))
        return json.dumps(fields, indent=2) + "\n"


def read_info(root: Path) -> DatasetInfo:
    """Read dataset.json.

    Raises:
        DataError: if it is missing, not JSON, of another schema version, or lacks a field.
    """
    path = root / "dataset.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{path}: no prepared data set here; prepare it, or set MTL_DATA to the folder that holds it"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a JSON file ({error}); prepare the data set again") from None
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema_version {version!r}, this code reads {SCHEMA_VERSION}; prepare the data set again"
        )
    try:
        return DatasetInfo(
            id=fields["id"], fingerprint=fields["fingerprint"], size=(int(fields["size"][0]), int(fields["size"][1])),
            tasks=tuple(fields["tasks"]), classes=tuple(fields["classes"]), counts=dict(fields["splits"]),
            sources=dict(fields["sources"]), notes=fields["notes"],
        )
    except KeyError as error:
        raise DataError(f"{path}: the field {error} is missing; prepare the data set again") from None
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path}: a field is of the wrong kind ({error}); prepare the data set again") from None


def read_frames(root: Path) -> list[FrameRecord]:
    """Read frames.csv.

    Raises:
        DataError: if it is missing or a line is wrong.
    """
    path = root / "frames.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing; prepare the data set again") from None
    return [_parse_frame(row, f"{path}, line {line}") for line, row in enumerate(rows, start=2)]


def _parse_frame(row: Mapping[str, str], where: str) -> FrameRecord:
    missing = [column for column in _COLUMNS if row.get(column) is None]
    if missing:
        raise DataError(f"{where}: no column {missing[0]!r}; the columns are {', '.join(_COLUMNS)}")
    try:
        fx, fy, cx, cy = (float(row[column]) for column in ("fx", "fy", "cx", "cy"))
        pose = tuple(map(float, row["pose"].split())) or None
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    if pose is not None and len(pose) != 16:
        raise DataError(f"{where}: a pose has 16 numbers, found {len(pose)}")
    return FrameRecord(row["name"], row["split"], (fx, fy, cx, cy), row["scene"], pose)


def frames_text(records: Iterable[FrameRecord]) -> str:
    """Text of frames.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for record in records:
        pose = " ".join(map(repr, record.pose)) if record.pose else ""
        writer.writerow([record.name, record.split, record.scene, *map(repr, record.intrinsics), pose])
    return text.getvalue()
