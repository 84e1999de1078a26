"""A user's own data: a folder of images, a folder of label files per task, and a manifest.

Data card
---------
* **What**: whatever the user has: any of the tasks, frames of one size or of many.

      my_rooms/manifest.json      tasks, splits, and perhaps the camera; see `datasets.own.manifest`
      my_rooms/images/NAME.jpg    or .png
      my_rooms/semseg/NAME.png    class numbers, grey or in a palette; 255 is no label
      my_rooms/depth/NAME.png     16-bit millimetres, or NAME.npy in metres; 0 is missing
      my_rooms/normals/NAME.npy   (H, W, 3) unit vectors, x right, y down, z towards the camera; or 8-bit .png
      my_rooms/boundary/NAME.png  0 and 255, or 0 and 1; likewise saliency
      my_rooms/train.txt, test.txt   names of the frames, one a line

* **Images**: JPEG or PNG, 8 bits, colour or grey; decoded once, when the data set is prepared.
* **Size**: one for all frames, or one of its own for each.
* **Labels**: each task as the listing above says, or any other name whose kind the manifest tells.
* **Source**: the user's.
* **Licence**: the user's.
* **Deviations**: none; nothing but itself compares with it.
* **Partly labelled**: a frame without a file is unlabelled for that task and counts nothing there.
* **Prepared** on first use, and again when a file or the manifest has changed, into my_rooms/prepared, in the layout of
  every data set here: each file is read and checked once, and the id of the data carries a hash of its content.
* **Camera**: `intrinsics` in the manifest, else assumed, with a focal length of the longer side.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.atomic import write_text
from benchmark.registry import DATASETS
from benchmark.tasks import STANDARD_TASKS, TaskSet
from datasets.layout.frame_files import Array
from datasets.layout.layout import DataError, exclusive
from datasets.layout.manifest_tables import SCHEMA_VERSION, FrameRecord, LabelInfo, assumed_intrinsics
from datasets.loading.canonical import CanonicalDataset
from datasets.own.folder_example import write_folder
from datasets.own.manifest import MANIFEST, Manifest, read_manifest
from datasets.own.user_labels import read_image, read_own_label, unlabelled
from datasets.preparation.preparing import prepare, progress

PREPARED = "prepared"
STAMP = "source.json"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
LABEL_SUFFIXES = (".png", ".npy")


@DATASETS.register("folder", title="Own data", paper="datasets/own/folder.py", year=2026)
class FolderDataset(CanonicalDataset):
    """One split of a user's own data; the data card is at the top of this module.

    Arguments and items: see `CanonicalDataset`; `root` is the folder with the manifest.
    """

    tasks: TaskSet = STANDARD_TASKS

    @classmethod
    def ensure(cls, root: Path | str) -> None:
        """Prepare the data if that was never done, or if something has changed since.

        Raises:
            DataError: naming what is wrong with the manifest or the first wrong file.
        """
        ensure_prepared(Path(root))

    @classmethod
    def prepared(cls, root: Path) -> Path:
        """Where the prepared data are."""
        return root / PREPARED

    @classmethod
    def offered(cls, root: Path) -> TaskSet:
        """The tasks of the manifest; those that have a name of their own where there is none yet."""
        if not (root / MANIFEST).is_file():
            return cls.tasks
        return TaskSet(own.task for own in read_manifest(root).tasks.values())

    @classmethod
    def example(cls, root: Path) -> None:
        """Write a tiny folder as a user might have it, with a frame that has no depth."""
        write_folder(root)


@dataclass(frozen=True)
class FolderSource:
    """The folder as a `preparing.Source`. `files` has the files of each folder by the name of the frame."""

    manifest: Manifest
    files: Mapping[str, Mapping[str, Path]]
    notes: Sequence[str]
    version: int = 1

    @property
    def name(self) -> str:
        """Beginning of the id."""
        return self.manifest.name

    @property
    def tasks(self) -> Sequence[str]:
        """The tasks of the manifest."""
        return tuple(self.manifest.tasks)

    @property
    def classes(self) -> Sequence[str]:
        """Of semseg."""
        semseg = self.manifest.tasks.get("semseg")
        return semseg.classes if semseg else ()

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """Of the other tasks."""
        return self.manifest.labels

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each modality comes from."""
        return {name: f"the user's {own.folder}/" for name, own in self.manifest.tasks.items()}

    @property
    def frames(self) -> Sequence[tuple[str, str]]:
        """Of both splits."""
        return [(name, split) for split, names in self.manifest.frames.items() for name in names]

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """A frame and its arrays.

        Raises:
            DataError: naming the wrong file.
        """
        image = read_image(self.files["images"][name])
        size = (image.shape[0], image.shape[1])
        arrays = {"images": image}
        for task, own in self.manifest.tasks.items():
            path = self.files[own.folder].get(name)
            arrays[task] = unlabelled(own, size) if path is None else read_own_label(own, path, size)
        return FrameRecord(name, split, self.manifest.intrinsics or assumed_intrinsics(size), size=size), arrays


