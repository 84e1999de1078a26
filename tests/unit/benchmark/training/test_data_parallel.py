"""Training on several devices, with the exchange between the processes replaced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import torch
from timm.layers import DropPath
from torch import Tensor, nn

from benchmark.contracts import Regularizer
from benchmark.tasks import DEPTH, TaskSet
from benchmark.training import data_parallel, whole_batch_layers
from benchmark.training.data_parallel import TIMEOUT, Devices, SummedDataParallel, send_from_first, unwrapped
from benchmark.training.whole_batch_layers import use_whole_batch


def wrapped(module: nn.Module) -> SummedDataParallel:
    """A module in its wrapper, without a process group."""
    found = SummedDataParallel.__new__(SummedDataParallel)
    nn.Module.__init__(found)
    found.module = module
    return found


def layers(number: int) -> nn.ModuleDict:
    """A model of some layers without bias."""
    return nn.ModuleDict({"model": nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(number)))})


def test_the_first_of_the_devices_writes() -> None:
    assert [Devices(3, index).writes for index in range(3)] == [True, False, False]
    assert Devices().writes


def test_a_device_waits_an_hour_for_another() -> None:
    """Longer than the first one needs to save a state to a slow disk."""
    assert timedelta(hours=1) == TIMEOUT


@pytest.mark.parametrize(("number", "more"), [(8, ""), (9, " and 1 more"), (11, " and 3 more")])
def test_eight_parameters_without_a_gradient_are_named_and_the_others_counted(number: int, more: str) -> None:
    names = ", ".join(f"model.{place}.weight" for place in range(8))
    with pytest.raises(RuntimeError, match=f"^no gradient reached {names}{more}; on several devices"):
        wrapped(layers(number)).complete_gradients()


def test_gradients_of_the_regularizer_are_summed_where_it_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen parameters need no gradient, and DDP has already summed the gradients of the model."""
    monkeypatch.setattr(data_parallel.dist, "all_reduce", lambda gradient: gradient.mul_(2))
    module = layers(2)
    module["regularizer"] = nn.Linear(1, 1)
    module["model"][1].weight.requires_grad_(False)
    module["model"][0].weight.grad = torch.ones(1, 1)
    module["regularizer"].bias.grad = torch.ones(1)
    wrapped(module).complete_gradients()
    assert module["model"][0].weight.grad.item() == 1
    assert module["regularizer"].bias.grad.item() == 2
    assert module["regularizer"].weight.grad is None


def test_parameters_and_buffers_are_sent_from_the_first_device(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[tuple[int, ...], int]] = []

    def broadcast(tensor: Tensor, src: int) -> None:
        sent.append((tuple(tensor.shape), src))

    monkeypatch.setattr(data_parallel.dist, "broadcast", broadcast)
    norm: Any = nn.BatchNorm1d(3)
    send_from_first(norm)
    assert sent == [], "one device has nothing to send"
    monkeypatch.setattr(data_parallel, "devices_here", lambda: Devices(2))
    send_from_first(norm)
    assert sent == [((3,), 0)] * 4 + [((), 0)], "weight, bias, mean, variance and the number of batches"


def test_the_wrapper_is_taken_off() -> None:
    module = layers(1)
    assert unwrapped(wrapped(module)) is module
    assert unwrapped(module) is module


def test_layers_that_see_the_whole_batch_replace_those_of_one_device() -> None:
    """Also of regularizers that are computed by parts; another regularizer receives the whole batch itself."""

    class Part(Regularizer):
        def __init__(self, by_parts: bool) -> None:
            super().__init__(TaskSet([DEPTH]), ())
            self.by_parts, self.norm = by_parts, nn.BatchNorm2d(2)

        def forward(self, batch: Any, output: Any) -> dict[str, Tensor]:
            return {}

    plain = [nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.BatchNorm3d(2), nn.Dropout(), nn.Dropout2d(), DropPath(0.5)]
    module = nn.Sequential(*plain, Part(by_parts=True), Part(by_parts=False))
    use_whole_batch(module)
    assert [type(layer).__name__ for layer in module[:6]] == [
        *["SynchronisedNorm"] * 3,
        "WholeBatchDropout",
        "WholeBatchChannelDropout",
        "WholeBatchDropPath",
    ]
    assert [type(part.norm).__name__ for part in module[6:]] == ["SynchronisedNorm", "BatchNorm2d"]


@pytest.mark.parametrize(("scaled", "kept"), [(True, 2.0), (False, 1.0)])
def test_kept_paths_are_scaled_if_the_layer_says_so(scaled: bool, kept: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_batch_layers, "num_parts", lambda: 2)
    monkeypatch.setattr(whole_batch_layers, "random_rows", lambda shape, draw: draw(shape))
    module = nn.Sequential(DropPath(0.5, scale_by_keep=scaled))
    use_whole_batch(module)
    torch.manual_seed(0)
    assert module(torch.ones(64, 3)).unique().tolist() == [0.0, kept]


def test_a_layer_that_drops_nothing_takes_no_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in torch and timm: later layers then draw the same random numbers as on one device."""
    monkeypatch.setattr(whole_batch_layers, "num_parts", lambda: 2)
    module = nn.Sequential(nn.Dropout(0.0), nn.Dropout2d(0.0), DropPath(0.0))
    use_whole_batch(module)
    before, maps = torch.get_rng_state(), torch.ones(2, 3, 4, 4)
    assert torch.equal(module(maps), maps)
    assert torch.equal(torch.get_rng_state(), before)
