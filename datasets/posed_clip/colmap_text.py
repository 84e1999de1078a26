"""The text model of COLMAP: cameras.txt, images.txt and points3D.txt.

Pixel centres are at integer + 0.5; poses are world-to-camera, camera frame x right, y down, z forward, without a scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.text import read_lines, read_rows
from datasets.posed_clip.clip import Camera, numbers_of, pose_of

_FOCAL_LENGTHS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}
"""Number of focal lengths of each camera model that is a pinhole if its distortion is zero."""
_DISTORTIONS = {"SIMPLE_RADIAL": 1, "RADIAL": 2, "OPENCV": 4, "FULL_OPENCV": 8}
_UNDISTORT = "undistort the images first (colmap image_undistorter)"


@dataclass(frozen=True)
class ColmapImage:
    """A registered image.

    Args:
        name: path of its file, relative to the folder of images.
        camera: number of its camera.
        world_to_camera: (4, 4), in the units of the model.
        points: (N, 2) x, y of the observed 3D points, in pixels.
        point_ids: (N,) numbers of the observed 3D points.
    """

    name: str
    camera: int
    world_to_camera: NDArray[np.float64]
    points: NDArray[np.float64]
    point_ids: NDArray[np.int64]


def read_cameras(path: Path) -> dict[int, Camera]:
    """Read the cameras, by their numbers.

    Raises:
        DataError: if a line is wrong, or a camera is no pinhole.
    """
    return dict(_camera(line, where) for line, where in _content(path))


def read_images(path: Path) -> list[ColmapImage]:
    """Read the registered images, in the order of the file.

    Raises:
        DataError: naming the wrong line.
    """
    images = []
    lines = enumerate(read_lines(path), start=1)
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        # Each image has two lines; the second line may be empty.
        _, points = next(lines, (0, ""))
        images.append(_image(line, points, f"{path}, line {number}", f"{path}, line {number + 1}"))
    return images


def read_points(path: Path) -> dict[int, NDArray[np.float64]]:
    """Read the (3,) coordinates of the 3D points, by their numbers.

    Raises:
        DataError: naming the wrong line.
    """
    points = {}
    for line, where in _content(path):
        number, *position = numbers_of(line.split()[:4], 4, where, "POINT3D_ID X Y Z ...")
        points[int(number)] = np.array(position)
    return points


def _content(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in read_rows(path):
        yield line, f"{path}, line {number}"


def _camera(line: str, where: str) -> tuple[int, Camera]:
    words = line.split()
    model = words[1] if len(words) > 1 else ""
    if model not in _FOCAL_LENGTHS:
        raise DataError(f"{where}: the camera model {model!r} is no pinhole; {_UNDISTORT}")
    focals, distortions = _FOCAL_LENGTHS[model], _DISTORTIONS.get(model, 0)
    count = focals + 2 + distortions
    expected = f"CAMERA_ID {model} WIDTH HEIGHT and {count} numbers"
    numbers = numbers_of([words[0], *words[2:]], 3 + count, where, expected)
    number, width, height, *parameters = numbers
    fx, fy = parameters[0], parameters[focals - 1]
    cx, cy, *distortion = parameters[focals:]
    if any(distortion):
        found = " ".join(f"{value:g}" for value in distortion)
        raise DataError(f"{where}: a {model} camera with the distortion {found}; {_UNDISTORT}")
    if not (width >= 1 and height >= 1 and fx > 0 and fy > 0):
        raise DataError(f"{where}: an image of {width:g}x{height:g} pixels with the focal lengths {fx:g} and {fy:g}")
    return int(number), Camera((fx, fy, cx, cy), (int(height), int(width)))


def _image(line: str, points: str, where: str, where_points: str) -> ColmapImage:
    # The name may contain spaces.
    words = line.split(maxsplit=9)
    expected = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
    if len(words) != 10:
        raise DataError(f"{where}: found {len(words)} words, expected {expected}")
    _, w, x, y, z, *translation, camera = numbers_of(words[:9], 9, where, expected)
    triples = points.split()
    if len(triples) % 3:
        raise DataError(f"{where_points}: {len(triples)} numbers are no triples X Y POINT3D_ID")
    observed = numbers_of(triples, len(triples), where_points, "triples X Y POINT3D_ID")
    table = np.array(observed, np.float64).reshape(-1, 3)
    world_to_camera = pose_of((x, y, z, w), translation, where)
    # COLMAP writes the largest unsigned number for a point without a track, as well as -1.
    tracks = np.where(np.abs(table[:, 2]) < 2**63, table[:, 2], -1).astype(np.int64)
    return ColmapImage(words[9].strip(), int(camera), world_to_camera, table[:, :2], tracks)


def observed_points(
    image: ColmapImage, points: Mapping[int, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Observed 3D points of an image.

    Args:
        image: the registered image.
        points: coordinates of the 3D points by number.

    Returns:
        (M, 2) positions in the image, in pixels, and (M,) depths in the units of the model.
    """
    observed = [(place, points[number]) for place, number in enumerate(image.point_ids.tolist()) if number in points]
    world = np.array([point for _, point in observed]).reshape(-1, 3)
    depths = world @ image.world_to_camera[2, :3] + image.world_to_camera[2, 3]
    return image.points[[place for place, _ in observed]], depths
