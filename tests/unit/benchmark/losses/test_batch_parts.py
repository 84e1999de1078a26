"""Two processes with half of a batch each, against one process with the whole batch."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from timm.layers import DropPath
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from benchmark.losses import LOSSES
from benchmark.losses.batch_parts import (
    gather_rows,
    num_parts,
    own_rows,
    random_rows,
    share,
    split_batch,
    sum_over_parts,
    whole_batch,
)
from benchmark.losses.registry import Losses
from benchmark.training.data_parallel import SummedDataParallel, send_from_first
from benchmark.training.whole_batch_layers import use_whole_batch

PARTS = 2
LABELLED = {
    "cross_entropy": (7, "classes", {}),
    "l1": (1, "values", {}),
    "depth_bin_cross_entropy": (5, "values", {}),
    "normals_l1": (3, "vectors", {"divisor": "components"}),
    "normals_l2": (3, "vectors", {"divisor": "pixels"}),
    "normals_cosine": (3, "vectors", {}),
    "normals_cluster_cross_entropy": (2, "vectors", {"centroids": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))}),
    "bce": (1, "boundaries", {}),
    "boundary_cross_entropy": (2, "boundaries", {"positive_weight": 0.8}),
    "balanced_cross_entropy": (2, "boundaries", {"positive_weight": None}),
}
BOUNDARY_DIVISORS = ("labelled", "pixels", "images")
own_losses = Losses()


@own_losses.register("of_a_user")
def of_a_user(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """A loss that is no mean over images: the largest error, and a mean over its own valid pixels."""
    error = (prediction - target).abs() * valid[:, None]
    return error.amax() + error.sum() / valid.sum()


def batch_of(channels: int, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and valid pixels of four images; the first two have far fewer valid pixels."""
    torch.manual_seed(3)
    prediction = torch.randn(4, channels, 5, 6, dtype=torch.float64)
    targets = {
        "classes": torch.randint(0, channels, (4, 5, 6)),
        "values": 1 + 8 * torch.rand(4, 1, 5, 6, dtype=torch.float64),
        "vectors": nn.functional.normalize(torch.randn(4, 3, 5, 6, dtype=torch.float64), dim=1),
        "boundaries": (torch.rand(4, 1, 5, 6) < 0.3).double(),
    }
    valid = torch.rand(4, 5, 6) < torch.tensor([0.1, 0.2, 0.9, 1.0])[:, None, None]
    return prediction, targets[kind], valid


def loss_values() -> dict[str, Any]:
    """Sum of the shares and the gradient of this part, by loss."""
    cases: dict[str, tuple[Callable[..., Tensor], int, str, dict[str, Any]]] = {
        name: (LOSSES[name], *case) for name, case in LABELLED.items()
    }
    for divisor in BOUNDARY_DIVISORS:
        options = {"positive_weight": None, "divisor": divisor}
        cases[f"balanced_bce {divisor}"] = (LOSSES["balanced_bce"], 1, "boundaries", options)
    cases["of_a_user"] = (own_losses["of_a_user"], 1, "values", {})
    found = {}
    for name, (loss, channels, kind, options) in cases.items():
        prediction, target, valid = (own_rows(tensor) for tensor in batch_of(channels, kind))
        prediction.requires_grad_()
        value = loss(prediction, target, valid, **options)
        (gradient,) = torch.autograd.grad(value, prediction)
        found[name] = (sum_over_parts(value.detach()), gather_rows(gradient))
    return found


def layers() -> nn.Sequential:
    """Batch normalisation in three forms between convolutions, dropout in three."""
    torch.manual_seed(5)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.Dropout(0.3),
        BatchNormAct2d(6, momentum=0.2),
        nn.Conv2d(6, 4, 1),
        nn.Dropout2d(0.4),
        nn.BatchNorm2d(4, affine=False, momentum=None),
        DropPath(0.3),
    )
    return network.double()


def network_values() -> dict[str, Any]:
    """Output, gradients and buffers of `layers` after two steps."""
    network = layers()
    use_whole_batch(network)
    torch.manual_seed(11)
    images = torch.randn(4, 3, 8, 9, dtype=torch.float64)
    torch.manual_seed(7)
    for _ in range(2):
        part = own_rows(images).clone().requires_grad_()
        output = network(part)
        (output * own_rows(images)[:, :1, 1:-1, 1:-1]).square().sum().backward()
    gradients = {name: sum_over_parts(weight.grad) for name, weight in network.named_parameters()}
    return {
        "output": gather_rows(output.detach()),
        "images": gather_rows(part.grad),
        **gradients,
        **dict(network.named_buffers()),
        "next random number": torch.rand(1),
    }


