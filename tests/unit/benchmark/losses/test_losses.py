"""Losses: hand-worked values, pixels that do not count, shapes, options, precision."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.losses import LOSSES, UnknownLossError, check_losses, task_loss
from benchmark.losses.registry import Losses
from benchmark.tasks import BOUNDARY, DEPTH, NORMALS, NYUV2_TASKS, SEMSEG, TaskSet

CENTROIDS = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
OPTIONS: dict[str, dict[str, Any]] = {
    "normals_l1": {"divisor": "pixels"},
    "normals_l2": {"divisor": "pixels"},
    "balanced_bce": {"positive_weight": 0.8},
    "boundary_cross_entropy": {"positive_weight": 0.8},
    "balanced_cross_entropy": {"positive_weight": None},
    "normals_cluster_cross_entropy": {"centroids": CENTROIDS},
}
TASK_OF = {
    "cross_entropy": "semseg",
    "l1": "depth",
    "depth_bin_cross_entropy": "depth",
    "normals_l1": "normals",
    "normals_l2": "normals",
    "normals_cosine": "normals",
    "normals_cluster_cross_entropy": "normals",
    "balanced_bce": "boundary",
    "bce": "boundary",
    "boundary_cross_entropy": "boundary",
    "balanced_cross_entropy": "boundary",
}
CHANNELS = {
    "cross_entropy": 40,
    "depth_bin_cross_entropy": 7,
    "l1": 1,
    "balanced_bce": 1,
    "bce": 1,
    "boundary_cross_entropy": 2,
    "balanced_cross_entropy": 2,
}
MISSING = {"semseg": 255, "depth": 0.0, "normals": 0.0, "boundary": 255.0}


def random_target(task: str, size: tuple[int, int] = (6, 7)) -> Tensor:
    random = np.random.default_rng(5)
    shape = (2, 3 if task == "normals" else 1, *size)
    if task == "semseg":
        return torch.from_numpy(random.integers(0, 40, (2, *size)))
    values = {
        "depth": random.uniform(1, 9, shape),
        "normals": random.normal(size=shape),
        "boundary": (random.random(shape) < 0.3).astype(float),
    }[task]
    return torch.from_numpy(values).float()


def random_prediction(loss: str, size: tuple[int, int] = (6, 7)) -> Tensor:
    values = np.random.default_rng(6).normal(size=(2, CHANNELS.get(loss, 3), *size))
    return torch.from_numpy(values).float().requires_grad_()


def loss_of(name: str, prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    return LOSSES[name](prediction, target, valid, **OPTIONS.get(name, {}))


def test_every_loss_is_tested_here() -> None:
    assert set(TASK_OF) == set(LOSSES)


@pytest.mark.parametrize("name", TASK_OF)
def test_no_valid_pixel_gives_zero_with_a_graph(name: str) -> None:
    prediction = random_prediction(name)
    target = torch.full_like(random_target(TASK_OF[name]), MISSING[TASK_OF[name]])
    loss = loss_of(name, prediction, target, torch.zeros(2, 6, 7, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None
    assert not prediction.grad.any()


@pytest.mark.parametrize("name", TASK_OF)
@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf, -7.0, 1e38])
def test_values_at_invalid_pixels_do_not_count(name: str, junk: float) -> None:
    target = random_target(TASK_OF[name])
    valid = torch.rand((2, 6, 7), generator=torch.Generator().manual_seed(1)) < 0.6
    # Class indices are integers: they can be wrong, but not NaN.
    replacement = junk if target.is_floating_point() else 12345
    spoilt = torch.where(valid if target.ndim == 3 else valid.unsqueeze(1), target, replacement)
    results = []
    for labels in (target, spoilt):
        prediction = random_prediction(name)
        loss = loss_of(name, prediction, labels, valid)
        loss.backward()
        assert prediction.grad is not None
        results.append((loss.item(), prediction.grad))
    assert math.isfinite(results[0][0])
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("name", TASK_OF)
def test_gradient_is_the_slope_of_the_loss(name: str) -> None:
    """Central differences in float64."""
    target = random_target(TASK_OF[name], (3, 2))
    target = target.double() if target.is_floating_point() else target
    valid = torch.ones(2, 3, 2, dtype=torch.bool)
    valid[0, 1] = False
    prediction = random_prediction(name, (3, 2)).detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: loss_of(name, values, target, valid), prediction)


@pytest.mark.parametrize("name", TASK_OF)
def test_half_precision_predictions_are_summed_in_float32(name: str) -> None:
    """The loss of bfloat16 values under autocast is the float32 loss of the same values."""
    target, valid = random_target(TASK_OF[name]), torch.ones(2, 6, 7, dtype=torch.bool)
    half = random_prediction(name).detach().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(name, half, target, valid)
    assert loss.dtype == torch.float32
    assert loss.item() == loss_of(name, half.float(), target, valid).item()


def ones(height: int, width: int) -> Tensor:
    return torch.ones(1, height, width, dtype=torch.bool)


def test_cross_entropy_of_uniform_logits_is_log_of_the_class_count() -> None:
    target = torch.tensor([[[0, 39, 255]]])
    loss = task_loss(SEMSEG, torch.zeros(1, 40, 1, 3), target)
    assert loss.item() == pytest.approx(math.log(40), rel=1e-6)


def test_depth_l1_weighs_pixels_not_images() -> None:
    """One image with 1 valid pixel (error 3 m), one with 3 (error 1 m): (3 + 3) / 4."""
    target = torch.tensor([[[[2.0, 0, 0]]], [[[2.0, 2, 2]]]])
    prediction = torch.tensor([[[[5.0, 9, 9]]], [[[1.0, 1, 3]]]])
    assert task_loss(DEPTH, prediction, target).item() == pytest.approx(1.5)


def test_normals_l1_of_orthogonal_normals_per_pixel_and_per_component() -> None:
    """Prediction (0, 0, 5) becomes (0, 0, 1); |0-1| + |1-0| = 2 per pixel, 2 / 3 per component."""
    prediction = torch.tensor([0.0, 0, 5]).view(1, 3, 1, 1)
    target = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert task_loss(NORMALS, prediction, target).item() == pytest.approx(2)
    assert task_loss(NORMALS, prediction, target, loss_options={"divisor": "components"}).item() == pytest.approx(2 / 3)


def test_normals_losses_do_not_depend_on_the_length_of_the_prediction() -> None:
    target, valid = random_target("normals"), torch.ones(2, 6, 7, dtype=torch.bool)
    for name in ("normals_l1", "normals_l2", "normals_cosine"):
        prediction = random_prediction(name).detach()
        expected = loss_of(name, prediction, target, valid).item()
        assert [loss_of(name, prediction * factor, target, valid).item() for factor in (1e-6, 1e6)] == pytest.approx(
            [expected] * 2, rel=1e-5
        )


def test_a_zero_normal_gets_no_gradient_instead_of_a_huge_one() -> None:
    prediction = torch.zeros(1, 3, 1, 1, requires_grad=True)
    loss = task_loss(NORMALS, prediction, torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1))
    loss.backward()
    assert loss.item() == 1
    assert prediction.grad is not None
    assert not prediction.grad.any()


def test_balanced_bce_weighs_boundaries_by_w() -> None:
    """Logit 0 everywhere, one boundary pixel of four, one unlabelled: (0.8 + 0.2 + 0.2) ln 2 / 3."""
    target = torch.tensor([[[[1.0, 0, 0, 255]]]])
    loss = task_loss(BOUNDARY, torch.zeros(1, 1, 1, 4), target)
    assert loss.item() == pytest.approx(1.2 * math.log(2) / 3)


def test_hed_weight_is_the_share_of_labelled_pixels_without_boundary() -> None:
    """w = 2 / 3: (2/3 + 1/3 + 1/3) ln 2 / 3."""
    target = torch.tensor([[[[1.0, 0, 0, 255]]]])
    loss = task_loss(BOUNDARY, torch.zeros(1, 1, 1, 4), target, loss_options={"positive_weight": None})
    assert loss.item() == pytest.approx(4 / 9 * math.log(2))


def test_divisor_of_balanced_bce() -> None:
    """Sum 1.2 ln 2 over 3 labelled pixels, 4 pixels, 1 image."""
    target = torch.tensor([[[[1.0, 0, 0, 255]]]])
    losses = [
        task_loss(BOUNDARY, torch.zeros(1, 1, 1, 4), target, loss_options={"divisor": divisor}).item()
        for divisor in ("labelled", "pixels", "images")
    ]
    assert losses == pytest.approx([1.2 * math.log(2) / count for count in (3, 4, 1)])


@pytest.mark.parametrize("label", [0.0, 0.3, 1.0])
def test_confident_boundary_logits_do_not_overflow(label: float) -> None:
    """At logit 200: w y softplus(-200) + (1 - w)(1 - y) softplus(200) = 0.2 (1 - y) 200."""
    loss = task_loss(BOUNDARY, torch.full((1, 1, 1, 1), 200.0), torch.full((1, 1, 1, 1), label))
    assert loss.item() == pytest.approx(0.2 * (1 - label) * 200, rel=1e-5)


def test_hed_weight_of_a_batch_without_boundary_is_finite() -> None:
    prediction = random_prediction("bce")
    loss = LOSSES["balanced_bce"](prediction, torch.zeros(2, 1, 6, 7), torch.ones(2, 6, 7).bool(), positive_weight=None)
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_depth_bins_have_equal_width_in_log_depth() -> None:
    """Two bins over 1..100 m meet at 10 m; what lies outside falls into the outer ones."""
    target = torch.tensor([[[[0.5, 1, 9.9, 10.1, 99, 1000]]]])
    logits = torch.tensor([5.0, -5]).view(1, 2, 1, 1).expand(1, 2, 1, 6)
    for position, is_far in enumerate([False, False, False, True, True, True]):
        valid = torch.zeros(1, 1, 6, dtype=torch.bool)
        valid[..., position] = True
        loss = LOSSES["depth_bin_cross_entropy"](logits, target, valid, nearest=1.0, farthest=100.0)
        assert (loss.item() > 1) is is_far, f"pixel {position}"


def test_low_resolution_prediction_is_upsampled_to_the_target() -> None:
    """Columns 0 and 1 become 0, 0.25, 0.75, 1 (half-pixel centres): mean distance from 0 is 0.5."""
    prediction = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    target = torch.full((1, 1, 2, 4), 1e-6)
    assert task_loss(DEPTH, prediction, target).item() == pytest.approx(0.5, abs=1e-5)
    target[..., 1:] = 0
    target[..., 0] = 1
    assert task_loss(DEPTH, prediction, target).item() == pytest.approx(1.0)


def test_named_loss_takes_its_own_options_only() -> None:
    """The task's options belong to the task's loss."""
    prediction, target = torch.zeros(1, 3, 1, 1), torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1)
    assert task_loss(NORMALS, prediction, target, loss="normals_cosine").item() == 1
    with pytest.raises(ValueError, match=r"loss 'normals_l2' needs the option divisor"):
        task_loss(NORMALS, prediction, target, loss="normals_l2")


@pytest.mark.parametrize(
    ("task", "prediction", "target", "message"),
    [
        ("semseg", (1, 13, 4, 4), (1, 4, 4), r"semseg: the prediction must be \(B, 40, H, W\), found \(1, 13, 4, 4\)"),
        ("semseg", (1, 40, 4, 4), (1, 1, 4, 4), r"semseg: the target must be \(B, H, W\), found \(1, 1, 4, 4\)"),
        ("depth", (1, 1, 4, 4), (1, 4, 4), r"depth: the target must be \(B, 1, H, W\), found \(1, 4, 4\)"),
        ("normals", (1, 3, 4, 4), (1, 1, 4, 4), r"normals: the target must be \(B, 3, H, W\)"),
        ("depth", (2, 1, 4, 4), (3, 1, 4, 4), r"l1: valid must be bool of shape \(2, 4, 4\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(task: str, prediction: Any, target: Any, message: str) -> None:
    labels = torch.ones(target, dtype=torch.long if task == "semseg" else torch.float)
    with pytest.raises(ValueError, match=message):
        task_loss(NYUV2_TASKS[task], torch.ones(prediction), labels)


@pytest.mark.parametrize("name", ["boundary_cross_entropy", "balanced_cross_entropy"])
@pytest.mark.parametrize("weight", [0, 1, 50.0, -0.1])
def test_a_weight_of_two_classes_outside_of_its_range_is_refused(name: str, weight: float) -> None:
    logits, target, valid = torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=f"{name}: positive_weight must lie between 0 and 1, found {weight}"):
        LOSSES[name](logits, target, valid, positive_weight=weight)


def test_a_class_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"classes must lie in 0\.\.39, found 3\.\.41"):
        task_loss(SEMSEG, torch.zeros(1, 40, 1, 3), torch.tensor([[[3, 41, 255]]]))


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(UnknownLossError, match=r"no loss named 'crossentropy'\. Did you mean 'cross_entropy'\?"):
        LOSSES["crossentropy"]
    with pytest.raises(ValueError, match=r"no option 'positiv_weight'\. Did you mean 'positive_weight'\?"):
        check_losses(TaskSet([BOUNDARY.adjusted(loss_options={"positiv_weight": 0.8})]))
    with pytest.raises(ValueError, match=r"loss 'balanced_bce' has no option 'target'"):
        check_losses(TaskSet([BOUNDARY.adjusted(loss_options={"target": 1})]))
    with pytest.raises(ValueError, match=r"divisor must be one of 'pixels', 'components', found 'pixel'"):
        task_loss(NORMALS, torch.ones(1, 3, 1, 1), torch.ones(1, 3, 1, 1), loss_options={"divisor": "pixel"})
    for weight in (0, 1):
        with pytest.raises(ValueError, match=f"positive_weight must lie between 0 and 1, or be None, found {weight}"):
            task_loss(
                BOUNDARY, torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1), loss_options={"positive_weight": weight}
            )
    check_losses(NYUV2_TASKS)


def test_a_user_adds_a_loss_for_an_own_task() -> None:
    losses = Losses()

    @losses.register("squared")
    def squared(prediction: Tensor, target: Tensor, valid: Tensor, *, scale: float) -> Tensor:
        return scale * (prediction - target).square()[valid.unsqueeze(1)].mean()

    assert losses["squared"](torch.full((1, 1, 2, 2), 3.0), torch.ones(1, 1, 2, 2), ones(2, 2), scale=2.0).item() == 8
    with pytest.raises(ValueError, match="already registered"):
        losses.register("squared")(squared)


def test_number_of_classes_comes_from_the_task() -> None:
    task = replace(SEMSEG, channels=13)
    loss = task_loss(task, torch.zeros(1, 13, 1, 1), torch.tensor([[[12]]]))
    assert loss.item() == pytest.approx(math.log(13), rel=1e-6)
