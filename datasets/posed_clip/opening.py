"""Clips in folders, each recognised by its files, as one source for `datasets.preparation.preparing`."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.images import read_image
from datasets.layout.frame_files import Array
from datasets.layout.manifest_tables import FrameRecord, LabelInfo
from datasets.posed_clip import colmap, seven_scenes, tum
from datasets.posed_clip.clip import Clip, ClipFrame, DepthCode, Intrinsics

FORMATS = (seven_scenes, tum, colmap)


@dataclass(frozen=True)
class ClipEntry:
    """A frame of the data set, with its clip, its split and the code of its depth."""

    scene: str
    split: str
    frame: ClipFrame
    depth: DepthCode


@dataclass(frozen=True)
class ClipSource:
    """Clips as a `datasets.preparation.preparing.Source`.

    Args:
        entries: frames by their name in the data set.
        formats: format of each clip.
        notes: caveats.
        name: beginning of the data-set id.
        tasks: names of the tasks.
        classes: empty, since clips have no semseg labels.
        version: version of the preparation.
    """

    entries: Mapping[str, ClipEntry]
    formats: Mapping[str, str]
    notes: Sequence[str]
    name: str = "posed_clip"
    tasks: Sequence[str] = ("depth",)
    classes: Sequence[str] = ()
    version: int = 1

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """Empty: depth is a standard task."""
        return {}

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each modality, for dataset.json."""
        clips = ", ".join(f"{scene} ({kind})" for scene, kind in self.formats.items())
        return {"images": clips, "depth": "as measured by the sensor of each clip, 0 where it measured nothing"}

    @property
    def frames(self) -> Sequence[tuple[str, str]]:
        """Name and split of every frame of all clips."""
        return [(name, entry.split) for name, entry in self.entries.items()]

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """The record of a frame and its arrays as stored.

        Raises:
            DataError: naming the wrong file.
        """
        entry = self.entries[name]
        frame = entry.frame
        image = read_image(frame.image)
        size = (image.shape[0], image.shape[1])
        depth = frame.read_depth(entry.depth, size)
        record = FrameRecord(name, split, frame.camera.scaled_to(size, frame.image), entry.scene, frame.pose, size)
        return record, {"images": image, "depth": depth}


def open_clips(folders: Sequence[Path], intrinsics: Intrinsics | None, *, every: int, test_share: float) -> ClipSource:
    """Open the clips of some folders as one source.

    Args:
        folders: folder of each clip.
        intrinsics: fx, fy, cx, cy of every clip, in pixels of its files; None for the default camera of its format.
        every: step between the frames taken, 1 for all frames.
        test_share: share of the frames of each clip, from the end, for the test split; in [0, 1).

    Raises:
        DataError: naming the first wrong folder, file or line.
    """
    entries: dict[str, ClipEntry] = {}
    clips = {scene: open_clip(folder, intrinsics) for scene, folder in _scenes(folders).items()}
    for scene, clip in clips.items():
        for frame, split in _split(clip.frames[::every], test_share):
            name = f"{scene}_{frame.name}"
            if name in entries:
                raise DataError(f"{frame.image}: another clip has a frame {name!r} already; rename one of the folders")
            entries[name] = ClipEntry(scene, split, frame, clip.depth)
    return ClipSource(entries, {scene: clip.kind for scene, clip in clips.items()}, _notes(clips, every))


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """Open the clip of a folder.

    Raises:
        DataError: if the folder is missing, or a file of it is wrong.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a clip")
    matching = [clip_format for clip_format in FORMATS if clip_format.recognise(folder)]
    if not matching:
        looked_for = "; ".join(f"{clip_format.LOOKED_FOR} ({clip_format.KIND})" for clip_format in FORMATS)
        binary = " Its .bin files can be written as text: colmap model_converter --output_type TXT"
        hint = (
            f".{binary}"
            if any((folder / place / "cameras.bin").is_file() for place in (".", "sparse", "sparse/0"))
            else ""
        )
        raise DataError(f"{folder}: no posed clip here; looked for {looked_for}{hint}")
    if len(matching) > 1:
        kinds = " and ".join(clip_format.KIND for clip_format in matching)
        raise DataError(f"{folder}: has the files of {kinds}; keep the files of one")
    return matching[0].open_clip(folder, intrinsics)


def _split(frames: Sequence[ClipFrame], test_share: float) -> Iterator[tuple[ClipFrame, str]]:
    """Assign the last frames to the test split: none if the share is 0, else at least one and not all."""
    held_out = min(max(math.floor(test_share * len(frames) + 0.5), int(test_share > 0)), len(frames) - 1)
    for position, frame in enumerate(frames):
        yield frame, "train" if position < len(frames) - held_out else "test"


def _scenes(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by scene name: the name of the folder, with its parent or a number if it is not unique."""
    resolved = [folder.resolve() for folder in folders]
    twice = [folder for folder, count in Counter(resolved).items() if count > 1]
    if twice:
        raise DataError(f"{twice[0]}: the folder is given twice")
    names = [_clean(folder.name) for folder in resolved]
    scenes: dict[str, Path] = {}
    for folder, name, path in zip(resolved, names, folders, strict=True):
        scene = name if names.count(name) == 1 else f"{_clean(folder.parent.name)}_{name}"
        number = 2
        unique = scene
        while unique in scenes:
            unique, number = f"{scene}-{number}", number + 1
        scenes[unique] = path
    return scenes


def _clean(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", name).strip("_.") or "clip"


def _notes(clips: Mapping[str, Clip], every: int) -> tuple[str, ...]:
    thinned = f", one in {every} taken" if every > 1 else ""
    parts = [
        f"{scene}: {len(clip.frames)} frames{thinned}{'; ' if clip.notes else ''}{clip.notes}."
        for scene, clip in clips.items()
    ]
    return "Depth labels only.", "Test frames are the last of each clip and show the same place.", *parts
