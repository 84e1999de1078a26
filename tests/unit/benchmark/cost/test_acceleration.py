"""Ratios of times with and without `accelerate`; their values are not asserted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.cost.measure import acceleration
from benchmark.cost.target import CostTarget, build
from benchmark.records.result import RunSpec
from mtl_methods.accelerate.convolutions import DepthwiseConv2dSame, PointwiseConv2d
from tools.measure_speed import main


def target(method: str) -> CostTarget:
    """The smoke recipe on small images."""
    spec = RunSpec("smoke", method, "none", "efficientnet_lite0:imagenet", ("semseg", "depth"), 0)
    return CostTarget(spec, (64, 64), runs=2)


def test_only_the_accelerated_network_has_replaced_layers() -> None:
    replaced = {PointwiseConv2d, DepthwiseConv2dSame}
    assert replaced <= {type(layer) for layer in build(target("hard_sharing")).modules()}
    compiled = replace(target("hard_sharing").spec, overrides={"compile": True})
    for plain in (target("hard_sharing").without_acceleration(), replace(target("hard_sharing"), spec=compiled)):
        assert not any(type(layer).__module__.startswith("mtl_methods.accelerate") for layer in build(plain).modules())


def test_a_method_without_parameters_has_no_ratio_of_steps() -> None:
    assert set(acceleration(target("constant"), 1)) == {"inference_ratio"}
    ratios = acceleration(target("hard_sharing"), 1)
    assert set(ratios) == {"inference_ratio", "step_ratio"}
    assert all(ratio > 0 for ratio in ratios.values())


def test_the_command_prints_a_row_for_each_method(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--size", "32x64", "--batch", "1", "--runs", "1"]
    assert main(["--recipe", "smoke", "--methods", "hard_sharing", *small]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("| hard_sharing | ")
    assert main(["--recipe", "smoke", "--methods", "hard_sharin"]) == 2
    assert "Did you mean 'hard_sharing'" in capsys.readouterr().err
