"""Hand-made clips of each format, written without the code that reads them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (12, 16)
STEP = 10
HALF = 0.5**0.5


def depth_codes(seed: int) -> np.ndarray:
    """(H, W) uint16, all pixels different, 1000 to 2910 + seed."""
    return (1000 + STEP * np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) + seed).astype(np.uint16)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_colour(path: Path, size: tuple[int, int] = SIZE) -> None:
    """Write an image with all pixels (R, G, B) = (30, 20, 10)."""
    write_picture(path, np.full((*size, 3), (10, 20, 30), np.uint8))


def write_seven_scenes(folder: Path, num_frames: int = 5, size: tuple[int, int] = SIZE) -> Path:
    """Write a clip: frame k is rotated by 90 degrees about z, at (k, 0, 0); codes 0 and 65535 in the first row."""
    for number in range(num_frames):
        start = folder / f"frame-{number:06d}"
        write_colour(Path(f"{start}.color.png"), size)
        codes = np.full(size, 1500 + number, np.uint16)
        codes[0, :2] = 0, 65535
        write_picture(Path(f"{start}.depth.png"), codes)
        Path(f"{start}.pose.txt").write_text(f"0 -1 0 {number}\n1 0 0 0\n0\t0 1 0\n0 0 0 1\n")
    return folder


TUM_ROTATED = (0.0, 0.0, HALF, HALF)
"""qx qy qz qw of 90 degrees about z."""


def write_tum(
    folder: Path, images: list[str], depths: list[str], poses: list[str], size: tuple[int, int] = SIZE
) -> Path:
    """Write the tables; pose k is at (k, 2, 3), rotated by 90 degrees about z."""
    for part, times in (("rgb", images), ("depth", depths)):
        folder.mkdir(parents=True, exist_ok=True)
        rows = [f"{time} {part}/{time}.png" for time in times]
        (folder / f"{part}.txt").write_text("\n".join(["# timestamp filename", *rows, ""]))
        for number, time in enumerate(times):
            if part == "rgb":
                write_colour(folder / part / f"{time}.png", size)
            else:
                codes = np.full(size, 5000 * (number + 1), np.uint16)
                codes[0, 0] = 0
                write_picture(folder / part / f"{time}.png", codes)
    rotation = " ".join(map(str, TUM_ROTATED))
    rows = [f"{time} {number} 2 3 {rotation}" for number, time in enumerate(poses)]
    (folder / "groundtruth.txt").write_text("\n".join(["# timestamp tx ty tz qx qy qz qw", *rows, ""]))
    return folder


COLMAP_SCALE = 2.0
"""Metres to the unit of the model."""


def write_colmap(folder: Path, observations: int = 12) -> Path:
    """Two images of one camera, whose model has half the true lengths.

    "1 a.png" is at the origin. "10.png" is at C = (1, 2, 3) and looks along the x axis of the world: camera-to-world is
    [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], so world-to-camera is its transpose, by -90 degrees about y, and
    t = -R C = (3, -2, -1); a world point has the depth x - 1 there. Only "10.png" observes points: its pixel in row 2,
    column k, at its lower right corner, has the code 1000 + 10 (32 + k) + 7 millimetres.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in (("1 a", 0), ("10", 7)):
        write_colour(folder / "images" / f"{name}.png")
        write_picture(folder / "depth" / f"{name}.png", depth_codes(seed))
    (folder / "cameras.txt").write_text("# cameras\n7 PINHOLE 16 12 20 21 8 6\n")
    metres = [(1000 + STEP * (2 * SIZE[1] + place) + 7) / 1000 for place in range(observations)]
    places = [depth / COLMAP_SCALE + 1 for depth in metres]
    points = [f"{100 + number} {x} 0.3 0.4 1 2 3 0.5 2 {number}" for number, x in enumerate(places)]
    (folder / "points3D.txt").write_text("\n".join(["# points", *points, ""]))
    observed = " ".join(f"{place + 0.9} 2.9 {100 + place}" for place in range(observations))
    (folder / "images.txt").write_text(
        f"# images\n2 {HALF} 0 {-HALF} 0 3 -2 -1 7 10.png\n{observed} 4.5 5.5 -1\n1 1 0 0 0 0 0 0 7 1 a.png\n\n"
    )
    return folder
