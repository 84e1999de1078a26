"""The canonical layout on disk of every prepared data set.

    ROOT/dataset.json     description of the data set: `DatasetInfo`
    ROOT/frames.csv       name, split, held_out (1 in the validation split), scene, fx, fy, cx, cy, pose (16 numbers
                          row by row, camera-to-world, or empty); scene_type, scene_type_source if they are known;
                          height, width if the frames have different sizes
    ROOT/checksums.csv    path, sha256 of the decoded content
    ROOT/MODALITY/NAME.*  the files of each frame, see `datasets.layout.frame_files`
    ROOT/cache/           resized copies, created on demand, see `datasets.loading.cache`; not part of the data set

The fingerprint is a hash of checksums.csv, frames.csv and the class names: it changes with any pixel, but not with
the compression of a file. The id ends with its first eight digits, so that results identify their data.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from benchmark.records.atomic import write_text
from datasets.layout.frame_files import Array, digest, modality_path, read_modality, write_frame
from datasets.layout.label_kinds import IMAGES, STANDARD_KINDS
from datasets.layout.manifest_tables import (
    SCHEMA_VERSION,
    VARIED,
    DatasetInfo,
    FrameRecord,
    LabelInfo,
    frames_text,
    read_frames,
    read_info,
)
from datasets.layout.validation import describe_validation, mark_held_out

__all__ = [
    "SCHEMA_VERSION",
    "CanonicalWriter",
    "DatasetInfo",
    "FrameRecord",
    "LabelInfo",
    "content_fingerprint",
    "exclusive",
    "fingerprint",
    "read_frames",
    "read_info",
    "read_label",
]


def checksums_text(digests: Mapping[str, str]) -> str:
    """Text of checksums.csv."""
    return "path,sha256\n" + "".join(f"{path},{digests[path]}\n" for path in sorted(digests))


def fingerprint(
    digests: Mapping[str, str],
    records: Iterable[FrameRecord],
    classes: Sequence[str],
    labels: Mapping[str, LabelInfo] | None = None,
) -> str:
    """Hash of a data set's content.

    Args:
        digests: digest of every file, by path relative to the root, see `datasets.layout.frame_files.digest`.
        records: the lines of frames.csv.
        classes: names of the semseg classes.
        labels: see `DatasetInfo`.
    """
    named = [f"{name} {info.kind} {info.classes}" for name, info in sorted((labels or {}).items())]
    content = "\n".join((checksums_text(digests), frames_text(records), *classes, *named))
    return hashlib.sha256(content.encode()).hexdigest()


def read_label(root: Path, info: DatasetInfo, frame: FrameRecord, modality: str) -> Array:
    """Read and check the images or the labels of one task of a frame, as stored.

    Raises:
        DataError: naming the missing or wrong file.
    """
    num_classes = len(info.classes_of(modality))
    return read_modality(root, modality, frame.name, info.size_of(frame), num_classes, info.kinds)


def content_fingerprint(root: Path, info: DatasetInfo, records: Sequence[FrameRecord]) -> str:
    """Fingerprint of the files on disk, each of which is checked.

    Raises:
        DataError: naming the first wrong file.
    """
    digests = {
        modality_path(Path(), modality, record.name, info.kinds).as_posix(): digest(
            read_label(root, info, record, modality)
        )
        for record in records
        for modality in (IMAGES, *info.tasks)
    }
    return fingerprint(digests, records, info.classes, info.labels)


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the lock of `target`, so that one process builds it while others wait.

    The operating system releases the lock when the process ends in any way. Temporary folders of `target` that a killed
    process left behind are removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_temporaries(target)
        yield


def remove_temporaries(target: Path) -> None:
    """Remove the temporary folders of `target`; the caller holds its lock."""
    old = target.with_name(f".{target.name}.old")
    if old.exists() and not target.exists():
        # The process was killed between the two renames of a replacement.
        os.replace(old, target)
    for suffix in (".building", ".unpacking", ".old"):
        shutil.rmtree(target.with_name(f".{target.name}{suffix}"), ignore_errors=True)


Examine = Callable[[DatasetInfo, Sequence[FrameRecord], Mapping[str, str]], tuple[str, ...]]
"""Computes findings from the content of dataset.json, frames.csv and checksums.csv."""


class CanonicalWriter:
    """Writer of a data set, completely or not at all: a temporary folder is renamed at the end.

    Use it as a context manager. Write frames with `write`; or, in other processes, with `frame_files.write_frame` into
    `folder`, and then register them with `add`. Callers that may run at the same time hold `exclusive(root)`.

    Args:
        root: folder of the data set.
        name: name and variant, the beginning of the id, as in "nyuv2-40c".
        size: (H, W) of every frame; None if each record has its size.
        tasks: names of the tasks with labels; each is a modality.
        classes: names of the semseg classes 1..C, in order.
        sources: source of each modality.
        notes: caveats, one sentence each, for dataset.json and the tables of results.
        labels: class maps other than semseg, and tasks that are not standard.
        version: version of the preparation, see `DatasetInfo`.

    Raises:
        ValueError: if a task is unknown.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        size: tuple[int, int] | None,
        tasks: Sequence[str],
        classes: Sequence[str],
        sources: Mapping[str, str],
        notes: Sequence[str] = (),
        labels: Mapping[str, LabelInfo] | None = None,
        version: int = 1,
    ) -> None:
        self.labels = dict(labels or {})
        unknown = [task for task in tasks if task == IMAGES or (task not in STANDARD_KINDS and task not in self.labels)]
        if unknown:
            standard = ", ".join(name for name in STANDARD_KINDS if name != IMAGES)
            raise ValueError(f"no modality named {unknown[0]!r}; the tasks are {standard}")
        self.root, self.name, self.size = Path(root).absolute(), name, size
        self.tasks, self.classes, self.sources, self.notes = tuple(tasks), tuple(classes), dict(sources), tuple(notes)
        self.version = version
        self.kinds = {**STANDARD_KINDS, **{task: label.kind for task, label in self.labels.items()}}
        self.folder = self.root.with_name(f".{self.root.name}.building")
        self.info: DatasetInfo | None = None
        self.examine: Examine | None = None
        self._records: dict[str, FrameRecord] = {}
        self._digests: dict[str, str] = {}

    def __enter__(self) -> CanonicalWriter:
        shutil.rmtree(self.folder, ignore_errors=True)
        for modality in (IMAGES, *self.tasks):
            (self.folder / modality).mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.info = self._finish()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, record: FrameRecord, arrays: Mapping[str, Array]) -> None:
        """Check and write one frame; `arrays` are coded as in the table of `datasets.layout.frame_files`."""
        size = record.size or self.size
        if size is None:
            raise ValueError(f"frame {record.name!r}: neither the data set nor the frame has a size")
        self.add(record, write_frame(self.folder, record.name, arrays, size, self.num_classes, self.kinds))

    @property
    def num_classes(self) -> dict[str, int]:
        """Number of classes of each class map, by task."""
        others = {task: len(label.classes) for task, label in self.labels.items()}
        return {"semseg": len(self.classes), **others}

    def add(self, record: FrameRecord, digests: Mapping[str, str]) -> None:
        """Register a frame that `write_frame` wrote into `folder`.

        Raises:
            ValueError: if the name is repeated or a modality is missing.
        """
        if record.name in self._records:
            raise ValueError(f"frame {record.name!r} is added twice")
        wanted = {
            modality_path(Path(), modality, record.name, self.kinds).as_posix() for modality in (IMAGES, *self.tasks)
        }
        if set(digests) != wanted:
            raise ValueError(f"frame {record.name!r}: needs {sorted(wanted)}, found {sorted(digests)}")
        self._records[record.name] = record
        self._digests.update(digests)

    def _finish(self) -> DatasetInfo:
        records = mark_held_out(list(self._records.values()))
        if not records:
            raise ValueError(f"{self.root}: no frame was written")
        sizes = {record.size or self.size for record in records}
        if self.size is None and len(sizes) == 1:
            self.size = sizes.pop()
            records = [replace(record, size=None) for record in records]
        content_hash = fingerprint(self._digests, records, self.classes, self.labels)
        size = VARIED if self.size is None else f"{self.size[0]}x{self.size[1]}"
        info = DatasetInfo(
            id=f"{self.name}-{size}-{content_hash[:8]}",
            fingerprint=content_hash,
            size=self.size,
            tasks=self.tasks,
            classes=self.classes,
            counts=dict(Counter(record.split for record in records)),
            sources=self.sources,
            notes=self.notes,
            labels=self.labels,
            version=self.version,
            validation=describe_validation(records),
        )
        if self.examine is not None:
            info = replace(info, findings=self.examine(info, records, self._digests))
        write_text(self.folder / "frames.csv", frames_text(records))
        write_text(self.folder / "checksums.csv", checksums_text(self._digests))
        write_text(self.folder / "dataset.json", info.to_json())
        self._move_into_place()
        return info

    def _move_into_place(self) -> None:
        """Rename the temporary folder; an older data set is removed only after that."""
        old = self.root.with_name(f".{self.root.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.root.exists():
            os.replace(self.root, old)
        os.replace(self.folder, self.root)
        shutil.rmtree(old, ignore_errors=True)