def other_values() -> dict[str, Any]:
    """Values of the functions of `batch_parts` themselves."""
    rows = own_rows(torch.arange(4.0)).requires_grad_()
    whole = gather_rows(rows)
    # Each part adds its share of a value of the whole batch, whose gradient is 2 x.
    share(whole.square().sum()).backward()
    torch.manual_seed(1)
    with whole_batch():
        parts = num_parts()
    return {
        "whole": whole.detach(),
        "gradient": gather_rows(rows.grad),
        "random": gather_rows(random_rows((4 // num_parts(), 3))),
        "mask": gather_rows(own_rows(torch.tensor([True, False, False, True]))),
        "parts within whole_batch": torch.tensor(parts),
    }


def all_values() -> dict[str, Any]:
    return {"losses": loss_values(), "network": network_values(), "others": other_values()}


class Training(nn.Module):
    """A model with a layer that is not used, and weights of a regularizer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.ModuleDict({"used": nn.Linear(3, 1), "unused": nn.Linear(3, 1)})
        self.regularizer = nn.ModuleDict({"used": nn.Linear(3, 1), "of_other_steps": nn.Linear(3, 1)})

    def forward(self, rows: Tensor) -> Tensor:
        """(B, 3) -> scalar."""
        return self.model["used"](rows).sum() + self.regularizer["used"](rows).sum()


def parallel_values() -> dict[str, Any]:
    """Gradients of `Training` on two processes, and the error for its unused layer."""
    module = SummedDataParallel(Training())
    module(own_rows(torch.arange(12.0).view(4, 3))).backward()
    try:
        module.complete_gradients()
    except RuntimeError as error:
        text = str(error)
    frozen = Training()
    frozen.model["unused"].requires_grad_(False)
    module = SummedDataParallel(frozen)
    module(own_rows(torch.arange(12.0).view(4, 3))).backward()
    module.complete_gradients()
    torch.manual_seed(dist.get_rank())
    sent = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    send_from_first(sent)
    return {
        "error": text,
        "sent": sent.weight.detach(),
        "gradients": {name: weight.grad for name, weight in frozen.named_parameters()},
    }


def part(index: int, folder: Path) -> None:
    """Write the values of one of two processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=index, world_size=PARTS)
    with split_batch():
        values = all_values() | parallel_values()
    (folder / f"{index}.pkl").write_bytes(pickle.dumps(values))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_parts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Values of two processes, each with two of four images."""
    folder = tmp_path_factory.mktemp("parts")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=part, args=(index, folder)) for index in range(PARTS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    return [pickle.loads((folder / f"{index}.pkl").read_bytes()) for index in range(PARTS)]


@pytest.fixture(scope="module")
def of_whole() -> dict[str, Any]:
    """Values of one process with four images."""
    return all_values()


def test_shares_of_a_loss_sum_to_the_loss_of_the_batch_although_parts_have_unequal_valid_pixels(
    of_parts: list[dict[str, Any]], of_whole: dict[str, Any]
) -> None:
    for name, (value, gradient) in of_whole["losses"].items():
        for found in of_parts:
            torch.testing.assert_close(found["losses"][name][0], value, msg=f"{name}: the losses differ")
            torch.testing.assert_close(found["losses"][name][1], gradient, msg=f"{name}: the gradients differ")


def test_layers_compute_what_they_would_on_the_whole_batch(
    of_parts: list[dict[str, Any]], of_whole: dict[str, Any]
) -> None:
    plain = layers()
    assert len(of_whole["network"]) > len(list(plain.parameters()))
    for name, expected in of_whole["network"].items():
        for found in of_parts:
            torch.testing.assert_close(found["network"][name], expected, msg=lambda text, name=name: f"{name}: {text}")


def test_rows_random_numbers_and_gradients_are_those_of_the_whole_batch(
    of_parts: list[dict[str, Any]], of_whole: dict[str, Any]
) -> None:
    assert of_whole["others"]["gradient"].tolist() == [0, 2, 4, 6]
    for found in of_parts:
        for name, expected in of_whole["others"].items():
            assert torch.equal(found["others"][name], expected), name


def test_gradients_are_sums_over_devices_and_a_regularizer_may_leave_weights_out(
    of_parts: list[dict[str, Any]],
) -> None:
    """The rows sum to (18, 22, 26); DDP alone would give their half."""
    for found in of_parts:
        for part_name in ("model.used", "regularizer.used"):
            assert found["gradients"][f"{part_name}.weight"].tolist() == [[18, 22, 26]]
            assert found["gradients"][f"{part_name}.bias"].tolist() == [4]
        assert found["gradients"]["regularizer.of_other_steps.weight"] is None


def test_weights_of_the_first_device_are_sent_to_all(of_parts: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    assert all(torch.equal(found["sent"], nn.Conv2d(2, 3, 3).weight) for found in [of_parts[0]])
    assert torch.equal(of_parts[0]["sent"], of_parts[1]["sent"])


def test_parameters_without_a_gradient_are_named(of_parts: list[dict[str, Any]]) -> None:
    for found in of_parts:
        assert found["error"].startswith("no gradient reached model.unused.weight, model.unused.bias; on several")


def test_layers_of_one_process_are_unchanged() -> None:
    images = torch.randn(4, 3, 8, 9, dtype=torch.float64)
    plain, replaced = layers(), layers()
    use_whole_batch(replaced)
    outputs = []
    for network in (plain, replaced):
        torch.manual_seed(2)
        outputs.append(network(images))
    assert torch.equal(*outputs)
    assert plain.state_dict().keys() == replaced.state_dict().keys()


def test_an_unknown_batch_normalisation_is_refused_by_name() -> None:
    class OwnNorm(nn.BatchNorm2d):
        pass

    with pytest.raises(ValueError, match=r"heads\.0: batch normalisation of class OwnNorm is not known"):
        use_whole_batch(nn.ModuleDict({"heads": nn.Sequential(OwnNorm(3))}))
