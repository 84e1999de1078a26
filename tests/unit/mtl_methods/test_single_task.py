"""Single task: no part is shared."""

from __future__ import annotations

import pytest
import torch

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.single_task import SingleTask

TWO_TASKS = NYUV2_TASKS.select(["semseg", "depth"])


@pytest.mark.parametrize("task", TWO_TASKS)
def test_the_gradient_of_a_task_touches_its_own_network_only(task: str):
    torch.manual_seed(0)
    method = SingleTask(TWO_TASKS, "efficientnet_lite0")
    method(torch.randn(2, 3, 64, 64)).predictions[task].square().mean().backward()
    touched = {name for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert touched == {name for name, _ in method.named_parameters() if name.startswith(f"networks.{task}.")}


def test_each_feature_map_is_marked_with_its_task():
    method = SingleTask(NYUV2_TASKS, "efficientnet_lite0")
    assert [spec.task for spec in method.feature_specs] == list(NYUV2_TASKS)


@torch.no_grad()
def test_one_task_is_hard_sharing_of_one_task():
    """The two architectures differ in nothing else, so that the multi-task gain measures sharing alone."""
    torch.manual_seed(0)
    depth = NYUV2_TASKS.select(["depth"])
    single, sharing = SingleTask(depth, "resnet18").eval(), HardSharing(depth, "resnet18").eval()
    sharing.load_state_dict(dict(zip(sharing.state_dict(), single.state_dict().values(), strict=True)))
    images = torch.randn(1, 3, 64, 96)
    assert torch.equal(single(images).predictions["depth"], sharing(images).predictions["depth"])


def test_parameter_count_is_that_of_four_atrc_baselines():
    """16.098 M in ../shared/specs/methods.md; 4,026,384 for semantic segmentation, 67 + 1 less per output channel less.

    40 + 1 + 3 + 1 output channels of 67 weights and a bias: 4 * 4,026,384 - (160 - 45) * 68 = 16,097,716.
    """
    with torch.device("meta"):
        method = SingleTask(NYUV2_TASKS, "hrnet_w18_small_v2")
    assert sum(parameter.numel() for parameter in method.parameters()) == 16_097_716
