"""Saliency in its two published forms: two channels with a softmax, and one with the logistic function."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from benchmark.heads import read_out
from benchmark.losses import task_loss
from benchmark.tasks import PASCAL_TASKS, SALIENCY, TaskSet
from benchmark.training.model import data_samples

ONE_CHANNEL = SALIENCY.adjusted(channels=1, loss="balanced_bce")


def test_balanced_cross_entropy_by_hand() -> None:
    """Logits 0, so log 2 a pixel; 1 of 4 labelled pixels is salient and weighs 3/4, the others 1/4 each: 6/16 log 2."""
    target = torch.tensor([[[[1.0, 0.0, 0.0, 0.0, 255.0]]]])
    assert task_loss(SALIENCY, torch.zeros(1, 2, 1, 5), target).item() == pytest.approx(6 / 16 * math.log(2))


def test_a_mask_of_one_half_is_foreground_in_the_balance_too() -> None:
    """Logits 0: the pixel of 0.5 weighs 2/3, the two others 1/3 each; 4/9 log 2."""
    target = torch.tensor([[[[0.5, 0.0, 0.0]]]])
    assert task_loss(SALIENCY, torch.zeros(1, 2, 1, 3), target).item() == pytest.approx(4 / 9 * math.log(2))


def test_two_channels_and_their_difference_are_the_same_loss_and_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 5, 6, generator=generator)
    target = (torch.rand(2, 1, 5, 6, generator=generator) < 0.3).float()
    target[0, 0, 0, :3] = 255
    single = logits[:, 1:] - logits[:, :1]
    torch.testing.assert_close(task_loss(SALIENCY, logits, target), task_loss(ONE_CHANNEL, single, target))
    probability = read_out(SALIENCY, logits)
    torch.testing.assert_close(probability, torch.softmax(logits, 1)[:, 1:])
    torch.testing.assert_close(probability, read_out(ONE_CHANNEL, single))


def test_a_mask_has_one_or_two_channels() -> None:
    with pytest.raises(ValueError, match="a mask has 1 or 2 channels, found 3"):
        SALIENCY.adjusted(channels=3)
    with pytest.raises(ValueError, match="a recipe may set loss, loss_options and loss_weight of semseg, not channels"):
        PASCAL_TASKS["semseg"].adjusted(channels=3)


def test_padding_is_cut_off_before_an_image_is_scored() -> None:
    tasks = TaskSet([replace(PASCAL_TASKS["boundary"])])
    target = torch.arange(24.0).view(1, 1, 4, 6).repeat(2, 1, 1, 1)
    window = torch.tensor([[1, 2, 2, 3], [0, 0, 4, 6]])
    samples = data_samples(tasks, {"boundary": target}, {"boundary": target}, window=window)
    assert samples[0].gt_boundary.data.tolist() == [[[8.0, 9.0, 10.0], [14.0, 15.0, 16.0]]]
    assert samples[0].pred_boundary.data.shape == (1, 2, 3)
    assert samples[1].gt_boundary.data.shape == (1, 4, 6)
