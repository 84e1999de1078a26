"""Decoders against sums written out by hand."""

from __future__ import annotations

import torch

from benchmark.contracts import FeatureSpec
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import LateralFusion, make_decoder


@torch.no_grad()
def test_constant_maps_are_summed_at_the_finest_size():
    """1x1 weights of one on 2, 3 and 4 channels of ones, running mean 0 and variance 1: 2 + 3 + 4 = 9 per channel."""
    fusion = LateralFusion([2, 3, 4], width=5).eval()
    for lateral in fusion.laterals:
        lateral[0].weight.fill_(1.0)
        lateral[1].eps = 0.0
    maps = [torch.ones(1, channels, *size) for channels, size in ((2, (9, 7)), (3, (5, 4)), (4, (3, 2)))]
    torch.testing.assert_close(fusion(maps), torch.full((1, 5, 9, 7), 9.0))


@torch.no_grad()
def test_negative_sums_are_cut_off():
    fusion = LateralFusion([1, 1], width=2).eval()
    for lateral in fusion.laterals:
        lateral[0].weight.fill_(-1.0)
    assert fusion([torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2)]).eq(0).all()


def test_hrnet_is_concatenated_at_stride_4_without_parameters():
    """18 + 36 + 72 + 144 = 270 channels, as in the ATRC harness."""
    decoder, spec = make_decoder(make_backbone("hrnet_w18_small_v2"))
    assert spec == FeatureSpec(channels=270, stride=4)
    assert not list(decoder.parameters())


def test_the_map_is_what_its_spec_says():
    backbone = make_backbone("efficientnet_lite0").eval()
    decoder, spec = make_decoder(backbone)
    with torch.no_grad():
        fused = decoder.eval()(backbone(torch.randn(1, 3, 75, 101)))
    assert tuple(fused.shape) == (1, spec.channels, -(-75 // spec.stride), -(-101 // spec.stride))
