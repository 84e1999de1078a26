"""Small folders of a user, written by tests."""

from __future__ import annotations

import json

import cv2
import numpy as np

from datasets.layout.frame_files import encode_png
from datasets.own.folder import FolderDataset

SIZE = (6, 8)


def write(root, tasks, files, **more):
    """Write a folder of two frames with the given label files `{path: array}`."""
    root.mkdir()
    manifest = {"tasks": tasks, "splits": {"train": ["a"], "test": ["b"]}, **more}
    (root / "manifest.json").write_text(json.dumps(manifest))
    images = {f"images/{name}.png": np.zeros((*SIZE, 3), np.uint8) for name in "ab"}
    for path, array in {**images, **files}.items():
        (root / path).parent.mkdir(exist_ok=True)
        if path.endswith(".npy"):
            np.save(root / path, array)
        else:
            cv2.imwrite(str(root / path), array)
    return root


def target(root, name, split="train"):
    return FolderDataset(root, split).__getitem__(0)["targets"][name]


def picture(values):
    return encode_png(np.asarray(values, np.uint8), 6)
