"""The manifest of a user's own data: which tasks have labels, how their files are to be read, and the splits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.tasks import STANDARD_TASKS, Task, suggest
from datasets.layout.frame_files import DataError
from datasets.layout.manifest_tables import LabelInfo

MANIFEST = "manifest.json"
SPLITS = ("train", "test")
RESERVED = ("images", "image", "intrinsics", "kinds", "given", "cache", "prepared")

_KEYS = ("name", "tasks", "splits", "intrinsics")
_TASK_KEYS = ("like", "folder", "classes", "first", "ignore", "scale", "signs", "loss_weight")
_KEYS_OF_KIND = {
    "class": ("classes", "first", "ignore"),
    "value": ("scale",),
    "direction": ("signs",),
    "probability": ("ignore",),
    "mask": ("ignore",),
}
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*")
_TASK_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class OwnTask:
    """One task of the manifest.

    Args:
        task: what is learned and measured: the standard task that it is like, under its own name.
        folder: where its files are.
        classes: names of the classes, the number in the file counting from `first`.
        first: number of the first class in the files.
        ignore: numbers that mean "no label".
        scale: metres per unit of the files; None for metres in .npy files and millimetres in 16-bit pictures.
        signs: factors of x, y and z that bring normals into the frame of the suite.
    """

    task: Task
    folder: str
    classes: tuple[str, ...] = ()
    first: int = 0
    ignore: tuple[int, ...] = ()
    scale: float | None = None
    signs: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    Args:
        name: beginning of the data-set id.
        tasks: by name, in the order of the file.
        frames: names of the frames, by split.
        intrinsics: fx, fy, cx, cy of all frames; None where the camera is not known.
    """

    name: str
    tasks: Mapping[str, OwnTask]
    frames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    intrinsics: tuple[float, float, float, float] | None = None

    @property
    def labels(self) -> dict[str, LabelInfo]:
        """What dataset.json must say beyond the names of the tasks."""
        return {
            name: LabelInfo(own.task.readout, own.classes)
            for name, own in self.tasks.items()
            if name != "semseg" and (own.classes or name not in STANDARD_TASKS)
        }


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        DataError: if it is missing, or says something that makes no sense.
    """
    path = root / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: there is no manifest; README.md shows one") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error.reason})") from None
    try:
        _check_keys(content, _KEYS, "the manifest")
        tasks = {name: _task(name, entry) for name, entry in _mapping(content.get("tasks"), '"tasks"').items()}
        if not tasks:
            raise ValueError('"tasks" names no task')
        return Manifest(
            _text(content.get("name", _default_name(root)), '"name"', _NAME),
            tasks,
            _splits(root, content.get("splits", {split: f"{split}.txt" for split in SPLITS})),
            _numbers(content.get("intrinsics"), 4, '"intrinsics"'),
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from None


def _default_name(root: Path) -> str:
    return re.sub(r"[^\w.\-]+", "_", root.resolve().name).strip("_") or "folder"


def _task(name: str, entry: Any) -> OwnTask:
    where = f'task "{name}"'
    _text(name, where, _TASK_NAME)
    options = dict(_mapping(entry, where))
    _check_keys(options, _TASK_KEYS, where)
    taken = [given for given in (name, options.get("folder")) if given in RESERVED]
    if taken:
        raise ValueError(f'{where}: the name "{taken[0]}" is taken, choose another')
    like = options.pop("like", name)
    if like not in STANDARD_TASKS:
        raise ValueError(f'{where}: say which task it is "like": {", ".join(STANDARD_TASKS)}')
    standard = STANDARD_TASKS[like]
    odd = [key for keys in _KEYS_OF_KIND.values() for key in keys if key in options]
    odd = [key for key in odd if key not in _KEYS_OF_KIND[standard.readout]]
    if odd:
        raise ValueError(f'{where}: "{odd[0]}" means nothing for labels like {like}')
    classes = _names(options.get("classes", ()), f'"classes" of {where}')
    if standard.readout == "class" and not 2 <= len(classes) <= 254:
        raise ValueError(f'{where}: "classes" must list the names of 2 to 254 classes, found {len(classes)}')
    channels = len(classes) if standard.readout == "class" else standard.channels
    weight = _number(options.get("loss_weight", standard.loss_weight), f'"loss_weight" of {where}')
    signs = _numbers(options.get("signs"), 3, f'"signs" of {where}') or (1.0, 1.0, 1.0)
    scale = options.get("scale")
    return OwnTask(
        replace(standard, name=name, channels=channels, loss_weight=weight),
        folder=_text(options.get("folder", name), f'"folder" of {where}', _NAME),
        classes=classes,
        first=int(_number(options.get("first", 0), f'"first" of {where}')),
        ignore=_ignored(options.get("ignore", 255 if standard.readout == "class" else ()), f'"ignore" of {where}'),
        scale=None if scale is None else _positive(scale, f'"scale" of {where}'),
        signs=signs,
    )


def _splits(root: Path, entry: Any) -> dict[str, tuple[str, ...]]:
    splits = _mapping(entry, '"splits"')
    _check_keys(splits, SPLITS, '"splits"')
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise ValueError(f'"splits" has no {missing[0]}')
    frames = {split: _frames(root, splits[split], split) for split in SPLITS}
    both = set(frames["train"]) & set(frames["test"])
    if both:
        raise ValueError(f"frame {min(both)!r} is in both splits, and so are {len(both) - 1} others")
    return frames


def _frames(root: Path, entry: Any, split: str) -> tuple[str, ...]:
    if isinstance(entry, str):
        path = root / entry
        try:
            names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"the {split} split is said to be in {entry}, which cannot be read") from None
    else:
        names = list(_names(entry, f"the {split} split"))
    if not names:
        raise ValueError(f"the {split} split is empty")
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"the {split} split lists {twice[0]!r} twice")
    return tuple(names)


def _check_keys(entry: Any, known: Sequence[str], where: str) -> None:
    for key in _mapping(entry, where):
        if key not in known:
            raise ValueError(f'{where} has no "{key}".{suggest(key, known)} It may have {", ".join(known)}')


def _mapping(entry: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise TypeError(f"{where} must be an object, found {entry!r}")
    return entry


def _names(entry: Any, where: str) -> tuple[str, ...]:
    if not isinstance(entry, (list, tuple)) or not all(isinstance(name, str) and name for name in entry):
        raise TypeError(f"{where} must be a list of names, found {entry!r}"[:200])
    return tuple(entry)


def _text(entry: Any, where: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(entry, str) or not pattern.fullmatch(entry):
        raise ValueError(f"{where}: {entry!r} is no name; letters, digits and _ are")
    return entry


def _number(entry: Any, where: str) -> float:
    if isinstance(entry, bool) or not isinstance(entry, (int, float)):
        raise TypeError(f"{where} must be a number, found {entry!r}")
    return entry


def _positive(entry: Any, where: str) -> float:
    if not _number(entry, where) > 0:
        raise ValueError(f"{where} must be positive, found {entry!r}")
    return float(entry)


def _numbers(entry: Any, count: int, where: str) -> Any:
    if entry is None:
        return None
    if not isinstance(entry, list) or len(entry) != count:
        raise TypeError(f"{where} must be a list of {count} numbers, found {entry!r}")
    return tuple(float(_number(value, where)) for value in entry)


def _ignored(entry: Any, where: str) -> tuple[int, ...]:
    values = entry if isinstance(entry, (list, tuple)) else [entry]
    return tuple(int(_number(value, where)) for value in values)
