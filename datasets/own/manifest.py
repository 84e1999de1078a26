"""Manifest of user data: tasks, coding of their files, splits, camera."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints, ValidationError

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.text import read_rows, read_text
from benchmark.records.validation import RecordError, one_line, parse_json
from benchmark.tasks import STANDARD_TASKS, Task, and_more, suggest
from datasets.layout.manifest_tables import LabelInfo

MANIFEST = "manifest.json"
SPLITS = ("train", "test")
RESERVED = ("images", "image", "intrinsics", "kinds", "given", "cache", "prepared")
UNLABELLED_CLASS = 255

_KEYS_OF_KIND = {
    "class": ("classes", "first", "values", "ignore"),
    "value": ("scale",),
    "direction": ("signs",),
    "probability": ("ignore",),
    "mask": ("ignore",),
}
_MAX_CODE = 2**16 - 1
_ENDING = re.compile(r"(?:\.(?:png|jpe?g|npy))+$", re.IGNORECASE)


def listed(value: Any) -> Any:
    """Wrap a single value in a list."""
    return value if isinstance(value, list) else [value]


Code = Annotated[int, Strict(), Field(ge=-_MAX_CODE, le=_MAX_CODE)]
Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
FileName = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9][\w.\-]*$")]
TaskName = Annotated[str, Strict(), StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
ClassName = Annotated[str, Strict(), StringConstraints(min_length=1)]
FrameName = Annotated[str, Strict(), StringConstraints(min_length=1)]


class TaskEntry(BaseModel):
    """One entry of "tasks"."""

    model_config = ConfigDict(extra="forbid")

    like: Literal["semseg", "depth", "normals", "boundary", "human_parts", "saliency"] | None = None
    folder: FileName | None = None
    classes: tuple[ClassName, ...] = ()
    first: Code | None = None
    values: tuple[Code, ...] | None = None
    ignore: Annotated[tuple[Code, ...], BeforeValidator(listed)] | None = None
    scale: Positive | None = None
    signs: tuple[Literal[-1, 1], Literal[-1, 1], Literal[-1, 1]] | None = None
    loss_weight: Weight | None = None


class ManifestFile(BaseModel):
    """Content of manifest.json."""

    model_config = ConfigDict(extra="forbid")

    name: FileName | None = None
    tasks: Annotated[dict[TaskName, TaskEntry], Field(min_length=1)]
    splits: dict[Literal["train", "test"], str | tuple[FrameName, ...]] = {"train": "train.txt", "test": "test.txt"}
    intrinsics: tuple[Positive, Positive, Finite, Finite] | None = None


@dataclass(frozen=True)
class UserTask:
    """One task of the manifest.

    Args:
        task: copy of the standard task of its kind, under the name in the manifest.
        folder: name of the folder of its files.
        classes: names of the classes.
        values: number of each class in the files.
        ignore: numbers in the files for unlabelled pixels.
        assumed_ignore: True if `ignore` is a default, not given in the manifest.
        scale: metres per unit of the files; None for millimetres in whole numbers and metres in floating point.
        signs: factors of x, y and z that convert normals to x right, y down, z towards the camera.
    """

    task: Task
    folder: str
    classes: tuple[str, ...] = ()
    values: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    assumed_ignore: bool = False
    scale: float | None = None
    signs: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.

    Args:
        name: beginning of the data-set id.
        tasks: tasks by name, in the order of the file.
        frames: names of the frames, by split.
        intrinsics: fx, fy, cx, cy of all frames in pixels; None if the camera is not known.
    """

    name: str
    tasks: Mapping[str, UserTask]
    frames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    intrinsics: tuple[float, float, float, float] | None = None

    @property
    def labels(self) -> dict[str, LabelInfo]:
        """Entries of dataset.json for tasks with classes and for tasks that are not standard."""
        return {
            name: LabelInfo(user_task.task.readout, user_task.classes)
            for name, user_task in self.tasks.items()
            if name != "semseg" and (user_task.classes or name not in STANDARD_TASKS)
        }


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        DataError: if the file is missing, or a value is not allowed.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise DataError(f"{path}: there is no manifest; docs/your_data.md shows one")
    try:
        content = ManifestFile.model_validate(parse_json(read_text(path)))
        return Manifest(
            content.name or re.sub(r"[^\w.\-]+", "_", root.resolve().name).strip("_") or "folder",
            {name: _task(name, entry) for name, entry in content.tasks.items()},
            _splits(root, content.splits),
            content.intrinsics,
        )
    except ValidationError as error:
        raise DataError(f"{path}: {one_line(error)}{_nearest_key(error)}") from None
    except (RecordError, _ManifestError) as error:
        raise DataError(f"{path}: {error}") from None


