"""A data set of five tiny frames in the canonical layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.layout.layout import CanonicalWriter, FrameRecord

SIZE = (12, 16)
CLASSES = tuple(f"class {number}" for number in range(1, 41))
TASKS = ("semseg", "depth", "normals", "boundary")


def arrays_of(seed: int) -> dict[str, np.ndarray]:
    """Random arrays of one frame, as stored, with missing values in every label."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 9, SIZE).astype(np.float32)
    depth[0, :3] = 0
    normals = rng.standard_normal((*SIZE, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[1, :3] = 0
    return {
        "images": rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        "semseg": rng.integers(0, 41, SIZE, dtype=np.uint8),
        "depth": depth,
        "normals": normals.astype(np.float16),
        "boundary": rng.choice(np.array([0, 128, 255], np.uint8), SIZE, p=[0.8, 0.1, 0.1]),
    }


@pytest.fixture
def write_tiny() -> Callable[..., Path]:
    """Write frames 0001..0003 (train) and 0004, 0005 (test); `change` edits the arrays of 0001 first."""

    def write(root: Path, change: Callable[[dict[str, np.ndarray]], None] = lambda arrays: None) -> Path:
        writer = CanonicalWriter(
            root,
            name="tiny-40c",
            size=SIZE,
            tasks=TASKS,
            classes=CLASSES,
            sources={"images": "random"},
            notes=["A test."],
        )
        with writer:
            for number in range(1, 6):
                arrays = arrays_of(number)
                if number == 1:
                    change(arrays)
                split = "train" if number <= 3 else "test"
                pose = tuple(np.eye(4).ravel().tolist()) if number == 2 else None
                writer.write(FrameRecord(f"{number:04d}", split, (10.5, 11.5, 8.25, 6.75), "a room", pose), arrays)
        return root

    return write


@pytest.fixture
def tiny(tmp_path: Path, write_tiny: Callable[..., Path]) -> Path:
    """Root of the tiny data set."""
    return write_tiny(tmp_path / "tiny")
