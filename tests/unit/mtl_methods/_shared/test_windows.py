"""Operations on windows against `torch.nn.functional.unfold`, values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_methods._shared.windows import window_inside, window_products, window_sum


def unfolded(maps: Tensor, radius: int) -> Tensor:
    """(B, C, h, w) -> (B, C, places, h, w), zero beyond the border."""
    width = 2 * radius + 1
    return F.unfold(maps, width, padding=radius).view(*maps.shape[:2], width**2, *maps.shape[2:])


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (2, 9)])
@torch.no_grad()
def test_products_and_sums_are_those_of_gathered_windows(radius: int, size: tuple[int, int]):
    torch.manual_seed(0)
    queries, keys, maps = (torch.randn(2, 3, *size, dtype=torch.float64) for _ in range(3))
    weights = torch.randn(2, (2 * radius + 1) ** 2, *size, dtype=torch.float64)
    products = (queries[:, :, None] * unfolded(keys, radius)).sum(1)
    torch.testing.assert_close(window_products(queries, keys, radius), products)
    total = (weights[:, None] * unfolded(maps, radius)).sum(2)
    torch.testing.assert_close(window_sum(weights, maps), total)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    shape = (2, 3, 4, 3)
    queries, keys, maps = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(3))
    weights = torch.randn(2, 9, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: window_products(a, b, 1), (queries, keys))
    assert torch.autograd.gradcheck(window_sum, (weights, maps))


def test_inputs_stay_as_they_are():
    torch.manual_seed(0)
    weights, maps = torch.randn(1, 9, 4, 5), torch.randn(1, 3, 4, 5)
    before = weights.clone(), maps.clone()
    window_sum(weights, maps)
    window_products(maps, maps, 1)
    assert torch.equal(weights, before[0])
    assert torch.equal(maps, before[1])


def test_places_beyond_the_border_are_known():
    """A map of 2x2: each corner has four of the nine places."""
    inside = window_inside((2, 2), 1, torch.device("cpu"))
    assert inside.shape == (9, 2, 2)
    assert inside.sum(0).eq(4).all()
    assert inside[:, 0, 0].nonzero().flatten().tolist() == [4, 5, 7, 8]
