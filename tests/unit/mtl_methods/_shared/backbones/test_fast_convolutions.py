"""The quick convolutions compute what PyTorch's own compute."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from mtl_methods._shared.backbones.convolutions import (
    DepthwiseConv2d,
    DepthwiseConv2dSame,
    PointwiseConv2d,
    use_fast_convolutions,
)

CONVOLUTIONS = {
    "pointwise": lambda: nn.Conv2d(8, 12, 1),
    "depthwise": lambda: nn.Conv2d(16, 16, 5, padding=2, groups=16, bias=False),
    "depthwise_strided": lambda: nn.Conv2d(16, 16, 5, padding=2, stride=2, groups=16, bias=False),
    "depthwise_same": lambda: Conv2dSame(16, 16, 5, stride=2, groups=16, bias=False),
}


def output_and_gradients(convolution: nn.Module, images: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradients of the parameters, for a fixed gradient of the output."""
    images = images.clone().requires_grad_()
    output = convolution(images)
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(2), dtype=output.dtype)
    return [output, *torch.autograd.grad(output, [images, *convolution.parameters()], upstream)]


@pytest.mark.parametrize("size", [(9, 14), (8, 10), (4, 5)])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_output_and_gradients_are_those_of_torch(name: str, size: tuple[int, int]):
    torch.manual_seed(0)
    ordinary = CONVOLUTIONS[name]().double()
    fast = copy.deepcopy(ordinary)
    use_fast_convolutions(fast)
    images = torch.randn(2, ordinary.in_channels, *size, dtype=torch.float64)
    assert type(fast) is not type(ordinary)
    for ours, theirs in zip(output_and_gradients(fast, images), output_and_gradients(ordinary, images), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_float32_agrees_with_torch(name: str):
    """The larger tolerance is for sums over 70 pixels in another order."""
    torch.manual_seed(0)
    ordinary = CONVOLUTIONS[name]().to(memory_format=torch.channels_last)
    fast = copy.deepcopy(ordinary)
    use_fast_convolutions(fast)
    images = torch.randn(2, ordinary.in_channels, 8, 10).contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(output_and_gradients(fast, images), output_and_gradients(ordinary, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_autocast_trains_as_with_torch(name: str):
    torch.manual_seed(0)
    ordinary = CONVOLUTIONS[name]()
    fast = copy.deepcopy(ordinary)
    use_fast_convolutions(fast)
    images = torch.randn(2, ordinary.in_channels, 8, 10)
    with torch.autocast("cpu", torch.bfloat16):
        pairs = zip(output_and_gradients(fast, images), output_and_gradients(ordinary, images), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)


def test_only_the_convolutions_it_knows_are_changed_and_no_name():
    network = nn.Sequential(
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 1, stride=2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, padding=2, groups=2, bias=False),
        Conv2dSame(8, 8, 5, stride=2, groups=8, bias=False),
    )
    names = list(network.state_dict())
    use_fast_convolutions(network)
    kinds = [PointwiseConv2d, nn.Conv2d, nn.Conv2d, DepthwiseConv2d, nn.Conv2d, DepthwiseConv2dSame]
    assert [type(module) for module in network] == kinds
    assert list(network.state_dict()) == names
