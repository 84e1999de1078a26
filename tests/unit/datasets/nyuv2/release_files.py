"""A room with exact depth and normals, and writers of every published format of NYU-v2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np
import scipy.io

FULL, CROPPED = (480, 640), (425, 560)
# camera_params.m of the authors' toolbox, plus half a pixel: in the toolbox the centre of the first pixel is (0, 0).
FULL_CAMERA = (518.857901, 519.469611, 326.082449, 254.236166)
CROPPED_CAMERA = (518.857901, 519.469611, 286.082449, 209.236166)

# Planes n . X = offset with X in x right, y down, z forward; n towards the room.
PLANES = (
    ((0.0, -1.0, 0.0), -1.2),  # floor, 1.2 m below the camera
    ((0.0, 1.0, 0.0), -1.6),  # ceiling
    ((1.0, 0.0, 0.0), -1.9),  # left wall
    ((-0.8, 0.0, -0.6), -3.0),  # slanted wall at the right
    ((0.0, 0.0, -1.0), -4.0),  # back wall
)
# As annotated: floor, ceiling, wall, wall, bookshelf; classes 2, 22, 1, 1, 10.
NAMES = ("floor", "ceiling", "wall", "wall", "bookshelf")
CLASSES_40 = (2, 22, 1, 1, 10)
CLASSES_13 = (5, 3, 12, 12, 6)


@dataclass
class Room:
    """Arrays of one frame; normals x right, y down, z towards the camera; part: number of the plane, from 0."""

    image: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    part: np.ndarray

    def classes(self, table: tuple[int, ...]) -> np.ndarray:
        return np.array(table, np.uint8)[self.part]


def room(size: tuple[int, int], camera: tuple[float, float, float, float], seed: int) -> Room:
    """Cast rays at the planes, which `seed` shifts slightly."""
    fx, fy, cx, cy = camera
    v, u = np.mgrid[: size[0], : size[1]]
    rays = np.stack([(u + 0.5 - cx) / fx, (v + 0.5 - cy) / fy, np.ones(size)], -1)
    distances = []
    for normal, offset in PLANES:
        towards = rays @ np.array(normal)
        with np.errstate(divide="ignore"):
            distances.append(np.where(towards < 0, offset * (1 + 0.02 * seed) / towards, np.inf))
    part = np.argmin(distances, 0)
    depth = np.min(distances, 0).astype(np.float32)
    normals = (np.array([normal for normal, _ in PLANES]) * (1, 1, -1))[part].astype(np.float32)
    image = np.stack([(u + seed * 8) % 256, v % 256, part * 40], -1).astype(np.uint8)
    return Room(image, depth, normals, part)


def edges(part: np.ndarray) -> np.ndarray:
    """One-pixel outlines, 0 and 255."""
    edge = np.zeros(part.shape, np.uint8)
    edge[:, :-1][part[:, 1:] != part[:, :-1]] = 255
    edge[:-1][part[1:] != part[:-1]] = 255
    return edge


def save(path: Path, array: np.ndarray, key: str = "") -> None:
    """Write a file in the format of its suffix; colours are RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {key: array})
    else:
        quality = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == ".jpg" else []
        cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array, quality)


FOLDERS = ("images", "segmentation", "depth", "normals", "edge")
_FORMATS = {
    "astmt": (CROPPED, CROPPED_CAMERA, ("jpg", "mat", "mat", "jpg", "png")),
    "mtl_pytorch": (FULL, FULL_CAMERA, ("jpg", "png", "npy", "npy", "npy")),
    "atrc": (CROPPED, CROPPED_CAMERA, ("png", "png", "npy", "png", "png")),
}
FORMATS = {
    kind: (size, camera, dict(zip(FOLDERS, suffixes, strict=True)))
    for kind, (size, camera, suffixes) in _FORMATS.items()
}
TOP = {"astmt": "NYUD_MT", "mtl_pytorch": "NYUD_MT", "atrc": "NYUDv2"}
TRAIN, VAL = ("0003",), ("0001", "0002")


