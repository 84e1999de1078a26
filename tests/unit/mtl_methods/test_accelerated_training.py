"""Faster backward passes: ReLU6 in place with equal bits, aligned gradients of batch normalisations."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mtl_methods.accelerate import accelerate
from mtl_methods.accelerate.normalisation import MIN_GRADIENT, ReLU6InPlace

EDGES = [-1.0, -0.0, 0.0, 1e-30, 3.0, 5.9999995, 6.0, 6.0000005, 7.0, float("inf"), float("nan")]


def pair(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A layer in a sequence, and an accelerated copy of the sequence."""
    plain = nn.Sequential(layer)
    fast = copy.deepcopy(plain)
    accelerate(fast)
    return plain, fast


def equal_bits(ours: Tensor, theirs: Tensor) -> bool:
    return torch.equal(ours.view(torch.int32), theirs.view(torch.int32))


@pytest.mark.parametrize("part", [slice(None), slice(2, 9)], ids=["whole", "view"])
def test_relu6_in_place_has_the_bits_of_torch(part: slice) -> None:
    """Outputs and gradients, with values on the borders of the interval and beyond; of a view as well."""
    plain, fast = pair(nn.ReLU6(inplace=True))
    results = []
    for network in (plain, fast):
        inputs = torch.tensor(EDGES, requires_grad=True)
        copied = inputs.clone()
        (network(copied[part]) * torch.arange(1.0, 12.0)[part]).sum().backward()
        assert inputs.grad is not None
        results.append((copied.detach(), inputs.grad))
    (theirs, their_gradient), (ours, our_gradient) = results
    assert equal_bits(ours, theirs)
    assert equal_bits(our_gradient, their_gradient)


def test_relu6_in_place_keeps_no_copy_of_its_input() -> None:
    """The one tensor that autograd keeps shares its memory with the output."""
    _, fast = pair(nn.ReLU6(inplace=True))
    saved: list[int] = []

    def note(values: Tensor) -> Tensor:
        saved.append(values.data_ptr())
        return values

    before = torch.randn(4, requires_grad=True).clone()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda values: values):
        after = fast(before)
    assert saved == [after.data_ptr()] == [before.data_ptr()]


def test_relu6_in_place_can_be_differentiated_twice() -> None:
    """The second derivative of relu6(x)^2 is 2 for 0 < x < 6, else 0."""
    _, fast = pair(nn.ReLU6(inplace=True))
    inputs = torch.tensor([-1.0, 2.0, 7.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(fast(inputs.clone()).square().sum(), inputs, create_graph=True)
    assert gradient.tolist() == [0, 4, 0]
    (second,) = torch.autograd.grad(gradient.sum(), inputs)
    assert second.tolist() == [0, 2, 0]


def test_only_relu6_in_place_is_replaced() -> None:
    network = nn.Sequential(nn.ReLU6(inplace=True), nn.ReLU6(), nn.Hardtanh(inplace=True))
    accelerate(network)
    assert [type(layer) for layer in network] == [ReLU6InPlace, nn.ReLU6, nn.Hardtanh]


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_large_gradients_reach_a_batch_normalisation_in_the_format_of_its_maps(
    memory_format: torch.memory_format,
) -> None:
    """The gradient of one part of a concatenation is a view with gaps."""
    side = round(MIN_GRADIENT**0.5) // 4
    maps = torch.randn(2, 8, side, side).contiguous(memory_format=memory_format)
    for network, is_aligned in zip(pair(nn.BatchNorm2d(8)), (False, True), strict=True):
        assert gradient_of_part(network, maps).is_contiguous(memory_format=memory_format) == is_aligned


def test_small_gradients_and_those_in_eval_mode_stay_as_they_are() -> None:
    side = round(MIN_GRADIENT**0.5) // 4
    maps = torch.randn(2, 8, side, side)
    _, fast = pair(nn.BatchNorm2d(8))
    assert not gradient_of_part(fast, maps[:, :, 1:]).is_contiguous()
    assert not gradient_of_part(fast.eval(), maps).is_contiguous()


def test_a_normalisation_with_two_parents_is_hooked_once() -> None:
    layer = nn.BatchNorm2d(8)
    accelerate(nn.ModuleList([nn.Sequential(layer), nn.Sequential(layer)]))
    assert len(layer._forward_hooks) == 1


def gradient_of_part(network: nn.Module, maps: Tensor) -> Tensor:
    """The gradient that reaches the last layer of a network whose output is half of a concatenation."""
    seen: list[Tensor] = []
    output = network(maps)
    output.grad_fn.register_prehook(seen.extend)
    torch.cat([output, output.detach()], dim=1).square().sum().backward()
    (gradient,) = seen
    torch.testing.assert_close(gradient, 2 * output.detach())
    return gradient
