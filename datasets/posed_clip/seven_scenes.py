"""7-Scenes: frame-000000.color.png (or .jpg), .depth.png and .pose.txt in one folder.

Frames whose pose has NaN, infinity or zeros are left out: the tracker was lost there.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.text import read_text
from datasets.posed_clip.clip import (
    MILLIMETRES,
    Camera,
    Clip,
    ClipFrame,
    Intrinsics,
    NoPoseError,
    checked,
    flat,
    numbers_of,
)

KIND = "7-Scenes"
LOOKED_FOR = "frame-*.pose.txt"
CAMERA = Camera((585.0, 585.0, 320.0, 240.0), (480, 640))

_FILE = re.compile(r"(frame-\d+)\.(?:(color)\.(?:png|jpe?g)|(depth)\.png|(pose)\.txt)", re.IGNORECASE)


def recognise(folder: Path) -> bool:
    """True if the folder holds a 7-Scenes clip."""
    return any(_FILE.fullmatch(path.name) for path in folder.glob(LOOKED_FOR))


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """Read all poses and check that every file exists.

    Args:
        folder: folder of the clip.
        intrinsics: fx, fy, cx, cy in pixels of the files; None for the published ones.

    Raises:
        DataError: naming the first missing or wrong file, or if no frame has a pose.
    """
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match:
            files.setdefault(match[1].lower(), {})[(match[2] or match[3] or match[4]).lower()] = path
    camera = CAMERA if intrinsics is None else Camera(intrinsics)
    frames = [_frame(folder, name, files[name], camera) for name in sorted(files)]
    posed = tuple(frame for frame in frames if frame is not None)
    if not posed:
        raise DataError(f"{folder}: none of the {len(frames)} frames has a pose; all have NaN, infinity or zeros")
    left_out = len(frames) - len(posed)
    notes = f"{left_out} of {len(frames)} frames left out, whose pose has NaN, infinity or zeros" if left_out else ""
    return Clip(KIND, posed, MILLIMETRES, notes)


def _frame(folder: Path, name: str, files: dict[str, Path], camera: Camera) -> ClipFrame | None:
    """A frame; None if it has no pose."""
    for part, endings in (("color", "png or .jpg"), ("depth", "png"), ("pose", "txt")):
        if part not in files:
            present = ", ".join(path.name for path in files.values())
            raise DataError(f"{folder / name}.{part}.{endings}: the file is missing, there is only {present}")
    words = read_text(files["pose"]).replace(",", " ").split()
    try:
        numbers = numbers_of(words, 16, str(files["pose"]), "a pose, 16 numbers row by row")
        pose = checked(np.array(numbers).reshape(4, 4), str(files["pose"]))
    except NoPoseError:
        return None
    return ClipFrame(name, files["color"], files["depth"], flat(pose), camera)
