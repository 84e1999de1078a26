"""InvPT against the plain network of `plain_invpt`: other tasks, widths, sizes and weights than the golden run's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from golden_models import published_shapes
from plain_invpt import PlainInvPT
from torch import Tensor

from benchmark.contracts import MultiTaskOutput
from benchmark.tasks import STANDARD_TASKS
from mtl_methods._shared.backbones import Backbone
from mtl_methods._shared.backbones.vit import vit_with_class_token
from mtl_methods.accelerate import accelerate, linear_layers
from mtl_methods.invpt import InvPT
from mtl_methods.invpt import method as invpt_method
from mtl_methods.published import invpt
from mtl_methods.published.importing import import_state

NYUV2 = {"semseg": 40, "depth": 1, "normals": 3, "edge": 1}
PASCAL = {"semseg": 21, "human_parts": 7, "sal": 2, "normals": 3, "edge": 1}
SMALL = (48, 8, 3)
"""Channels, blocks and heads of a Vision Transformer that is registered nowhere."""

CASES = {
    "pascal": (PASCAL, (128, 128), {}),
    "another_order": ({"edge": 1, "depth": 1, "semseg": 40}, (64, 192), {}),
    "one_task": ({"normals": 3}, (128, 192), {}),
    "other_widths": ({"depth": 1, "semseg": 13}, (64, 128), {"task_width": 24, "width": 96, "heads": 4}),
    # As many patches as 128x192, which is what a file without a word on its grid is taken for.
    "portrait": ({"depth": 1, "edge": 1}, (192, 128), {}),
}


@pytest.fixture(autouse=True)
def _small_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    def small_backbone(name: str) -> Backbone:
        width, blocks, heads = SMALL
        return vit_with_class_token("vit_tiny_patch16_224", "scratch", depth=blocks, embed_dim=width, num_heads=heads)

    monkeypatch.setattr(invpt_method, "make_backbone", small_backbone)
    monkeypatch.setitem(invpt.BACKBONES, SMALL[:2], "small")
    monkeypatch.setitem(invpt.NUM_BLOCKS, "small", SMALL[1])


def plain_network(channels: Mapping[str, int], size: tuple[int, int], seed: int = 0, **options: int) -> PlainInvPT:
    """With weights and running statistics that leave nothing at its initial value."""
    torch.manual_seed(seed)
    network = PlainInvPT(channels, SMALL, size, **{"task_width": 32, "width": 64, **options})
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn_like(tensor))
    return network


def imported(plain: PlainInvPT, **options: float) -> InvPT:
    method = import_state("invpt", plain.state_dict(), STANDARD_TASKS, options).method
    assert isinstance(method, InvPT)
    return method


def by_public_names(output: MultiTaskOutput) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    names = {"boundary": "edge", "saliency": "sal"}
    preliminary = {names.get(own.task, own.task): own.prediction for own in output.auxiliary}
    return {names.get(name, name): maps for name, maps in output.predictions.items()}, preliminary


def random_images(size: tuple[int, int], batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_predictions_are_those_of_the_plain_network(case: str):
    """In float64, so that only the arithmetic is compared."""
    channels, size, options = CASES[case]
    plain = plain_network(channels, size, **options).eval()
    ours = imported(plain).double()
    images = random_images(size).double()
    final, preliminary = by_public_names(ours(images))
    expected, expected_preliminary = plain.double()(images)
    assert list(final) == list(channels)
    torch.testing.assert_close(final, expected)
    torch.testing.assert_close(preliminary, expected_preliminary)


@torch.no_grad()
def test_the_accelerated_network_equals_the_plain_network_in_single_precision(monkeypatch: pytest.MonkeyPatch):
    """To 1e-5 of an output's standard deviation, with every linear layer replaced."""
    monkeypatch.setattr(linear_layers, "MIN_PRODUCTS", 1)
    plain = plain_network(NYUV2, (128, 192)).eval()
    ours = imported(plain)
    accelerate(ours)
    final, _ = by_public_names(ours(random_images((128, 192))))
    for name, expected in plain(random_images((128, 192)))[0].items():
        torch.testing.assert_close(final[name], expected, rtol=0, atol=1e-5 * float(expected.std()))


def gradients(network: torch.nn.Module, outputs: tuple[dict[str, Tensor], dict[str, Tensor]]) -> dict[str, Tensor]:
    torch.stack([maps.square().mean() for part in outputs for maps in part.values()]).sum().backward()
    return {name: own.grad for name, own in network.named_parameters() if own.grad is not None}


def test_a_training_step_is_that_of_the_plain_network():
    """Gradients and running statistics, in float64, without skipping blocks: as state dicts that are imported."""
    plain = plain_network(NYUV2, (64, 128)).double()
    ours = imported(plain, drop_path=0.0).double().train()
    images = random_images((64, 128)).double()
    found = gradients(ours, by_public_names(ours(images)))
    expected = gradients(plain, plain.train()(images))
    state = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    after = imported(plain).state_dict()
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor.to(after[name].dtype), after[name], rtol=1e-5, atol=1e-6, msg=name)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items() if name not in expected}
    as_state = PlainInvPT(NYUV2, SMALL, (64, 128), task_width=32, width=64)
    as_state.load_state_dict({**zeros, **expected})
    carried = dict(imported(as_state).named_parameters())
    assert set(found) == set(carried)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient.float(), carried[name].detach(), rtol=1e-5, atol=1e-6, msg=name)


def test_parameters_without_effect_get_no_gradient_in_the_plain_network():
    """So leaving them out changes nothing."""
    plain = plain_network(NYUV2, (64, 64))
    found = gradients(plain, plain(random_images((64, 64))))
    left_out = invpt.without_effect(invpt.describe(plain.state_dict()), SMALL[0])
    assert {name for name, _ in plain.named_parameters()} - set(found) == set(left_out)


@pytest.mark.parametrize(("run", "encoder"), [("invpt_vitB_DERIVED", (768, 12, 12)), ("invpt_vitL", (1024, 24, 16))])
def test_the_plain_network_has_the_tensors_of_the_public_one(run: str, encoder: tuple[int, int, int]):
    with torch.device("meta"):
        plain = PlainInvPT(NYUV2, encoder, (448, 576))
    assert {name: tuple(own.shape) for name, own in plain.state_dict().items()} == published_shapes(run)
