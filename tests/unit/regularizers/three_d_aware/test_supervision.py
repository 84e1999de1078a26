"""Rendered predictions meet labels: fewer labels where asked, weights that ramp, steps that are left out."""

from __future__ import annotations

import pytest
import torch

from benchmark.losses import task_loss
from benchmark.tasks import BOUNDARY, DEPTH, NYUV2_TASKS, PASCAL_TASKS, SEMSEG
from regularizers.three_d_aware.supervision import Strength, depth_task, fewer_labels, rendered_loss


def test_all_labels_count_by_default() -> None:
    torch.manual_seed(0)
    small, target = torch.randn(2, 40, 4, 6), torch.randint(0, 40, (2, 32, 48))
    assert torch.equal(rendered_loss(SEMSEG, small, target, 1), task_loss(SEMSEG, small, target))


def test_fewer_labels_are_those_in_the_middle_of_cells() -> None:
    target = torch.arange(64).reshape(1, 8, 8)
    assert fewer_labels(SEMSEG, target, 4).tolist() == [[[18, 22], [50, 54]]]
    assert fewer_labels(DEPTH, target[None].float(), 8).tolist() == [[[[36.0]]]]


def test_sizes_that_do_not_divide_keep_their_last_labels() -> None:
    target = torch.arange(25).reshape(1, 5, 5)
    assert fewer_labels(SEMSEG, target, 4).tolist() == [[[12, 14], [22, 24]]]


def test_a_boundary_of_one_pixel_is_not_missed() -> None:
    """Two cells: the left one crossed by a boundary and partly unlabelled, the right one without any label."""
    target = torch.zeros(1, 1, 4, 8)
    target[..., 1] = 1
    target[..., :2, 0] = 255
    target[..., 4:] = 255
    assert fewer_labels(BOUNDARY, target, 4).tolist() == [[[[1.0, 255.0]]]]
    target[..., 1] = 0
    assert fewer_labels(BOUNDARY, target, 4).tolist() == [[[[0.0, 255.0]]]]


@pytest.mark.parametrize("label_stride", [1, 4])
def test_labels_that_are_missing_count_nothing(label_stride: int) -> None:
    """Other predictions there, same loss; no label at all, a loss of 0 with a graph."""
    torch.manual_seed(0)
    target = torch.full((1, 1, 32, 32), 2.0)
    target[..., :16] = 0
    first = torch.randn(1, 1, 4, 4)
    second = first.clone()
    second[..., 0] += 100
    losses = [rendered_loss(DEPTH, prediction, target, label_stride) for prediction in (first, second)]
    assert torch.equal(*losses)
    empty = first.requires_grad_()
    loss = rendered_loss(DEPTH, empty, torch.zeros_like(target), label_stride)
    loss.backward()
    assert loss.item() == 0
    assert empty.grad is not None
    assert (empty.grad == 0).all()


def test_depth_is_known_by_its_unit() -> None:
    assert depth_task(NYUV2_TASKS) == "depth"
    assert depth_task(PASCAL_TASKS) is None


def test_the_weight_grows_over_the_first_share_of_the_training() -> None:
    """5 % of the training: half of the weight after 2.5 %, none in the first step."""
    strength = Strength(NYUV2_TASKS, {}, ramp=0.05, every_k=1)
    found = [strength.next_factor(progress, training=True) for progress in (0.0, 0.025, 0.05, 1.0)]
    assert found == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert Strength(NYUV2_TASKS, {}, ramp=0.0, every_k=1).next_factor(0.0, training=True) == 1


def test_every_third_step_counts_three_times_and_counting_goes_on_after_a_resume() -> None:
    strength = Strength(NYUV2_TASKS, {}, ramp=0.0, every_k=3)
    assert [strength.next_factor(1.0, training=True) for _ in range(5)] == [3, 0, 0, 3, 0]
    resumed = Strength(NYUV2_TASKS, {}, ramp=0.0, every_k=3)
    resumed.load_state_dict(strength.state_dict())
    assert [resumed.next_factor(1.0, training=True) for _ in range(3)] == [0, 3, 0]


def test_factors_are_those_of_tasks_and_of_the_user() -> None:
    strength = Strength(NYUV2_TASKS, {"normals": 0.5, "semseg": 0.0}, ramp=0.05, every_k=1)
    assert strength.of_task("normals") == 5
    assert strength.of_task("boundary") == 50
    assert strength.rendered == ["depth", "normals", "boundary"]


@pytest.mark.parametrize(
    ("task_weights", "ramp", "every_k", "message"),
    [
        ({"deph": 1.0}, 0.05, 1, "'deph'"),
        ({"depth": -1.0}, 0.05, 1, "no task weight negative"),
        ({}, 1.5, 1, r"\[0, 1\]"),
        ({}, 0.05, 0, "every_k"),
        (dict.fromkeys(NYUV2_TASKS, 0.0), 0.05, 1, "nothing is rendered"),
    ],
)
def test_strength_that_means_nothing_is_refused(
    task_weights: dict[str, float], ramp: float, every_k: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Strength(NYUV2_TASKS, task_weights, ramp, every_k)
