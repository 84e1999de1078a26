"""Second views: visible surfaces, rotated normals, and equality with a single view."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, SecondView
from benchmark.tasks import NYUV2_TASKS, TaskSet
from benchmark.training.random_batches import random_batch
from regularizers.three_d_aware_multiview import ThreeDAwareMultiview, invert_pose, mask_labels, rotate_normals

SPECS = (FeatureSpec(6, 4), FeatureSpec(10, 8))
SMALL: dict[str, Any] = {"samples": 8, "channels": 4, "plane_depth": 6, "hidden": 8}
SIZE = (48, 64)


def regularizer(tasks: TaskSet = NYUV2_TASKS, **options: Any) -> ThreeDAwareMultiview:
    torch.manual_seed(3)
    return ThreeDAwareMultiview(tasks, SPECS, **{**SMALL, **options})


def paired(has_second_view: list[bool], pose: Tensor | None = None) -> Batch:
    """A batch whose second views are the first ones, from another pose."""
    batch = random_batch(NYUV2_TASKS, len(has_second_view), SIZE)
    pose = torch.eye(4) if pose is None else pose
    batch["second_view"] = SecondView(
        targets=dict(batch["targets"]),
        intrinsics=batch["intrinsics"],
        pose=pose.expand(len(has_second_view), 4, 4),
        has_second_view=torch.tensor(has_second_view),
    )
    return batch


def features(images: int) -> MultiTaskOutput:
    torch.manual_seed(2)
    maps = (torch.randn(images, spec.channels, SIZE[0] // spec.stride, SIZE[1] // spec.stride) for spec in SPECS)
    return MultiTaskOutput({}, features=tuple(level.requires_grad_() for level in maps))


def shifted(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Tensor:
    """From the first camera to one that stands at (x, y, z)."""
    pose = torch.eye(4)
    pose[:3, 3] = -torch.tensor([x, y, z])
    return pose


def second_views(made: ThreeDAwareMultiview, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of the first sample."""
    return made.second_views(batch, made.triplanes(batch, features(1).features), torch.tensor([0]))


def test_from_the_same_place_the_second_view_has_the_losses_of_the_first() -> None:
    made, batch = regularizer().eval(), paired([True, True])
    batch["targets"]["depth"] = batch["targets"]["depth"].clamp(0.6, 9.0)
    batch["second_view"]["targets"] = dict(batch["targets"])
    terms = made(batch, features(2))
    for name in NYUV2_TASKS:
        first, second = (terms[f"loss_three_d_aware_multiview{view}_{name}"].item() for view in ("", "_view"))
        assert second == pytest.approx(first, rel=1e-4)
    assert made.diagnostics()["seen"] == 1
    assert made.diagnostics()["paired"] == 1


def test_without_a_depth_task_a_second_view_from_the_same_place_has_the_losses_of_the_first() -> None:
    tasks, batch = NYUV2_TASKS.select(["semseg", "normals"]), paired([True])
    batch["targets"] = {name: batch["targets"][name] for name in tasks}
    batch["second_view"]["targets"] = dict(batch["targets"])
    terms = regularizer(tasks).eval()(batch, features(1))
    for name in tasks:
        first, second = (terms[f"loss_three_d_aware_multiview{view}_{name}"].item() for view in ("", "_view"))
        assert second == pytest.approx(first, rel=1e-4)


def test_samples_without_a_second_view_count_nothing() -> None:
    made = regularizer().eval()
    both, first = paired([True, True]), paired([True, False])
    first["second_view"]["targets"] = {
        name: torch.cat([labels[:1], torch.full_like(labels[1:], 3)])
        for name, labels in first["second_view"]["targets"].items()
    }
    alone = paired([True])
    for key in ("images", "intrinsics"):
        alone[key] = both[key][:1]  # type: ignore[literal-required]
    alone["targets"] = {name: labels[:1] for name, labels in both["targets"].items()}
    alone["second_view"]["targets"] = dict(alone["targets"])
    output = features(2)
    one = MultiTaskOutput({}, features=tuple(maps[:1] for maps in output.features))
    found, expected = made(first, output), made(alone, one)
    for name in NYUV2_TASKS:
        key = f"loss_three_d_aware_multiview_view_{name}"
        assert found[key].item() == pytest.approx(expected[key].item(), rel=1e-5)


def test_both_views_are_rendered_from_one_triplane() -> None:
    made = regularizer()
    encoded: list[int] = []
    made.scenes[0].encoder.register_forward_hook(lambda encoder, inputs, made: encoded.append(len(made.xy)))
    made(paired([True, False]), features(2))
    assert encoded == [2]