def frame_name(file_name: str) -> str:
    """Name of the frame of a file: composed characters (NFC), without ending.

    macOS decomposes accented letters in file names, and lists of frames are often lists of files.
    """
    return _ENDING.sub("", unicodedata.normalize("NFC", file_name))


class _ManifestError(ValueError):
    """An entry of the manifest is wrong or contradicts another entry."""


def _nearest_key(error: ValidationError) -> str:
    """Suggestion and list of the allowed keys if the first fault is an unknown key, else empty."""
    fault = error.errors(include_url=False)[0]
    if fault["type"] != "extra_forbidden":
        return ""
    model = ManifestFile if len(fault["loc"]) == 1 else TaskEntry
    return f".{suggest(str(fault['loc'][-1]), model.model_fields)} The keys are {', '.join(model.model_fields)}"


def _task(name: str, entry: TaskEntry) -> UserTask:
    where = f'task "{name}"'
    taken = [given for given in (name, entry.folder) if given in RESERVED]
    if taken:
        raise _ManifestError(f'{where}: the name "{taken[0]}" is taken, choose another')
    like = entry.like or name
    if like not in STANDARD_TASKS:
        raise _ManifestError(f'{where}: say which task it is "like": {", ".join(STANDARD_TASKS)}')
    standard = STANDARD_TASKS[like]
    other_keys = {key for keys in _KEYS_OF_KIND.values() for key in keys} - {*_KEYS_OF_KIND[standard.readout]}
    unsupported = sorted(other_keys & entry.model_fields_set)
    if unsupported:
        raise _ManifestError(f'{where}: "{unsupported[0]}" has no meaning for labels like {like}')
    weight = standard.loss_weight if entry.loss_weight is None else entry.loss_weight
    task = replace(standard, name=name, loss_weight=weight)
    user_task = UserTask(
        task, entry.folder or name, ignore=entry.ignore or (), scale=entry.scale, signs=entry.signs or (1, 1, 1)
    )
    return user_task if standard.readout != "class" else _class_task(user_task, entry, where)


def _class_task(user_task: UserTask, entry: TaskEntry, where: str) -> UserTask:
    count = len(entry.classes)
    if not 2 <= count <= 254:
        raise _ManifestError(f'{where}: "classes" must list the names of 2 to 254 classes, found {count}')
    if entry.values is not None and entry.first is not None:
        raise _ManifestError(f'{where}: give "first" or "values", not both')
    first = entry.first or 0
    values = entry.values or tuple(range(first, first + count))
    if len(set(values)) != count:
        raise _ManifestError(f'{where}: "values" must list {count} different numbers, one per class, found {[*values]}')
    ignore = entry.ignore
    if ignore is None:
        ignore = () if UNLABELLED_CLASS in values else (UNLABELLED_CLASS,)
    both = sorted({*values} & {*ignore})
    if both:
        raise _ManifestError(f'{where}: {both[0]} is the number of a class and in "ignore" (no label); remove one')
    return replace(
        user_task,
        task=replace(user_task.task, channels=count),
        classes=entry.classes,
        values=values,
        ignore=ignore,
        assumed_ignore=entry.ignore is None and bool(ignore),
    )


def _splits(root: Path, entries: Mapping[Any, str | tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    missing = [split for split in SPLITS if split not in entries]
    if missing:
        raise _ManifestError(f'"splits" has no {missing[0]}')
    frames = {split: _frames(root, entries[split], split) for split in SPLITS}
    shared = set(frames["train"]) & set(frames["test"])
    if shared:
        raise _ManifestError(f"frame {min(shared)!r} is in both splits{and_more(len(shared), 'frame')}")
    return frames


def _frames(root: Path, entry: str | Sequence[str], split: str) -> tuple[str, ...]:
    names = entry if not isinstance(entry, str) else [line for _, line in read_rows(list_file(root, entry, split))]
    if not names:
        raise _ManifestError(f"the {split} split is empty")
    names = [frame_name(name) for name in names]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise _ManifestError(f"the {split} split lists {repeated[0]!r} twice")
    return tuple(names)


def list_file(root: Path, entry: str, split: str) -> Path:
    """Path of the file that lists the frames of a split.

    Raises:
        _ManifestError: if the path leads outside the folder, or the file is missing.
    """
    is_outside = (
        PurePosixPath(entry).is_absolute() or PureWindowsPath(entry).anchor or ".." in PureWindowsPath(entry).parts
    )
    if is_outside:
        raise _ManifestError(f"the {split} split is said to be in {entry}, outside the folder; copy the list into it")
    path = root / entry
    if not path.is_file():
        raise _ManifestError(f"the {split} split is said to be in {entry}, which cannot be read")
    return path
