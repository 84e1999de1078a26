"""Check of the networks of a grid before it starts: weights, constructors, and a small image.

Entries of the suite are built on the meta device, to find wrong options. Code of the user (a method, a regularizer, a
backbone, a loss or a metric) runs on a small batch, and its errors are reported with file and line. Backbones of timm
run on a small batch too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from benchmark.contracts import MultiTaskOutput
from benchmark.losses import LOSSES
from benchmark.metrics.own import METRICS
from benchmark.metrics.own_evaluator import measured
from benchmark.records.result import RunSpec
from benchmark.records.validation import canonical_json, shortened
from benchmark.registry import BACKBONES, METHODS, REGULARIZERS, SCRATCH, split_backbone
from benchmark.tasks import TaskSet
from benchmark.training.builders import build_model, build_training_module, tasks_of, with_regularizer
from benchmark.training.compose import module_options
from benchmark.training.identity import is_own
from benchmark.training.model import MultiTaskModel, TrainingModule
from benchmark.training.random_batches import random_batch
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.stand_ins import prepare_with_stand_ins

SIZE = (64, 96)
"""(H, W) of the small image."""
INITIALISERS = frozenset(
    (
        *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_),
        *(init.normal_, init.uniform_, init.constant_, init.trunc_normal_),
        *(init.kaiming_normal_, init.kaiming_uniform_, init.xavier_normal_, init.xavier_uniform_),
    )
)
"""Functions that fill a tensor, their first argument, and return it."""


class ShapesOnly(TorchFunctionMode):
    """Leave initial values out, which have no meaning on the meta device but take most of the time there."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return the tensor itself in place of filling it."""
        if function in INITIALISERS:
            return args[0] if args else next(iter(kwargs.values()))
        return function(*args, **(kwargs or {}))


def try_cells(specs: Iterable[RunSpec]) -> None:
    """Check every distinct network of the cells.

    Raises:
        ConfigError: for missing weights, an option that the constructor refuses, or a prediction of the wrong name,
            type or size; in one line.
    """
    weights: dict[str, None] = {}
    models: dict[str, MultiTaskModel] = {}
    for spec in dict.fromkeys(replace(spec, seed=0) for spec in specs):
        weights.setdefault(spec.backbone)
        options = _options(spec)
        tasks = tasks_of(options["dataset"], options["tasks"], options["root"])
        if _needs_a_batch(spec, tasks):
            _try_values(spec, options)
        else:
            _try_shapes(spec, options, tasks, models)
        _try_metrics(tasks)
    for backbone in weights:
        name, chosen = split_backbone(backbone)
        if chosen != SCRATCH:
            with _one_line_errors(f"backbone {backbone}"), torch.random.fork_rng(devices=[]):
                BACKBONES.create(name, chosen)


def _try_shapes(spec: RunSpec, options: dict[str, Any], tasks: TaskSet, models: dict[str, MultiTaskModel]) -> None:
    """Build a network of the suite without values; cells that differ in their regularizer share the method."""
    shared = canonical_json({name: value for name, value in options.items() if not name.startswith("regularizer")})
    with _one_line_errors(_name(spec)), torch.random.fork_rng(devices=[]), torch.device("meta"), ShapesOnly():
        if shared not in models:
            models[shared] = build_model(
                options["method"], options["backbone"], tasks, options["method_options"], options["accelerate"]
            )
        with_regularizer(
            models[shared], spec.regularizer, options["regularizer_options"], options["seed"], options["accelerate"]
        )


def _try_values(spec: RunSpec, options: dict[str, Any]) -> None:
    """Build a network with code of the user, and run it on a small batch."""
    with _one_line_errors(_name(spec)), torch.random.fork_rng(devices=[]):
        module = build_training_module(**options)
        prepare_with_stand_ins(module, options["backbone"], options["regularizer_options"], SIZE)
        _try_batch(module, module.model.tasks)


def _options(spec: RunSpec) -> dict[str, Any]:
    """Keywords of `build_training_module` without pretrained weights."""
    untrained = dict(backbone=f"{split_backbone(spec.backbone)[0]}:{SCRATCH}", seed=0, compile_options=None)
    return module_options(load_recipe(spec.recipe, spec.overrides), spec) | untrained


def _needs_a_batch(spec: RunSpec, tasks: TaskSet) -> bool:
    """True for code of the user, and for networks of timm, some of which refuse image sizes."""
    parts = [METHODS.entry(spec.method), REGULARIZERS.entry(spec.regularizer)]
    parts.append(BACKBONES.entry(split_backbone(spec.backbone)[0]))
    owners = [*(entry.factory for entry in parts), *(LOSSES[task.loss] for task in tasks.values())]
    return any(map(_of_user, owners)) or BACKBONES.is_family(spec.backbone.partition(":")[0])


def _try_metrics(tasks: TaskSet) -> None:
    """Run the metrics of the user on a random image."""
    batch = random_batch(tasks, 1, SIZE)
    for name, task in tasks.items():
        target = batch["targets"][name]
        valid = task.valid(target)[0]
        image = target if task.target_channels is None else target[0]
        for metric in METRICS.of_task(task):
            with _one_line_errors(f"metric {metric.name}"):
                measured(metric, image, image, valid)


def _try_batch(module: TrainingModule, tasks: TaskSet) -> None:
    batch: Any = random_batch(tasks, 2, SIZE)
    with torch.no_grad():
        output = module.model.eval()(batch["images"])
    check_output(output, tasks, tuple(batch["images"].shape))
    module.train()(**batch, mode="loss")


def check_output(output: Any, tasks: TaskSet, images: tuple[int, ...]) -> None:
    """Compare the output of a method with its tasks.

    Args:
        output: value that `forward` returned.
        tasks: tasks of the method.
        images: shape of the images, (B, 3, H, W).

    Raises:
        ValueError: naming the task, the value found and the value expected.
    """
    if not isinstance(output, MultiTaskOutput):
        raise ValueError(f"forward must return MultiTaskOutput, found {type(output).__name__}")
    for name, task in tasks.items():
        if name not in output.predictions:
            known = ", ".join(output.predictions) or "none"
            raise ValueError(f"no prediction of task {name!r}; predictions: {known}")
        prediction, expected = output.predictions[name], (images[0], task.channels, *images[2:])
        if not isinstance(prediction, Tensor):
            raise ValueError(f"the prediction of {name} must be a tensor, found {type(prediction).__name__}")
        if tuple(prediction.shape) != expected:
            raise ValueError(f"the prediction of {name} must have shape {expected}, found {tuple(prediction.shape)}")


def _name(spec: RunSpec) -> str:
    return f"{spec.method}+{spec.regularizer}"


def _of_user(owner: Any) -> bool:
    """True if a class or function lies in a file of the user."""
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    return file is not None and is_own(Path(file).resolve())


@contextmanager
def _one_line_errors(where: str) -> Iterator[None]:
    """Convert any error to a ConfigError of one line, with file and line of the user's code."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, (ValueError, RuntimeError)) else f"{type(error).__name__}: "
        raise ConfigError(f"{where}: {kind}{shortened(error, 500)}{_place(error)}") from error


def _place(error: BaseException) -> str:
    """The text " (film.py, line 12)" for the deepest frame in the user's code; empty without one."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_absolute() and is_own(file.resolve()) and file.parent.name != "tools":
            place = f" ({file.name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place
