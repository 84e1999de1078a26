"""A small synthetic release of PASCAL-Context in the format of ASTMT, written by scipy, OpenCV and Pillow."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

FRAMES = {"train": ("2008_000001", "2008_000002"), "val": ("2008_000003",)}
SIZES = {"2008_000001": (48, 64), "2008_000002": (64, 48), "2008_000003": (40, 56)}
NOBODY = "2008_000002"
WALL, PERSON, SKY = 440, 284, 360
"""Classes of PASCAL-Context: NYU-v2 has walls and people, and no sky."""


def label_map(size: tuple[int, int]) -> np.ndarray:
    """Label map of sky above a wall, with a person."""
    labels = np.full(size, SKY, np.uint16)
    labels[size[0] // 2 :] = WALL
    labels[size[0] // 2 : size[0] - 4, 10:20] = PERSON
    return labels


def part_masks(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Masks of a head and two legs; the left leg covers the lower part of the right leg."""
    masks = {name: np.zeros(size, np.uint8) for name in ("head", "ruleg", "llleg")}
    top = size[0] // 2
    masks["head"][top : top + 3, 10:20] = 1
    masks["ruleg"][top + 3 : top + 10, 10:15] = 1
    masks["llleg"][top + 8 : top + 12, 10:15] = 1
    return masks


def annotation(size: tuple[int, int], people: bool) -> dict:
    """The variable `anno` of PASCAL-Part: a dog without parts, and perhaps a person."""
    parts = part_masks(size)
    listed = np.zeros((1, len(parts)), dtype=[("part_name", object), ("mask", object)])
    for position, part in enumerate(parts.items()):
        listed[0, position] = part
    things = [("dog", 12, np.ones(size, np.uint8), np.zeros((0, 0)))]
    things += [("person", 15, np.ones(size, np.uint8), listed)] if people else []
    objects = np.zeros((1, len(things)), dtype=[(name, object) for name in ("class", "class_ind", "mask", "parts")])
    for position, thing in enumerate(things):
        objects[0, position] = thing
    return {"anno": {"imname": "x", "objects": objects}}


def write_release(folder: Path, top: str = "PASCAL_MT") -> Path:
    """Write the release below `folder`; return its root."""
    root = folder / top
    (root / "ImageSets" / "Context").mkdir(parents=True)
    for split, names in FRAMES.items():
        (root / "ImageSets" / "Context" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            _write_frame(root, name, SIZES[name])
    return root


def _write_frame(root: Path, name: str, size: tuple[int, int]) -> None:
    labels = label_map(size)
    semseg = np.zeros(size, np.uint8)
    semseg[labels == PERSON] = 15
    semseg[0, 0] = 255
    normals = np.zeros((*size, 3), np.uint8)
    # n = 2 v / 255 - 1: v = (128, 51, 230) is about (0, -0.6, 0.8), in red, green, blue.
    normals[:] = (128, 51, 230)
    saliency = np.where(labels == PERSON, 200, 100).astype(np.uint8)
    saliency[0, :2] = 127, 128
    for file in (
        "JPEGImages",
        "pascal-context/trainval",
        "semseg/VOC12",
        "semseg/pascal-context",
        "human_parts",
        "normals_distill",
        "sal_distill",
    ):
        (root / file).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), np.full((*size, 3), (10, 100, 200), np.uint8))
    savemat(root / "pascal-context" / "trainval" / f"{name}.mat", {"LabelMap": labels}, do_compression=True)
    # Some frames have the palette pictures of VOC, the others grey ones.
    if name == NOBODY:
        Image.fromarray(semseg).save(root / "semseg" / "pascal-context" / f"{name}.png")
    else:
        picture = Image.new("P", size[::-1])
        picture.putdata(semseg.ravel().tolist())
        picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        picture.save(root / "semseg" / "VOC12" / f"{name}.png")
    savemat(root / "human_parts" / f"{name}.mat", annotation(size, people=name != NOBODY), do_compression=True)
    Image.fromarray(normals).save(root / "normals_distill" / f"{name}.png")
    Image.fromarray(saliency).save(root / "sal_distill" / f"{name}.png")


def archive(root: Path, file: Path) -> Path:
    """The release as a .tar.gz."""
    with tarfile.open(file, "w:gz") as tar:
        tar.add(root, root.name)
    return file
