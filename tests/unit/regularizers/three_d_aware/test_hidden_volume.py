"""Products and weighted sums of hidden vectors equal the same operations on the whole volume."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from regularizers.three_d_aware import cpu_kernels
from regularizers.three_d_aware.factored_mlp import AxisHidden, DenseHidden

BATCH, HEIGHT, WIDTH, SAMPLES, HIDDEN = 2, 5, 7, 6, 16
COMPILED, PLAIN = "compiled loops", "tensor operations"


@pytest.fixture(params=[COMPILED, PLAIN])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Compiled loops, and the tensor operations of a GPU or of an installation without numba."""
    if request.param == PLAIN:
        monkeypatch.setattr(cpu_kernels, "installed", lambda: False)
    return str(request.param)


@pytest.fixture
def threads() -> Iterator[None]:
    """Three threads for two images, whatever this machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def leaves(dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Planes of a head, weights of rays and a vector, with gradients."""
    torch.manual_seed(0)
    shapes = {
        "xy": (BATCH, HEIGHT, WIDTH, HIDDEN),
        "xz": (BATCH, WIDTH, SAMPLES, HIDDEN),
        "yz": (BATCH, HEIGHT, SAMPLES, HIDDEN),
        "weights": (BATCH, HEIGHT, WIDTH, SAMPLES),
        "vector": (HIDDEN,),
    }
    return {name: torch.randn(shape, dtype=dtype).requires_grad_() for name, shape in shapes.items()}


def whole_volume(made: dict[str, Tensor]) -> DenseHidden:
    """Hidden vectors as one volume in memory."""
    xy, xz, yz = made["xy"][:, :, :, None], made["xz"][:, None], made["yz"][:, :, None]
    return DenseHidden(torch.relu(xy + xz + yz))


def evaluate(hidden: AxisHidden | DenseHidden, made: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Results of both operations, and the gradients of their squares."""
    results = [hidden.composite(made["weights"]), hidden.project(made["vector"])]
    gradients = torch.autograd.grad(sum(result.square().sum() for result in results), list(made.values()))
    return results, list(gradients)


def factored(made: dict[str, Tensor], row_chunk: int | None = None) -> AxisHidden:
    return AxisHidden(made["xy"], made["xz"], made["yz"], row_chunk)


def assert_same(
    first: tuple[list[Tensor], list[Tensor]], second: tuple[list[Tensor], list[Tensor]], atol: float
) -> None:
    for some, others in zip(first, second, strict=True):
        for one, other in zip(some, others, strict=True):
            torch.testing.assert_close(one, other, rtol=atol, atol=atol)


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_results_and_gradients_equal_those_of_the_whole_volume(dtype: torch.dtype, tolerance: float) -> None:
    """The recomputation in the backward pass gives the gradients of plain autograd."""
    made = leaves(dtype)
    assert_same(evaluate(factored(made), made), evaluate(whole_volume(made), made), tolerance)


@pytest.mark.parametrize("row_chunk", [1, 2, 5, 9])
def test_chunks_of_rows_change_nothing(row_chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_kernels, "installed", lambda: False)
    made = leaves()
    assert_same(evaluate(factored(made, row_chunk), made), evaluate(factored(made, HEIGHT), made), 1e-13)


@pytest.mark.usefixtures("threads")
def test_threads_change_nothing() -> None:
    made = leaves()
    assert_same(evaluate(factored(made), made), evaluate(whole_volume(made), made), 1e-12)


def test_rows_are_independent_of_each_other() -> None:
    """A band of rows alone is bit-identical to these rows of the whole image."""
    made = {name: tensor.detach() for name, tensor in leaves(torch.float32).items()}
    whole = factored(made).composite(made["weights"])
    band = AxisHidden(made["xy"][:, 1:3], made["xz"], made["yz"][:, 1:3]).composite(made["weights"][:, 1:3])
    assert torch.equal(whole[:, 1:3], band)


@pytest.mark.usefixtures("implementation")
def test_nan_stays_nan() -> None:
    """Otherwise a run whose features have become NaN would seem to train."""
    made = {name: tensor.detach() for name, tensor in leaves().items()}
    made["xy"][0, 0, 0, 3] = float("nan")
    hidden = factored(made)
    assert hidden.composite(made["weights"])[0, 0, 0, 3].isnan()
    assert hidden.project(made["vector"])[0, 0, 0].isnan().all()


@pytest.mark.usefixtures("implementation")
def test_gradients_are_those_of_finite_differences() -> None:
    made = leaves()
    small = {name: tensor.detach()[:1, :2, :2] if tensor.ndim > 1 else tensor.detach() for name, tensor in made.items()}
    small["weights"] = small["weights"][..., :3]
    small["xz"], small["yz"] = made["xz"].detach()[:1, :2, :3], made["yz"].detach()[:1, :2, :3]
    planes = [small[name].clone().requires_grad_() for name in ("xy", "xz", "yz")]
    weights, vector = small["weights"].clone().requires_grad_(), small["vector"].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, c, w: AxisHidden(a, b, c).composite(w), (*planes, weights))
    assert torch.autograd.gradcheck(lambda a, b, c, v: AxisHidden(a, b, c).project(v), (*planes, vector))


def test_other_precisions_use_tensor_operations() -> None:
    made = {name: tensor.detach().bfloat16() for name, tensor in leaves().items()}
    assert not cpu_kernels.usable(*made.values())
    assert factored(made).composite(made["weights"]).dtype == torch.bfloat16


def test_planes_in_any_layout_are_read_right() -> None:
    made = leaves()
    turned = {name: tensor.transpose(0, -1).contiguous().transpose(0, -1) for name, tensor in made.items()}
    results = factored(turned).composite(turned["weights"])
    torch.testing.assert_close(results, whole_volume(made).composite(made["weights"]))
