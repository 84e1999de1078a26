"""The rooms are the same on every processor, up to rounding.

The bits differ between processors. The first step that differs is the product of camera poses in OpenBLAS, whose
kernels sum in different orders; Embree and the sines of numpy have several kernels too. The identity of the rooms is
therefore the generator's version with size and seed, and this test keeps the pixels of a version within a tolerance.

    python tests/unit/datasets/synthetic/test_room_reference.py    writes the reference of a new generator version
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.synthetic.generate import GENERATOR_VERSION
from datasets.synthetic.render import render_room

REFERENCE = Path(__file__).parents[3] / "reference" / "rooms.npz"
CHECKOUT = Path(__file__).parents[4]
SIZE = (48, 64)
ROOMS = (0, 1)
OTHER_PIXELS = 0.005
"""Share of pixels that may see another surface: a ray that meets an edge may fall on either side."""

Rooms = dict[str, np.ndarray]


def render() -> Rooms:
    """All views of two rooms: classes, depth in millimetres and image."""
    frames = [frame for number in ROOMS for frame in render_room((GENERATOR_VERSION, 0, 0), number, SIZE)]
    return {
        "version": np.array(GENERATOR_VERSION),
        "semseg": np.stack([frame.semseg for frame in frames]),
        "depth": np.stack([np.rint(1000 * frame.depth).astype(np.uint16) for frame in frames]),
        "image": np.stack([frame.image for frame in frames]),
    }


def difference(found: Rooms, expected: Rooms) -> str | None:
    """Reason why two renderings are not of the same rooms, or None if they are."""
    if found["semseg"].shape != expected["semseg"].shape:
        return f"{len(found['semseg'])} views, expected {len(expected['semseg'])}"
    other = (found["semseg"] != expected["semseg"]).mean()
    moved = (np.abs(found["depth"].astype(int) - expected["depth"]) > 2).mean()
    shades = np.abs(found["image"].astype(int) - expected["image"]).mean()
    if other > OTHER_PIXELS or moved > OTHER_PIXELS or shades > 0.5:
        return f"{other:.2%} other classes, {moved:.2%} other depths, {shades:.2f} grey levels mean difference"
    return None


@pytest.fixture(scope="module")
def expected() -> Rooms:
    with np.load(REFERENCE) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def found() -> Rooms:
    return render()


def test_rooms_of_a_generator_version_stay(found: Rooms, expected: Rooms) -> None:
    assert int(expected["version"]) == GENERATOR_VERSION, f"run python {Path(__file__).name} for the new version"
    reason = difference(found, expected)
    assert reason is None, f"{reason}: raise GENERATOR_VERSION if this is meant"


def test_a_nudge_of_the_camera_is_a_difference(expected: Rooms) -> None:
    shifted = {name: np.roll(value, 1, axis=2) if value.ndim > 2 else value for name, value in expected.items()}
    assert difference(shifted, expected) is not None
    brighter = {**expected, "image": np.clip(expected["image"].astype(int) + 1, 0, 255)}
    assert difference(brighter, expected) is not None


def test_kernels_of_an_older_processor_give_the_same_rooms(expected: Rooms, tmp_path: Path) -> None:
    """OpenBLAS and numpy restricted to the instructions of a processor of 2008."""
    made = tmp_path / "rooms.npz"
    older = {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-W", "ignore", __file__, str(made)]
    subprocess.run(command, env={**os.environ, **older}, check=True, timeout=300)
    with np.load(made) as stored:
        assert difference(dict(stored), expected) is None


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1] if len(sys.argv) > 1 else REFERENCE, **render())
