"""What makes PSD: graphlets that sum to one, diffuse recursively, and pass between tasks where they match."""

from __future__ import annotations

import pytest
import torch

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.psd import PSD, Patterns, diffuse, matched

TWO_TASKS = NYUV2_TASKS.select(["semseg", "depth"])


@torch.no_grad()
def test_graphlets_sum_to_one_and_never_leave_the_map():
    torch.manual_seed(0)
    graphlets = Patterns(6, 3, radius=1)(torch.randn(2, 6, 5, 7))
    assert graphlets.shape == (2, 9, 5, 7)
    torch.testing.assert_close(graphlets.sum(1), torch.ones(2, 5, 7))
    # Row by row: the first three places are above, the last three below, of each three the first is to the left.
    assert graphlets[:, :3, 0].eq(0).all()
    assert graphlets[:, 6:, -1].eq(0).all()
    assert graphlets[:, [0, 3, 6], :, 0].eq(0).all()
    assert graphlets[:, :, 1:-1, 1:-1].gt(0).all()


@torch.no_grad()
def test_graphlet_prefers_similar_neighbours():
    """A map of two halves, left and right: the weights of a position at the seam are larger on its own side."""
    torch.manual_seed(0)
    patterns = Patterns(4, 4, radius=1).eval()
    for part in (patterns.query, patterns.key):
        part[0].weight.copy_(torch.eye(4).view(4, 4, 1, 1))
    maps = torch.zeros(1, 4, 3, 6)
    maps[:, 0, :, :3], maps[:, 1, :, 3:] = 3.0, 3.0
    left, centre, right = patterns(maps)[0, 3:6, 1, 2].tolist()
    assert left == pytest.approx(centre)
    assert left > 2 * right


@pytest.mark.parametrize("recursions", [1, 2, 3])
@torch.no_grad()
def test_reach_grows_with_the_recursions(recursions: int):
    """An impulse spreads by one pixel per recursion, and once more across tasks."""
    torch.manual_seed(0)
    graphlets = torch.rand(2, 1, 9, 15, 15).add(0.1)
    values = torch.zeros(2, 1, 3, 15, 15)
    values[..., 7, 7] = 1.0
    within, across = diffuse(values, graphlets / graphlets.sum(2, keepdim=True), recursions)
    for spread, reach in ((within, recursions), (across, recursions + 1)):
        expected = torch.zeros(15, 15, dtype=torch.bool)
        expected[7 - reach : 8 + reach, 7 - reach : 8 + reach] = True
        assert torch.equal(spread[0, 0, 0] != 0, expected)


@torch.no_grad()
def test_diffusion_keeps_constants():
    torch.manual_seed(0)
    patterns = Patterns(6, 3, radius=1)
    graphlets = torch.stack([patterns(torch.randn(2, 6, 5, 7)) for _ in range(3)])
    values = torch.randn(3, 2, 4, 1, 1).expand(3, 2, 4, 5, 7).contiguous()
    for result in diffuse(values, graphlets, recursions=3):
        torch.testing.assert_close(result, values)


@torch.no_grad()
def test_matched_graphlets_sum_to_one_and_prefer_those_that_match():
    """The first two tasks agree, the third looks elsewhere: its share in the first is exp(0) to twice exp(1)."""
    graphlets = torch.zeros(3, 1, 9, 1, 1)
    graphlets[0, 0, 4], graphlets[1, 0, 4], graphlets[2, 0, 0] = 1.0, 1.0, 1.0
    mixture = matched(graphlets)
    torch.testing.assert_close(mixture.sum(2), torch.ones(3, 1, 1, 1))
    assert mixture[0, 0, 0].item() == pytest.approx(1 / (1 + 2 * 2.718281828))
    assert mixture[0, 0, 4].item() == pytest.approx(1 - 1 / (1 + 2 * 2.718281828))


@torch.no_grad()
def test_one_task_matches_itself():
    torch.manual_seed(0)
    graphlets = torch.rand(1, 2, 9, 4, 5).softmax(2)
    torch.testing.assert_close(matched(graphlets), graphlets)


@torch.no_grad()
def test_on_the_heads_it_begins_as_hard_sharing():
    torch.manual_seed(0)
    method = PSD(NYUV2_TASKS, "efficientnet_lite0", where="heads")
    sharing = HardSharing(NYUV2_TASKS, "efficientnet_lite0")
    method.backbone.load_state_dict(sharing.backbone.state_dict())
    method.decoder.load_state_dict(sharing.decoder.state_dict())
    method.face.heads.load_state_dict(sharing.heads.state_dict())
    images = torch.randn(2, 3, 64, 96)
    ours, theirs = method.eval()(images).predictions, sharing.eval()(images).predictions
    for task in NYUV2_TASKS:
        torch.testing.assert_close(ours[task], theirs[task])


def test_a_task_learns_from_the_patterns_of_the_others():
    torch.manual_seed(0)
    method = PSD(TWO_TASKS, "efficientnet_lite0")
    method(torch.randn(2, 3, 64, 96)).predictions["depth"].square().mean().backward()
    assert method.face.patterns["semseg"].query[0].weight.grad.any()


def test_size_on_the_heads_is_that_of_the_table():
    """Hard sharing's 4,515,556; per task two 67 x 33, one 67 x 67 and one 3 x 3 x 67 x 67 convolution with their BN.

    4.71 M in the row on HRNet-18.
    """
    with torch.device("meta"):
        method = PSD(NYUV2_TASKS, "hrnet_w18_small_v2", where="heads")
    count = sum(parameter.numel() for parameter in method.parameters())
    assert count == 4_515_556 + 4 * (2 * (67 * 33 + 2 * 33) + 67 * 67 + 2 * 67 + 9 * 67 * 67 + 2 * 67)
    assert round(count / 1e6, 2) == 4.71


def test_unknown_face_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'trunk', 'heads', found 'truck'\. Did you mean 'trunk'\?"):
        PSD(TWO_TASKS, "efficientnet_lite0", where="truck")
