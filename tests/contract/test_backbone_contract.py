"""Contract of every registered backbone, run as a whole and stage by stage, and under every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from scenes import build_method, random_batch, total

from benchmark.registry import BACKBONES, METHODS, UnknownNameError
from benchmark.tasks import NYUV2_TASKS
from benchmark.training.model import MultiTaskModel
from mtl_methods._shared.backbones import Backbone, make_backbone, make_stages
from mtl_methods._shared.backbones.weights import WeightsError

TIMM = ("timm:convnext_atto", "timm:mobilenetv3_small_100", "timm:pvt_v2_b0")
"""Members of the family "timm" of different kinds: a chain of stages, an inverted-residual network, a transformer."""
# The large ones share their code with a small one.
NAMES = [*(name for name in BACKBONES.names() if not BACKBONES.entry(name).large), *TIMM]
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


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS.names())
@pytest.mark.parametrize("backbone_name", TIMM)
def test_every_method_trains_two_steps_on_models_of_timm(backbone_name: str, name: str):
    """A method without parameters, such as the constant, has only its losses."""
    model = MultiTaskModel(build_method(name, backbone=backbone_name), NYUV2_TASKS).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, 1e-4) if trained else None
    for step in range(2):
        loss = total(model(**random_batch(NYUV2_TASKS, seed=step), mode="loss"))
        assert torch.isfinite(loss)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert all(parameter.grad is not None for parameter in trained)


@torch.no_grad()
def test_maps_of_a_timm_model_are_those_of_timm():
    torch.manual_seed(0)
    mine = make_backbone("timm:convnext_atto").eval()
    torch.manual_seed(0)
    theirs = timm.create_model("convnext_atto", features_only=True).eval()
    images = random_images(64, 96)
    for found, expected in zip(mine(images), theirs(images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_timm_model_without_a_chain_of_stages_is_one_stage():
    """timm's HRNet exchanges features between branches; the map of stride 2 is left out."""
    backbone = build("timm:hrnet_w18_small")
    assert (len(backbone.stages), backbone.parallel) == (1, True)
    assert [spec.stride for spec in backbone.feature_specs] == [4, 8, 16, 32]
    assert [tuple(level.shape[-2:]) for level in backbone(random_images(75, 101))] == [
        (-(-75 // stride), -(-101 // stride)) for stride in (4, 8, 16, 32)
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:convnext_atom", r"timm .* has no 'convnext_atom'\. Did you mean 'convnext_atto"),
        ("timm:convnext_atto:coco", "use timm:convnext_atto:scratch, timm:convnext_atto:imagenet or"),
        ("timm:convnext_atto:gone.pth", r"gone\.pth: no readable weights"),
    ],
)
def test_a_wrong_timm_backbone_is_answered_in_one_line(name: str, message: str):
    with pytest.raises((ValueError, KeyError, RuntimeError), match=message) as error:
        make_backbone(name)
    assert "\n" not in str(error.value)


def test_a_model_without_feature_maps_is_named_with_the_reason_of_timm(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: Any, **options: Any) -> None:
        raise RuntimeError("features_only\nnot implemented")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(
        WeightsError, match="timm:convnext_atto: timm gives no feature maps of it .features_only not imp"
    ):
        make_backbone("timm:convnext_atto")


@pytest.mark.parametrize(
    ("name", "model"), [("timm:mobilenetv3_small_100", "mobilenetv3_small_100"), ("resnet18", "resnet18")]
)
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_weights_come_from_a_local_file(name: str, model: str, ending: str, tmp_path: Path):
    """The file holds a whole classifier of timm, whose last layers are left out."""
    state = timm.create_model(model).state_dict()
    file = tmp_path / f"weights.{ending}"
    if ending == "pth":
        torch.save({"state_dict": state}, file)
    else:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, file)
    backbone = make_backbone(f"{name}:{file}")
    first = next(parameter for parameter in backbone.parameters() if parameter.ndim == 4)
    assert any(torch.equal(tensor, first) for tensor in state.values() if tensor.shape == first.shape)


def test_a_local_file_of_another_network_is_refused(tmp_path: Path):
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights\.pth: .* tensors match by name and shape"):
        make_backbone(f"timm:convnext_atto:{tmp_path / 'weights.pth'}")
