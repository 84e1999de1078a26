"""Optimiser groups, clipping and precision, as mmengine optimizer wrappers.

The regularizer has a parameter group and a gradient clipping of its own: with one common norm, its gradients would
change the step of the model even where its loss does not. Parameters that a method wants trained by another optimiser
(`Method.separate_optimizers`) have all three of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from benchmark.contracts import Method
from benchmark.training.model import MultiTaskModel

PRECISIONS = ("fp32", "bf16")


@OPTIM_WRAPPERS.register_module()
class GroupClipOptimWrapper(OptimWrapper):
    """Clips the gradients of the model and of the regularizer separately, and trains in bf16 where asked.

    Args:
        optimizer: see mmengine's `OptimWrapper`; every group names its `part`.
        precision: "fp32", or "bf16" for autocast of the forward pass (the backward pass follows it).
        beside: optimisers that step with it, each with parameters of its own; schedulers do not see them.
        options: further keywords of `OptimWrapper`, `clip_grad=dict(max_norm=10)` among them.

    mmengine's own AmpOptimWrapper refuses the CPU.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        precision: str = "fp32",
        beside: Sequence[torch.optim.Optimizer] = (),
        **options: Any,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
        super().__init__(optimizer, **options)
        self.precision = precision
        self.beside = tuple(beside)

    def step(self, **options: Any) -> None:
        """Clip, and step with every optimiser."""
        super().step(**options)
        for optimizer in self.beside:
            optimizer.step(**options)

    def zero_grad(self, **options: Any) -> None:
        """Forget the gradients of every optimiser's parameters."""
        super().zero_grad(**options)
        for optimizer in self.beside:
            optimizer.zero_grad(**options)

    def state_dict(self) -> dict[str, Any]:
        """State of every optimiser."""
        state: dict[str, Any] = super().state_dict()
        return state | {"beside": [optimizer.state_dict() for optimizer in self.beside]} if self.beside else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        saved = dict(state_dict)
        for optimizer, state in zip(self.beside, saved.pop("beside", ()), strict=True):
            optimizer.load_state_dict(state)
        super().load_state_dict(saved)

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
        groups = [group for optimizer in (self.optimizer, *self.beside) for group in optimizer.param_groups]
        for part in dict.fromkeys(group["part"] for group in groups):
            parameters = [
                parameter
                for group in groups
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
        self.of_backbones: set[str] = set()

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The wrapper for a `TrainingModule`."""
        separate, self.of_backbones = _separate_optimizers(model), _backbone_parameters(model)
        optimizer = dict(self.wrapper.pop("optimizer"))
        weights = [
            (name, parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and not name.startswith(tuple(separate))
        ]
        optimizer["params"] = self._groups(weights, lr=optimizer["lr"], decay=optimizer.get("weight_decay", 0.0))
        self.wrapper.setdefault("type", "GroupClipOptimWrapper")
        built = {"optimizer": OPTIMIZERS.build(optimizer)}
        if separate:
            built["beside"] = [_beside(model, prefix, settings) for prefix, settings in separate.items()]
        return OPTIM_WRAPPERS.build(self.wrapper, default_args=built)

    def _groups(self, weights: Sequence[tuple[str, nn.Parameter]], lr: float, decay: float) -> list[dict[str, Any]]:
        groups: dict[tuple[str, float, float], dict[str, Any]] = {}
        for name, parameter in weights:
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
        return float(self.factors.get("backbone_lr_mult", 1.0)) if name in self.of_backbones else 1.0


def _backbone_parameters(module: nn.Module) -> set[str]:
    """Names of the parameters of registered backbones, and of those that a method of one's own calls a backbone."""
    named = {name for name, _ in module.named_parameters() if "backbone" in name}
    return named | {
        f"{prefix}.{name}" if prefix else name
        for prefix, model in module.named_modules()
        if isinstance(model, MultiTaskModel)
        for name in model.backbone_parameters
    }


def _separate_optimizers(module: nn.Module) -> dict[str, dict[str, Any]]:
    """What the methods below `module` say, under the names that their parameters have here."""
    return {
        f"{name}.{prefix}": dict(settings)
        for name, method in module.named_modules()
        if isinstance(method, Method)
        for prefix, settings in method.separate_optimizers().items()
    }


def _beside(module: nn.Module, prefix: str, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    parameters = [parameter for name, parameter in module.named_parameters() if name.startswith(prefix)]
    if not parameters:
        raise ValueError(f"separate_optimizers names {prefix!r}, and no parameter begins with it")
    optimizer: torch.optim.Optimizer = OPTIMIZERS.build(
        {**settings, "params": [{"params": parameters, "part": prefix.rpartition(".")[2]}]}
    )
    return optimizer
