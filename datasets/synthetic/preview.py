"""Contact sheet: one row per frame with image, classes, depth, normals and boundary."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.layout.layout import DatasetInfo, FrameRecord, read_frames, read_info, read_label

Picture = NDArray[np.uint8]

FAR = 6.0
"""Depth in metres of the last colour."""

GAP = 3


def class_colours(count: int) -> Picture:
    """(count + 1, 3) distinct RGB colours; the first is black, for unlabelled pixels."""
    hues = (np.arange(count) * 0.618034 % 1.0 * 179).astype(np.uint8)
    values = np.array([235, 165, 200], dtype=np.uint8)[np.arange(count) % 3]
    saturations = np.array([200, 140], dtype=np.uint8)[np.arange(count) % 2]
    colours = cv2.cvtColor(np.stack([hues, saturations, values], axis=1)[None], cv2.COLOR_HSV2RGB)[0]
    return np.concatenate([np.zeros((1, 3), np.uint8), colours]).astype(np.uint8)


def panels(root: Path, info: DatasetInfo, record: FrameRecord) -> list[Picture]:
    """The five pictures of a frame, (H, W, 3) RGB each."""
    count = len(info.classes)
    read = {name: read_label(root, info, record, name) for name in ("images", *info.tasks)}
    shade = (np.clip(np.asarray(read["depth"], np.float32) / FAR, 0, 1) * 255).astype(np.uint8)
    depth = cv2.cvtColor(cv2.applyColorMap(shade, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    normals = ((np.asarray(read["normals"], np.float32) + 1) * 127.5).clip(0, 255).astype(np.uint8)
    boundary = np.repeat(np.asarray(read["boundary"], np.uint8)[..., None], 3, axis=2)
    classes = class_colours(count)[read["semseg"]]
    return [np.asarray(read["images"], np.uint8), classes, depth.astype(np.uint8), normals, boundary]


def contact_sheet(root: Path, file: Path, rows: int = 12, zoom: int = 2) -> None:
    """Write a picture of some frames.

    Args:
        root: a data set in the canonical layout with all four tasks.
        file: path of the PNG file.
        rows: number of frames, evenly spread over the data set.
        zoom: factor of enlargement.

    Raises:
        OSError: if the file cannot be written.
    """
    info, records = read_info(root), read_frames(root)
    chosen = np.unique(np.linspace(0, len(records) - 1, rows).astype(int))
    lines = []
    for position in chosen:
        pictures = panels(root, info, records[position])
        padded = [np.pad(picture, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for picture in pictures]
        lines.append(np.concatenate(padded, axis=1))
    sheet = np.repeat(np.repeat(np.concatenate(lines), zoom, axis=0), zoom, axis=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(file), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{file}: the picture could not be written; does the name end in .png?")
