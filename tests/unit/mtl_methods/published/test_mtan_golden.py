"""MTAN against the public code: its state dict under the fill rule, imported, compared output by output."""

from __future__ import annotations

import pytest
import torch
from golden_models import compare, golden_images, published_shapes, published_state
from torch.utils.flop_counter import FlopCounterMode

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.mtan import MTAN
from mtl_methods.published import mtan as published
from mtl_methods.published.renaming import ImportRefusedError, translate

RUN = "mtan_r50"
ORDER = ["semseg", "normals", "boundary", "depth"]
TASKS = type(NYUV2_TASKS)(NYUV2_TASKS[name] for name in ORDER)


@torch.no_grad()
def test_mtan_reproduces_the_public_implementation():
    state = published_state(RUN)
    description = published.describe(state)
    assert published.recognise(state)
    assert (description.method, description.backbone) == ("mtan", "resnet50_dilated")
    assert dict(description.channels) == {name: TASKS[name].channels for name in ORDER}
    assert list(description.channels) == ORDER
    with torch.device("meta"):
        method = MTAN(TASKS, description.backbone, **description.options).eval()
    method.load_state_dict(translate(state, published.rules(description), method.state_dict()), assign=True)
    predictions = method(golden_images((1, 3, 96, 128))).predictions
    compare(RUN, {"edge" if name == "boundary" else name: maps for name, maps in predictions.items()})


def test_a_transposed_tensor_is_refused_by_name():
    state = {name: torch.empty(shape, device="meta") for name, shape in published_shapes(RUN).items()}
    name = "attention_2.edge.0.weight"
    state[name] = state[name].transpose(0, 1)
    description = published.describe(state)
    with torch.device("meta"):
        method = MTAN(TASKS, description.backbone, **description.options)
    with pytest.raises(ImportRefusedError, match=r"attention_2\.edge\.0\.weight"):
        translate(state, published.rules(description), method.state_dict())


def test_size_is_that_of_the_public_implementation():
    """112,656,493 parameters, 1343.527 GFLOPs at 480x640, in ../shared/specs/checkpoints.md."""
    with torch.device("meta"), torch.no_grad():
        method = MTAN(NYUV2_TASKS, "resnet50_dilated").eval()
        with FlopCounterMode(display=False) as counter:
            method(torch.empty(1, 3, 480, 640))
    assert sum(parameter.numel() for parameter in method.parameters()) == 112_656_493
    assert counter.get_total_flops() / 1e9 == pytest.approx(1343.527, rel=0.005)
