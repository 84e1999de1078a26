"""Losses: wrong arguments, defaults, and names that are taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmark.losses import LOSSES, task_loss
from benchmark.losses.registry import Losses
from benchmark.tasks import NYUV2_TASKS

CENTROIDS = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))


@pytest.mark.parametrize(
    ("name", "channels", "target", "options", "message"),
    [
        (
            "balanced_bce",
            1,
            (1, 1),
            {"positive_weight": 0.8, "divisor": "pixel"},
            "^divisor must be one of 'labelled', ",
        ),
        ("bce", 2, (1, 2), {}, r"bce: prediction and target must both be \(B, 1, H, W\)"),
        ("depth_bin_cross_entropy", 4, (1, 1), {"nearest": 0.0}, "0 < nearest < farthest, found 0.0 and 10.0"),
        ("depth_bin_cross_entropy", 4, (1, 1), {"nearest": 10.0}, "0 < nearest < farthest, found 10.0 and 10.0"),
        ("cross_entropy", 4, (1,), {}, "the target must be integer classes"),
        (
            "normals_cluster_cross_entropy",
            4,
            (1, 3),
            {"centroids": CENTROIDS},
            r"4 logits need .* \(4, 3\), found \(3, 3\)",
        ),
        ("l1", 1, (2, 1), {}, "l1: prediction .* and target .* differ in batch or image size"),
    ],
)
def test_wrong_calls_of_a_loss_are_named(
    name: str, channels: int, target: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    prediction, valid = torch.zeros(1, channels, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=message):
        LOSSES[name](prediction, torch.ones(*target, 2, 2), valid, **options)
    with pytest.raises(ValueError, match=f"{name}: valid must be bool of shape"):
        LOSSES[name](prediction, torch.ones(*target, 2, 2), valid.float(), **options)


def test_depth_bins_reach_from_70_centimetres_to_10_metres_by_default() -> None:
    """Two bins meet at sqrt(0.7 * 10) = 2.646 m."""
    logits = torch.tensor([5.0, -5]).view(1, 2, 1, 1)
    losses = [
        LOSSES["depth_bin_cross_entropy"](logits, torch.full((1, 1, 1, 1), depth), torch.ones(1, 1, 1).bool()).item()
        for depth in (2.63, 2.66)
    ]
    assert losses[0] < 0.01 < 9 < losses[1]


def test_a_short_normal_keeps_its_direction() -> None:
    prediction = torch.tensor([0.0, 0, 1e-6]).view(1, 3, 1, 1)
    valid = torch.ones(1, 1, 1, dtype=torch.bool)
    assert LOSSES["normals_cosine"](prediction, 1e6 * prediction, valid).item() == pytest.approx(0, abs=1e-6)


def test_the_name_of_a_loss_is_taken_once() -> None:
    losses = Losses()
    losses.register("mine")(lambda prediction, target, valid: prediction.sum())
    with pytest.raises(ValueError, match=r"loss 'mine' is already registered by .*; choose another name"):
        losses.register("mine")(lambda prediction, target, valid: prediction.mean())


def test_a_smaller_prediction_is_resized_between_centres_of_pixels() -> None:
    """Two pixels 0 and 4 become 0, 1, 3, 4; between their outer corners they would become 0, 4/3, 8/3, 4."""
    target = torch.tensor([0.0, 10.0, 0.0, 0.0]).view(1, 1, 1, 4)
    loss = task_loss(NYUV2_TASKS["depth"], torch.tensor([0.0, 4.0]).view(1, 1, 1, 2), target)
    assert loss.item() == pytest.approx(9)