def write_release(
    folder: Path,
    kind: str,
    signs: tuple[int, int, int] = (1, -1, 1),
    train: tuple[str, ...] = TRAIN,
    val: tuple[str, ...] = VAL,
) -> Path:
    """Write a release; its normals are in the published frame (y up) unless other signs are given."""
    size, camera, suffixes = FORMATS[kind]
    root = folder / TOP[kind]
    for name in (*train, *val):
        one = room(size, camera, int(name))
        normals = one.normals * signs
        if suffixes["normals"] != "npy":
            # numpy rounds half to even: a zero becomes 128.
            normals = np.round((normals + 1) * 127.5).astype(np.uint8)
        edge = edges(one.part)
        arrays = {
            "images": one.image,
            "segmentation": one.classes(CLASSES_40),
            "depth": one.depth,
            "normals": normals,
            "edge": (edge / 255).astype(np.float32) if suffixes["edge"] == "npy" else edge,
        }
        for sub, array in arrays.items():
            save(root / sub / f"{name}.{suffixes[sub]}", array, key=sub)
    (root / "gt_sets").mkdir()
    for split, names in (("train", train), ("val", val)):
        (root / "gt_sets" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def write_mtan(folder: Path, camera: tuple[float, float, float, float]) -> Path:
    """Write two frames per split; the third row of each has neither depth nor normals nor labels."""
    for split, seeds in (("train", (1, 2)), ("val", (3, 4))):
        for number, seed in enumerate(seeds):
            one = room((288, 384), camera, seed)
            one.depth[2], one.normals[2] = 0, 0
            labels = one.classes(CLASSES_13).astype(np.float32) - 1
            labels[2] = -1
            arrays = {
                "image": one.image / np.float32(255),
                "label": labels,
                "depth": one.depth[..., None],
                "normal": one.normals * np.float32([1, -1, 1]),
            }
            for sub, array in arrays.items():
                save(folder / split / sub / f"{number}.npy", array)
    return folder


def mat_arrays(rooms: list[Room], names: list[str]) -> dict[str, np.ndarray]:
    """Arrays of nyu_depth_v2_labeled.mat in the order frame, row, column, channel.

    Every plane is an object; the floor is two of them, left and right of column 320, four unlabelled columns between.
    """
    labels = np.stack([np.array([names.index(name) + 1 for name in NAMES], np.uint16)[one.part] for one in rooms])
    instances = np.ones(labels.shape, np.uint8)
    floor = np.stack([one.part for one in rooms]) == 0
    instances[..., 320:][floor[..., 320:]] = 2
    for array in (labels, instances):
        array[..., 318:322][floor[..., 318:322]] = 0
    return {
        "images": np.stack([one.image for one in rooms]),
        "depths": np.stack([one.depth for one in rooms]),
        "labels": labels,
        "instances": instances,
    }


def write_mat(path: Path, arrays: dict[str, np.ndarray], names: list[str], scenes: list[str]) -> Path:
    """Write the arrays like MATLAB 7.3: a user block, axes in reverse, strings as references to character codes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            # The frame is MATLAB's last axis, hence the first one here.
            in_reverse = array.transpose(0, *range(array.ndim - 1, 0, -1))
            file.create_dataset(key, data=in_reverse, chunks=(1, *in_reverse.shape[1:]), compression="gzip")
        write_strings(file, "names", names)
        write_strings(file, "scenes", scenes)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 01 00:00:00 2012 HDF5 schema 1.00 .")
    return path


def write_strings(file: h5py.File, key: str, values: list[str]) -> None:
    """Write a cell of strings; nothing for an empty list."""
    if not values:
        return
    cell = file.create_dataset(key, (1, len(values)), dtype=h5py.ref_dtype)
    group = file.require_group("#refs#")
    for index, value in enumerate(values):
        codes = group.create_dataset(f"cell{len(group)}", data=np.array([[ord(letter)] for letter in value], np.uint16))
        cell[0, index] = codes.ref
