"""MTI-Net against the public code: its state dict under the fill rule, imported, compared output by output."""

from __future__ import annotations

import pytest
import torch
from golden_models import compare, filled, golden_images, published_shapes, published_state
from torch import Tensor

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.published import mti_net
from mtl_methods.published.description import Published
from mtl_methods.published.importing import import_state
from mtl_methods.published.renaming import ImportRefusedError

RUN = "mtinet_hrnet18"
PUBLISHED = {"boundary": "edge"}


def zeros(run: str = RUN) -> dict[str, Tensor]:
    """A public state dict whose values do not matter."""
    return {name: torch.zeros(shape) for name, shape in published_shapes(run).items()}


@torch.no_grad()
def test_mti_net_reproduces_the_public_implementation():
    description, tasks, method = import_state("mtl_pytorch", published_state(RUN), NYUV2_TASKS, {})
    assert (description.method, description.backbone) == ("mti_net", "hrnet_w18_small_v2")
    assert list(tasks) == ["semseg", "normals", "boundary", "depth"]
    output = method(golden_images((1, 3, 96, 128)))
    final = {PUBLISHED.get(name, name): prediction for name, prediction in output.predictions.items()}
    initial = {
        f"deep_supervision/{part.name}/{PUBLISHED.get(part.task, part.task)}": part.prediction
        for part in output.auxiliary
    }
    compare(RUN, final | initial)


@torch.no_grad()
def test_auxiliary_tasks_of_the_shipped_configuration_come_from_their_finest_initial_predictions():
    """The final predictions equal the ones of the file with all four tasks: their weights are the same."""
    dropped = tuple(
        f"{part}.{task}."
        for part in ("heads", *(f"distillation_scale_{scale}.self_attention" for scale in range(4)))
        for task in ("normals", "edge")
    )
    names = {name: shape for name, shape in published_shapes(RUN).items() if not name.startswith(dropped)}
    description, _, method = import_state(
        "mtl_pytorch", {name: filled(name, shape) for name, shape in names.items()}, NYUV2_TASKS, {}
    )
    assert description.options == {"final_tasks": ["semseg", "depth"]}
    whole = import_state("mtl_pytorch", published_state(RUN), NYUV2_TASKS, {}).method
    images = golden_images((1, 3, 64, 64))
    output, expected = method(images), whole(images)
    for name in ("semseg", "depth"):
        torch.testing.assert_close(output.predictions[name], expected.predictions[name])
    initial = {part.task: part.prediction for part in expected.auxiliary if part.name == "scale_0"}
    for name in ("normals", "boundary"):
        upsampled = torch.nn.functional.interpolate(initial[name], size=(64, 64), mode="bilinear")
        torch.testing.assert_close(output.predictions[name], upsampled)


@torch.no_grad()
def test_the_order_of_the_tasks_is_that_of_the_file():
    """The propagation concatenates them, so weights in another order give another network."""
    state = published_state(RUN)
    moved = {name: tensor for name, tensor in state.items() if ".depth." in name}
    moved |= {name: tensor for name, tensor in state.items() if name not in moved}
    images = golden_images((1, 3, 64, 64))
    first, second = (import_state("mtl_pytorch", each, NYUV2_TASKS, {}) for each in (state, moved))
    assert list(second.tasks) == ["depth", "semseg", "normals", "boundary"]
    difference = first.method(images).predictions["semseg"] - second.method(images).predictions["semseg"]
    assert difference.abs().max() > 0.01


def test_a_wider_trunk_other_channels_and_fewer_tasks_are_read_from_the_file():
    names = published_shapes("mtinet_hrnet48")
    shapes = {name: tuple(21 if length == 40 else length for length in shape) for name, shape in names.items()}
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    expected = {"semseg": 21, "normals": 3, "boundary": 1, "depth": 1}
    assert mti_net.describe(state) == Published("mti_net", "hrnet_w48", expected, {})


@pytest.mark.slow
def test_hrnet_48_is_imported_whole():
    description, _, method = import_state("mtl_pytorch", zeros("mtinet_hrnet48"), NYUV2_TASKS, {})
    assert description.backbone == "hrnet_w48"
    assert sum(parameter.numel() for parameter in method.parameters()) == 165_402_153


@pytest.mark.parametrize(
    "name",
    [
        "fpm_scale_2.se.edge.squeeze.2.bias",
        "scale_0.decoders.edge.bias",
        "distillation_scale_3.self_attention.depth.edge.conv.weight",
        "backbone.stage4.0.branches.0.0.bn1.weight",
    ],
)
def test_a_missing_tensor_is_refused_by_name(name: str):
    state = zeros()
    del state[name]
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("mtl_pytorch", state, NYUV2_TASKS, {})


@pytest.mark.parametrize("name", ["fpm_scale_4.non_linear.0.bn1.bias", "scale_1.refinement.parts.0.bn1.bias", "x"])
def test_a_tensor_too_many_is_refused_by_name(name: str):
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("mtl_pytorch", zeros() | {name: torch.zeros(1)}, NYUV2_TASKS, {})


@pytest.mark.parametrize(
    "name",
    ["scale_0.decoders.semseg.weight", "fpm_scale_1.se.depth.squeeze.0.weight", "heads.edge.last_layer.3.weight"],
)
def test_a_transposed_tensor_is_refused_by_name(name: str):
    state = zeros()
    state[name] = state[name].transpose(0, 1)
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("mtl_pytorch", state, NYUV2_TASKS, {})
