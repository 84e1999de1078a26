"""PAD-Net against the public code: its state dict under the fill rule, imported, compared output by output."""

from __future__ import annotations

import pytest
import torch
from golden_models import compare, filled, golden_images, published_shapes, published_state
from torch import Tensor

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.published import pad_net
from mtl_methods.published.description import Published
from mtl_methods.published.importing import import_state
from mtl_methods.published.renaming import ImportRefusedError

RUN = "padnet_hrnet18"
PUBLISHED = {"boundary": "edge"}


def without_values(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A state dict of shapes alone."""
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def shipped(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The configuration as shipped: normals and edges are auxiliary tasks, without what makes a final prediction."""
    dropped = tuple(
        f"{part}.{task}."
        for part in ("heads", "multi_modal_distillation.self_attention")
        for task in ("normals", "edge")
    )
    return {name: shape for name, shape in shapes.items() if not name.startswith(dropped)}


@torch.no_grad()
def test_pad_net_reproduces_the_public_implementation():
    description, tasks, method = import_state("mtl_pytorch", published_state(RUN), NYUV2_TASKS, {})
    assert (description.method, description.backbone) == ("pad_net", "hrnet_w18_small_v2")
    assert list(tasks) == ["semseg", "normals", "boundary", "depth"]
    output = method(golden_images((1, 3, 96, 128)))
    final = {PUBLISHED.get(name, name): prediction for name, prediction in output.predictions.items()}
    initial = {f"initial_{PUBLISHED.get(part.task, part.task)}": part.prediction for part in output.auxiliary}
    compare(RUN, final | initial)


@torch.no_grad()
def test_auxiliary_tasks_of_the_shipped_configuration_come_from_their_initial_predictions():
    """The final predictions equal the ones of the file with all four tasks: their weights are the same."""
    names = shipped(published_shapes(RUN))
    description, _, method = import_state(
        "mtl_pytorch", {name: filled(name, shape) for name, shape in names.items()}, NYUV2_TASKS, {}
    )
    assert description.options == {"width": 256, "final_tasks": ["semseg", "depth"]}
    whole = import_state("mtl_pytorch", published_state(RUN), NYUV2_TASKS, {}).method
    images = golden_images((1, 3, 64, 64))
    output, expected = method(images), whole(images)
    for name in ("semseg", "depth"):
        torch.testing.assert_close(output.predictions[name], expected.predictions[name])
    initial = {part.task: part.prediction for part in expected.auxiliary}
    for name in ("normals", "boundary"):
        upsampled = torch.nn.functional.interpolate(initial[name], size=(64, 64), mode="bilinear")
        torch.testing.assert_close(output.predictions[name], upsampled)


def test_widths_channels_and_order_are_read_from_the_file():
    """The HRNet-48 trunk of another file, features of 128 channels, 21 classes, tasks in another order."""
    trunk = {
        f"backbone.0.{name.removeprefix('backbone.')}": shape
        for name, shape in published_shapes("mtinet_hrnet48").items()
        if name.startswith("backbone.")
    }
    change = {270: 720, 256: 128, 64: 32, 40: 21}
    own = {
        name: tuple(change.get(length, length) for length in shape)
        for name, shape in published_shapes(RUN).items()
        if not name.startswith("backbone.0.")
    }
    backwards = dict(reversed(own.items()))
    description = pad_net.describe(without_values(trunk | backwards))
    expected = {"depth": 1, "boundary": 1, "normals": 3, "semseg": 21}
    assert description == Published("pad_net", "hrnet_w48", expected, {"width": 128})
    assert list(description.channels) == list(expected)
    state = {name: torch.zeros(shape) for name, shape in (trunk | backwards).items()}
    assert list(import_state("mtl_pytorch", state, NYUV2_TASKS, {}).tasks) == list(expected)


@pytest.mark.parametrize(
    "name",
    [
        "backbone.0.stage3.1.fuse_layers.0.2.0.weight",
        "backbone.1.last_layer.0.bias",
        "initial_task_prediction_heads.layers.edge.1.conv2.weight",
        "initial_task_prediction_heads.conv_out.edge.bias",
        "heads.depth.2.weight",
    ],
)
def test_a_missing_tensor_is_refused_by_name(name: str):
    state = {key: torch.zeros(shape) for key, shape in published_shapes(RUN).items() if key != name}
    tail = name.split(".", 2)[-1].split(".", 1)[-1] if name.startswith("backbone.0") else name.rpartition(".")[2]
    with pytest.raises(ImportRefusedError, match=f"{tail}'"):
        import_state("mtl_pytorch", state, NYUV2_TASKS, {})


@pytest.mark.parametrize(
    "name",
    [
        "extra.weight",
        "backbone.0.incre_modules.0.weight",
        "heads.parts.2.bias",
        "initial_task_prediction_heads.layers.parts.0.conv1.weight",
        "multi_modal_distillation.self_attention.depth.depth.conv.weight",
    ],
)
def test_a_tensor_too_many_is_refused_by_name(name: str):
    state = {key: torch.zeros(shape) for key, shape in published_shapes(RUN).items()} | {name: torch.zeros(1)}
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("mtl_pytorch", state, NYUV2_TASKS, {})


@pytest.mark.parametrize(
    "name",
    [
        "initial_task_prediction_heads.conv_out.semseg.weight",
        "initial_task_prediction_heads.layers.normals.0.conv1.weight",
        "heads.edge.0.conv3.weight",
        "backbone.0.layer1.0.conv1.weight",
    ],
)
def test_a_transposed_tensor_is_refused_by_name(name: str):
    state = {key: torch.zeros(shape) for key, shape in published_shapes(RUN).items()}
    state[name] = state[name].transpose(0, 1)
    if state[name].shape == state[name].transpose(0, 1).shape:
        state[name] = state[name].reshape(-1, 1, 1, 1)
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("mtl_pytorch", state, NYUV2_TASKS, {})
