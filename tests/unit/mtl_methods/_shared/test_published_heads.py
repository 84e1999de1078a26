"""Heads of the public code, and the maps that they read."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from benchmark.contracts import FeatureSpec
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import make_head_input, suited_head
from mtl_methods._shared.heads import make_head


@torch.no_grad()
def test_deeplab_head_is_torchvisions():
    """Same names, same output, on a map that the larger rates do not fit in."""
    torch.manual_seed(0)
    ours, theirs = make_head("deeplab", 8, 5).eval(), DeepLabHead(8, 5, (12, 24, 36)).eval()
    ours.load_state_dict(theirs.state_dict())
    maps = torch.randn(2, 8, 15, 20)
    torch.testing.assert_close(ours(maps), theirs(maps))


def test_unknown_kind_is_refused_with_near_matches():
    with pytest.raises(ValueError, match=r"head must be one of .*found 'deep_lab'\. Did you mean 'deeplab'\?"):
        make_head("deep_lab", 8, 5)


@pytest.mark.parametrize(
    ("backbone", "suited", "spec"),
    [
        ("resnet18_dilated", "deeplab", FeatureSpec(512, 8)),
        ("resnet18", "fcn", FeatureSpec(512, 32)),
        ("efficientnet_lite0", "fcn", FeatureSpec(320, 32)),
        ("vit_tiny", "fcn", FeatureSpec(192, 16)),
        ("hrnet_w18_small_v2", "fcn", FeatureSpec(270, 4)),
    ],
)
def test_deeplab_heads_read_the_last_map(backbone: str, suited: str, spec: FeatureSpec):
    """And every weight of the backbone is read: what made the pyramid is gone."""
    torch.manual_seed(0)
    encoder = make_backbone(backbone)
    assert suited_head(encoder) == suited
    decoder, found = make_head_input("deeplab", encoder)
    assert found == spec
    maps = decoder(encoder(torch.randn(2, 3, 64, 96)))
    assert tuple(maps.shape) == (2, spec.channels, -(-64 // spec.stride), -(-96 // spec.stride))
    maps.square().mean().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
