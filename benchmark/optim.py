"""Optimiser groups, clipping and precision, as mmengine optimizer wrappers.

The regularizer has a parameter group and a gradient clipping of its own: with one common norm, its gradients would
change the step of the model even where its loss does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

PRECISIONS = ("fp32", "bf16")


@OPTIM_WRAPPERS.register_module()
class GroupClipOptimWrapper(OptimWrapper):
    """Clips the gradients of the model and of the regularizer separately, and trains in bf16 where asked.

    Args:
        precision: "fp32", or "bf16" for autocast of the forward pass (the backward pass follows it).
        optimizer: see mmengine's `OptimWrapper`.
        options: further keywords of `OptimWrapper`, `clip_grad=dict(max_norm=10)` among them.

    mmengine's own AmpOptimWrapper refuses the CPU.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, precision: str = "fp32", **options: Any) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
        super().__init__(optimizer, **options)
        self.precision = precision

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for bf16, nothing for fp32; gradient accumulation as in mmengine."""
        device = next(model.parameters()).device.type
        with super().optim_context(model):
            if self.precision == "fp32":
                yield
            else:
                with torch.autocast(device, dtype=torch.bfloat16):
                    yield

    def _clip_grad(self) -> None:
        for part in ("model", "regularizer"):
            parameters = [
                parameter
                for group in self.optimizer.param_groups
                if group["part"] == part
                for parameter in group["params"]
                if parameter.grad is not None
            ]
            if parameters:
                norm = self.clip_func(parameters, **self.clip_grad_kwargs)
                if norm is not None:
                    self.message_hub.update_scalar(f"train/grad_norm_{part}", float(norm))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PartsOptimWrapperConstructor:
    """Builds the optimiser with few groups: the model's weights, its norms and biases, the regularizer.

    Args:
        optim_wrapper_cfg: `optim_wrapper` of the recipe.
        paramwise_cfg: `regularizer_lr_mult` (10 is usual beside a pretrained backbone), `backbone_lr_mult`, and
            `norm_and_bias_decay_mult` (0 leaves norms and biases undecayed).

    mmengine's and mmsegmentation's constructors make a group of every parameter once anything is set per parameter,
    which keeps the fused optimisers from working on all of them at once.
    """

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None) -> None:
        self.wrapper = dict(optim_wrapper_cfg)
        self.factors = dict(paramwise_cfg or {})

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The wrapper for a `TrainingModule`."""
        optimizer = dict(self.wrapper.pop("optimizer"))
        groups = self._groups(model, lr=optimizer["lr"], decay=optimizer.get("weight_decay", 0.0))
        optimizer["params"] = groups
        self.wrapper.setdefault("type", "GroupClipOptimWrapper")
        return OPTIM_WRAPPERS.build(self.wrapper, default_args={"optimizer": OPTIMIZERS.build(optimizer)})

    def _groups(self, module: nn.Module, lr: float, decay: float) -> list[dict[str, Any]]:
        groups: dict[tuple[str, float, float], dict[str, Any]] = {}
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            part = name.partition(".")[0]
            rate = lr * self._rate_factor(name, part)
            decayed = decay * (self.factors.get("norm_and_bias_decay_mult", 1.0) if parameter.ndim < 2 else 1.0)
            group = groups.setdefault(
                (part, rate, decayed), {"params": [], "lr": rate, "weight_decay": decayed, "part": part}
            )
            group["params"].append(parameter)
        return list(groups.values())

    def _rate_factor(self, name: str, part: str) -> float:
        if part == "regularizer":
            return float(self.factors.get("regularizer_lr_mult", 1.0))
        return float(self.factors.get("backbone_lr_mult", 1.0)) if "backbone" in name else 1.0
