"""Multiply-accumulates against counts by hand and counts of the public implementations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.cost.operations import gigamacs, macs
from benchmark.cost.target import CostTarget
from benchmark.records.result import RunSpec

NYUV2 = ("semseg", "normals", "boundary", "depth")


class Attention(nn.Module):
    """Fused attention of the input with itself."""

    def forward(self, tokens: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_a_convolution_costs_its_kernel_at_every_position() -> None:
    """3 channels -> 8, kernel 3x3, 16x24 -> 8x12 positions: 8 * 12 * 8 * 3 * 9 = 20,736."""
    assert macs(nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.zeros(1, 3, 16, 24)) == 20_736


def test_a_depthwise_convolution_costs_one_channel_of_kernel() -> None:
    """4 channels, 5x5, 10x10 positions: 4 * 25 * 100."""
    assert macs(nn.Conv2d(4, 4, 5, padding=2, groups=4), torch.zeros(1, 4, 10, 10)) == 10_000


def test_a_linear_layer_costs_its_weights_for_every_token() -> None:
    assert macs(nn.Linear(16, 5), torch.zeros(7, 16)) == 7 * 16 * 5


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_both_products_of_attention_are_counted_on_every_device(device: str) -> None:
    """2 images, 4 heads, 100 tokens, 32 channels: query with key, and weights with value."""
    assert macs(Attention(), torch.zeros(2, 4, 100, 32, device=device)) == 2 * (2 * 4 * 100 * 100 * 32)


@pytest.mark.parametrize(
    ("method", "overrides", "gigaflops"),
    [
        ("hard_sharing", {}, 44.644),
        ("hard_sharing", {"method.head": "hrnet"}, 31.184),
        pytest.param("mti_net", {}, 56.773, marks=pytest.mark.slow),
    ],
)
def test_networks_of_public_code_cost_half_of_their_operations(method: str, overrides: dict, gigaflops: float) -> None:
    """Counted on the public code at 480x640, without images and losses."""
    spec = RunSpec("nyuv2_hrnet18", method, "none", "hrnet_w18_small_v2", NYUV2, 0, overrides)
    assert gigamacs(CostTarget(spec, (480, 640))) == pytest.approx(gigaflops / 2, rel=5e-3)