@pytest.mark.parametrize("has_second_view", [[False, False], None])
def test_a_batch_without_second_views_is_that_of_three_d_aware(has_second_view: list[bool] | None) -> None:
    made = regularizer().eval()
    batch = paired(has_second_view or [False, False])
    if has_second_view is None:
        del batch["second_view"]
    terms = made(batch, features(2))
    assert all(terms[f"loss_three_d_aware_multiview_view_{name}"] == 0 for name in NYUV2_TASKS)
    assert all(terms[f"loss_three_d_aware_multiview_{name}"] > 0 for name in NYUV2_TASKS)


def test_every_labelled_task_of_a_second_view_sends_a_gradient_and_missing_ones_are_no_nan() -> None:
    made, batch, output = regularizer(), paired([True, True], shifted(x=0.2)), features(2)
    batch["second_view"]["targets"]["semseg"] = torch.full_like(batch["targets"]["semseg"], 255)
    terms = made(batch, output)
    for name in NYUV2_TASKS:
        term = terms[f"loss_three_d_aware_multiview_view_{name}"]
        gradients = torch.autograd.grad(term, output.features, retain_graph=True)
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients) == (name != "semseg")


def test_what_the_first_camera_does_not_show_does_not_supervise_the_second() -> None:
    """A wall 2 m away, focal length = width: 2 m of it are seen. From 1 m to the right half of it is in both views."""
    made, batch = regularizer().eval(), paired([True], shifted(x=1.0))
    batch["second_view"]["targets"]["depth"] = torch.full((1, 1, *SIZE), 2.0)
    _, targets = second_views(made, batch)
    seen = targets["depth"][0, 0] > 0
    assert seen[:, : SIZE[1] // 2].all()
    assert not seen[:, SIZE[1] // 2 :].any()
    assert torch.equal(targets["semseg"][0] != 255, seen)
    assert torch.equal(targets["normals"][0].norm(dim=0) > 0, seen)


def test_without_labelled_depth_a_ray_counts_that_is_mostly_inside() -> None:
    made, batch = regularizer().eval(), paired([True], shifted(z=-100.0))
    batch["second_view"]["targets"]["depth"] = torch.zeros(1, 1, *SIZE)
    _, targets = second_views(made, batch)
    assert (targets["semseg"] == 255).all(), "from 100 m behind nothing within 10 m is in the frustum"
    batch["second_view"]["pose"] = torch.eye(4)[None]
    _, targets = second_views(made, batch)
    assert (targets["semseg"] != 255).all()


def test_normals_are_rotated_with_the_camera() -> None:
    """A camera turned by 30 degrees to the right sees a wall's normal turn to its left; one looking down, up."""
    angle = math.radians(30.0)
    cos, sin = math.cos(angle), math.sin(angle)
    facing = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    # Its z axis is (sin, 0, cos) in the first camera, its x axis (cos, 0, -sin): rows of the map into it.
    right = torch.tensor([[[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]]])
    # Its z axis is (0, sin, cos), its y axis (0, cos, -sin).
    down = torch.tensor([[[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]])
    # The wall's normal is (0, 0, -1) with z forward: (sin, 0, -cos) in the first case, and z is counted back.
    torch.testing.assert_close(rotate_normals(facing, right).flatten(), torch.tensor([sin, 0.0, cos]))
    torch.testing.assert_close(rotate_normals(facing, down).flatten(), torch.tensor([0.0, sin, cos]))


def test_a_rigid_transform_is_invert_pose() -> None:
    pose = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    pose[:, :3, :3] = torch.linalg.qr(torch.randn(2, 3, 3, dtype=torch.float64))[0]
    pose[:, :3, 3] = torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(invert_pose(pose) @ pose, torch.eye(4, dtype=torch.float64).expand(2, 4, 4))


def test_labels_outside_of_the_mask_become_missing() -> None:
    seen = torch.tensor([[[True, False]]])
    assert mask_labels(NYUV2_TASKS["semseg"], torch.tensor([[[3, 3]]]), seen).tolist() == [[[3, 255]]]
    assert mask_labels(NYUV2_TASKS["depth"], torch.tensor([[[[2.0, 2.0]]]]), seen).tolist() == [[[[2.0, 0.0]]]]


def test_a_negative_weight_of_second_views_is_refused() -> None:
    with pytest.raises(ValueError, match="view_weight must not be negative, found -1"):
        regularizer(view_weight=-1.0)
