"""A tiny user folder: synthetic frames in common file formats, a task of another name, a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmark.tasks import STANDARD_TASKS, TaskSet
from datasets.layout.example import example_frame
from datasets.layout.frame_files import encode_png, write_modality

SIZE = (48, 64)
NAMES = {"train": ["a", "b", "c"], "test": ["d", "e"]}
UNLABELLED_DEPTH = "b"

CLASSES = ["wall", "floor", "chair", "other"]
PARTS = ["background", "head", "torso", "arm", "leg"]
MATERIALS = ["wood", "stone", "cloth"]


def write_folder(root: Path) -> None:
    """Write the folder, with every standard task and one further task."""
    manifest = {
        "tasks": {
            "semseg": {"classes": CLASSES},
            "depth": {},
            "normals": {},
            "boundary": {"ignore": 128},
            "human_parts": {"classes": PARTS},
            "saliency": {"ignore": 128},
            "material": {"like": "semseg", "classes": MATERIALS, "folder": "surfaces", "first": 1, "ignore": 0},
        },
        "splits": {"train": "train.txt", "test": NAMES["test"]},
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    (root / "train.txt").write_text("\n".join(NAMES["train"]), encoding="utf-8")
    for number, name in enumerate(name for names in NAMES.values() for name in names):
        _write_frame(root, name, number)


def _write_frame(root: Path, name: str, seed: int) -> None:
    counts = {"semseg": len(CLASSES), "human_parts": len(PARTS)}
    tasks = TaskSet(STANDARD_TASKS.values())
    arrays = example_frame(tasks, SIZE, seed)
    for task, count in counts.items():
        # Numbers from 0, and 255 for unlabelled, as most tools write them.
        arrays[task] = np.where(arrays[task] == 0, 255, arrays[task] % count).astype(np.uint8)
    _picture(root, "images", name, arrays["images"])
    for task in ("semseg", "human_parts", "boundary", "saliency"):
        _picture(root, task, name, arrays[task])
    _picture(root, "surfaces", name, (arrays["semseg"] % (len(MATERIALS) + 1)).astype(np.uint8))
    (root / "normals").mkdir(exist_ok=True)
    write_modality(root, "normals", name, arrays["normals"])
    (root / "depth").mkdir(exist_ok=True)
    if name != UNLABELLED_DEPTH:
        np.save(root / "depth" / f"{name}.npy", arrays["depth"])


def _picture(root: Path, folder: str, name: str, pixels: np.ndarray) -> None:
    (root / folder).mkdir(exist_ok=True)
    (root / folder / f"{name}.png").write_bytes(encode_png(pixels, 6))
