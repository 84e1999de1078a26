"""PAP: diffusion of features by affinities, which are mixed across tasks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.pap import (
    PAP,
    POOLING,
    Propagation,
    TrunkPropagation,
    affinities,
    diffused,
    heads_propagation,
    mixed,
    pooling_factor,
)

Array = NDArray[np.float64]
TWO_TASKS = NYUV2_TASKS.select(["semseg", "depth"])


def propagation_of(iterations: int, beta: float) -> partial[Propagation]:
    """Constructor of the propagation of two tasks from its widths."""
    return partial(Propagation, TWO_TASKS, iterations=iterations, beta=beta, positions=945)


@torch.no_grad()
def test_affinities_are_transition_probabilities():
    torch.manual_seed(0)
    transitions = affinities(torch.randn(2, 3, 5, 11))
    assert transitions.shape == (2, 3, 11, 11)
    assert transitions.gt(0).all()
    torch.testing.assert_close(transitions.sum(3), torch.ones(2, 3, 11))


@torch.no_grad()
def test_a_position_is_most_similar_to_itself_and_its_like():
    """Three positions, the first two in one direction: cosines 1 and 0 times the square root of 4."""
    embedded = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 1.0], [0.0] * 3, [0.0] * 3]).view(1, 1, 4, 3)
    near, far = torch.tensor([2.0, 2.0, 0.0]).softmax(0)[[0, 2]].tolist()
    expected = torch.tensor([near, near, far])
    torch.testing.assert_close(affinities(embedded)[0, 0, 0], expected)
    torch.testing.assert_close(affinities(embedded)[0, 0, 1], expected)


@torch.no_grad()
def test_weights_of_the_tasks_sum_to_one_and_begin_with_its_own():
    """exp(1) before three times exp(0)."""
    weights = PAP(NYUV2_TASKS, "efficientnet_lite0").placement.propagation.weights()
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    own = 2.718281828 / (2.718281828 + 3)
    torch.testing.assert_close(weights.diag(), torch.full((4,), own))
    torch.testing.assert_close(weights[0, 1:], torch.full((3,), (1 - own) / 3))


@torch.no_grad()
def test_diffusion_keeps_constants():
    """Whatever the affinities and the weights of the tasks: so nothing changes in a constant map."""
    torch.manual_seed(0)
    transitions = mixed(affinities(torch.randn(2, 3, 5, 11)), torch.randn(3, 3).softmax(1))
    torch.testing.assert_close(transitions.sum(3), torch.ones(2, 3, 11))
    values = torch.randn(2, 3, 1, 7).expand(2, 3, 11, 7)
    torch.testing.assert_close(diffused(values, transitions, iterations=6), values)
    propagation = Propagation(TWO_TASKS, 6, 3, 6, 0.05, 945).eval()
    constant = {name: torch.randn(2, 6, 1, 1).expand(2, 6, 9, 14) for name in TWO_TASKS}
    for change in propagation(constant).values():
        torch.testing.assert_close(change, torch.zeros_like(change), atol=1e-6, rtol=0)


@torch.no_grad()
def test_diffusion_by_hand():
    """Values 0 and 8: a position keeps half or all of its own. 0.5*0 + 0.5*8 = 4, then 0.5*4 + 0.5*8 = 6."""
    transitions = torch.tensor([[0.5, 0.5], [0.0, 1.0]]).view(1, 1, 2, 2)
    values = torch.tensor([0.0, 8.0]).view(1, 1, 2, 1)
    assert diffused(values, transitions, 1).flatten().tolist() == [4.0, 8.0]
    assert diffused(values, transitions, 2).flatten().tolist() == [6.0, 8.0]


@torch.no_grad()
def test_weights_of_a_target_sum_to_one_over_the_sources():
    """Logits (0, ln 3) of the first target: 1/4 and 3/4."""
    propagation = Propagation(TWO_TASKS, 4, 2, 1, 1.0, 945)
    propagation.mixture.copy_(torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]))
    torch.testing.assert_close(propagation.weights(), torch.tensor([[0.25, 0.75], [0.5, 0.5]]))


@torch.no_grad()
def test_change_is_beta_times_diffused_minus_pooled():
    """Two positions of opposite direction (cosine -1), one task, one embedded channel: the softmax of (1, -1).

    Position 1 has value 2 and passes p = 1 / (1 + e^2) to the other, whose value is -2: 2 becomes 2 - 4 p.
    """
    propagation = Propagation(NYUV2_TASKS.select(["depth"]), 1, 1, 1, 0.5, 945).eval()
    propagation.embeddings["depth"][0].weight.fill_(3.0)
    maps = torch.tensor([2.0, -2.0]).repeat_interleave(4).expand(1, 1, 4, 8)
    passed = 1 / (1 + math.exp(2))
    change = propagation({"depth": maps})["depth"]
    torch.testing.assert_close(change, torch.tensor([[[[-0.5 * 4 * passed, 0.5 * 4 * passed]]]]))


def plain_propagation(features: Array, embeddings: Array, mixture: Array, iterations: int, beta: float) -> Array:
    """Propagation in loops: features (T, C, h, w), embeddings (T, C', C), mixture (T, T) -> (T, C, h / 4, w / 4)."""
    tasks, channels, height, width = features.shape
    pooled = features.reshape(tasks, channels, height // 4, 4, width // 4, 4).mean((3, 5))
    values = pooled.reshape(tasks, channels, -1)
    count = values.shape[2]
    transitions = np.zeros((tasks, count, count))
    for task in range(tasks):
        embedded = embeddings[task] @ values[task]
        for here in range(count):
            cosines = [
                embedded[:, here]
                @ embedded[:, there]
                / (np.linalg.norm(embedded[:, here]) * np.linalg.norm(embedded[:, there]))
                for there in range(count)
            ]
            scores = np.exp(np.sqrt(len(embedded)) * np.array(cosines))
            transitions[task, here] = scores / scores.sum()
    changes = np.zeros_like(values)
    for target in range(tasks):
        weights = np.exp(mixture[target]) / np.exp(mixture[target]).sum()
        mixed_transitions = sum(weights[source] * transitions[source] for source in range(tasks))
        diffused_values = values[target].T
        for _ in range(iterations):
            diffused_values = mixed_transitions @ diffused_values
        changes[target] = beta * (diffused_values.T - values[target])
    return changes.reshape(pooled.shape)


@torch.no_grad()
def test_propagation_is_that_of_plain_loops():
    torch.manual_seed(0)
    features, mixture = torch.randn(3, 6, 8, 12).cumsum(3), torch.randn(3, 3)
    tasks = NYUV2_TASKS.select(["semseg", "depth", "normals"])
    propagation = Propagation(tasks, 6, 4, 3, 0.3, 945).eval()
    propagation.mixture.copy_(mixture)
    kernels = [layers[0].weight[:, :, 0, 0].double().numpy() for layers in propagation.embeddings.values()]
    expected = plain_propagation(features.double().numpy(), np.stack(kernels), mixture.double().numpy(), 3, 0.3)
    found = propagation({name: maps[None] for name, maps in zip(tasks, features, strict=True)})
    for name, change in zip(tasks, expected, strict=True):
        np.testing.assert_allclose(found[name][0].numpy(), change, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_trunk_reconstructs_from_propagated_and_shared_features():
    """Final logits: head of [shared reduced, own features plus the upsampled change reduced]."""
    torch.manual_seed(0)
    trunk = TrunkPropagation(TWO_TASKS, 10, 8, propagation_of(2, 0.5)).train()
    trunk(torch.randn(4, 10, 8, 12))
    trunk.eval()
    shared = torch.randn(1, 10, 8, 12)
    features = {name: branch(shared) for name, branch in trunk.branches.items()}
    logits, initial = trunk(shared)
    assert not initial
    for name, change in trunk.propagation(features).items():
        upsampled = torch.nn.functional.interpolate(change, size=(8, 12), mode="bilinear", align_corners=False)
        own = trunk.own[name](features[name] + upsampled)
        torch.testing.assert_close(logits[name], trunk.heads[name](torch.cat([trunk.shared(shared), own], 1)))
    trained = trunk.train()(shared.expand(2, -1, -1, -1))[1]
    for name, branch in trunk.branches.items():
        torch.testing.assert_close(trained[name], trunk.initial[name](branch(shared.expand(2, -1, -1, -1))))


@torch.no_grad()
def test_heads_add_the_residual_of_the_propagated_features():
    """logits(hidden + upsampled residual of (pooled + change))."""
    torch.manual_seed(0)
    heads = heads_propagation(TWO_TASKS, 12, 0, propagation_of(2, 0.5)).eval()
    for layers in heads.refinement.residuals.values():
        layers[1].weight.copy_(torch.rand(12) + 0.5)
    shared = torch.randn(1, 12, 8, 12)
    hidden = {name: head.features(shared) for name, head in heads.heads.items()}
    changes = heads.refinement.propagation(hidden)
    for name, logits in heads(shared)[0].items():
        pooled = torch.nn.functional.avg_pool2d(hidden[name], 4)
        residual = heads.refinement.residuals[name](pooled + changes[name])
        upsampled = torch.nn.functional.interpolate(residual, size=(8, 12), mode="bilinear", align_corners=False)
        torch.testing.assert_close(logits, heads.heads[name].logits(hidden[name] + upsampled))


@torch.no_grad()
def test_affinities_of_one_task_are_mixed_by_the_weights():
    """Two tasks of one position pair: 0.75 of the first and 0.25 of the second."""
    transitions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]).view(1, 2, 2, 2)
    mixture = mixed(transitions, torch.tensor([[0.75, 0.25], [0.0, 1.0]]))
    assert mixture[0, 0].tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert mixture[0, 1].tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("size", [(8, 8), (30, 40), (107, 140), (120, 160), (256, 512), (1000, 31)])
def test_memory_of_affinities_is_bounded(size: tuple[int, int]):
    """By 945 positions and what rounding up adds at two borders."""
    factor = pooling_factor(size, 945)
    rows, columns = -(-size[0] // factor), -(-size[1] // factor)
    assert factor >= POOLING
    assert rows * columns <= 945 + rows + columns


def test_published_size_has_the_positions_of_the_description():
    """27x35 of a map of 107x140."""
    assert pooling_factor((107, 140), 945) == 4
    with torch.no_grad():
        pooled = Propagation(TWO_TASKS, 4, 2, 6, 0.05, 945).pool(torch.randn(1, 4, 107, 140))
    assert pooled.shape == (1, 4, 27, 35)


@torch.no_grad()
def test_on_the_heads_it_begins_as_hard_sharing():
    torch.manual_seed(0)
    method = PAP(NYUV2_TASKS, "efficientnet_lite0", where="heads")
    sharing = HardSharing(NYUV2_TASKS, "efficientnet_lite0")
    method.backbone.load_state_dict(sharing.backbone.state_dict())
    method.decoder.load_state_dict(sharing.decoder.state_dict())
    method.placement.heads.load_state_dict(sharing.heads.state_dict())
    images = torch.randn(2, 3, 64, 96)
    ours, theirs = method.eval()(images).predictions, sharing.eval()(images).predictions
    for task in NYUV2_TASKS:
        torch.testing.assert_close(ours[task], theirs[task])


def test_initial_predictions_are_supervised_in_training_only():
    """Each with its task's own loss and weight, at the stride of the decoder."""
    torch.manual_seed(0)
    method = PAP(NYUV2_TASKS, "efficientnet_lite0")
    images = torch.randn(2, 3, 64, 96)
    parts = method.train()(images).auxiliary
    assert [(part.name, part.task, part.weight, part.loss) for part in parts] == [
        ("initial", task, 1.0, None) for task in NYUV2_TASKS
    ]
    assert [tuple(part.prediction.shape) for part in parts] == [
        (2, task.channels, 16, 24) for task in NYUV2_TASKS.values()
    ]
    assert not method.eval()(images).auxiliary


def test_a_task_learns_from_the_affinities_of_the_others():
    torch.manual_seed(0)
    method = PAP(TWO_TASKS, "efficientnet_lite0")
    method(torch.randn(2, 3, 64, 96)).predictions["depth"].square().mean().backward()
    assert method.placement.propagation.embeddings["semseg"][0].weight.grad.any()
    assert method.placement.branches["semseg"][0].conv1.weight.grad.any()


def test_size_on_the_heads_is_that_of_the_table():
    """Hard sharing's 4,515,556; per task 67 x 33 and 67 x 67 weights with their BN, and 16 weights of the mixture.

    4.54 M in the row on HRNet-18.
    """
    with torch.device("meta"):
        method = PAP(NYUV2_TASKS, "hrnet_w18_small_v2", where="heads")
    count = sum(parameter.numel() for parameter in method.parameters())
    assert count == 4_515_556 + 4 * (67 * 33 + 2 * 33 + 67 * 67 + 2 * 67) + 16
    assert round(count / 1e6, 2) == 4.54


def test_unknown_placement_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'trunk', 'heads', found 'head'\. Did you mean 'heads'\?"):
        PAP(TWO_TASKS, "efficientnet_lite0", where="head")