def ensure_prepared(root: Path) -> None:
    """Make `root/prepared` what the folder is now; of several processes one does it and the others wait.

    Raises:
        DataError: as `FolderDataset.ensure` says.
    """
    manifest = read_manifest(root)
    files = {folder: _files(root, folder) for folder in ("images", *(own.folder for own in manifest.tasks.values()))}
    stamp = _stamp(root, manifest, files)
    target = root / PREPARED
    if _stamp_of(target) == stamp:
        return
    try:
        with exclusive(target.absolute()):
            if _stamp_of(target) == stamp:
                return
            source = FolderSource(manifest, files, (_coverage(manifest, files, root),))
            prepare(source, target, workers=1, limit=None, track=progress(f"preparing {root.name}"))
            write_text(target / STAMP, stamp)
    except PermissionError as error:
        raise DataError(f"{root}: cannot be written to ({error.strerror}); own data are prepared beside it") from None


def _files(root: Path, folder: str) -> dict[str, Path]:
    """The files of a folder by their name without its ending."""
    suffixes = IMAGE_SUFFIXES if folder == "images" else LABEL_SUFFIXES
    if not (root / folder).is_dir():
        raise DataError(f"{root / folder}: there is no such folder; the manifest asks for it")
    found: dict[str, Path] = {}
    for path in sorted((root / folder).iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in suffixes:
            raise DataError(f"{path}: files here end in {', '.join(suffixes)}")
        if path.stem in found:
            raise DataError(f"{path}: the frame has two files here, this one and {found[path.stem].name}")
        found[path.stem] = path
    return found


def _coverage(manifest: Manifest, files: Mapping[str, Mapping[str, Path]], root: Path) -> str:
    """How many frames have a label, by task.

    Raises:
        DataError: if an image is missing, a label belongs to no image, or a task has no label to learn from.
    """
    frames = [name for names in manifest.frames.values() for name in names]
    missing = [name for name in frames if name not in files["images"]]
    if missing:
        others = f", nor {len(missing) - 1} others" if len(missing) > 1 else ""
        raise DataError(f"{root / 'images'}: no image of frame {missing[0]!r}{others}; the splits list it")
    counts = []
    for task, own in manifest.tasks.items():
        labels = files[own.folder]
        stray = sorted(set(labels) - set(files["images"]))
        if stray:
            others = f", and {len(stray) - 1} other labels belong to none" if len(stray) > 1 else ""
            raise DataError(f"{labels[stray[0]]}: there is no image of that name{others}")
        if not any(name in labels for name in manifest.frames["train"]):
            raise DataError(f"{root / own.folder}: no frame of the train split has a file here")
        counts.append(f"{task} {sum(name in labels for name in frames)}")
    return f"Own data. Labelled of {len(frames)} frames: {', '.join(counts)}."


def _stamp(root: Path, manifest: Manifest, files: Mapping[str, Mapping[str, Path]]) -> str:
    """A hash of the layout's version, the manifest, the splits, and name, size and time of every file, as JSON."""
    status = [(os.path.relpath(path, root), path.stat()) for folder in files.values() for path in folder.values()]
    lines = [f"{name} {found.st_size} {found.st_mtime_ns}" for name, found in status]
    text = (root / MANIFEST).read_text(encoding="utf-8")
    content = "\n".join((f"schema {SCHEMA_VERSION}", text, json.dumps(manifest.frames), *lines))
    return json.dumps({"files": len(status), "sha256": hashlib.sha256(content.encode()).hexdigest()}) + "\n"


def _stamp_of(target: Path) -> str:
    try:
        return (target / STAMP).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
