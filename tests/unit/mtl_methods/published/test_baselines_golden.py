"""Single-task and multi-task baselines against the public code: imported, compared, counted."""

from __future__ import annotations

import pytest
import torch
from golden_models import compare, golden_images, published_shapes, published_state
from torch.utils.flop_counter import FlopCounterMode

from benchmark.registry import METHODS
from benchmark.tasks import NYUV2_TASKS, TaskSet
from mtl_methods.published import baselines
from mtl_methods.published.description import Published
from mtl_methods.published.renaming import ImportRefusedError, translate


def tasks_of(description: Published) -> TaskSet:
    return TaskSet(NYUV2_TASKS[name] for name in description.channels)


@pytest.mark.parametrize(
    ("run", "method", "backbone"),
    [
        ("stl_hrnet18_semseg", "single_task", "hrnet_w18_small_v2"),
        ("mtl_hrnet18", "hard_sharing", "hrnet_w18_small_v2"),
        ("mtl_r50", "hard_sharing", "resnet50_dilated"),
    ],
)
@torch.no_grad()
def test_baselines_reproduce_the_public_implementation(run: str, method: str, backbone: str):
    state = published_state(run)
    description = baselines.describe(state)
    assert baselines.recognise(state)
    assert (description.method, description.backbone) == (method, backbone)
    with torch.device("meta"):
        network = METHODS.create(method, tasks_of(description), backbone, **description.options).eval()
    network.load_state_dict(translate(state, baselines.rules(description), network.state_dict()), assign=True)
    predictions = network(golden_images((1, 3, 96, 128))).predictions
    compare(run, {"edge" if name == "boundary" else name: maps for name, maps in predictions.items()})


def test_single_resnet_is_read_too():
    """Every tensor of the public file finds its place."""
    shapes = published_shapes("stl_r50_semseg")
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    description = baselines.describe(state)
    assert description == Published("single_task", "resnet50_dilated", {"semseg": 40}, {"head": "deeplab"})
    with torch.device("meta"):
        network = METHODS.create("single_task", tasks_of(description), "resnet50_dilated", **description.options)
    assert len(translate(state, baselines.rules(description), network.state_dict())) == len(state)


def test_network_of_one_channel_is_refused_with_the_remedy():
    """It may be of depth or of boundaries."""
    state = published_state("stl_hrnet18_semseg")
    for name in ("decoder.last_layer.3.weight", "decoder.last_layer.3.bias"):
        state[name] = state[name][:1]
    with pytest.raises(ImportRefusedError, match=r"depth or boundaries.*decoders\.depth"):
        baselines.describe(state)
    renamed = {name.replace("decoder.", "decoders.edge."): tensor for name, tensor in state.items()}
    assert dict(baselines.describe(renamed).channels) == {"boundary": 1}


ALL = list(NYUV2_TASKS)
# Parameters and GFLOPs at the stated size, counted from the public code: ../shared/specs/checkpoints.md.
SIZES = [
    ("single_task", "hrnet_w18_small_v2", "hrnet", ["semseg"], (480, 640), 3_945_270, 22.734),
    ("single_task", "resnet50_dilated", "deeplab", ["semseg"], (480, 640), 39_643_752, 383.436),
    ("single_task", "resnet50_dilated", "deeplab", ["depth"], (480, 640), 39_633_729, 383.340),
    ("single_task", "resnet50_dilated", "deeplab", ["normals"], (480, 640), 39_634_243, 383.345),
    ("hard_sharing", "hrnet_w18_small_v2", "hrnet", ALL, (480, 640), 4_167_755, 31.184),
    ("hard_sharing", "resnet50_dilated", "deeplab", ALL, (480, 640), 88_021_357, 832.661),
    ("hard_sharing", "hrnet_w18_small_v2", "fcn", ALL, (425, 560), 4_515_556, 34.951),
]
FURTHER_SIZES = [
    ("single_task", "hrnet_w18_small_v2", "hrnet", ["depth"], (480, 640), 3_934_701, 22.330),
    ("single_task", "hrnet_w18_small_v2", "hrnet", ["normals"], (480, 640), 3_935_243, 22.351),
    ("single_task", "hrnet_w18_small_v2", "hrnet", ["boundary"], (480, 640), 3_934_701, 22.330),
    ("single_task", "hrnet_w18_small_v2", "fcn", ["semseg"], (480, 640), 4_026_384, 25.875),
    ("hard_sharing", "hrnet_w18_small_v2", "fcn", ALL, (480, 640), 4_515_556, 44.644),
    ("hard_sharing", "hrnet_w48", "fcn", ALL, (480, 640), 70_000_305, 378.036),
    ("hard_sharing", "hrnet_w48", "fcn", ALL, (425, 560), 70_000_305, 297.046),
]
"""HRNets again, with other tasks, heads and widths: each takes seconds on the meta device."""


@pytest.mark.parametrize(
    ("method", "backbone", "head", "tasks", "size", "parameters", "gflops"),
    [*SIZES, *(pytest.param(*values, marks=pytest.mark.slow) for values in FURTHER_SIZES)],
)
def test_size_is_that_of_the_public_implementation(
    method: str, backbone: str, head: str, tasks: list[str], size: tuple[int, int], parameters: int, gflops: float
):
    with torch.device("meta"), torch.no_grad():
        network = METHODS.create(method, NYUV2_TASKS.select(tasks), backbone, head=head).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, *size))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflops, rel=0.005)
