"""A user's own data: a folder of images, a folder of label files per task, and a manifest.

Data card
---------
* **What**: any of the tasks, frames of one size or of many.

      my_rooms/manifest.json      tasks, splits, and perhaps the camera; see `datasets.own.manifest`
      my_rooms/images/NAME.jpg    or .png
      my_rooms/semseg/NAME.png    class numbers, grey or in a palette; 255 is no label
      my_rooms/depth/NAME.png     16-bit millimetres, or NAME.npy in metres; 0 and 65535 are missing
      my_rooms/normals/NAME.npy   (H, W, 3) unit vectors, x right, y down, z towards the camera; or 8-bit .png
      my_rooms/boundary/NAME.png  0 and 255, or 0 and 1; likewise saliency
      my_rooms/train.txt, test.txt   names of the frames, one a line

* **Images**: JPEG or PNG, 8 bits, colour or grey; decoded once, when the data set is prepared, and turned as their EXIF
  orientation says.
* **Size**: one for all frames, or one of its own for each.
* **Labels**: each task as the listing above says, or any other name whose kind the manifest tells.
* **Source**: the user's.
* **Licence**: the user's.
* **Deviations**: none; nothing but itself compares with it.
* **Partly labelled**: a frame without a file is unlabelled for that task and counts nothing there.
* **Prepared** on first use, and again when a file or the manifest has changed, in the layout of every data set here:
  each file is read and checked once, and the id of the data carries a hash of its content. The place is
  my_rooms/prepared, or lies below the folder that the environment variable MTL_CACHE names.
* **Camera**: `intrinsics` in the manifest, else assumed, with a focal length of the longer side.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.boundaries.formats.content import DataError, is_system_file
from benchmark.boundaries.formats.images import read_image
from benchmark.boundaries.formats.text import read_text
from benchmark.records.atomic import write_text
from benchmark.registry import DATASETS
from benchmark.tasks import STANDARD_TASKS, TaskSet
from datasets.doctor.at_preparation import PreparationExaminer
from datasets.layout.frame_files import Array
from datasets.layout.layout import exclusive
from datasets.layout.manifest_tables import SCHEMA_VERSION, FrameRecord, LabelInfo, assumed_intrinsics
from datasets.loading.cache import CACHE_VARIABLE, cache_home
from datasets.loading.canonical import CanonicalDataset
from datasets.own.folder_example import write_folder
from datasets.own.manifest import MANIFEST, Manifest, frame_name, read_manifest
from datasets.own.user_labels import read_own_label, unlabelled
from datasets.preparation.preparing import prepare, progress

PREPARED = "prepared"
STAMP = "source.json"
VERSION = 2
"""Version of the preparation; older prepared data are made again."""
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
            DataError: naming the wrong entry of the manifest, or the first wrong file.
        """
        ensure_prepared(Path(root))

    @classmethod
    def prepared(cls, root: Path) -> Path:
        """Folder of the prepared data."""
        return prepared_folder(root)

    @classmethod
    def offered(cls, root: Path) -> TaskSet:
        """Tasks of the manifest; all standard tasks where there is no manifest."""
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
    """Prepare the folder if it has changed since; of several processes one does it and the others wait.

    Raises:
        DataError: naming the wrong entry of the manifest, or the first wrong file.
    """
    manifest = read_manifest(root)
    files = {folder: _files(root, folder) for folder in ("images", *(own.folder for own in manifest.tasks.values()))}
    stamp = _stamp(root, manifest, files)
    target = prepared_folder(root)
    if _stamp_of(target) == stamp:
        return
    try:
        with exclusive(target.absolute()):
            if _stamp_of(target) == stamp:
                return
            source = FolderSource(manifest, files, (_coverage(manifest, files, root),))
            track = progress(f"preparing {root.name}")
            info = prepare(source, target, workers=1, limit=None, track=track, examiner=PreparationExaminer())
            write_text(target / STAMP, stamp)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror}); set {CACHE_VARIABLE} to a folder for prepared data"
        ) from None
    for finding in info.findings:
        print(f"{target}: {finding}", file=sys.stderr)


def prepared_folder(root: Path) -> Path:
    """Place of the prepared data: `root/prepared`, or a folder of its own below the one that `MTL_CACHE` names."""
    home = cache_home()
    if home is None:
        return root / PREPARED
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]
    return home / f"{root.resolve().name}-{place}" / PREPARED


def _files(root: Path, folder: str) -> dict[str, Path]:
    """The files of a folder by the name of their frame."""
    suffixes = IMAGE_SUFFIXES if folder == "images" else LABEL_SUFFIXES
    if not (root / folder).is_dir():
        raise DataError(f"{root / folder}: there is no such folder; the manifest asks for it")
    found: dict[str, Path] = {}
    for path in sorted((root / folder).iterdir()):
        if is_system_file(path.name):
            continue
        if path.is_dir():
            raise DataError(f"{path}: a folder; put the files side by side in {folder}/, under names of their own")
        if path.suffix.lower() not in suffixes:
            raise DataError(f"{path}: files here end in {', '.join(suffixes)}; convert or remove it")
        name = frame_name(path.name)
        if name in found:
            raise DataError(f"{path}: the frame has two files here, this one and {found[name].name}")
        found[name] = path
    return found


def _coverage(manifest: Manifest, files: Mapping[str, Mapping[str, Path]], root: Path) -> str:
    """Number of labelled frames by task, in one sentence.

    Raises:
        DataError: if an image is missing, a label belongs to no image, or no training frame has a label of a task.
    """
    frames = [name for names in manifest.frames.values() for name in names]
    missing = [name for name in frames if name not in files["images"]]
    if missing:
        others = f", nor of {len(missing) - 1} others" if len(missing) > 1 else ""
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
    """Hash of the layout's version, the manifest, the splits, and name, size and time of every file, as JSON."""
    status = [(os.path.relpath(path, root), path.stat()) for folder in files.values() for path in folder.values()]
    lines = [f"{name} {found.st_size} {found.st_mtime_ns}" for name, found in status]
    text = read_text(root / MANIFEST)
    content = "\n".join((f"schema {SCHEMA_VERSION}", text, json.dumps(manifest.frames), *lines))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return json.dumps({"version": VERSION, "files": len(status), "sha256": digest}) + "\n"


def _stamp_of(target: Path) -> str:
    try:
        return (target / STAMP).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
