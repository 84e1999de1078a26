"""Two tiny clips of a camera in front of a slanted wall, with exactly consistent depth, poses and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.layout.frame_files import Array
from datasets.layout.layout import CanonicalWriter
from datasets.layout.manifest_tables import FrameRecord, assumed_intrinsics

SIZE = (48, 64)
SPLITS = ("train", "train", "train", "test")
WALLS = {"left": (-0.3, 0.1), "right": (0.3, -0.1)}
"""Slopes (a, b) of the wall z = 2 + a x + b y of each clip, metres."""


def write_clips(root: Path) -> None:
    """Write both clips in the canonical layout at `root`; the first pixel of each frame has no depth."""
    writer = CanonicalWriter(
        root, name="posed_clip-example", size=SIZE, tasks=("depth",), classes=(), sources={"all": "made up"}
    )
    with writer:
        for scene, slopes in WALLS.items():
            for number, split in enumerate(SPLITS):
                pose = _pose(number)
                record = FrameRecord(
                    f"{scene}_{number:04d}", split, assumed_intrinsics(SIZE), scene, tuple(pose.ravel().tolist())
                )
                writer.write(record, _seen(record.matrix(), pose, slopes))


def _pose(number: int) -> NDArray[np.float64]:
    """(4, 4) camera-to-world pose; each frame adds 5 cm to the right, 2 cm forward and 0.03 rad about the vertical."""
    turn = 0.03 * number
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    pose[:3, 3] = 0.05 * number, 0, 0.02 * number
    return pose


def _seen(intrinsics: NDArray[np.float64], pose: NDArray[np.float64], slopes: tuple[float, float]) -> dict[str, Array]:
    """Image and depth of the wall; rays have z = 1 in the camera frame, so the ray parameter is the depth."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    pixels = np.stack((columns, rows, np.ones(SIZE)), axis=-1)
    rays = pixels @ np.linalg.inv(intrinsics).T @ pose[:3, :3].T
    plane = np.array([-slopes[0], -slopes[1], 1.0])
    depth = (2 - plane @ pose[:3, 3]) / (rays @ plane)
    points = pose[:3, 3] + rays * depth[..., None]
    colours = 127.5 + 127.5 * np.sin(6 * points + np.array([0.0, 2.0, 4.0]))
    depth[0, 0] = 0
    return {"images": colours.astype(np.uint8), "depth": depth.astype(np.float32)}
