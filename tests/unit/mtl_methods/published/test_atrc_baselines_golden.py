"""Baselines of the ATRC repository: imported tensor by tensor."""

from __future__ import annotations

import pytest
import torch
from golden_models import filled, published_shapes

from benchmark.registry import METHODS
from benchmark.tasks import NYUV2_TASKS, TaskSet
from mtl_methods.published import atrc_baselines
from mtl_methods.published.description import Published
from mtl_methods.published.renaming import translate


def tasks_of(description: Published) -> TaskSet:
    return TaskSet(NYUV2_TASKS[name] for name in description.channels)


def atrc_baseline_state(tasks: dict[str, int]) -> dict[str, torch.Tensor]:
    """The trunk of the published ATRC network with heads of the baseline: 3x3 convolution, BN, last layer."""
    shapes = {name: shape for name, shape in published_shapes("atrc_hrnet18").items() if name.startswith("backbone")}
    for task, channels in tasks.items():
        shapes[f"head.bottleneck.{task}.conv.weight"] = (67, 270, 3, 3)
        shapes |= {f"head.bottleneck.{task}.bn.{part}": (67,) for part in ("weight", "bias")}
        shapes |= {f"head.bottleneck.{task}.bn.running_{part}": (67,) for part in ("mean", "var")}
        shapes[f"head.bottleneck.{task}.bn.num_batches_tracked"] = ()
        shapes[f"head.final_logits.{task}.weight"] = (channels, 67, 1, 1)
        shapes[f"head.final_logits.{task}.bias"] = (channels,)
    return {name: filled(name, shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("tasks", "method"),
    [({"semseg": 40, "depth": 1, "normals": 3, "edge": 1}, "hard_sharing"), ({"edge": 1}, "single_task")],
)
@torch.no_grad()
def test_baselines_of_the_atrc_repository_are_read(tasks: dict[str, int], method: str):
    """No golden output of them is at hand: each tensor finds its place, and the order of the file is kept."""
    state = atrc_baseline_state(tasks)
    description = atrc_baselines.describe(state)
    assert atrc_baselines.recognise(state)
    assert description.method == method
    assert list(description.channels) == ["boundary" if name == "edge" else name for name in tasks]
    with torch.device("meta"):
        network = METHODS.create(method, tasks_of(description), description.backbone, **description.options)
    network.load_state_dict(translate(state, atrc_baselines.rules(description), network.state_dict()), assign=True)
    head = network.networks["boundary"].head if method == "single_task" else network.heads["boundary"]
    assert torch.equal(head.logits.weight, state["head.final_logits.edge.weight"])
    assert torch.equal(head.features[0].weight, state["head.bottleneck.edge.conv.weight"])


def test_atrc_itself_is_no_baseline():
    names = published_shapes("atrc_hrnet18")
    assert not atrc_baselines.recognise({name: torch.empty(0) for name in names})
