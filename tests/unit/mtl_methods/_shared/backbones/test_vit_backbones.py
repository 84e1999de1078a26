"""Vision Transformers with a class token against timm's own forward pass; counts of the public multi-task code."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.contracts import FeatureSpec
from mtl_methods._shared.backbones import Backbone, make_backbone, weights
from mtl_methods._shared.backbones.normalisation import Renormalise
from mtl_methods._shared.backbones.vit import WHOLE_IMAGE, fold_renormalisation, resized_positions, vit_with_class_token

timm = pytest.importorskip("timm")

MODEL = "vit_tiny_patch16_224"
SMALL = {"depth": 8, "embed_dim": 48, "num_heads": 3}


def small_backbone(seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    return vit_with_class_token(MODEL, "scratch", **SMALL).eval()


def random_images(height: int, width: int) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_states_are_timms_tokens_after_each_quarter_of_the_blocks():
    """Eight blocks: after two, four and six without, after eight with the last normalisation."""
    torch.manual_seed(0)
    trunk = timm.create_model(MODEL, num_classes=0, **SMALL).eval()
    images = random_images(224, 224)
    between = trunk.forward_intermediates(
        images, indices=[1, 3, 5], return_prefix_tokens=True, norm=False, intermediates_only=True
    )
    backbone = small_backbone()
    state = backbone.stem(images)
    for stage, (maps, prefix) in zip(backbone.stages, between, strict=False):
        state = stage(state)
        torch.testing.assert_close(state[0], maps, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(state[1][..., 0, 0], prefix[:, 0], rtol=1e-4, atol=1e-5)
    last = backbone.stages[-1](state).flatten(2).transpose(1, 2)
    torch.testing.assert_close(last, trunk.forward_features(images)[:, 1:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (75, 101), (33, 32)])
def test_the_class_token_travels_beside_the_map_and_ends_with_it(size: tuple[int, int]):
    backbone = small_backbone()
    grid = (-(-size[0] // 16), -(-size[1] // 16))
    beside = (FeatureSpec(48, 16), FeatureSpec(48, WHOLE_IMAGE))
    assert backbone.stage_specs == (beside, beside, beside, (FeatureSpec(48, 16),))
    state = backbone.stem(random_images(*size))
    for stage in backbone.stages:
        assert [tuple(maps.shape) for maps in state] == [(2, 48, *grid), (2, 48, 1, 1)]
        state = stage(state)
    assert tuple(state.shape) == (2, 48, *grid)
    strides = [4, 8, 16, 32]
    rounded_up = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides]
    assert [tuple(level.shape[2:]) for level in backbone(random_images(*size))] == rounded_up


def test_every_parameter_reaches_the_pyramid_and_the_token_takes_part():
    backbone = small_backbone()
    torch.stack([level.square().mean() for level in backbone(random_images(64, 96))]).sum().backward()
    assert not [name for name, parameter in backbone.named_parameters() if parameter.grad is None]
    assert backbone.stem.class_token.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "parameters"), [("vit_base", 86_422_272), ("vit_large", 304_133_120)])
def test_parameter_count_is_that_of_the_public_code_at_448x576(name: str, parameters: int):
    """../shared/specs/checkpoints.md, runs invpt_vitB_DERIVED and invpt_vitL; the pyramid is ours."""
    with torch.device("meta"):
        backbone = make_backbone(name)
        backbone.stem.fit_positions((448, 576))
    counted = sum(parameter.numel() for parameter in backbone.parameters())
    assert counted - sum(parameter.numel() for parameter in backbone.pyramid.parameters()) == parameters


@torch.no_grad()
def test_positions_that_were_fitted_once_are_not_resized_again():
    """4x6 patches, and the position of the class token; a position that is the same everywhere stays as it is."""
    stem = small_backbone().stem
    stem.positions[:, 1:] = torch.arange(48.0)
    token = stem.positions[:, 0].clone()
    stem.fit_positions((64, 96))
    assert stem.positions.shape == (1, 25, 48)
    assert torch.equal(stem.positions[:, 0], token)
    torch.testing.assert_close(stem.positions[0, 1:], torch.arange(48.0).expand(24, 48))
    stem.positions[0, 1:] = torch.randn(24, 48)
    images = torch.zeros(1, 3, 64, 96)
    maps, _ = stem(images)
    expected = stem.project(images) + stem.positions[:, 1:].transpose(1, 2).unflatten(2, (4, 6))
    assert torch.equal(maps, expected)


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 36), (24, 24), (20, 30), (7, 9)])
def test_positions_are_resized_as_timm_does_it_unless_only_their_number_is_the_same(size: tuple[int, int]):
    """16x36 and 24x24 have as many cells; timm's function takes a square grid of as many for the old one."""
    positions = torch.randn(1, 1 + 16 * 36, 8, generator=torch.Generator().manual_seed(1))
    resized = resized_positions(positions[:, 1:], (16, 36), size)
    if size == (24, 24):
        plane = positions[:, 1:].transpose(1, 2).unflatten(2, (16, 36))
        plane = nn.functional.interpolate(plane, size=size, mode="bicubic", antialias=True)
        expected = plane.flatten(2).transpose(1, 2)
        assert not torch.equal(resized, positions[:, 1:])
    else:
        expected = timm.layers.resample_abs_pos_embed(positions, list(size), [16, 36])[:, 1:]
    torch.testing.assert_close(resized, expected)


@torch.no_grad()
def test_listed_positions_are_taken_in_order_by_images_with_as_many_patches():
    """Fitted to 4x6 patches; 6x4 and 2x12 are as many, 4x4 are not."""
    stem = small_backbone().stem
    stem.fit_positions((64, 96))
    stem.listed = True
    for size in ((96, 64), (32, 192)):
        maps, _ = stem(torch.zeros(1, 3, *size))
        own = maps - stem.project(torch.zeros(1, 3, *size))
        torch.testing.assert_close(own.flatten(2).transpose(1, 2), stem.positions[:, 1:])
    maps, _ = stem(torch.zeros(1, 3, 64, 64))
    own = maps - stem.project(torch.zeros(1, 3, 64, 64))
    expected = resized_positions(stem.positions[:, 1:], (4, 6), (4, 4))
    torch.testing.assert_close(own.flatten(2).transpose(1, 2), expected)


@torch.no_grad()
def test_folding_the_renormalisation_changes_the_pixels_convention_and_nothing_else():
    torch.manual_seed(0)
    convolution, renormalise = nn.Conv2d(3, 5, 16, stride=16), Renormalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images = random_images(32, 48)
    expected = convolution(renormalise(images))
    fold_renormalisation(convolution, renormalise)
    torch.testing.assert_close(convolution(images), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_imagenet_weights_see_pixels_in_the_convention_of_their_training(monkeypatch: pytest.MonkeyPatch):
    """A classifier of random weights stands in for the download; it was trained on pixels in -1..1."""
    torch.manual_seed(3)
    trunk = timm.create_model(MODEL, **SMALL).eval()
    monkeypatch.setattr(weights, "downloaded_state", lambda model: trunk.state_dict())
    backbone = vit_with_class_token(MODEL, "imagenet", **SMALL).eval()
    images = random_images(224, 224)
    state = backbone.stem(images)
    for stage in backbone.stages:
        state = stage(state)
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
    theirs = trunk.forward_features(((images * deviation + mean) - 0.5) / 0.5)[:, 1:]
    torch.testing.assert_close(state.flatten(2).transpose(1, 2), theirs, rtol=1e-3, atol=1e-4)
