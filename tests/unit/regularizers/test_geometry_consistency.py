"""Geometry consistency of surfaces with known normals."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.contracts import FeatureSpec, MultiTaskOutput
from benchmark.tasks import NYUV2_TASKS, TaskSet
from regularizers.geometry_consistency import GeometryConsistency, normals_from_depth, smoothness

INTRINSICS = torch.tensor([[[50.0, 0.0, 16.0], [0.0, 40.0, 12.0], [0.0, 0.0, 1.0]]], dtype=torch.float64)
SPECS = (FeatureSpec(8, 4),)
ALL = torch.ones(1, 1, 4, 4, dtype=torch.bool)


def plane(normal: tuple[float, float, float], distance: float) -> torch.Tensor:
    """Depth (1, 1, 24, 32) of the plane n . P = distance, P in x right, y down, z forward."""
    rows, columns = torch.meshgrid(torch.arange(24).double() + 0.5, torch.arange(32).double() + 0.5, indexing="ij")
    ray = torch.stack([(columns - 16) / 50, (rows - 12) / 40, torch.ones_like(rows)])
    return (distance / (torch.tensor(normal, dtype=torch.float64)[:, None, None] * ray).sum(0))[None, None]


@pytest.mark.parametrize(
    ("forward", "towards"),
    [
        ((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),  # a wall in front
        ((0.0, 1.0, 0.2), (0.0, -1.0, 0.2)),  # a floor below, which looks up: y < 0
        ((math.sin(0.5), 0.0, math.cos(0.5)), (-math.sin(0.5), 0.0, math.cos(0.5))),
    ],
)
def test_planes_have_their_normals(forward, towards):
    depth = plane(forward, 1.5)
    visible = (depth > 0)[..., 1:-1, 1:-1]
    found = normals_from_depth(depth, INTRINSICS)
    expected = torch.tensor(towards, dtype=torch.float64) / math.hypot(*towards)
    difference = (found - expected.view(1, 3, 1, 1)).abs().amax(1, keepdim=True)
    # A pixel whose neighbour lies behind the camera is on no surface.
    inside = visible & (torch.nn.functional.avg_pool2d((depth > 0).double(), 3, 1) == 1)
    assert inside.float().mean() > 0.4
    assert difference[inside].max() < 1e-9


def outputs(depth: torch.Tensor, normal: tuple[float, float, float]) -> MultiTaskOutput:
    normals = torch.tensor(normal).view(1, 3, 1, 1).expand(1, 3, 24, 32).clone()
    return MultiTaskOutput(
        {
            "semseg": torch.zeros(1, 40, 24, 32),
            "depth": depth.float(),
            "normals": normals,
            "boundary": torch.zeros(1, 1, 24, 32),
        }
    )


def test_a_wall_agrees_with_its_normals_and_not_with_others():
    regularizer = GeometryConsistency(NYUV2_TASKS, SPECS, weight=2.0)
    batch = {"images": torch.ones(1, 3, 24, 32), "intrinsics": INTRINSICS}
    wall = plane((0.0, 0.0, 1.0), 2.0)
    right = regularizer(batch, outputs(wall, (0.0, 0.0, 7.0)))
    assert right["loss_geometry_consistency"] == pytest.approx(0.0, abs=1e-6)
    assert right["loss_geometry_smoothness"] == 0
    # A right angle costs 1, the opposite direction 2; the weight doubles it.
    for normal, cost in {(0.0, 1.0, 0.0): 2.0, (0.0, 0.0, -1.0): 4.0}.items():
        terms = regularizer(batch, outputs(wall, normal))
        assert terms["loss_geometry_consistency"] == pytest.approx(cost, abs=1e-5)


def test_padding_does_not_count():
    """The right half is padding: its predictions change neither term."""
    regularizer = GeometryConsistency(NYUV2_TASKS, SPECS)
    images = torch.ones(1, 3, 24, 32)
    images[..., 16:] = 0
    batch = {"images": images, "intrinsics": INTRINSICS}
    output = outputs(plane((0.3, 0.0, 1.0), 2.0), (0.0, 0.6, 0.8))
    terms = regularizer(batch, output)
    torch.manual_seed(0)
    for maps in output.predictions.values():
        maps.copy_(torch.cat([maps[..., :16], torch.rand(*maps.shape[:-1], 16) + 0.5], dim=-1))
    again = regularizer(batch, output)
    assert {name: term.item() for name, term in again.items()} == {name: term.item() for name, term in terms.items()}
    cropped = {name: maps[..., :16] for name, maps in output.predictions.items()}
    alone = regularizer({"images": images[..., :16], "intrinsics": INTRINSICS}, MultiTaskOutput(cropped))
    for name, term in terms.items():
        assert term.item() == pytest.approx(alone[name].item(), rel=1e-5)
        assert term.item() > 0


def test_a_batch_of_padding_alone_has_zero_terms():
    batch = {"images": torch.zeros(1, 3, 24, 32), "intrinsics": INTRINSICS}
    terms = GeometryConsistency(NYUV2_TASKS, SPECS)(batch, outputs(plane((0.0, 0.0, 1.0), 2.0), (0.0, 0.6, 0.8)))
    assert all(term == 0 for term in terms.values())


def test_depth_may_jump_where_the_guide_does():
    """Two depths 1 and 3, so a mean of 2: one jump of 1 in each row of 4, and 12 horizontal differences."""
    depth = torch.tensor([1.0, 1.0, 3.0, 3.0]).expand(1, 1, 4, 4)
    assert smoothness(depth, torch.zeros(1, 1, 4, 4), ALL) == pytest.approx(4 / 12)
    guide = torch.tensor([0.0, 0.0, 2.0, 2.0]).expand(1, 1, 4, 4)
    assert smoothness(depth, guide, ALL) == pytest.approx(4 / 12 * math.exp(-2))
    assert smoothness(5 * depth, guide, ALL) == pytest.approx(4 / 12 * math.exp(-2)), "a larger scene is as smooth"
    both = torch.cat([guide, guide / 2], dim=1)
    assert smoothness(depth, both, ALL) == pytest.approx(4 / 12 * math.exp(-2 - 1)), "differences of channels add up"


@pytest.mark.parametrize("tasks", [["semseg", "depth"], ["normals"]])
def test_tasks_without_depth_or_normals_are_refused(tasks):
    with pytest.raises(ValueError, match="compares depth with normals; the tasks"):
        GeometryConsistency(NYUV2_TASKS.select(tasks), SPECS)


def test_depth_and_normals_are_found_by_what_they_are():
    renamed = TaskSet(
        [
            type(NYUV2_TASKS["depth"])(**{**vars(NYUV2_TASKS["depth"]), "name": "range"}),
            type(NYUV2_TASKS["normals"])(**{**vars(NYUV2_TASKS["normals"]), "name": "facing"}),
        ]
    )
    regularizer = GeometryConsistency(renamed, SPECS)
    assert (regularizer.depth, regularizer.normals, regularizer.segments) == ("range", "facing", None)
