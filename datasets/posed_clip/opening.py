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
class Placed:
    """A frame of the data set: its clip, its split, and how to read it."""

    scene: str
    split: str
    frame: ClipFrame
    depth: DepthCode


@dataclass(frozen=True)
class ClipSource:
    """Clips; see `datasets.preparation.preparing.Source`. `placed` has the frames by their names in the data set."""

    placed: Mapping[str, Placed]
    kinds: Mapping[str, str]
    notes: Sequence[str]
    name: str = "posed_clip"
    tasks: Sequence[str] = ("depth",)
    classes: Sequence[str] = ()
    version: int = 1

    @property
    def labels(self) -> Mapping[str, LabelInfo]:
        """None beyond the standard ones."""
        return {}

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each modality comes from."""
        clips = ", ".join(f"{scene} ({kind})" for scene, kind in self.kinds.items())
        return {"images": clips, "depth": "as measured by the sensor of each clip, 0 where it measured nothing"}

    @property
    def frames(self) -> Sequence[tuple[str, str]]:
        """Of all clips."""
        return [(name, placed.split) for name, placed in self.placed.items()]

    def read(self, name: str, split: str) -> tuple[FrameRecord, dict[str, Array]]:
        """A frame and its arrays.

        Raises:
            DataError: naming the wrong file.
        """
        placed = self.placed[name]
        frame = placed.frame
        image = read_image(frame.image)
        size = (image.shape[0], image.shape[1])
        depth = frame.read_depth(placed.depth, size)
        record = FrameRecord(name, split, frame.camera.of(size, frame.image), placed.scene, frame.pose, size)
        return record, {"images": image, "depth": depth}


def open_clips(folders: Sequence[Path], intrinsics: Intrinsics | None, *, every: int, test_share: float) -> ClipSource:
    """The clips of some folders as one source.

    Args:
        folders: one clip each.
        intrinsics: of every clip, in pixels of its files; None for the usual camera of its format.
        every: take every so many frames.
        test_share: share of the frames of each clip, its last ones, that are for testing; 0 to below 1.

    Raises:
        DataError: naming the first folder, file or line that is wrong.
    """
    placed: dict[str, Placed] = {}
    clips = {scene: open_clip(folder, intrinsics) for scene, folder in _scenes(folders).items()}
    for scene, clip in clips.items():
        for frame, split in _split(clip.frames[::every], test_share):
            name = f"{scene}_{frame.name}"
            if name in placed:
                raise DataError(f"{frame.image}: another clip has a frame {name!r} already; rename one of the folders")
            placed[name] = Placed(scene, split, frame, clip.depth)
    return ClipSource(placed, {scene: clip.kind for scene, clip in clips.items()}, _notes(clips, every))


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """The clip of a folder.

    Raises:
        DataError: if the folder is missing, or a file of it is wrong.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a clip")
    fitting = [clip_format for clip_format in FORMATS if clip_format.recognise(folder)]
    if not fitting:
        looked_for = "; ".join(f"{clip_format.LOOKED_FOR} ({clip_format.KIND})" for clip_format in FORMATS)
        binary = " Its .bin files can be written as text: colmap model_converter --output_type TXT"
        hint = (
            f".{binary}"
            if any((folder / place / "cameras.bin").is_file() for place in (".", "sparse", "sparse/0"))
            else ""
        )
        raise DataError(f"{folder}: no posed clip here; looked for {looked_for}{hint}")
    if len(fitting) > 1:
        kinds = " and ".join(clip_format.KIND for clip_format in fitting)
        raise DataError(f"{folder}: has the files of {kinds}; keep the files of one")
    return fitting[0].open_clip(folder, intrinsics)


def _split(frames: Sequence[ClipFrame], test_share: float) -> Iterator[tuple[ClipFrame, str]]:
    """The last frames are for testing, at least one of them and not all, unless the share is 0."""
    held_out = min(max(math.floor(test_share * len(frames) + 0.5), int(test_share > 0)), len(frames) - 1)
    for place, frame in enumerate(frames):
        yield frame, "train" if place < len(frames) - held_out else "test"


def _scenes(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by the name of their clip: the name of the folder, with its parent or a number if it is not unique."""
    resolved = [folder.resolve() for folder in folders]
    twice = [folder for folder, count in Counter(resolved).items() if count > 1]
    if twice:
        raise DataError(f"{twice[0]}: the folder is given twice")
    own = [_clean(folder.name) for folder in resolved]
    scenes: dict[str, Path] = {}
    for folder, name, path in zip(resolved, own, folders, strict=True):
        scene = name if own.count(name) == 1 else f"{_clean(folder.parent.name)}_{name}"
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
