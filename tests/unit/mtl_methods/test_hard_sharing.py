"""Hard sharing: all parts except the heads serve all tasks."""

from __future__ import annotations

import pytest
import torch

from benchmark.heads import upsample_to
from benchmark.tasks import NYUV2_TASKS
from mtl_methods.hard_sharing import HardSharing


@pytest.mark.parametrize("task", NYUV2_TASKS)
def test_a_task_trains_the_shared_network_and_its_own_head_only(task: str):
    torch.manual_seed(0)
    method = HardSharing(NYUV2_TASKS, "efficientnet_lite0")
    method(torch.randn(2, 3, 64, 64)).predictions[task].square().mean().backward()
    touched = {name for name, parameter in method.named_parameters() if parameter.grad is not None}
    expected = {name for name, _ in method.named_parameters() if not name.startswith("heads.") or f".{task}." in name}
    assert touched == expected


@torch.no_grad()
def test_predictions_are_functions_of_the_features_alone():
    """So a regularizer that reads the features sees all that the tasks share."""
    torch.manual_seed(0)
    method = HardSharing(NYUV2_TASKS, "resnet18").eval()
    images = torch.randn(1, 3, 64, 96)
    output = method(images)
    assert len(output.features) == 1
    for name, head in method.heads.items():
        assert torch.equal(upsample_to(head(output.features[0]), images.shape[-2:]), output.predictions[name])


# Counted from the public ATRC code, ../shared/specs/checkpoints.md, runs atrcrepo_*.
@pytest.mark.parametrize(
    ("backbone", "tasks", "parameters"),
    [
        ("hrnet_w18_small_v2", list(NYUV2_TASKS), 4_515_556),
        ("hrnet_w48", list(NYUV2_TASKS), 70_000_305),
        ("hrnet_w18_small_v2", ["semseg"], 4_026_384),
    ],
)
def test_parameter_count_is_that_of_the_atrc_baseline(backbone: str, tasks: list[str], parameters: int):
    with torch.device("meta"):
        method = HardSharing(NYUV2_TASKS.select(tasks), backbone)
    assert sum(parameter.numel() for parameter in method.parameters()) == parameters
