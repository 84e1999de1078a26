"""Random pixels and labels: their ranges, the camera, and equal values in every call."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmark.tasks import BOUNDARY, DEPTH, NORMALS, SEMSEG, TaskSet
from benchmark.training.random_batches import random_batch

SIZE = (48, 96)
TASKS = TaskSet(
    [replace(SEMSEG, channels=3), DEPTH, NORMALS, BOUNDARY, replace(BOUNDARY, name="saliency", readout="mask")]
)


def test_labels_are_in_the_units_of_their_tasks() -> None:
    """Classes 0 to 2, depths of 0.5 to 9.5 m, unit vectors, and one pixel of ten on a boundary or in a mask."""
    targets = random_batch(TASKS, 2, SIZE)["targets"]
    assert {name: tuple(target.shape) for name, target in targets.items()} == {
        "semseg": (2, 48, 96),
        "depth": (2, 1, 48, 96),
        "normals": (2, 3, 48, 96),
        "boundary": (2, 1, 48, 96),
        "saliency": (2, 1, 48, 96),
    }
    assert targets["semseg"].unique().tolist() == [0, 1, 2]
    assert targets["depth"].min().item() == pytest.approx(0.5, abs=0.02)
    assert targets["depth"].max().item() == pytest.approx(9.5, abs=0.02)
    torch.testing.assert_close(targets["normals"].square().sum(1), torch.ones(2, *SIZE))
    for name in ("boundary", "saliency"):
        assert targets[name].unique().tolist() == [0, 1]
        assert targets[name].mean().item() == pytest.approx(0.1, abs=0.02)


def test_the_camera_has_a_field_of_view_of_53_degrees_and_its_centre_in_the_image() -> None:
    """The focal length is the width: 2 atan(1/2) across. The centre of 48 x 96 pixels is x = 48, y = 24."""
    batch = random_batch(TASKS, 2, SIZE)
    camera = [[96.0, 0.0, 48.0], [0.0, 96.0, 24.0], [0.0, 0.0, 1.0]]
    assert batch["intrinsics"].tolist() == [camera, camera]
    assert batch["images"].shape == (2, 3, 48, 96)
    assert (batch["index"].tolist(), batch["name"]) == ([0, 1], ["random_0", "random_1"])


def test_every_call_gives_the_same_pixels_and_takes_no_random_numbers() -> None:
    """Drawn by a generator of seed 0: first the labels in the order of the tasks, then the images."""
    before = torch.get_rng_state()
    first, second = (random_batch(TaskSet([DEPTH]), 1, (4, 6)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["images"], second["images"])
    drawn = torch.rand((1, 1, 4, 6), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(first["targets"]["depth"], 0.5 + 9 * drawn)
