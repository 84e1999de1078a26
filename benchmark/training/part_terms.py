"""Terms of a regularizer and logged values, if a batch is split over devices (`benchmark.losses.batch_parts`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from benchmark.contracts import Batch, MultiTaskOutput, Regularizer
from benchmark.losses.batch_parts import gather_rows, num_parts, own_rows, share, sum_over_parts, whole_batch


def share_of_terms(regularizer: Regularizer, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
    """Shares of this part in the terms of a regularizer; the terms themselves for a batch that is not split."""
    if num_parts() == 1 or regularizer.by_parts:
        return regularizer(batch, output)
    whole = cast(Batch, _gathered({name: value for name, value in batch.items() if name != "name"}))
    gathered = _gathered_output(output)
    with whole_batch():
        terms: dict[str, Tensor] = regularizer(whole, gathered)
    return {name: share(term) for name, term in terms.items()}


def change_rows(regularizer: Regularizer, position: int, features: Tensor) -> Tensor:
    """Apply `Regularizer.change` to the rows of this part; a regularizer without `by_parts` gets the whole batch."""
    if num_parts() == 1 or regularizer.by_parts:
        return regularizer.change(position, features)
    whole = gather_rows(features)
    with whole_batch():
        changed = regularizer.change(position, whole)
    return own_rows(changed)


def over_parts(values: Mapping[str, Tensor], summed: str) -> dict[str, Tensor]:
    """Logged scalars of the whole batch: sums over the parts for names that begin with `summed`, else means.

    All values are exchanged at once.
    """
    if num_parts() == 1 or not values:
        return dict(values)
    device = next(value.device for name, value in values.items() if name.startswith(summed))
    own = torch.stack([value.detach().to(device, torch.float64) for value in values.values()])
    totals = sum_over_parts(own)
    return {
        name: (total if name.startswith(summed) else total / num_parts()).to(values[name].dtype)
        for name, total in zip(values, totals, strict=True)
    }


def _gathered_output(output: MultiTaskOutput) -> MultiTaskOutput:
    return replace(
        output,
        predictions=_gathered(output.predictions),
        features=_gathered(output.features),
        auxiliary=tuple(replace(part, prediction=gather_rows(part.prediction)) for part in output.auxiliary),
        task_losses={name: _SumOfShares.apply(loss) for name, loss in output.task_losses.items()},
    )


def _gathered(node: Any) -> Any:
    """Nested mappings and tuples of tensors, with the rows of all parts."""
    if isinstance(node, Mapping):
        return {name: _gathered(value) for name, value in node.items()}
    if isinstance(node, tuple):
        return tuple(map(_gathered, node))
    return gather_rows(node) if isinstance(node, Tensor) else node


class _SumOfShares(torch.autograd.Function):
    """Sum of a scalar over all parts; its gradient is summed over the parts too, as in `gather_rows`."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return sum_over_parts(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_parts(gradient)
