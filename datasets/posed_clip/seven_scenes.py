"""7-Scenes: frame-000000.color.png (or .jpg), .depth.png and .pose.txt side by side in one folder."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from datasets.layout.frame_files import DataError
from datasets.posed_clip.clip import (
    MILLIMETRES,
    Camera,
    Clip,
    ClipFrame,
    Intrinsics,
    checked,
    flat,
    numbers_of,
    read_lines,
)

KIND = "7-Scenes"
LOOKED_FOR = "frame-*.pose.txt"
CAMERA = Camera((585.0, 585.0, 320.0, 240.0), (480, 640))

_FILE = re.compile(r"(frame-\d+)\.(?:(color)\.(?:png|jpg)|(depth)\.png|(pose)\.txt)")


def recognise(folder: Path) -> bool:
    """Whether a folder is such a clip."""
    return any(folder.glob(LOOKED_FOR))


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """Read all poses, and see that every file is there.

    Args:
        folder: of the clip.
        intrinsics: in pixels of the files; None for the usual ones.

    Raises:
        DataError: naming the first file that is missing or wrong.
    """
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        found = _FILE.fullmatch(path.name)
        if found:
            files.setdefault(found[1], {})[found[2] or found[3] or found[4]] = path
    camera = CAMERA if intrinsics is None else Camera(intrinsics)
    return Clip(KIND, tuple(_frame(folder, name, files[name], camera) for name in sorted(files)), MILLIMETRES)


def _frame(folder: Path, name: str, files: dict[str, Path], camera: Camera) -> ClipFrame:
    for part, endings in (("color", "png or .jpg"), ("depth", "png"), ("pose", "txt")):
        if part not in files:
            there = ", ".join(path.name for path in files.values())
            raise DataError(f"{folder / name}.{part}.{endings}: the file is missing, there is only {there}")
    words = " ".join(read_lines(files["pose"])).split()
    numbers = numbers_of(words, 16, str(files["pose"]), "a pose, 16 numbers row by row")
    pose = checked(np.array(numbers).reshape(4, 4), str(files["pose"]))
    return ClipFrame(name, files["color"], files["depth"], flat(pose), camera)
