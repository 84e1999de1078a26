"""A consistent data set: views of a corner of a room, whose normals agree with the depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from datasets.layout.layout import CanonicalWriter, FrameRecord

SIZE = (48, 64)
INTRINSICS = (52.0, 52.0, 32.0, 24.0)
TASKS = ("semseg", "depth", "normals", "boundary")
CLASSES = tuple(f"class {number}" for number in range(1, 41))
PLANES = ((0.1, 0.95, 0.3), (0.75, 0.05, 0.66), (-0.6, -0.05, 0.8))
"""Floor, right and left wall: normals away from the camera, z forward."""

Arrays = dict[str, np.ndarray]


def corner(seed: int) -> Arrays:
    """Arrays of one frame, as stored: floor and walls at random distances of one to three metres."""
    rng = np.random.default_rng(seed)
    fx, fy, cx, cy = INTRINSICS
    u, v = np.meshgrid((np.arange(SIZE[1]) + 0.5 - cx) / fx, (np.arange(SIZE[0]) + 0.5 - cy) / fy)
    rays = np.stack([u, v, np.ones(SIZE)], -1)
    planes = np.array(PLANES) / np.linalg.norm(PLANES, axis=1, keepdims=True)
    distances = rng.uniform(1.0, 2.0, 3)
    with np.errstate(divide="ignore"):
        depths = distances / (rays @ planes.T)
    depths[depths <= 0] = np.inf
    nearest = depths.argmin(-1)
    labels = (3 * nearest + rng.integers(1, 4, SIZE)).astype(np.uint8)
    labels[:2] = 0
    boundary = np.zeros(SIZE, np.uint8)
    boundary[:, 1:][nearest[:, 1:] != nearest[:, :-1]] = 255
    boundary[:2] = 128
    return {
        "images": rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        "semseg": labels,
        "depth": depths.min(-1).astype(np.float32),
        "normals": (planes * (-1, -1, 1))[nearest].astype(np.float16),
        "boundary": boundary,
    }


@pytest.fixture
def write_corner() -> Callable[..., Path]:
    """Write frames 0001..0004 (train) and 0005, 0006 (test); `changes` edits the arrays of the named frames."""

    def write(
        root: Path,
        changes: Mapping[str, Callable[[Arrays], None]] | None = None,
        name: str = "corner-40c",
        scenes: Mapping[str, str] | None = None,
    ) -> Path:
        with CanonicalWriter(
            root, name=name, size=SIZE, tasks=TASKS, classes=CLASSES, sources={"images": "made up"}
        ) as writer:
            for number in range(1, 7):
                frame = f"{number:04d}"
                arrays = corner(number)
                (changes or {}).get(frame, lambda arrays: None)(arrays)
                split = "train" if number <= 4 else "test"
                scene = (scenes or {}).get(frame, f"room {number}")
                writer.write(FrameRecord(frame, split, INTRINSICS, scene), arrays)
        return root

    return write


@pytest.fixture
def good(tmp_path: Path, write_corner: Callable[..., Path]) -> Path:
    """Root of a data set without any fault."""
    return write_corner(tmp_path / "good")
