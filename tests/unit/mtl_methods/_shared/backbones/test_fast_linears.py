"""The quick linear layers compute what PyTorch's own compute."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mtl_methods._shared.backbones import linear
from mtl_methods._shared.backbones.linear import OneDNNLinear, use_fast_linears

SHAPES = {"narrow": (2, 40, 24, 36), "wide": (3, 7, 260, 300), "one_row": (1, 1, 260, 257)}
"""(B, N, C, C')."""


@pytest.fixture(autouse=True)
def _always_worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "WORTHWHILE", 1)


def layers(shape: tuple[int, int, int, int], bias: bool) -> tuple[nn.Linear, nn.Linear, Tensor]:
    """An ordinary layer, a quick one of the same weights, and their input."""
    torch.manual_seed(0)
    batch, count, channels, width = shape
    ordinary = nn.Linear(channels, width, bias=bias)
    fast = copy.deepcopy(ordinary)
    use_fast_linears(fast)
    assert type(fast) is OneDNNLinear
    return ordinary, fast, torch.randn(batch, count, channels)


def output_and_gradients(layer: nn.Module, tokens: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradients of the parameters, for a fixed gradient of the output."""
    tokens = tokens.clone().requires_grad_()
    output = layer(tokens)
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    return [output, *torch.autograd.grad(output, [tokens, *layer.parameters()], upstream)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_output_and_gradients_are_those_of_torch(shape: tuple[int, int, int, int], bias: bool):
    """Sums over up to 300 terms in another order."""
    ordinary, fast, tokens = layers(shape, bias)
    pairs = zip(output_and_gradients(fast, tokens), output_and_gradients(ordinary, tokens), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(fast(tokens), ordinary(tokens), rtol=1e-4, atol=1e-4)


def test_inputs_that_are_not_contiguous_are_taken():
    ordinary, fast, tokens = layers(SHAPES["narrow"], bias=True)
    turned = tokens.transpose(0, 1)[::2]
    torch.testing.assert_close(fast(turned), ordinary(turned), rtol=1e-4, atol=1e-4)


def test_gradients_of_gradients_are_those_of_torch():
    """Weightings that compare gradient norms differentiate twice."""
    ordinary, fast, tokens = layers(SHAPES["narrow"], bias=True)
    norms = []
    for layer in (ordinary, fast):
        seen = tokens.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(layer(seen).square().sum(), seen, create_graph=True)
        gradient.square().sum().backward()
        norms.append((layer.weight.grad, seen.grad))
    for ours, theirs in zip(*norms, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_frozen_weights_and_inputs_get_no_gradient():
    _, fast, tokens = layers(SHAPES["narrow"], bias=True)
    fast.weight.requires_grad_(False)
    fast(tokens).sum().backward()
    assert fast.weight.grad is None
    assert fast.bias.grad is not None


def test_other_types_and_devices_run_as_before():
    ordinary, fast, tokens = layers(SHAPES["narrow"], bias=True)
    assert torch.equal(fast.double()(tokens.double()), ordinary.double()(tokens.double()))
    assert fast.to("meta")(tokens.to("meta")).shape == (2, 40, 36)
