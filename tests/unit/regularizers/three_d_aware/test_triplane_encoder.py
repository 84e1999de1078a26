"""Feature maps to planes: sizes, order and alignment of the planes, maps of several strides."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contracts import FeatureSpec
from regularizers.three_d_aware.planes import AxisPlanes, LiftedPlanes, ReshapedPlanes, TriplaneEncoder
from regularizers.three_d_aware.scene import tasks_by_maps

ROW_MAPPINGS = ("axis", "reshape", "lift")


def encoder(channels: list[int], rows: str = "axis", width: int = 32) -> TriplaneEncoder:
    torch.manual_seed(0)
    return TriplaneEncoder(channels, channels=4, plane_depth=6, rows=rows, width=width)


@pytest.mark.parametrize("rows", ROW_MAPPINGS)
@pytest.mark.parametrize("grid", [(5, 7), (8, 3)])
def test_planes_have_sizes_of_their_own(rows: str, grid: tuple[int, int]) -> None:
    planes = encoder([3], rows)([torch.randn(2, 3, 10, 14)], grid)
    assert planes.xy.shape == (2, 4, *grid)
    assert planes.xz.shape == (2, 4, 6, grid[1])
    assert planes.yz.shape == (2, 4, 6, grid[0])


def test_another_way_is_refused() -> None:
    with pytest.raises(ValueError, match="axis, reshape, lift"):
        encoder([3], "rotate")


@pytest.mark.parametrize("sizes", [[(16, 24)], [(16, 24), (8, 12), (4, 6), (3, 5)]])
def test_maps_of_any_stride_are_read_as_if_concatenated_on_the_grid(sizes: list[tuple[int, int]]) -> None:
    """A 1x1 convolution per map equals one of all maps, resized and concatenated."""
    maps = [torch.randn(2, 3 + place, *size) for place, size in enumerate(sizes)]
    made = encoder([level.shape[1] for level in maps])
    seen: list[Tensor] = []
    made.trunk.blocks.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    made(maps, (8, 12))
    resized = [
        F.adaptive_avg_pool2d(level, (8, 12))
        if level.shape[-1] > 12
        else F.interpolate(level, size=(8, 12), mode="bilinear", align_corners=False)
        for level in maps
    ]
    weight = torch.cat([layer.weight for layer in made.trunk.inputs], dim=1)
    joint = F.conv2d(torch.cat(resized, dim=1), weight, made.trunk.inputs[0].bias)
    torch.testing.assert_close(seen[0], joint, rtol=1e-4, atol=1e-5)


def test_a_map_of_twice_the_size_is_read_as_bilinear_reading_would() -> None:
    level = torch.randn(1, 3, 16, 24)
    bilinear = F.interpolate(level, size=(8, 12), mode="bilinear", align_corners=False)
    torch.testing.assert_close(F.adaptive_avg_pool2d(level, (8, 12)), bilinear, rtol=0, atol=1e-6)


def column_and_row(planes: AxisPlanes | LiftedPlanes | ReshapedPlanes) -> tuple[Tensor, Tensor]:
    """Gradients of xz at column 2 and of yz at row 3 with respect to the trunk, (H, W) each."""
    trunk = torch.randn(1, 8, 9, 9, dtype=torch.float64, requires_grad=True)
    made = planes.double()(trunk)
    parts = made.xz[..., 2].sum(), made.yz[..., 3].sum()
    first, second = (torch.autograd.grad(part, trunk, retain_graph=True)[0].abs().sum((0, 1)) for part in parts)
    return first, second


@pytest.mark.parametrize("way", [AxisPlanes, LiftedPlanes])
def test_pooled_planes_stay_aligned_with_the_image(way: type[AxisPlanes | LiftedPlanes]) -> None:
    """Column 2 of xz reads columns 1 to 3 of the trunk (a 3x3 convolution), row 3 of yz rows 2 to 4."""
    torch.manual_seed(0)
    in_columns, in_rows = column_and_row(way(8, 4, 6))
    assert (in_columns[:, [0, *range(4, 9)]] == 0).all()
    assert (in_columns[:, 1:4].sum(0) > 0).all()
    assert (in_rows[[0, 1, *range(5, 9)]] == 0).all()
    assert (in_rows[2:5].sum(1) > 0).all()


def test_lifted_planes_of_a_flat_distribution_are_means_of_the_features() -> None:
    planes = LiftedPlanes(8, 4, 6)
    with torch.no_grad():
        planes.out.weight[4:] = 0
        assert planes.out.bias is not None
        planes.out.bias[4:] = 0
    made = planes(torch.randn(1, 8, 5, 7))
    torch.testing.assert_close(made.xz, made.xy.mean(2, keepdim=True).expand(-1, -1, 6, -1))
    torch.testing.assert_close(made.yz, made.xy.mean(3)[:, :, None].expand(-1, -1, 6, -1))


def test_a_lifted_pixel_of_known_depth_lands_on_its_texel() -> None:
    planes = LiftedPlanes(1, 1, 6)
    with torch.no_grad():
        planes.out.weight.zero_()
        assert planes.out.bias is not None
        planes.out.bias.zero_()
        planes.out.weight[0, 0, 1, 1] = 1
        planes.out.bias[1 + 4] = 500
    feature = torch.zeros(1, 1, 5, 7)
    feature[0, 0, 3, 2] = 5
    made = planes(feature)
    assert made.xz.nonzero().tolist() == [[0, 0, 4, 2]]
    assert made.yz.nonzero().tolist() == [[0, 0, 4, 3]]
    assert made.xz[0, 0, 4, 2].item() == pytest.approx(6 * 5 / 5)


def test_reshaped_planes_declare_rows_to_be_depth() -> None:
    """With as many texels in depth as rows, the second group of channels is the xz plane as it is."""
    planes = ReshapedPlanes(8, 4, 5)
    trunk = torch.randn(1, 8, 5, 5)
    groups = planes.out(trunk)
    made = planes(trunk)
    assert torch.equal(made.xy, groups[:, :4])
    assert torch.equal(made.xz, groups[:, 4:8])
    assert torch.equal(made.yz, groups[:, 8:])


def test_the_channels_of_pooled_planes_are_in_the_order_xy_xz_yz() -> None:
    """Group k of the channels is constant k + 1, and both poolings are linear: xy is 1, xz 2, yz 3."""
    planes = AxisPlanes(8, 4, 6)
    with torch.no_grad():
        planes.out.weight.zero_()
        planes.out.bias.copy_(torch.tensor([1.0, 2.0, 3.0]).repeat_interleave(4))
        for layer in (planes.to_xz, planes.to_yz):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[:, 0] = 1  # the mean of the first channel of the group
    made = planes(torch.randn(1, 8, 5, 7))
    assert [plane.unique().tolist() for plane in (made.xy, made.xz, made.yz)] == [[1.0], [2.0], [3.0]]
    assert (made.xz.shape, made.yz.shape) == ((1, 4, 6, 7), (1, 4, 6, 5))


def test_the_paper_sized_trunk_has_the_parameters_that_the_layout_says() -> None:
    """1024 -> 128, two blocks of two 3x3, 3x3 to 96: 131,200 + 590,848 + 110,688, counted by hand."""
    made = TriplaneEncoder([1024], channels=32, plane_depth=64, rows="reshape")
    assert sum(parameter.numel() for parameter in made.parameters()) == 131_200 + 4 * (147_456 + 256) + 110_688


def test_all_tasks_share_the_maps_that_all_may_read() -> None:
    specs = [FeatureSpec(8, 16), FeatureSpec(4, 4), FeatureSpec(2, 4, task="depth")]
    assert tasks_by_maps(specs, ["semseg", "depth"]) == {(1, 0): ["semseg", "depth"]}


def test_tasks_without_common_maps_have_triplanes_of_their_own() -> None:
    specs = [FeatureSpec(8, 4, task="semseg"), FeatureSpec(8, 4, task="depth")]
    assert tasks_by_maps(specs, ["semseg", "depth"]) == {(0,): ["semseg"], (1,): ["depth"]}
    with pytest.raises(ValueError, match="no feature map for normals"):
        tasks_by_maps(specs, ["normals"])


def test_maps_are_chosen_by_their_stride() -> None:
    specs = (FeatureSpec(8, 16), FeatureSpec(4, 4), FeatureSpec(6, 8))
    assert tasks_by_maps(specs, ["depth"], strides=[16, 4]) == {(1, 0): ["depth"]}
    own = (FeatureSpec(8, 4, task="semseg"), FeatureSpec(8, 8, task="depth"))
    assert tasks_by_maps(own, ["semseg"], strides=[4]) == {(0,): ["semseg"]}
    with pytest.raises(ValueError, match=r"strides=\[32\] chooses no map for depth; available: 4, 8, 16"):
        tasks_by_maps(specs, ["depth"], strides=[32])
