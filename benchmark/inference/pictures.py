"""Pictures of the user as network inputs: size, normalisation, and files of any name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.boundaries.formats.content import DataError, is_system_file
from benchmark.boundaries.formats.images import read_image
from benchmark.contracts import IMAGENET_MEAN, IMAGENET_STD

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

DEFAULT_SIZE = (480, 640)
"""(H, W) whose area pictures are scaled to where a model was evaluated on frames of their full size."""
MIN_SIDE = 32
"""Pixels; the smallest side that every method takes."""
MAX_ASPECT = 8
"""Longest side divided by the shortest of a network input; a longer picture is squeezed."""
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


def read_picture(picture: Any) -> Pixels:
    """A picture as RGB pixels, as image viewers show it.

    Args:
        picture: path of a PNG or JPEG file; (H, W, 3) or (H, W) uint8 RGB or grey; or an image of Pillow.

    Raises:
        DataError: if it cannot be read; the message names the file.
        ValueError: for an array of another shape or type.
    """
    if isinstance(picture, (str, Path)):
        return read_image(Path(picture))
    if hasattr(picture, "getexif"):
        from PIL import ImageOps

        picture = ImageOps.exif_transpose(picture).convert("RGB")
    pixels = np.asarray(picture)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        shape = "x".join(map(str, pixels.shape))
        raise ValueError(f"a picture is (H, W, 3) or (H, W) uint8, found {shape or 'a single value'} {pixels.dtype}")
    return pixels


def network_size(picture: tuple[int, int], trained: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of the network input: the aspect of the picture, at most `MAX_ASPECT`, and the area of the model's images.

    Args:
        picture: (H, W) of the picture.
        trained: (H, W) of the images of the model; returned unchanged for a picture of this size. Other results have no
            side below `MIN_SIDE`.
    """
    height, width = picture
    aspect = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    area = trained[0] * trained[1]
    if (height, width) == trained:
        return trained
    return max(MIN_SIDE, round((area / aspect) ** 0.5)), max(MIN_SIDE, round((area * aspect) ** 0.5))


def network_input(pixels: Pixels, size: tuple[int, int]) -> Tensor:
    """(3, H, W) ImageNet-normalised image of a size, resized as the test frames of the data sets are."""
    import cv2

    shrinks = size[0] <= pixels.shape[0] and size[1] <= pixels.shape[1]
    if tuple(pixels.shape[:2]) != size:
        pixels = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255
    return (image - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)


def files_of(path: Path) -> list[Path]:
    """The file itself, or the files below a folder in the order of their names, without system files.

    Raises:
        DataError: if the path does not exist, or the folder has no files.
    """
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and not is_system_file(file.name))
        if not found:
            raise DataError(f"{path}: the folder is empty")
        return found
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    return [path]


def is_video(path: Path) -> bool:
    """True for the usual endings of video files."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def video_frames(path: Path, every: int = 1) -> Iterator[tuple[int, Pixels]]:
    """Number and pixels of every n-th frame of a video, counted from 0.

    Raises:
        DataError: if it cannot be decoded.
    """
    import cv2

    capture = cv2.VideoCapture(str(path))
    number = 0
    try:
        while capture.grab():
            if number % every == 0:
                found, frame = capture.retrieve()
                if found:
                    yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
            number += 1
    finally:
        capture.release()
    if not number:
        raise DataError(f"{path}: not a video that OpenCV can decode; convert it to .mp4 (H.264)")
