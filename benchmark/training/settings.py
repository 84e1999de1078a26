"""Typed settings of a recipe: names, types, ranges and choices."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    model_validator,
)

from benchmark.tasks import suggest
from benchmark.training.recipe_keys import ConfigError, constructor, keywords

__all__ = ["MAX_ITERS", "RecipeSettings", "checked_settings"]

MAX_ITERS = "max_iters"
"""Placeholder for the number of iterations, so that a schedule follows an override of `train_cfg.max_iters`."""


TYPE_NAMES = ("str", "int", "float", "bool")


def size(value: Any) -> Any:
    """(H, W) from "64x96", "64,96", a list or a tuple."""
    if isinstance(value, str) and re.fullmatch(r"\s*\d+\s*[x,]\s*\d+\s*", value):
        return tuple(map(int, re.split("[x,]", value)))
    return value


def no_bool(value: Any) -> Any:
    """Refuse True and False for a number, since Python treats them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is expected")
    return value


def registered_types(node: Any) -> Any:
    """Refuse a `type` that is the path of an object: mmengine would import and call it."""
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    for child in children:
        registered_types(child)
    if isinstance(node, Mapping) and "." in str(node.get("type", "")):
        raise ValueError(f"type must be a registered name, found {node['type']!r}")
    return node


Flag = Annotated[bool, Strict()]
Integer = Annotated[int, BeforeValidator(no_bool)]
Number = Annotated[float, BeforeValidator(no_bool)]
Positive = Annotated[Integer, Field(ge=1)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(gt=0, le=1)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Size = Annotated[tuple[Positive, Positive], BeforeValidator(size)]
Range = tuple[Annotated[Number, Field(gt=0)], Annotated[Number, Field(gt=0)]]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Augmentation(_Settings):
    """See `datasets.loading.augmentation.Augmentation`."""

    zoom: Range | None = None
    scale: Range | None = None
    crop: Size | None = None
    cat_max_ratio: Share = 1.0
    flip: Probability = 0.0
    photometric: Probability = 0.0
    pad: Size | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Augmentation:
        for name in ("zoom", "scale"):
            bounds = getattr(self, name)
            if bounds and bounds[0] > bounds[1]:
                raise ValueError(f"{name} must be (lowest, highest), found {bounds}")
        return self


class Pairs(_Settings):
    """Posed views that are added to the training split; `tasks` names their labels, None for all labels."""

    name: str
    root: str | None = None
    tasks: tuple[str, ...] | None = None
    gap: Positive = 1


def named_pairs(value: Any) -> Any:
    """The setting `pairs` as it is.

    Raises:
        ValueError: for a mapping without the name of a data set.
    """
    if isinstance(value, Mapping) and "name" not in value:
        raise ValueError("the name of a data set with posed frames, or a mapping of name, root and gap")
    return value


class Split(_Settings):
    """Data options of one split; a data set of the user may have further options."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    size: Size | None = None
    augmentation: Augmentation | None = None
    cache: Flag = False
    share: Share = 1.0
    pairs: Annotated[Pairs | str | None, BeforeValidator(named_pairs)] = None


class Dataloader(_Settings):
    """A data loader of torch."""

    batch_size: Positive
    num_workers: Annotated[Integer, Field(ge=0)] = 0
    prefetch_factor: Positive | None = None
    pin_memory: Flag = False
    dataset: Split


class TaskSettings(_Settings):
    """Loss of a task; see `benchmark.tasks.Task.adjusted`."""

    channels: Positive | None = None
    loss: str | None = None
    loss_weight: NotNegative | None = None
    loss_options: dict[str, Any] | None = None


class TrainLoop(_Settings):
    """The training loop."""

    type: Literal["ExactIterLoop"] = "ExactIterLoop"
    max_iters: Positive


class _OfType(_Settings):
    """Keywords of a class that `type` names."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    type: str

    def check_keywords(self, known: Any, kind: str) -> None:
        """Refuse an unknown class and unknown keywords of it."""
        # The look-up registers torch's own classes.
        factory = constructor({"type": self.type})
        if factory is None or known.get(self.type) is None:
            raise ValueError(f"no {kind} named {self.type!r}.{suggest(self.type, known.module_dict)}")
        names, takes_any = keywords(factory)
        for name, value in (self.model_extra or {}).items():
            if name not in names and not takes_any:
                raise ValueError(f"{self.type} has no setting {name!r}.{suggest(name, names)}")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, found {value}")


class Optimizer(_OfType):
    """An optimizer of torch."""

    lr: Annotated[Number, Field(gt=0)]
    weight_decay: NotNegative | None = None
    momentum: Annotated[Number, Field(ge=0, lt=1)] | None = None
    betas: tuple[Probability, Probability] | None = None
    fused: Flag | None = None

    @model_validator(mode="after")
    def _known(self) -> Optimizer:
        self.check_keywords(OPTIMIZERS, "optimizer")
        return self


class Scheduler(_OfType):
    """A schedule of mmengine, counted in iterations."""

    by_epoch: Literal[False]
    begin: Annotated[Integer, Field(ge=0)] = 0
    end: Positive | Literal["max_iters"]
    power: NotNegative | None = None
    eta_min: NotNegative | None = None
    start_factor: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _known(self) -> Scheduler:
        self.check_keywords(PARAM_SCHEDULERS, "schedule")
        return self


class ClipGrad(_Settings):
    """Clipping of gradients."""

    max_norm: Annotated[Number, Field(gt=0)]
    norm_type: Annotated[Number, Field(gt=0)] = 2.0
    error_if_nonfinite: Flag = False


class Multipliers(_Settings):
    """Factors of the learning rate and the weight decay of parts of the network."""

    regularizer_lr_mult: NotNegative = 1.0
    backbone_lr_mult: NotNegative = 1.0
    norm_and_bias_decay_mult: NotNegative = 1.0


class OptimWrapper(_Settings):
    """See `benchmark.training.optim.GroupClipOptimWrapper`."""

    type: Literal["GroupClipOptimWrapper"] = "GroupClipOptimWrapper"
    constructor: Literal["PartsOptimWrapperConstructor"] = "PartsOptimWrapperConstructor"
    precision: Literal["fp32", "bf16"] = "fp32"
    accumulative_counts: Positive = 1
    clip_grad: ClipGrad | None = None
    paramwise_cfg: Multipliers = Multipliers()
    optimizer: Optimizer


class Averaging(_Settings):
    """Exponential moving average of the weights."""

    decay: Annotated[Number, Field(ge=0, lt=1)]


class LogProcessor(_Settings):
    """Smoothing of logged values."""

    by_epoch: Literal[False] = False
    window_size: Positive = 50


class RecipeSettings(_Settings):
    """All settings of a recipe. The default of a new setting must not change numbers: older run_ids stay the same."""

    version: Positive = 1
    dataset: str
    root: str | None = None
    backbone: str
    tasks: Annotated[dict[str, TaskSettings], Field(min_length=1)] | Literal["all"]
    method: dict[str, Any] = {}
    regularizer: dict[str, Any] = {}
    train_cfg: TrainLoop
    test_cfg: Annotated[dict[str, Any], Field(max_length=0)] = {}
    train_dataloader: Dataloader
    test_dataloader: Dataloader
    optim_wrapper: OptimWrapper
    param_scheduler: list[Scheduler]
    ema: Averaging | None = None
    memory_format: Literal["channels_last", "contiguous_format"] = "channels_last"
    compile: Any = None
    accelerate: Flag = True
    checkpoint_interval: Annotated[Integer, Field(ge=0)] = 500
    default_hooks: Annotated[dict[str, Any], AfterValidator(registered_types)] = {}
    log_processor: LogProcessor | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    vis_backends: Annotated[list[dict[str, Any]], AfterValidator(registered_types)] = []


def checked_settings(settings: Mapping[str, Any]) -> RecipeSettings:
    """The settings of a recipe with their types.

    Raises:
        ConfigError: for the first setting that is unknown, missing or of a wrong value, in one line.
    """
    try:
        return RecipeSettings.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(first_fault(error)) from None


def first_fault(error: ValidationError) -> str:
    """One line for a wrong setting: unknown settings first; for a choice of types, the fault of the first type."""
    faults = error.errors(include_url=False)
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    # For a union, pydantic adds the name of the type that it tried.
    key = ".".join(
        part for part in map(str, fault["loc"]) if part not in TYPE_NAMES and not re.search(r"[\[A-Z]", part)
    )
    if fault["type"] == "extra_forbidden":
        return f"no setting {key!r} in the recipe.{suggest(key, _known_keys(RecipeSettings))}"
    if fault["type"] == "missing":
        return f"the recipe lacks the setting {key!r}"
    message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    message = re.sub(r", unable to parse string as an? \w+", "", message)
    message = re.sub("Dictionary should have at least 1 item.*", "expected at least one", message)
    message = re.sub("a valid dictionary or instance of .*", "a mapping", message)
    if fault["type"] == "value_error" and isinstance(fault["input"], Mapping):
        return f"setting {key!r}: {message}"
    return f"setting {key!r}: found {fault['input']!r}, {message}"


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted keys of all settings of a model."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for child in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(child) and issubclass(child, BaseModel):
                yield from _known_keys(child, f"{prefix}{name}.")
