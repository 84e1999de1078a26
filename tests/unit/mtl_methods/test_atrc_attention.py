"""The attention of ATRC against dense formulas, and against outputs of the public operator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mtl_methods.atrc.attention import class_contexts, global_attention, label_attention, local_attention, over_pixels


def maps(*shape: int, seed: int = 0) -> Tensor:
    """Random float64 maps."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_unfolding(queries: Tensor, keys: Tensor, values: Tensor, window: int) -> Tensor:
    """Local attention that gathers the zero-padded window of every pixel."""
    keys, values = (
        F.unfold(part, window, padding=window // 2).unflatten(1, (part.shape[1], window**2)) for part in (keys, values)
    )
    scores = torch.einsum("bcn,bcwn->bwn", queries.flatten(2), keys) / queries.shape[1] ** 0.5
    return torch.einsum("bwn,bcwn->bcn", scores.softmax(1), values).unflatten(2, queries.shape[-2:])


def test_local_attention_is_that_of_the_public_operator(golden_folder: Path):
    with np.load(golden_folder / "functions.npz") as golden:
        queries, keys, values, expected = (
            torch.from_numpy(golden[f"op.locatt9.{name}"]) for name in ("q", "key", "val", "out")
        )
    torch.testing.assert_close(local_attention(queries, keys, values, 9), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("size", "window"), [((13, 21), 9), ((7, 8), 9), ((3, 4), 9), ((10, 4), 5), ((5, 9), 3)])
def test_local_attention_and_its_gradients_are_those_of_unfolding(size: tuple[int, int], window: int):
    parts = [maps(2, channels, *size, seed=channels).requires_grad_() for channels in (5, 5, 3)]
    parts[1] = maps(2, 5, *size, seed=9).requires_grad_()
    upstream = maps(2, 3, *size, seed=7)
    found, expected = local_attention(*parts, window), by_unfolding(*parts, window)
    torch.testing.assert_close(found, expected)
    gradients = zip(
        torch.autograd.grad(found, parts, upstream), torch.autograd.grad(expected, parts, upstream), strict=True
    )
    for ours, reference in gradients:
        torch.testing.assert_close(ours, reference)


def test_local_attention_loses_weight_beyond_the_border():
    """Equal scores weigh 1/81 each; at a corner 25 of the 81 positions are in the image, inside all are."""
    nothing, one = torch.zeros(1, 2, 20, 20), torch.ones(1, 1, 20, 20)
    seen = local_attention(nothing, nothing, one, 9)[0, 0]
    assert seen[0, 0].item() == pytest.approx(25 / 81)
    assert seen[0, 10].item() == pytest.approx(45 / 81)
    assert seen[10, 10].item() == pytest.approx(1.0)


def test_operations_of_local_attention_are_counted_as_defined():
    """2 products of 2 operations for each of 81 positions, 6 channels and 120 pixels."""
    parts = [torch.empty(1, 6, 10, 12, device="meta") for _ in range(3)]
    with FlopCounterMode(display=False) as counter:
        local_attention(*parts, 9)
    assert counter.get_total_flops() == 2 * 2 * 81 * 6 * 120


def test_local_attention_keeps_the_rules_of_an_operator():
    """Its shape without data, and its gradient."""
    parts = tuple(torch.randn(1, 4, 9, 10, requires_grad=True) for _ in range(3))
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(local_attention, (*parts, 9), test_utils=checks)


def test_local_attention_is_the_same_in_a_compiled_graph():
    parts = [torch.randn(1, 4, 9, 10, requires_grad=True) for _ in range(3)]
    compiled = torch.compile(local_attention, backend="aot_eager", fullgraph=True)
    found, expected = compiled(*parts, 9), local_attention(*parts, 9)
    torch.testing.assert_close(found, expected)
    gradients = zip(torch.autograd.grad(found.sum(), parts), torch.autograd.grad(expected.sum(), parts), strict=True)
    for ours, theirs in gradients:
        torch.testing.assert_close(ours, theirs)


def test_global_attention_weighs_every_pixel_by_its_dot_product():
    queries, keys, values = maps(2, 4, 3, 5).exp(), maps(2, 4, 6, 2, seed=1).exp(), maps(2, 3, 6, 2, seed=2)
    weights = torch.einsum("bcn,bcm->bnm", queries.flatten(2), keys.flatten(2))
    weights = weights / weights.sum(2, keepdim=True)
    expected = torch.einsum("bnm,bcm->bcn", weights, values.flatten(2)).unflatten(2, (3, 5))
    torch.testing.assert_close(global_attention(queries, keys, values), expected)


def test_label_attention_is_a_softmax_over_the_classes():
    queries, keys, values = maps(2, 4, 3, 5), maps(2, 4, 7, 1, seed=1), maps(2, 3, 7, 1, seed=2)
    scores = torch.einsum("bchw,bck->bkhw", queries, keys[..., 0]) / 2
    expected = torch.einsum("bkhw,bck->bchw", scores.softmax(1), values[..., 0])
    torch.testing.assert_close(label_attention(queries, keys, values), expected)


@pytest.mark.parametrize("attention", [global_attention, label_attention])
def test_the_weights_sum_to_one(attention):
    """So equal values come out as they are."""
    queries, keys = maps(1, 4, 3, 5).exp(), maps(1, 4, 6, 1, seed=1).exp()
    found = attention(queries, keys, torch.full((1, 2, 6, 1), 3.5, dtype=torch.float64))
    torch.testing.assert_close(found, torch.full((1, 2, 3, 5), 3.5, dtype=torch.float64))


def test_the_context_of_a_class_is_the_mean_feature_where_it_is():
    """A class with all its probability on two pixels has the mean of their features."""
    logits = torch.full((1, 2, 2, 3), -1e4)
    logits[0, 0, 0, 0] = logits[0, 0, 1, 2] = logits[0, 1, 0, 1] = 5.0
    features = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert class_contexts(over_pixels(logits), features).flatten().tolist() == pytest.approx([2.5, 1.0])
