"""Parameters by part, on networks whose parameters can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Backbone, Method, MultiTaskOutput
from benchmark.cost.parameters import count_parameters, parts
from benchmark.cost.target import CostTarget
from benchmark.records.result import RunSpec

NYUV2 = ("semseg", "depth", "normals", "boundary")


class Trunk(Backbone):
    """An encoder of four parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2, bias=False)


class Sorted(Method):
    """One module for each part; a linear layer 2 -> 2 without bias has 4 parameters, 2 -> 3 has 6."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.trunk = Trunk()
        self.fuse = nn.Linear(2, 2, bias=False)
        self.branches = nn.ModuleDict({"semseg": nn.Linear(2, 2, bias=False)})
        self.last = nn.Linear(2, 3, bias=False)
        self.extra = nn.Linear(2, 3, bias=False)
        self.idle = nn.Linear(2, 3, bias=False)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        shared = self.fuse(self.trunk.layer(images))
        branch = self.branches["semseg"](shared)
        return MultiTaskOutput(
            {"semseg": branch, "depth": self.last(shared + branch)},
            auxiliary=(Auxiliary("early", "depth", self.extra(shared)),),
        )


def test_each_parameter_counts_for_one_part() -> None:
    method = Sorted()
    assert parts(method, method(torch.zeros(1, 2))) == {
        "parameters_backbone": 4,
        "parameters_shared": 4,
        "parameters_task_semseg": 4,
        "parameters_task_depth": 6,
        "parameters_auxiliary": 6,
        "parameters_unused": 6,
    }


def test_a_module_named_after_a_task_belongs_to_it_even_if_others_read_it() -> None:
    """`branches.semseg` feeds the prediction of depth too."""
    method = Sorted()
    assert parts(method, method(torch.zeros(1, 2)))["parameters_task_semseg"] == 4


@pytest.mark.parametrize(
    ("method", "regularizer", "inference"), [("hard_sharing", "aux_heads", 4_515_556), ("pad_net", "none", 19_521_848)]
)
def test_counts_are_those_of_the_public_code(method: str, regularizer: str, inference: int) -> None:
    """Published counts; the trunk of HRNet-W18-small-v2 has 3,860,720."""
    spec = RunSpec("nyuv2_hrnet18", method, regularizer, "hrnet_w18_small_v2:imagenet", NYUV2, 0)
    counted = count_parameters(CostTarget(spec, (64, 96)))
    assert counted["parameters_inference"] == inference
    assert counted["parameters_backbone"] == 3_860_720
    assert counted["parameters_training"] == inference + counted["parameters_regularizer"]
    assert (counted["parameters_regularizer"] > 0) == (regularizer != "none")
    totals = {"parameters_training", "parameters_inference", "parameters_regularizer"}
    assert sum(value for name, value in counted.items() if name not in totals) == inference


def test_two_heads_of_hard_sharing_have_the_sizes_that_follow_from_their_widths() -> None:
    """On 270 channels: 3x3 to 67 without bias, batch normalisation, 1x1 with bias to 40 classes, to one depth."""
    spec = RunSpec("nyuv2_hrnet18", "hard_sharing", "none", "hrnet_w18_small_v2", ("semseg", "depth"), 0)
    counted = count_parameters(CostTarget(spec, (64, 96)))
    first = 270 * 67 * 9 + 2 * 67
    assert counted["parameters_task_semseg"] == first + 67 * 40 + 40
    assert counted["parameters_task_depth"] == first + 67 * 1 + 1
