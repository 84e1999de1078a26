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

* **Images**: JPEG or PNG, 8 bits, colour or grey; decoded once, when the data set is prepared, and rotated according
  to their EXIF orientation.
* **Size**: one size for all frames, or a different size for each frame.
* **Labels**: the tasks in the listing above, or tasks of other names whose kind the manifest defines.
* **Source**: data of the user.
* **Licence**: the licence of the user's data.
* **Deviations**: none; results compare with results on the same data only.
* **Partly labelled**: a frame without a file is unlabelled for that task and does not count for it.
* **Prepared** on first use, and again when a file or the manifest has changed, in the layout of every data set here:
  each file is read and checked once, and the id of the data ends with a hash of its content. The prepared
  data are in my_rooms/prepared, or below the folder in the environment variable MTL_CACHE.
* **Camera**: `intrinsics` in the manifest; if missing, a focal length equal to the longer side is assumed.
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
from benchmark.tasks import STANDARD_TASKS, TaskSet, and_more
from datasets.doctor.at_preparation import PreparationExaminer
from datasets.layout.frame_files import Array
from datasets.layout.layout import exclusive
from datasets.layout.manifest_tables import SCHEMA_VERSION, FrameRecord, LabelInfo, assumed_intrinsics
from datasets.loading.cache import CACHE_VARIABLE, cache_home
from datasets.loading.canonical import CanonicalDataset
from datasets.own.folder_example import write_folder
from datasets.own.manifest import MANIFEST, Manifest, frame_name, read_manifest
from datasets.own.user_labels import read_user_label, unlabelled
from datasets.preparation.preparing import prepare, progress

PREPARED = "prepared"
STAMP = "source.json"
VERSION = 2
"""Version of the preparation; data of an older version are prepared again."""
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
        """Prepare the data if they are not prepared, or if a file has changed since.

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
        """Tasks of the manifest; all standard tasks if the manifest is missing."""
        if not (root / MANIFEST).is_file():
            return cls.tasks
        return TaskSet(user_task.task for user_task in read_manifest(root).tasks.values())

    @classmethod
    def example(cls, root: Path) -> None:
        """Write a tiny user folder, with a frame that has no depth."""
        write_folder(root)


@dataclass(frozen=True)
class FolderSource:
    """A user folder as a `preparing.Source`.

    Args:
        manifest: checked manifest.
        files: files of each folder, by the name of the frame.
        notes: caveats.
        version: version of the preparation.
    """

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
        """Names of the semseg classes."""
        semseg = self.manifest.tasks.get("semseg")
        return semseg.classes if semseg else ()

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """Class maps other than semseg, and tasks that are not standard."""
        return self.manifest.labels

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        return {name: f"the user's {user_task.folder}/" for name, user_task in self.manifest.tasks.items()}

    @property
    def frames(self) -> Sequence[tuple[str, str]]:
        """Name and split of every frame."""
        return [(name, split) for split, names in self.manifest.frames.items() for name in names]

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """The record of a frame and its arrays as stored.

        Raises:
            DataError: naming the wrong file.
        """
        image = read_image(self.files["images"][name])
        size = (image.shape[0], image.shape[1])
        arrays = {"images": image}
        for task, user_task in self.manifest.tasks.items():
            path = self.files[user_task.folder].get(name)
            arrays[task] = unlabelled(user_task, size) if path is None else read_user_label(user_task, path, size)
        return FrameRecord(name, split, self.manifest.intrinsics or assumed_intrinsics(size), size=size), arrays


def ensure_prepared(root: Path) -> None:
    """Prepare the folder if it has changed since the last preparation; one process prepares while others wait.

    Raises:
        DataError: naming the wrong entry of the manifest, or the first wrong file.
    """
    manifest = read_manifest(root)
    label_folders = [user_task.folder for user_task in manifest.tasks.values()]
    files = {folder: _files(root, folder) for folder in ("images", *label_folders)}
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
    """Folder of the prepared data: `root/prepared`, or a separate folder below `MTL_CACHE`."""
    home = cache_home()
    if home is None:
        return root / PREPARED
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]
    return home / f"{root.resolve().name}-{place}" / PREPARED


def _files(root: Path, folder: str) -> dict[str, Path]:
    """Files of a folder by the name of their frame."""
    suffixes = IMAGE_SUFFIXES if folder == "images" else LABEL_SUFFIXES
    if not (root / folder).is_dir():
        raise DataError(f"{root / folder}: no such folder; the manifest requires it")
    by_frame: dict[str, Path] = {}
    for path in sorted((root / folder).iterdir()):
        if is_system_file(path.name):
            continue
        if path.is_dir():
            raise DataError(f"{path}: a folder; put all files directly into {folder}/, under different names")
        if path.suffix.lower() not in suffixes:
            raise DataError(f"{path}: files here end in {', '.join(suffixes)}; convert or remove it")
        name = frame_name(path.name)
        if name in by_frame:
            raise DataError(f"{path}: the frame has two files here, this one and {by_frame[name].name}")
        by_frame[name] = path
    return by_frame


def _coverage(manifest: Manifest, files: Mapping[str, Mapping[str, Path]], root: Path) -> str:
    """Number of labelled frames by task, in one sentence.

    Raises:
        DataError: if an image is missing, a label belongs to no image, or no training frame has a label of a task.
    """
    frames = [name for names in manifest.frames.values() for name in names]
    missing = [name for name in frames if name not in files["images"]]
    if missing:
        more = and_more(len(missing), "frame")
        raise DataError(f"{root / 'images'}: no image of frame {missing[0]!r}{more}; the splits list it")
    counts = []
    for task, user_task in manifest.tasks.items():
        labels = files[user_task.folder]
        stray = sorted(set(labels) - set(files["images"]))
        if stray:
            more = and_more(len(stray), "such label")
            raise DataError(f"{labels[stray[0]]}: there is no image of that name{more}")
        if not any(name in labels for name in manifest.frames["train"]):
            raise DataError(f"{root / user_task.folder}: no frame of the train split has a file here")
        counts.append(f"{task} {sum(name in labels for name in frames)}")
    return f"Own data. Labelled of {len(frames)} frames: {', '.join(counts)}."


def _stamp(root: Path, manifest: Manifest, files: Mapping[str, Mapping[str, Path]]) -> str:
    """JSON text with a hash of the schema version, the manifest, the splits, and name, size and time of every file."""
    status = [(os.path.relpath(path, root), path.stat()) for folder in files.values() for path in folder.values()]
    lines = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in status]
    text = read_text(root / MANIFEST)
    content = "\n".join((f"schema {SCHEMA_VERSION}", text, json.dumps(manifest.frames), *lines))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return json.dumps({"version": VERSION, "files": len(status), "sha256": digest}) + "\n"


def _stamp_of(target: Path) -> str:
    try:
        return (target / STAMP).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
