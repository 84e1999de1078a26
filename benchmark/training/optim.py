"""Optimizer groups, gradient clipping and precision, as an mmengine optimizer wrapper.

The gradients of the regularizer are clipped separately, since with one common norm they would change the model's step.
Parameters that a method trains by another optimizer (`Method.separate_optimizers`) are clipped separately too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from benchmark.contracts import Method
from benchmark.training.data_parallel import SummedDataParallel, unwrapped

PRECISIONS = ("fp32", "bf16")


@OPTIM_WRAPPERS.register_module()
class GroupClipOptimWrapper(OptimWrapper):
    """Optimizer wrapper that clips the gradients of model and regularizer separately, in fp32 or bf16.

    Args:
        optimizer: see mmengine's `OptimWrapper`. Every group has an entry `param_group`, "model" or "regularizer".
        precision: "fp32", or "bf16" for autocast of the forward pass (the backward pass follows it).
        extra_optimizers: optimizers of other parameters, which step together with the first; no schedule changes them.
        options: further keywords of `OptimWrapper`, such as `clip_grad=dict(max_norm=10)`.

    Raises:
        ValueError: for another precision.

    mmengine's own AmpOptimWrapper does not run on a CPU.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        precision: str = "fp32",
        extra_optimizers: Sequence[torch.optim.Optimizer] = (),
        **options: Any,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
        super().__init__(optimizer, **options)
        self.precision = precision
        self.extra_optimizers = tuple(extra_optimizers)
        self.complete_gradients: Callable[[], None] | None = None

    def step(self, **options: Any) -> None:
        """Complete the gradients on several devices, clip them, and step with every optimizer."""
        if self.complete_gradients is not None:
            self.complete_gradients()
        super().step(**options)
        for optimizer in self.extra_optimizers:
            optimizer.step(**options)

    def zero_grad(self, **options: Any) -> None:
        """Clear the gradients of the parameters of every optimizer."""
        super().zero_grad(**options)
        for optimizer in self.extra_optimizers:
            optimizer.zero_grad(**options)

    def state_dict(self) -> dict[str, Any]:
        """State of every optimizer."""
        state: dict[str, Any] = super().state_dict()
        if self.extra_optimizers:
            state["extra_optimizers"] = [optimizer.state_dict() for optimizer in self.extra_optimizers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        saved = dict(state_dict)
        for optimizer, state in zip(self.extra_optimizers, saved.pop("extra_optimizers", ()), strict=True):
            optimizer.load_state_dict(state)
        super().load_state_dict(saved)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a forward pass: autocast for bf16, and gradient accumulation as in mmengine."""
        device = next(model.parameters()).device.type
        with super().optim_context(model):
            if self.precision == "fp32":
                yield
            else:
                with torch.autocast(device, dtype=torch.bfloat16):
                    yield

    def _clip_grad(self) -> None:
        groups = [group for optimizer in (self.optimizer, *self.extra_optimizers) for group in optimizer.param_groups]
        by_name: dict[str, list[nn.Parameter]] = {}
        for group in groups:
            with_gradient = [parameter for parameter in group["params"] if parameter.grad is not None]
            by_name.setdefault(group["param_group"], []).extend(with_gradient)
        for name, parameters in by_name.items():
            norm = self.clip_func(parameters, **self.clip_grad_kwargs) if parameters else None
            if norm is not None:
                self.message_hub.update_scalar(f"train/grad_norm_{name}", float(norm))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PartsOptimWrapperConstructor:
    """Constructor of the optimizer wrapper, with one parameter group for each rate and weight decay.

    Args:
        optim_wrapper_cfg: `optim_wrapper` of the recipe.
        paramwise_cfg: `regularizer_lr_mult` (10 is usual with a pretrained backbone), `backbone_lr_mult` (see
            `Method.backbone_parameters`), and `norm_and_bias_decay_mult` (of parameters with fewer than two
            dimensions; 0 for no weight decay of norms and biases); default 1.

    The constructors of mmengine and mmsegmentation make a group for every parameter if any factor is set, and fused
    optimizers then update one parameter at a time.
    """

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None) -> None:
        self.wrapper = dict(optim_wrapper_cfg)
        self.factors = dict(paramwise_cfg or {})

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper of a `TrainingModule`, or of its `SummedDataParallel`."""
        wrapper = self._build(unwrapped(model))
        if isinstance(model, SummedDataParallel):
            wrapper.complete_gradients = model.complete_gradients
        return wrapper

    def _build(self, model: nn.Module) -> OptimWrapper:
        separate = _separate_optimizers(model)
        optimizer = dict(self.wrapper.pop("optimizer"))
        optimizer["params"] = self._groups(
            model, tuple(separate), lr=optimizer["lr"], decay=optimizer.get("weight_decay", 0.0)
        )
        self.wrapper.setdefault("type", "GroupClipOptimWrapper")
        built = {"optimizer": OPTIMIZERS.build(optimizer)}
        if separate:
            extra = [_extra_optimizer(model, prefix, settings) for prefix, settings in separate.items()]
            built["extra_optimizers"] = extra
        return OPTIM_WRAPPERS.build(self.wrapper, default_args=built)

    def _groups(self, model: nn.Module, separate: tuple[str, ...], lr: float, decay: float) -> list[dict[str, Any]]:
        """Parameter groups of all trained parameters whose names do not begin with one of `separate`."""
        in_backbones = self._in_backbones(model)
        groups: dict[tuple[str, float, float], dict[str, Any]] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad or name.startswith(separate):
                continue
            param_group = name.partition(".")[0]
            rate = lr * self._rate_factor(param_group, id(parameter) in in_backbones)
            decayed = decay * (self.factors.get("norm_and_bias_decay_mult", 1.0) if parameter.ndim < 2 else 1.0)
            group = groups.setdefault(
                (param_group, rate, decayed),
                {"params": [], "lr": rate, "weight_decay": decayed, "param_group": param_group},
            )
            group["params"].append(parameter)
        return list(groups.values())

    def _in_backbones(self, model: nn.Module) -> set[int]:
        """Ids of the parameters of backbones."""
        methods = _methods(model).values()
        found = {id(parameter) for method in methods for parameter in method.backbone_parameters()}
        if not found and self._backbone_factor != 1 and next(model.parameters(), None) is not None:
            names = ", ".join(type(method).__name__ for method in methods)
            warnings.warn(
                f"backbone_lr_mult={self._backbone_factor} has no effect: {names} reports no backbone; derive its "
                "encoder from benchmark.contracts.Backbone, or override Method.backbone_parameters",
                stacklevel=2,
            )
        return found

    def _rate_factor(self, param_group: str, in_backbone: bool) -> float:
        if param_group == "regularizer":
            return float(self.factors.get("regularizer_lr_mult", 1.0))
        return self._backbone_factor if in_backbone else 1.0

    @property
    def _backbone_factor(self) -> float:
        return float(self.factors.get("backbone_lr_mult", 1.0))


def _methods(module: nn.Module) -> dict[str, Method]:
    """The methods in a module, by name."""
    return {name: method for name, method in module.named_modules() if isinstance(method, Method)}


def _separate_optimizers(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Settings of `Method.separate_optimizers`, by prefix of the parameter names in `module`."""
    return {
        f"{name}.{prefix}": dict(settings)
        for name, method in _methods(module).items()
        for prefix, settings in method.separate_optimizers().items()
    }


def _extra_optimizer(module: nn.Module, prefix: str, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    parameters = [parameter for name, parameter in module.named_parameters() if name.startswith(prefix)]
    if not parameters:
        raise ValueError(f"separate_optimizers names {prefix!r}, but no parameter name begins with it")
    group = {"params": parameters, "param_group": prefix.rpartition(".")[2]}
    optimizer: torch.optim.Optimizer = OPTIMIZERS.build({**settings, "params": [group]})
    return optimizer
