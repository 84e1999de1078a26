"""Cross-stitch networks against the public code: the state dict under the fill rule, imported, compared."""

from __future__ import annotations

import pytest
import torch
from golden_models import compare, golden_images, published_shapes, published_state
from torch.utils.flop_counter import FlopCounterMode

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.cross_stitch import CrossStitch
from mtl_methods.published import cross_stitch as published
from mtl_methods.published.renaming import ImportRefusedError, translate

RUN = "cross_stitch_r50"
ORDER = ["semseg", "normals", "boundary", "depth"]
TASKS = type(NYUV2_TASKS)(NYUV2_TASKS[name] for name in ORDER)


@torch.no_grad()
def test_cross_stitch_reproduces_the_public_implementation():
    state = published_state(RUN)
    description = published.describe(state)
    assert published.recognise(state)
    assert (description.method, description.backbone) == ("cross_stitch", "resnet50_dilated")
    assert list(description.channels.items()) == [(name, TASKS[name].channels) for name in ORDER]
    with torch.device("meta"):
        method = CrossStitch(TASKS, description.backbone, **description.options).eval()
    method.load_state_dict(translate(state, published.rules(description), method.state_dict()), assign=True)
    predictions = method(golden_images((1, 3, 96, 128))).predictions
    compare(RUN, {"edge" if name == "boundary" else name: maps for name, maps in predictions.items()})


def test_a_missing_unit_is_refused_by_name():
    state = {name: torch.empty(shape, device="meta") for name, shape in published_shapes(RUN).items()}
    del state["cross_stitch.layer3.cross_stitch_unit.edge.depth.param"]
    description = published.describe(state)
    with torch.device("meta"):
        method = CrossStitch(TASKS, description.backbone, **description.options)
    with pytest.raises(ImportRefusedError, match=r"layer3\.cross_stitch_unit\.edge\.depth\.param"):
        translate(state, published.rules(description), method.state_dict())


def test_size_is_that_of_the_public_implementation():
    """158,606,893 parameters, 1533.461 GFLOPs at 480x640, in ../shared/specs/checkpoints.md."""
    with torch.device("meta"), torch.no_grad():
        method = CrossStitch(NYUV2_TASKS, "resnet50_dilated").eval()
        with FlopCounterMode(display=False) as counter:
            method(torch.empty(1, 3, 480, 640))
    assert sum(parameter.numel() for parameter in method.parameters()) == 158_606_893
    assert counter.get_total_flops() / 1e9 == pytest.approx(1533.461, rel=0.005)
