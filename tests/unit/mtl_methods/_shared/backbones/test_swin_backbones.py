"""Swin Transformer against timm's own forward pass, and windows against what pixels should see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.swin import WindowBlock, regions

timm = pytest.importorskip("timm")


def small_trunk(seed: int = 0) -> torch.nn.Module:
    """Swin-T with 12 channels per head pair and two blocks per stage."""
    torch.manual_seed(seed)
    return timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=0, embed_dim=12, depths=(2, 2, 2, 2), num_heads=(1, 1, 2, 2)
    ).eval()


def small_block(shifted: bool) -> WindowBlock:
    return WindowBlock(small_trunk().layers[0].blocks[0], shifted)


@torch.no_grad()
def test_it_is_the_classifier_at_the_classifiers_size():
    """224x224 pixels fill all windows, so nothing is padded; timm's forward pass is the reference."""
    torch.manual_seed(0)
    ours = make_backbone("swin_tiny").eval()
    torch.manual_seed(0)
    trunk = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0).eval()
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    state = ours.stem(images)
    for stage in ours.stages:
        state = stage(state)
    # Wider than float32's own, for sums over 768 channels in another order.
    torch.testing.assert_close(state.permute(0, 2, 3, 1), trunk.forward_features(images), rtol=1e-4, atol=1e-4)


def test_parameter_count_is_that_of_the_paper():
    """28,288,354 with a classifier of 769,000."""
    with torch.device("meta"):
        backbone = make_backbone("swin_tiny")
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 28_288_354 - 769_000


def seen_rows(block: WindowBlock, size: tuple[int, int], pixel: tuple[int, int]) -> tuple[set[int], set[int]]:
    """Rows and columns whose pixels change the output at one pixel."""
    maps = torch.randn(1, *size, 12, generator=torch.Generator().manual_seed(2)).requires_grad_()
    block(maps)[0, pixel[0], pixel[1]].sum().backward()
    seen = maps.grad[0].abs().sum(2) > 0
    return set(torch.nonzero(seen.any(1)).flatten().tolist()), set(torch.nonzero(seen.any(0)).flatten().tolist())


@pytest.mark.parametrize(
    ("shifted", "pixel", "rows"),
    [
        (False, (0, 0), range(7)),
        (False, (14, 14), range(14, 15)),
        (True, (0, 0), range(3)),
        (True, (3, 3), range(3, 10)),
        (True, (14, 14), range(10, 15)),
    ],
)
def test_a_pixel_sees_its_window_and_nothing_else(shifted: bool, pixel: tuple[int, int], rows: range):
    """15x15 pixels, windows of 7: cut at 7 and 14, or shifted by 3 at 3, 10 and 17; neither padding nor far side."""
    assert seen_rows(small_block(shifted), (15, 15), pixel) == (set(rows), set(rows))


def test_an_axis_of_one_window_is_not_shifted():
    """A map of 7x15: all rows are seen from every pixel, the columns are cut at 3 and 10."""
    assert seen_rows(small_block(shifted=True), (7, 15), (0, 5)) == (set(range(7)), set(range(3, 10)))


@torch.no_grad()
def test_a_map_within_one_window_is_plain_attention_with_relative_positions():
    """4x5 pixels against softmax(q k / sqrt(d) + bias of the offset) v, pixel by pixel."""
    block = small_block(shifted=True)
    attention, maps = block.attn, torch.randn(1, 4, 5, 12, generator=torch.Generator().manual_seed(3))
    normed = block.norm1(maps).flatten(1, 2)[0]
    query, key, value = attention.qkv(normed).chunk(3, dim=1)
    rows, columns = (torch.arange(20) // 5), (torch.arange(20) % 5)
    offsets = (rows[:, None] - rows + 6) * 13 + columns[:, None] - columns + 6
    scores = query @ key.t() / 12**0.5 + attention.relative_position_bias_table[offsets, 0]
    attended = maps + attention.proj(scores.softmax(1) @ value).view(1, 4, 5, 12)
    torch.testing.assert_close(block(maps), attended + block.mlp(block.norm2(attended)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((4, 4, 0), [0, 0, 0, 0]),
        ((3, 4, 0), [0, 0, 0, 2]),
        ((4, 4, 1), [0, 0, 0, 1]),
        # Rows 2, 3, the padding, then rows 0 and 1 from the top.
        ((4, 6, 2), [0, 0, 2, 2, 1, 1]),
    ],
)
def test_regions_of_an_axis(arguments: tuple[int, int, int], expected: list[int]):
    assert regions(*arguments, torch.device("cpu")).tolist() == expected


@torch.no_grad()
def test_every_scale_ends_normalised():
    """A layer normalisation as it is initialised leaves mean 0 and variance 1 over the channels of each pixel."""
    torch.manual_seed(0)
    levels: list[Tensor] = make_backbone("swin_tiny").eval()(torch.randn(1, 3, 64, 96))
    for level in levels:
        torch.testing.assert_close(level.mean(1), torch.zeros_like(level[:, 0]), rtol=0, atol=1e-4)
        torch.testing.assert_close(level.var(1, correction=0), torch.ones_like(level[:, 0]), rtol=0, atol=1e-2)
