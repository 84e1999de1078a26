"""The canonical layout on disk, into which every data set is prepared, and from which it is read.

    ROOT/dataset.json     what the data set is: `DatasetInfo`
    ROOT/frames.csv       name, split, scene, fx, fy, cx, cy, pose (16 numbers row by row, camera-to-world, or empty)
    ROOT/checksums.csv    path, sha256 of the decoded content
    ROOT/MODALITY/NAME.*  the files of each frame, see `datasets.modalities`
    ROOT/cache/           resized copies, made on demand, see `datasets.cache`; not part of the data set

The fingerprint is a hash of checksums.csv, frames.csv and the class names: it changes with any pixel, and not with the
compression of a file. The id carries its first eight digits, so that results name the data they were measured on.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from benchmark.atomic import write_text
from datasets.index import SCHEMA_VERSION, DatasetInfo, FrameRecord, frames_text, read_frames, read_info
from datasets.modalities import SUFFIXES, Array, DataError, digest, modality_path, read_modality, write_frame

CHECKOUT = Path(__file__).resolve().parents[1]

__all__ = [
    "SCHEMA_VERSION", "CanonicalWriter", "DataError", "DatasetInfo", "FrameRecord", "content_fingerprint", "data_root",
    "exclusive", "fingerprint", "read_frames", "read_info",
]


def data_root() -> Path:
    """Folder of all prepared data sets: the environment variable MTL_DATA, else `data` in the checkout."""
    return Path(os.environ.get("MTL_DATA") or CHECKOUT / "data")


def checksums_text(digests: Mapping[str, str]) -> str:
    """Text of checksums.csv."""
    return "path,sha256\n" + "".join(f"{path},{digests[path]}\n" for path in sorted(digests))


def fingerprint(digests: Mapping[str, str], records: Iterable[FrameRecord], classes: Sequence[str]) -> str:
    """Hash of a data set's content.

    Args:
        digests: of every file, by path relative to the root, see `datasets.modalities.digest`.
        records: the lines of frames.csv.
        classes: names of the semseg classes.
    """
    content = "\n".join((checksums_text(digests), frames_text(records), *classes))
    return hashlib.sha256(content.encode()).hexdigest()


def content_fingerprint(root: Path, info: DatasetInfo, records: Sequence[FrameRecord]) -> str:
    """The fingerprint of what is on disk now, from every file; each file is checked on the way.

    Raises:
        DataError: naming the first wrong file.
    """
    digests = {
        str(modality_path(Path(), modality, record.name).as_posix()): digest(
            read_modality(root, modality, record.name, info.size, len(info.classes))
        )
        for record in records
        for modality in ("images", *info.tasks)
    }
    return fingerprint(digests, records, info.classes)


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold a lock beside `target`, so that of several processes one builds it while the others wait.

    The lock is the operating system's and ends with the process, however that ends.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class CanonicalWriter:
    """Writes a data set, all or nothing: it is built in a temporary folder beside its place and renamed at the end.

    Use it as a context manager. Frames are written with `write`; or, from other processes, with
    `datasets.modalities.write_frame` into `folder`, and then announced with `add`. Callers that may run at the same
    time hold `exclusive(root)` around it.

    Args:
        root: place of the data set.
        name: name and variant, the beginning of the id, as in "nyuv2-40c".
        size: (H, W) of every frame.
        tasks: names of the tasks that have labels; each is a modality.
        classes: names of the semseg classes 1..C, in order.
        sources: where each modality comes from.
        notes: caveats, for the reader of dataset.json.
    """

    def __init__(
        self, root: Path, *, name: str, size: tuple[int, int], tasks: Sequence[str], classes: Sequence[str],
        sources: Mapping[str, str], notes: str = "",
    ) -> None:
        unknown = [task for task in tasks if task not in SUFFIXES or task == "images"]
        if unknown:
            raise ValueError(f"no modality named {unknown[0]!r}; the tasks are {', '.join(list(SUFFIXES)[1:])}")
        self.root, self.name, self.size = Path(root).absolute(), name, size
        self.tasks, self.classes, self.sources, self.notes = tuple(tasks), tuple(classes), dict(sources), notes
        self.folder = self.root.with_name(f".{self.root.name}.building")
        self.info: DatasetInfo | None = None
        self._records: dict[str, FrameRecord] = {}
        self._digests: dict[str, str] = {}

    def __enter__(self) -> CanonicalWriter:
        shutil.rmtree(self.folder, ignore_errors=True)
        for modality in ("images", *self.tasks):
            (self.folder / modality).mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.info = self._finish()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, record: FrameRecord, arrays: Mapping[str, Array]) -> None:
        """Check and write one frame; `arrays` as the table in `datasets.modalities` says."""
        self.add(record, write_frame(self.folder, record.name, arrays, self.size, len(self.classes)))

    def add(self, record: FrameRecord, digests: Mapping[str, str]) -> None:
        """Announce a frame that `write_frame` wrote into `folder`.

        Raises:
            ValueError: if the name is taken or a modality is missing.
        """
        if record.name in self._records:
            raise ValueError(f"frame {record.name!r} is there twice")
        wanted = {modality_path(Path(), modality, record.name).as_posix() for modality in ("images", *self.tasks)}
        if set(digests) != wanted:
            raise ValueError(f"frame {record.name!r}: needs {sorted(wanted)}, found {sorted(digests)}")
        self._records[record.name] = record
        self._digests.update(digests)

    def _finish(self) -> DatasetInfo:
        records = sorted(self._records.values(), key=lambda record: record.name)
        if not records:
            raise ValueError(f"{self.root}: no frame was written")
        content_hash = fingerprint(self._digests, records, self.classes)
        height, width = self.size
        info = DatasetInfo(
            id=f"{self.name}-{height}x{width}-{content_hash[:8]}", fingerprint=content_hash, size=self.size,
            tasks=self.tasks, classes=self.classes, counts=dict(Counter(record.split for record in records)),
            sources=self.sources, notes=self.notes,
        )
        write_text(self.folder / "frames.csv", frames_text(records))
        write_text(self.folder / "checksums.csv", checksums_text(self._digests))
        write_text(self.folder / "dataset.json", info.to_json())
        self._move_into_place()
        return info

    def _move_into_place(self) -> None:
        """Rename; an older data set at the same place is removed only once the new one stands there."""
        old = self.root.with_name(f".{self.root.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.root.exists():
            os.replace(self.root, old)
        os.replace(self.folder, self.root)
        shutil.rmtree(old, ignore_errors=True)
