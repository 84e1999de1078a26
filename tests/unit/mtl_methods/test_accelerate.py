"""Replaced layers compute the results and gradients of the layers of torch and timm that they replace."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from mtl_methods._shared.dynamic_layers import DynamicConv2d, DynamicLinear
from mtl_methods._shared.padding import UpsampleAndCut
from mtl_methods.accelerate import accelerate, linear_layers
from mtl_methods.accelerate.convolutions import AtrousConv2d, DepthwiseConv2d, DepthwiseConv2dSame, PointwiseConv2d
from mtl_methods.accelerate.linear_layers import OneDNNLinear
from mtl_methods.accelerate.upsampling import MAX_SIDE, MatrixUpsampleAndCut

CONVOLUTIONS: dict[str, Callable[[], nn.Conv2d]] = {
    "pointwise": lambda: nn.Conv2d(8, 12, 1),
    "pointwise_in_groups": lambda: nn.Conv2d(8, 12, 1, groups=2),
    "depthwise": lambda: nn.Conv2d(16, 16, 5, padding=2, groups=16, bias=False),
    "depthwise_strided": lambda: nn.Conv2d(16, 16, 5, padding=2, stride=2, groups=16, bias=False),
    "depthwise_same": lambda: Conv2dSame(16, 16, 5, stride=2, groups=16, bias=False),
    "atrous": lambda: nn.Conv2d(3, 2, 3, padding=4, dilation=4),
}
LINEAR_SHAPES = {"narrow": (2, 40, 24, 36), "wide": (3, 7, 260, 300), "one_row": (1, 1, 260, 257)}
"""(B, N, C, C')."""


def accelerated(layer: nn.Module) -> nn.Module:
    """A replaced copy of a layer."""
    parent = nn.Sequential(copy.deepcopy(layer))
    accelerate(parent)
    assert type(parent[0]) is not type(layer)
    return parent[0]


def output_and_gradients(layer: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradients of the parameters, for a fixed gradient of the output."""
    inputs = inputs.clone().requires_grad_()
    output = layer(inputs)
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(2), dtype=output.dtype)
    return [output, *torch.autograd.grad(output, [inputs, *layer.parameters()], upstream)]


def assert_equal_layers(fast: nn.Module, plain: nn.Module, inputs: Tensor, tolerance: float | None = None) -> None:
    """Assert equal outputs and gradients; the tolerance None is that of torch for the type."""
    for ours, theirs in zip(output_and_gradients(fast, inputs), output_and_gradients(plain, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [(9, 14), (8, 10), (4, 5), (5, 4), (3, 9), (9, 3), (2, 2)])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_and_their_gradients_are_those_of_torch(name: str, size: tuple[int, int]) -> None:
    """Sizes below, at and above the four rows and columns that the atrous kernel spans."""
    torch.manual_seed(0)
    plain = CONVOLUTIONS[name]().double()
    assert_equal_layers(accelerated(plain), plain, torch.randn(2, plain.in_channels, *size, dtype=torch.float64))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_in_float32_agree_with_torch(name: str) -> None:
    """The larger tolerance is for sums over 70 pixels in another order."""
    torch.manual_seed(0)
    plain = CONVOLUTIONS[name]().to(memory_format=torch.channels_last)
    images = torch.randn(2, plain.in_channels, 8, 10).contiguous(memory_format=torch.channels_last)
    assert_equal_layers(accelerated(plain), plain, images, tolerance=1e-5)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_under_autocast_train_as_with_torch(name: str) -> None:
    torch.manual_seed(0)
    plain = CONVOLUTIONS[name]()
    with torch.autocast("cpu", torch.bfloat16):
        assert_equal_layers(accelerated(plain), plain, torch.randn(2, plain.in_channels, 8, 10), tolerance=2e-2)


def test_only_layers_with_an_equal_replacement_are_replaced() -> None:
    """A subclass, a stride, another kernel or padding: kept. Names, parameters and hooks stay."""
    network = nn.Sequential(
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 1, stride=2),
        nn.Conv2d(8, 8, 1, padding=1),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 3, padding=1, dilation=2),
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, padding=2, groups=2, bias=False),
        Conv2dSame(8, 8, 5, stride=2, groups=8, bias=False),
        nn.Linear(8, 8),
        nn.modules.linear.NonDynamicallyQuantizableLinear(8, 8),
    )
    parameters, names, seen = list(network.parameters()), list(network.state_dict()), []
    network[0].register_forward_hook(lambda *_: seen.append("hook"))
    classes = [type(layer) for layer in network]
    accelerate(network)
    changed = {0: PointwiseConv2d, 4: AtrousConv2d, 6: DepthwiseConv2d, 8: DepthwiseConv2dSame, 9: OneDNNLinear}
    assert [type(layer) for layer in network] == [changed.get(place, kind) for place, kind in enumerate(classes)]
    assert list(network.state_dict()) == names
    assert all(ours is theirs for ours, theirs in zip(network.parameters(), parameters, strict=True))
    network[0](torch.randn(1, 8, 4, 4))
    assert seen == ["hook"]


def test_a_network_on_another_device_is_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 1)).to("meta")
    accelerate(network)
    assert type(network[0]) is nn.Conv2d


@pytest.mark.parametrize("name", ["pointwise", "depthwise", "atrous"])
def test_an_accelerated_network_that_moves_to_another_device_runs_there_as_before(name: str) -> None:
    """The operations that are recorded on the meta device are those of the plain layer."""
    plain = CONVOLUTIONS[name]()
    traces = []
    for layer in (plain, accelerated(plain)):
        layer = layer.to("meta")
        with torch.profiler.profile() as recorded:
            layer(torch.empty(1, layer.in_channels, 3, 3, device="meta"))
        traces.append([event.key for event in recorded.key_averages()])
    assert traces[0] == traces[1]


@pytest.fixture
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send products of any size to oneDNN."""
    monkeypatch.setattr(linear_layers, "MIN_PRODUCTS", 1)


def plain_and_fast(shape: tuple[int, int, int, int], bias: bool = True) -> tuple[nn.Linear, nn.Module, Tensor]:
    """A layer of torch, its replacement, and their input."""
    torch.manual_seed(0)
    batch, count, channels, width = shape
    plain = nn.Linear(channels, width, bias=bias)
    return plain, accelerated(plain), torch.randn(batch, count, channels)


@pytest.mark.usefixtures("small_products")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", LINEAR_SHAPES.values(), ids=LINEAR_SHAPES)
def test_linear_layers_and_their_gradients_are_those_of_torch(shape: tuple[int, int, int, int], bias: bool) -> None:
    """Sums over up to 300 terms in another order."""
    plain, fast, tokens = plain_and_fast(shape, bias)
    assert_equal_layers(fast, plain, tokens, tolerance=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(fast(tokens), plain(tokens), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("small_products")
def test_linear_layers_take_inputs_that_are_not_contiguous() -> None:
    plain, fast, tokens = plain_and_fast(LINEAR_SHAPES["narrow"])
    strided = tokens.transpose(0, 1)[::2]
    torch.testing.assert_close(fast(strided), plain(strided), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("small_products")
def test_second_derivatives_of_linear_layers_are_those_of_torch() -> None:
    """Weightings that compare gradient norms differentiate twice."""
    plain, fast, tokens = plain_and_fast(LINEAR_SHAPES["narrow"])
    results = []
    for layer in (plain, fast):
        inputs = tokens.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(layer(inputs).square().sum(), inputs, create_graph=True)
        gradient.square().sum().backward()
        results.append((layer.weight.grad, inputs.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("small_products")
def test_frozen_weights_of_linear_layers_get_no_gradient() -> None:
    _, fast, tokens = plain_and_fast(LINEAR_SHAPES["narrow"])
    fast.weight.requires_grad_(False)
    fast(tokens).sum().backward()
    assert fast.weight.grad is None
    assert fast.bias.grad is not None


@pytest.mark.usefixtures("small_products")
def test_linear_layers_of_other_types_and_devices_run_as_before() -> None:
    plain, fast, tokens = plain_and_fast(LINEAR_SHAPES["narrow"])
    assert torch.equal(fast.double()(tokens.double()), plain.double()(tokens.double()))
    assert fast.to("meta")(tokens.to("meta")).shape == (2, 40, 36)


@pytest.mark.usefixtures("small_products")
def test_layers_with_given_weights_compute_the_functions_of_torch() -> None:
    torch.manual_seed(0)
    maps, bias = torch.randn(2, 8, 5, 7), torch.randn(6)
    for size in (1, 3):
        weight = torch.randn(6, 8, size, size)
        expected = F.conv2d(maps, weight, bias, padding=size // 2)
        torch.testing.assert_close(accelerated(DynamicConv2d())(maps, weight, bias), expected, rtol=1e-5, atol=1e-5)
    tokens, weight = torch.randn(2, 9, 8), torch.randn(6, 8)
    expected = F.linear(tokens, weight, bias)
    torch.testing.assert_close(accelerated(DynamicLinear())(tokens, weight, bias), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [UpsampleAndCut(), MatrixUpsampleAndCut()], ids=["plain", "accelerated"])
@pytest.mark.parametrize("width", [4, MAX_SIDE, MAX_SIDE + 4])
def test_predictions_are_upsampled_bilinearly_to_the_padded_images_then_cut(layer: nn.Module, width: int) -> None:
    """With gradients, on both sides of the largest map that is upsampled by products."""
    maps = torch.randn(2, 3, 8, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    maps.requires_grad_()
    size = (27, 4 * width - 5)
    upstream = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    output = layer(maps, (32, 4 * width), size)
    whole = F.interpolate(maps, size=(32, 4 * width), mode="bilinear", align_corners=False)
    expected = whole[..., : size[0], : size[1]]
    torch.testing.assert_close(output, expected)
    gradients = (torch.autograd.grad(result, maps, upstream)[0] for result in (output, expected))
    torch.testing.assert_close(*gradients)
