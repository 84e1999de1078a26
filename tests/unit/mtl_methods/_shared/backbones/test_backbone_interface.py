"""Every registered backbone, run as a whole and stage by stage."""

from __future__ import annotations

import pytest
import torch

from benchmark.registry import BACKBONES, UnknownNameError
from mtl_methods._shared.backbones import Backbone, make_backbone, make_stages

# The large ones share their code with a small one.
NAMES = [name for name in BACKBONES.names() if not BACKBONES.entry(name).large]
SIZES = [(64, 96), (75, 101), (33, 32)]


def build(name: str, seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    return make_backbone(name).eval()


def random_images(height: int, width: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=NAMES)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return build(request.param)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_pyramid_has_the_channels_and_strides_of_its_specs(backbone: Backbone, size: tuple[int, int]):
    shapes = [tuple(level.shape) for level in backbone(random_images(*size))]
    rounded_up = [(-(-size[0] // spec.stride), -(-size[1] // spec.stride)) for spec in backbone.feature_specs]
    assert shapes == [(1, spec.channels, *hw) for spec, hw in zip(backbone.feature_specs, rounded_up, strict=True)]


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_running_the_stages_one_by_one_is_the_forward_pass_bit_for_bit(backbone: Backbone, size: tuple[int, int]):
    images = random_images(*size)
    state, states = backbone.stem(images), []
    for stage in backbone.stages:
        state = stage(state)
        states.append(state)
    by_hand = backbone.pyramid(states, images.shape[-2:])
    assert all(torch.equal(a, b) for a, b in zip(by_hand, backbone(images), strict=True))


@torch.no_grad()
def test_states_are_what_stage_specs_say(backbone: Backbone):
    state = backbone.stem(random_images(75, 101))
    for stage, specs in zip(backbone.stages, backbone.stage_specs, strict=True):
        state = stage(state)
        maps = state if isinstance(state, list) else [state]
        expected = [(spec.channels, -(-75 // spec.stride), -(-101 // spec.stride)) for spec in specs]
        assert [tuple(level.shape[1:]) for level in maps] == expected


@torch.no_grad()
def test_a_stage_leaves_the_state_it_is_given_alone(backbone: Backbone):
    """Methods that mix the states of several tasks keep using them after the next stage."""
    state = backbone.stem(random_images(64, 96))
    for stage in backbone.stages:
        maps = state if isinstance(state, list) else [state]
        before = [level.clone() for level in maps]
        state = stage(state)
        assert all(torch.equal(a, b) for a, b in zip(before, maps, strict=True))


def test_pyramid_goes_from_fine_to_coarse_and_starts_at_stride_4(backbone: Backbone):
    strides = [spec.stride for spec in backbone.feature_specs]
    assert strides[0] == 4
    assert strides == sorted(strides)


def test_every_parameter_of_the_backbone_reaches_the_pyramid(backbone: Backbone):
    maps = backbone(random_images(64, 96, batch=2))
    torch.stack([level.square().mean() for level in maps]).sum().backward()
    unused = [name for name, parameter in backbone.named_parameters() if parameter.grad is None]
    backbone.zero_grad()
    assert not unused


@torch.no_grad()
def test_channels_last_gives_the_same_pyramid():
    backbone, images = build("efficientnet_lite0"), random_images(64, 96, batch=2)
    plain = backbone(images)
    backbone.to(memory_format=torch.channels_last)
    last = backbone(images.contiguous(memory_format=torch.channels_last))
    assert all(level.is_contiguous(memory_format=torch.channels_last) for level in last)
    for a, b in zip(plain, last, strict=True):
        # Wider than float32's own, for rounding passes through 48 layers.
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_chain_of_stages_ends_in_the_map_it_promises(name: str):
    torch.manual_seed(0)
    stages, specs = make_stages(name)
    features = random_images(64, 96)
    for stage in stages.eval():
        features = stage(features)
    assert len(stages) == len(specs)
    assert tuple(features.shape) == (1, specs[-1].channels, -(-64 // specs[-1].stride), -(-96 // specs[-1].stride))


def test_dilated_resnet_keeps_stride_8_with_the_same_weights():
    """Dilation moves no parameter, so the state dicts fit one another."""
    plain, dilated = build("resnet18"), build("resnet18_dilated")
    dilated.load_state_dict(plain.state_dict())
    assert [spec.stride for spec in dilated.feature_specs] == [4, 8, 8, 8]


# Counted from the public code, ../shared/specs/checkpoints.md; ResNet without its classifier as in torchvision.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("hrnet_w18_small_v2", 3_860_720),
        ("hrnet_w48", 65_325_120),
        ("resnet50", 23_508_032),
        ("resnet50_dilated", 23_508_032),
    ],
)
def test_parameter_count_is_the_published_one(name: str, parameters: int):
    with torch.device("meta"):
        backbone = make_backbone(name)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters


def test_misspelt_backbone_is_answered_with_near_matches():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        make_backbone("resnt18")
