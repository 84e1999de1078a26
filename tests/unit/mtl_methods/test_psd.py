"""PSD: recursive diffusion by graphlets, and transfer between tasks with similar graphlets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.psd import PSD, Patterns, TrunkDiffusion, diffuse, heads_diffusion, matched

Array = NDArray[np.float64]
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


def plain_graphlets(query: Array, key: Array) -> Array:
    """Graphlets of 3x3 windows in loops: (C, h, w) twice -> (9, h, w); the window is read row by row."""
    channels, height, width = query.shape
    weights = np.zeros((9, height, width))
    for row in range(height):
        for column in range(width):
            for place in range(9):
                there = row + place // 3 - 1, column + place % 3 - 1
                if 0 <= there[0] < height and 0 <= there[1] < width:
                    product = query[:, row, column] @ key[:, there[0], there[1]]
                    weights[place, row, column] = np.exp(product / np.sqrt(channels))
    return weights / weights.sum(0)


def plain_window_sum(weights: Array, values: Array) -> Array:
    """Weighted sums over 3x3 windows in loops: (9, h, w), (C, h, w) -> (C, h, w)."""
    _, height, width = values.shape
    total = np.zeros_like(values)
    for row in range(height):
        for column in range(width):
            for place in range(9):
                there = row + place // 3 - 1, column + place % 3 - 1
                if 0 <= there[0] < height and 0 <= there[1] < width:
                    total[:, row, column] += weights[place, row, column] * values[:, there[0], there[1]]
    return total


def plain_matched(graphlets: Array) -> Array:
    """Graphlets (T, 9, h, w) mixed over the tasks by the softmax of their cosines, in loops."""
    mixture = np.zeros_like(graphlets)
    for row, column in np.ndindex(graphlets.shape[2:]):
        here = graphlets[:, :, row, column]
        directions = here / np.linalg.norm(here, axis=1, keepdims=True)
        for target in range(len(here)):
            degrees = np.exp(directions @ directions[target])
            mixture[target, :, row, column] = degrees / degrees.sum() @ here
    return mixture


@torch.no_grad()
def test_graphlets_are_those_of_plain_loops():
    torch.manual_seed(0)
    patterns, maps = Patterns(5, 3, radius=1).eval(), torch.randn(1, 5, 4, 6)
    query, key = (part(maps)[0].double().numpy() for part in (patterns.query, patterns.key))
    np.testing.assert_allclose(patterns(maps)[0].numpy(), plain_graphlets(query, key), rtol=1e-4)


@torch.no_grad()
def test_diffusion_is_that_of_plain_loops():
    """Twice by a task's own graphlets; then its result once by the mixture."""
    torch.manual_seed(0)
    graphlets, values = torch.randn(3, 1, 9, 4, 6).mul(2).softmax(2), torch.randn(3, 1, 2, 4, 6)
    within, across = diffuse(values, graphlets, recursions=2)
    plain = graphlets[:, 0].double().numpy()
    mixture = plain_matched(plain)
    for task in range(3):
        twice = values[task, 0].double().numpy()
        for _ in range(2):
            twice = plain_window_sum(plain[task], twice)
        np.testing.assert_allclose(within[task, 0].numpy(), twice, rtol=1e-4, atol=1e-6)
        expected = plain_window_sum(mixture[task], twice)
        np.testing.assert_allclose(across[task, 0].numpy(), expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_trunk_predicts_from_features_and_both_diffusions():
    torch.manual_seed(0)
    trunk = TrunkDiffusion(TWO_TASKS, 10, 8, 1, 2).eval()
    shared = torch.randn(1, 10, 6, 7)
    features = {name: branch(shared) for name, branch in trunk.branches.items()}
    graphlets = torch.stack([trunk.patterns[name](maps) for name, maps in features.items()])
    within, across = diffuse(torch.stack([*features.values()]), graphlets, 2)
    for place, (name, logits) in enumerate(trunk(shared)[0].items()):
        read = torch.cat([features[name], within[place], across[place]], 1)
        torch.testing.assert_close(logits, trunk.heads[name](read))


@torch.no_grad()
def test_heads_add_the_residual_of_the_sum_of_both_diffusions():
    torch.manual_seed(0)
    heads = heads_diffusion(TWO_TASKS, 12, 0, 1, 2).eval()
    parts = heads.refinement
    for layers in parts.residuals.values():
        layers[1].weight.copy_(torch.rand(12) + 0.5)
    shared = torch.randn(1, 12, 6, 7)
    hidden = {name: head.features(shared) for name, head in heads.heads.items()}
    graphlets = torch.stack([parts.patterns[name](maps) for name, maps in hidden.items()])
    within, across = diffuse(torch.stack([parts.values[name](maps) for name, maps in hidden.items()]), graphlets, 2)
    for place, (name, logits) in enumerate(heads(shared)[0].items()):
        residual = parts.residuals[name](within[place] + across[place])
        torch.testing.assert_close(logits, heads.heads[name].logits(hidden[name] + residual))


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
    method.placement.heads.load_state_dict(sharing.heads.state_dict())
    images = torch.randn(2, 3, 64, 96)
    ours, theirs = method.eval()(images).predictions, sharing.eval()(images).predictions
    for task in NYUV2_TASKS:
        torch.testing.assert_close(ours[task], theirs[task])


def test_a_task_learns_from_the_patterns_of_the_others():
    torch.manual_seed(0)
    method = PSD(TWO_TASKS, "efficientnet_lite0")
    method(torch.randn(2, 3, 64, 96)).predictions["depth"].square().mean().backward()
    assert method.placement.patterns["semseg"].query[0].weight.grad.any()


def test_size_on_the_heads_is_that_of_the_table():
    """Hard sharing's 4,515,556; per task two 67 x 33, one 67 x 67 and one 3 x 3 x 67 x 67 convolution with their BN.

    4.71 M in the row on HRNet-18.
    """
    with torch.device("meta"):
        method = PSD(NYUV2_TASKS, "hrnet_w18_small_v2", where="heads")
    count = sum(parameter.numel() for parameter in method.parameters())
    assert count == 4_515_556 + 4 * (2 * (67 * 33 + 2 * 33) + 67 * 67 + 2 * 67 + 9 * 67 * 67 + 2 * 67)
    assert round(count / 1e6, 2) == 4.71


def test_unknown_placement_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'trunk', 'heads', found 'truck'\. Did you mean 'trunk'\?"):
        PSD(TWO_TASKS, "efficientnet_lite0", where="truck")
