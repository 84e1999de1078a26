"""Networks of ordinary layers: the same numbers, the framework's classes, and ratios of their times."""

from __future__ import annotations

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from benchmark.cost.batches import random_batch
from benchmark.cost.reference_layers import framework_class, ordinary, speed_ratios
from benchmark.cost.target import Subject, build
from benchmark.records.result import RunSpec
from mtl_methods._shared.backbones.convolutions import DepthwiseConv2dSame, PointwiseConv2d
from mtl_methods._shared.backbones.linear import OneDNNLinear
from tools.measure_speed import main


class Widened(nn.Conv2d):
    """A layer of another meaning."""

    def __init__(self) -> None:
        super().__init__(1, 2, 1)


def subject(method: str) -> Subject:
    spec = RunSpec("smoke", method, "none", "efficientnet_lite0:imagenet", ("semseg", "depth"), 0)
    return Subject(spec, (64, 64), runs=2)


def test_layers_are_those_of_the_framework_and_others_stay() -> None:
    assert framework_class(PointwiseConv2d) is nn.Conv2d
    assert framework_class(DepthwiseConv2dSame) is Conv2dSame
    assert framework_class(OneDNNLinear) is nn.Linear
    assert framework_class(Widened) is Widened
    assert framework_class(nn.BatchNorm2d) is nn.BatchNorm2d


@pytest.mark.parametrize("method", ["pad_net", "mtan"])
def test_an_ordinary_network_predicts_the_same(method: str) -> None:
    ours = build(subject(method)).eval()
    theirs = ordinary(ours)
    images = random_batch(subject(method).tasks, 2, (64, 64))["images"]
    assert not any(type(part).__module__.startswith("mtl_methods._shared.backbones.conv") for part in theirs.modules())
    with torch.no_grad():
        mine, plain = ours.model.method(images).predictions, theirs.model.method(images).predictions
    for name, predicted in mine.items():
        torch.testing.assert_close(predicted, plain[name], rtol=1e-3, atol=1e-4)


def test_what_cannot_train_has_no_step() -> None:
    assert set(speed_ratios(subject("constant"), 1)) == {"inference_ratio"}
    ratios = speed_ratios(subject("hard_sharing"), 1)
    assert set(ratios) == {"inference_ratio", "step_ratio"}
    assert all(ratio > 0 for ratio in ratios.values())


def test_the_command_prints_a_row_for_each_method(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--size", "32x64", "--batch", "1", "--runs", "1"]
    assert main(["--recipe", "smoke", "--methods", "hard_sharing", *small]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("| hard_sharing | ")
    assert main(["--recipe", "smoke", "--methods", "hard_sharin"]) == 2
    assert "Did you mean 'hard_sharing'" in capsys.readouterr().err
