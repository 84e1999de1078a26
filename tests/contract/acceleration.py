"""Comparison of a method with its accelerated network."""

from __future__ import annotations

import copy
from pkgutil import resolve_name
from statistics import median
from typing import Any

import torch
from scenes import build_method, predict, random_batch, total

from benchmark.contracts import Method
from benchmark.registry import ACCELERATE
from benchmark.tasks import NYUV2_TASKS
from benchmark.training.model import MultiTaskModel


def assert_the_same_when_accelerated(name: str, backbone: str) -> None:
    """The same parameter objects under the same names; equal predictions, losses and gradients.

    In float64 they are equal to eight digits. In float32, the accelerated network must be as close to the float64
    result as plain torch is. Batch normalisation then uses its running statistics: with the statistics of the batch,
    its gradient amplifies rounding errors. A ReLU whose input is zero up to rounding changes whole gradients on some
    batch of some processor, so one of three batches is enough.
    """
    fast = build_method(name, backbone=backbone)
    collect_statistics(fast)
    parameters, keys = list(fast.parameters()), list(fast.state_dict())
    plain = copy.deepcopy(fast)
    resolve_name(ACCELERATE)(fast)
    assert all(ours is theirs for ours, theirs in zip(fast.parameters(), parameters, strict=True))
    assert list(fast.state_dict()) == keys
    exact = outputs_and_gradients(plain, torch.float64)
    assert max(relative_errors(outputs_and_gradients(fast, torch.float64), exact).values()) < 1e-8
    assert any(is_as_exact(fast, plain, seed) for seed in range(3))


def is_as_exact(fast: Method, plain: Method, seed: int) -> bool:
    """True if accelerated float32 gradients are as exact as float32 gradients of plain torch, up to a factor of 3.

    Predictions must be close on every batch.
    """
    exact = outputs_and_gradients(plain, torch.float64, True, seed)
    single, plain_single = (
        relative_errors(outputs_and_gradients(network, torch.float32, True, seed), exact) for network in (fast, plain)
    )
    assert max(single[task] for task in NYUV2_TASKS) < 1e-4
    return all(of_all(single.values()) < 3 * of_all(plain_single.values()) + 1e-6 for of_all in (max, median))


def outputs_and_gradients(
    method: Method, dtype: torch.dtype, freeze: bool = False, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Predictions in eval mode, loss terms and gradients of a training step on one random batch, by name.

    Args:
        method: the network; it is as before afterwards.
        dtype: type of its weights.
        freeze: let batch normalisation use its running statistics in the step.
        seed: of the batch.
    """
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    model = MultiTaskModel(method.to(dtype), NYUV2_TASKS)
    batch = random_batch(NYUV2_TASKS, seed=seed)
    images = batch["images"].to(dtype, memory_format=torch.channels_last)
    predictions = predict(model, images)
    torch.manual_seed(1)
    model.train()
    for layer in batch_normalisations(model) if freeze else ():
        layer.eval()
    losses: dict[str, torch.Tensor] = model(images=images, targets=batch["targets"], mode="loss")
    loss = total(losses)
    if loss.requires_grad:
        loss.backward()
    gradients = {key: part.grad for key, part in model.named_parameters() if part.grad is not None}
    model.zero_grad()
    method.float().load_state_dict(before)
    return {name: values.detach() for name, values in {**predictions, **losses, **gradients}.items()}


def batch_normalisations(model: torch.nn.Module) -> list[Any]:
    """The layers of batch normalisation."""
    return [layer for layer in model.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]


def collect_statistics(method: Method) -> None:
    """Run a random batch in training mode, so that batch normalisation stores its mean and variance."""
    for layer in batch_normalisations(method):
        layer.momentum = 1.0
    with torch.no_grad():
        method.train()(random_batch(NYUV2_TASKS)["images"])


def relative_errors(values: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> dict[str, float]:
    """Norm of the difference over the norm of the exact tensor or 1e-3, whichever is larger, by name.

    The floor is for gradients that cancel to zero, such as the gradient of a shift before a batch normalisation.
    """
    assert list(values) == list(exact)
    return {
        key: float((values[key] - expected).norm() / expected.norm().clamp(min=1e-3)) for key, expected in exact.items()
    }
