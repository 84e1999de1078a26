"""COLMAP text models with images/ and depth/; the measured depth determines the scale of the poses in metres.

Source: COLMAP reconstructs up to a scale. Here all lengths of a clip are multiplied by one number, the median of
measured depth / depth of the 3D point in the camera, over all observations of points at pixels with a measurement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from datasets.layout.frame_files import Array
from datasets.loading.poses import inverse
from datasets.posed_clip.clip import MILLIMETRES, Camera, Clip, ClipFrame, Intrinsics, file_below, flat, frame_names
from datasets.posed_clip.colmap_text import ColmapImage, observed_points, read_cameras, read_images, read_points
from datasets.preparation.reading import check_presence

KIND = "COLMAP"
LOOKED_FOR = "cameras.txt with images.txt and points3D.txt, also in sparse/0/"
FEWEST = 10
"""Least number of observations for a scale."""

_TABLES = ("cameras.txt", "images.txt", "points3D.txt")
_MODELS = (".", "sparse/0", "sparse")
"""Possible folders of the tables; COLMAP numbers its models."""


@dataclass(frozen=True)
class _Located:
    """A registered image and its files."""

    image: ColmapImage
    camera: Camera
    picture: Path
    depth: Path


def recognise(folder: Path) -> bool:
    """True if the folder holds a COLMAP text model."""
    return _model_of(folder) is not None


def _model_of(folder: Path) -> Path | None:
    """Folder of the tables; None if no folder has all of them."""
    candidates = (folder / subfolder for subfolder in _MODELS)
    return next((subfolder for subfolder in candidates if all((subfolder / name).is_file() for name in _TABLES)), None)


def open_clip(folder: Path, intrinsics: Intrinsics | None) -> Clip:
    """Read the model, check that the files exist, and determine the scale.

    Args:
        folder: folder with the three tables, images/ and depth/ with NAME.png or NAME.jpg.png.
        intrinsics: must be None, since the model has its cameras.

    Raises:
        DataError: naming the first wrong file or line, or if the scale cannot be determined.
    """
    model = _model_of(folder) or folder
    if intrinsics is not None:
        raise DataError(f"{model / 'cameras.txt'}: holds the cameras of this clip; leave out --intrinsics")
    cameras = read_cameras(model / "cameras.txt")
    images = sorted(read_images(model / "images.txt"), key=lambda image: _natural(image.name))
    located = [_located(folder, image, cameras, str(model / "images.txt")) for image in images]
    complete = [one for one in located if one.depth.is_file()]
    if not complete:
        raise DataError(f"{folder / 'depth'}: no depth image for any of the {len(images)} images of images.txt")
    check_presence(one.picture for one in complete)
    points = read_points(model / "points3D.txt")
    ratios = np.concatenate([_ratios(one, points) for one in complete])
    if ratios.size < FEWEST:
        raise DataError(
            f"{folder}: {ratios.size} observations of 3D points have a measured depth, {FEWEST} are needed to find the "
            "scale; images.txt lists them behind each image, as X Y POINT3D_ID"
        )
    scale = float(np.median(ratios))
    return Clip(KIND, _frames(complete, scale), MILLIMETRES, _notes(scale, ratios, len(images) - len(complete)))


def _located(folder: Path, image: ColmapImage, cameras: Mapping[int, Camera], where: str) -> _Located:
    if image.camera not in cameras:
        raise DataError(f"{where}: {image.name} is of camera {image.camera}, not in cameras.txt")
    picture = file_below(folder / "images", image.name, where)
    depth = file_below(folder / "depth", image.name, where)
    appended = depth.with_name(f"{depth.name}.png")
    return _Located(
        image, cameras[image.camera], picture, appended if appended.is_file() else depth.with_suffix(".png")
    )


def _ratios(one: _Located, points: Mapping[int, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Measured depth / model depth of each observed point with both depths."""
    observed, model = observed_points(one.image, points)
    if not model.size:
        return np.zeros(0)
    sensor_depth = _depth_at(MILLIMETRES.read(one.depth), observed, one.camera)
    valid = (sensor_depth > 0) & (model > 0)
    return sensor_depth[valid] / model[valid]


def _depth_at(depth: Array, observed: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """(N,) depth of the pixels that contain the points; 0 outside the image."""
    height, width = camera.size or depth.shape
    columns = np.floor(observed[:, 0] * depth.shape[1] / width).astype(int)
    rows = np.floor(observed[:, 1] * depth.shape[0] / height).astype(int)
    inside = (rows >= 0) & (rows < depth.shape[0]) & (columns >= 0) & (columns < depth.shape[1])
    values = np.zeros(len(observed))
    values[inside] = depth[rows[inside], columns[inside]]
    return values


def _frames(complete: Sequence[_Located], scale: float) -> tuple[ClipFrame, ...]:
    names = frame_names([str(Path(one.image.name).with_suffix("")) for one in complete])
    frames = []
    for name, one in zip(names, complete, strict=True):
        pose = inverse(one.image.world_to_camera)
        pose[:3, 3] *= scale
        frames.append(ClipFrame(name, one.picture, one.depth, flat(pose), one.camera))
    return tuple(frames)


def _notes(scale: float, ratios: NDArray[np.float64], without_depth: int) -> str:
    spread = float(np.median(np.abs(ratios / scale - 1)))
    left_out = f"; images without depth left out: {without_depth}" if without_depth else ""
    return f"scale {scale:.6g} m per unit from {ratios.size} observations, median deviation {spread:.2%}{left_out}"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts image 10 after image 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
