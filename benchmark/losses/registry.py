"""Registry of losses. Its decorator checks shapes and options and casts predictions to float32."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from benchmark.losses.batch_parts import gather_rows, num_parts, share, whole_batch
from benchmark.tasks import suggest

Loss = Callable[..., Tensor]
"""`(prediction (B, C, H, W), target, valid (B, H, W) bool, **options) -> scalar`."""


class UnknownLossError(KeyError):
    """A loss is not registered; the message lists near matches and all losses."""

    def __str__(self) -> str:
        return str(self.args[0])


class Losses(dict[str, Loss]):
    """Losses by name; the error for an unknown name lists near matches."""

    def __missing__(self, name: str) -> Loss:
        raise UnknownLossError(f"no loss named {name!r}.{suggest(name, self)} Losses: {', '.join(sorted(self))}")

    def register(self, name: str, by_parts: bool = False) -> Callable[[Loss], Loss]:
        """Function decorator that adds a loss.

        The function receives a prediction in float32 (or float64), outside autocast, with checked shapes. Its
        keyword-only arguments are the options that a recipe or a method may set.

        Args:
            name: name of the loss.
            by_parts: True if the function returns the share of a part in the loss of the batch, see
                `benchmark.losses.batch_parts`; `valid_pixels` counts the pixels of the batch. Otherwise every device
                computes the loss of the whole batch, which needs the predictions of all devices.

        Raises:
            ValueError: if the name is taken.
        """

        def add(function: Loss) -> Loss:
            if name in self:
                raise ValueError(f"loss {name!r} is already registered by {self[name].__module__}; choose another name")

            @wraps(function)
            def checked(prediction: Tensor, target: Tensor, valid: Tensor, **options: Any) -> Tensor:
                _check_shapes(name, prediction, target, valid)
                _check_options(name, function, options)
                # Sums over a batch of images need more than the 8 bits of bfloat16.
                with torch.autocast(prediction.device.type, enabled=False):
                    compute = function if by_parts or num_parts() == 1 else _of_whole_batch(function)
                    return compute(at_least_float32(prediction), target, valid, **options)

            self[name] = checked
            return checked

        return add

    def check(self, name: str, options: Mapping[str, Any]) -> None:
        """Check the name of a loss and of its options.

        Raises:
            UnknownLossError: for a name that is not registered.
            ValueError: for an unknown option, or a missing one that the loss needs.
        """
        _check_options(name, self[name], options)


LOSSES = Losses()
"""Losses by name, see `Task.loss` and `Auxiliary.loss`."""


def _of_whole_batch(function: Loss) -> Loss:
    """Loss whose value on each part is its share in the loss of the whole batch."""

    def shared(*part: Tensor, **options: Any) -> Tensor:
        rows = [gather_rows(tensor) for tensor in part]
        with whole_batch():
            loss = function(*rows, **options)
        return share(loss)

    return shared


def at_least_float32(values: Tensor) -> Tensor:
    """Values cast to float32; float64 is kept."""
    return values if values.dtype == torch.float64 else values.float()


def choice_error(option: str, value: object, choices: Mapping[str, object]) -> ValueError:
    """Error for an option whose value is not one of its choices."""
    return ValueError(f"{option} must be one of {', '.join(map(repr, choices))}, found {value!r}")


def _check_options(name: str, function: Loss, options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(function).parameters
    known = {key: part for key, part in parameters.items() if part.kind is inspect.Parameter.KEYWORD_ONLY}
    for key in options:
        if key not in known:
            raise ValueError(
                f"loss {name!r} has no option {key!r}.{suggest(key, known)} Options: {', '.join(known) or 'none'}"
            )
    missing = [key for key, part in known.items() if part.default is part.empty and key not in options]
    if missing:
        raise ValueError(f"loss {name!r} needs the option {', '.join(missing)}; set it in loss_options")


def _check_shapes(name: str, prediction: Tensor, target: Tensor, valid: Tensor) -> None:
    if prediction.ndim != 4:
        raise ValueError(f"{name}: the prediction must be (B, C, H, W), found {tuple(prediction.shape)}")
    batch, _, height, width = prediction.shape
    if valid.shape != (batch, height, width) or valid.dtype != torch.bool:
        raise ValueError(
            f"{name}: valid must be bool of shape {(batch, height, width)}, found {valid.dtype} {tuple(valid.shape)}"
        )
    if target.ndim not in (3, 4) or (target.shape[0], *target.shape[-2:]) != (batch, height, width):
        raise ValueError(
            f"{name}: prediction {tuple(prediction.shape)} and target {tuple(target.shape)} "
            "differ in batch or image size"
        )
