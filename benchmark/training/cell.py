"""Training and evaluation of one cell, and its result: metrics, cost and provenance."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import default_collate
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import benchmark.metrics.evaluators
import benchmark.training.builders
import benchmark.training.loops
import benchmark.training.optim
from benchmark.contracts import Method, Regularizer
from benchmark.metrics import described as meaning_of
from benchmark.records.failures import OUT_OF_MEMORY
from benchmark.records.provenance import code_state
from benchmark.records.resident_memory import peak_resident_bytes
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.validation import MAX_NUMBER, shortened
from benchmark.training.cell_runner import CellRunner
from benchmark.training.checkpoints import (
    OtherDevicesError,
    ResumableStateHook,
    check_same_devices,
    misfit,
    parts_before,
    usable_states,
)
from benchmark.training.compose import compose
from benchmark.training.data_parallel import devices_here, send_from_first, unwrapped
from benchmark.training.dependencies import TRAIN_SECONDS, needs_of, trained_methods
from benchmark.training.describing import describe_cell
from benchmark.training.description import METADATA_KEY
from benchmark.training.details import DETAILS_FILE, write_details
from benchmark.training.failures import class_of_error
from benchmark.training.follow import follow
from benchmark.training.loops import DivergedError
from benchmark.training.model import DIAGNOSTIC
from benchmark.training.model_files import MODEL_FILE, REGULARIZER_FILE, load_model, save_model, save_regularizer
from benchmark.training.origin import Origin, data_provenance, pairs_provenance
from benchmark.training.recipe_files import load_recipe
from benchmark.training.splitting import PARTS, reason_against_parts, train_in_parts

Metrics = dict[str, dict[str, dict[str, Any]]]
DIAGNOSED_STEPS = 100
"""Largest number of logged values in the mean of a diagnostic."""


def run_cell(spec: RunSpec, folder: Path, imports: Sequence[str | Path] = (), logs: Sequence[str] = ()) -> RunResult:
    """Train and evaluate one cell; an interrupted cell continues from its last saved state.

    Args:
        spec: the cell.
        folder: folder of the cell's log, checkpoints and trained model.
        imports: files of the user, which the result lists.
        logs: names of further logs, see `benchmark.training.follow`.

    Returns:
        A result of status `done`, `diverged` (the loss became NaN or infinite) or `failed` (any other error, in one
        line; the traceback is in the cell's log). On several devices, errors are raised.

    Raises:
        OtherDevicesError: if the cell's training began on another number of devices.
        CellInterruptedError: if the training was asked to end; its state is saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    code_state()
    origin = Origin(spec, time.time(), tuple(imports))
    result = _attempt(spec, folder, origin, logs, parts=1)
    if result.error_class != OUT_OF_MEMORY:
        return result
    obstacle = reason_against_parts(spec)
    if obstacle is not None:
        return replace(result, error=f"{result.error}; not tried in parts of a batch, since {obstacle}")
    print(f"out of memory; again with each batch in {PARTS} parts", flush=True)
    free_memory()
    result = _attempt(spec, folder, origin, logs, PARTS)
    return replace(result, provenance={**result.provenance, "batch_parts": PARTS})


def _attempt(spec: RunSpec, folder: Path, origin: Origin, logs: Sequence[str], parts: int) -> RunResult:
    """Train and evaluate with each batch in `parts` parts; any error of a cell on one device is a result."""
    try:
        return _measure(spec, folder, origin, logs, parts)
    except DivergedError as error:
        return failure(spec, "diverged", str(error), origin.provenance())
    except OtherDevicesError:
        raise
    except Exception as error:
        if devices_here().count > 1:
            # The other devices wait for this one, so their launcher ends them and stores the error.
            raise
        # The traceback goes to the cell's log, one line into the result.
        sys.excepthook(type(error), error, error.__traceback__)
        return failure(spec, "failed", one_line(error), origin.provenance(), class_of_error(error))


def free_memory() -> None:
    """Free the memory of a failed attempt."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def evaluate_cell(
    spec: RunSpec, weights: Path, folder: Path, prepare: Callable[[Method], None] | None = None
) -> tuple[Metrics, dict[str, Any]]:
    """Score saved weights on the test split of the cell's data set.

    Args:
        spec: the cell.
        weights: file from `save_model`.
        folder: folder of the log.
        prepare: function that changes the method after its weights are loaded.

    Returns:
        The metrics by task, and the provenance of the data.

    Raises:
        CheckpointError: if the weights do not fit the cell's model.
    """
    runner = CellRunner.from_cfg(compose(spec, folder))
    model = unwrapped(runner.model).model
    load_model(model, weights)
    if prepare is not None:
        prepare(model.method)
    return _described(runner.test()), data_provenance(runner.test_dataloader.dataset)


def scored_again(
    stored: RunResult, started: float, imports: Sequence[str | Path], metrics: Metrics, data: Mapping[str, Any]
) -> RunResult:
    """Replace the metrics of a stored result by the metrics of `evaluate_cell`; cost and origin are kept.

    Args:
        stored: result of the training.
        started: time.time() before the scoring.
        imports: files of the user.
        metrics: new metrics.
        data: provenance of the evaluated data.

    Returns:
        The result; `provenance["scored"]` has commit and command of the new metrics.

    Raises:
        ValueError: if the evaluated data are not the data of the stored result.
    """
    before = stored.provenance.get("data", {}).get("fingerprint")
    if before is not None and before != data["fingerprint"]:
        raise ValueError(
            f"{stored.run_id}: trained and scored on {stored.provenance['data']['id']}, the data set here is "
            f"{data['id']}; prepare the same data, or keep the numbers apart with --json"
        )
    scored = Origin(stored.spec, started, tuple(imports), dict(data)).provenance()
    return replace(stored, metrics=metrics, provenance={**stored.provenance, "scored": scored})


def _measure(spec: RunSpec, folder: Path, origin: Origin, logs: Sequence[str], parts: int) -> RunResult:
    runner, state = runner_at_latest_state(spec, folder, logs)
    if parts > 1:
        train_in_parts(runner.model, parts)
    cost: dict[str, Any] = _start(runner, spec, folder)
    origin.parts = parts_before(state)
    module = unwrapped(runner.model)
    cost |= parameter_counts(module) | train_runner(runner, sum(part["seconds"] for part in origin.parts))
    seconds = cost["train_seconds"] + (cost.get("needed_train_seconds") or 0.0)
    writes = devices_here().writes
    if writes:
        _save_weights(runner, spec, folder, seconds)
    before = time.perf_counter()
    metrics = _described(runner.test())
    cost |= {"evaluate_seconds": time.perf_counter() - before, "peak_memory_mb": peak_memory_mb()}
    origin.data = data_provenance(runner.test_dataloader.dataset) | pairs_provenance(runner)
    _check_finite(metrics)
    if writes:
        write_details(folder / DETAILS_FILE, runner)
    return RunResult(
        spec=spec,
        status="done",
        metrics=metrics,
        cost=cost,
        provenance=origin.provenance(),
        diagnostics=diagnostics_of(runner),
    )


def _save_weights(runner: Runner, spec: RunSpec, folder: Path, seconds: float) -> None:
    """Save the trained model with its description, and the regularizer."""
    module = unwrapped(runner.model)
    described = describe_cell(spec, module.model.tasks, runner.test_dataloader.dataset)
    metadata = {"run_id": spec.run_id, TRAIN_SECONDS: repr(seconds), METADATA_KEY: described.to_text()}
    save_model(module.model, folder / MODEL_FILE, metadata)
    save_regularizer(module.regularizer, folder / REGULARIZER_FILE, {"run_id": spec.run_id})


def runner_at_latest_state(spec: RunSpec, folder: Path, logs: Sequence[str]) -> tuple[Runner, Mapping[str, Any] | None]:
    """Runner at the newest usable training state, and the state; the state is None for a new training."""
    interval = load_recipe(spec.recipe, spec.overrides).checkpoint_interval
    for state in (*usable_states(folder, spec.run_id), None):
        if state is not None:
            check_same_devices(state, folder)
        config = compose(spec, folder, start_iteration=state["iteration"] if state else 0)
        follow(config, spec, logs)
        runner = CellRunner.from_cfg(config)
        problem = misfit(runner, state) if state else ""
        if not problem:
            break
        print(f"checkpoint ignored: {folder}: {problem}")
    runner.register_hook(ResumableStateHook(str(folder), spec.run_id, interval, state))
    runner.logger.info("Hooks with the checkpoints: %s", runner.get_hooks_info())
    return runner, state


def _check_finite(metrics: Metrics) -> None:
    """Raise DivergedError for a metric that is not finite, since a second training would give the same metric."""
    for task, values in metrics.items():
        for name, metric in values.items():
            if not abs(metric["value"]) <= MAX_NUMBER:
                raise DivergedError(f"{task}/{name} is {metric['value']}: the predictions are not finite numbers")


def _start(runner: Runner, spec: RunSpec, folder: Path) -> dict[str, float | None]:
    """Pass trained methods to the method and the regularizer that need them; returns their training cost."""
    needs = needs_of(spec)
    seconds: dict[RunSpec, float | None] = {}
    module = unwrapped(runner.model)
    for part, cells in ((module.model.method, needs.method), (module.regularizer, needs.regularizer)):
        if cells:
            trained = trained_methods(cells, folder)
            with torch.random.fork_rng(devices=[]):
                part.start_from({name: cell.method for name, cell in trained.items()})
            seconds |= {cells[name]: cell.train_seconds for name, cell in trained.items()}
    if not seconds:
        return {}
    # Modules created in `start_from`, such as adaptors to a teacher, must be on the model's device.
    module.to(next(module.parameters()).device)
    known = [value for value in seconds.values() if value is not None]
    return {"needed_train_seconds": sum(known) if len(known) == len(seconds) else None}


def train_runner(runner: Runner, seconds_before: float) -> dict[str, float]:
    """Train a method that has parameters; returns the seconds, including the time before an interruption."""
    module = unwrapped(runner.model)
    method: Method = module.model.method
    regularizer: Regularizer | None = module.regularizer
    # Build and cache the data set before the timed part.
    if type(method).calibrate is not Method.calibrate:
        method.calibrate(_training_targets(runner))
    if regularizer is not None and type(regularizer).calibrate is not Regularizer.calibrate:
        with torch.random.fork_rng(devices=[]):
            regularizer.calibrate(_training_targets(runner))
    send_from_first(module)
    if not any(parameter.requires_grad for parameter in method.parameters()):
        return {"train_seconds": 0.0, "seconds_per_step": 0.0}
    before = time.perf_counter()
    runner.train()
    seconds = seconds_before + time.perf_counter() - before
    return {"train_seconds": seconds, "seconds_per_step": seconds / max(1, runner.train_loop.max_iters)}


def diagnostics_of(runner: Runner) -> dict[str, float | None]:
    """Means of the last logged diagnostics of the regularizer; None if a mean is not finite."""
    start = f"train/{DIAGNOSTIC}"
    logged = {
        name.removeprefix(start): buffer
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.startswith(start)
    }
    means = {name: float(buffer.mean(DIAGNOSED_STEPS)) for name, buffer in logged.items()}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}


def _training_targets(runner: Runner) -> Iterator[Mapping[str, Tensor]]:
    """Targets of the training split, each frame once, with the padding of the test split as the only augmentation."""
    padding = runner._test_dataloader["dataset"].get("augmentation")
    settings = dict(runner._train_dataloader["dataset"]) | {"augmentation": padding}
    split: Dataset[Any] = benchmark.training.builders.build_split(
        **{key: value for key, value in settings.items() if key not in ("type", "pairs")}
    )
    for batch in DataLoader(split, batch_size=16, collate_fn=default_collate):
        yield batch["targets"]


def parameter_counts(module: nn.Module) -> dict[str, float]:
    """Parameters at training (with the regularizer) and at inference (the model alone)."""

    def count(part: nn.Module) -> float:
        return float(sum(parameter.numel() for parameter in part.parameters()))

    return {"parameters_training": count(module), "parameters_inference": count(module.get_submodule("model"))}


def peak_memory_mb() -> float:
    """Peak memory of this process in MiB: of the GPU if available, else resident memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_resident_bytes() / 2**20


def _described(values: Mapping[str, float]) -> Metrics:
    """`{"semseg/mIoU": 20.7}` -> `{"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}`."""
    metrics: Metrics = {}
    for key, value in values.items():
        task, _, name = key.partition("/")
        meaning = meaning_of(key)
        metrics.setdefault(task, {})[name] = {"value": float(value), **meaning._asdict()}
    return metrics


def one_line(error: Exception) -> str:
    """Message of an error in one line; with the type, unless the message was written for users."""
    line = shortened(error, 500)
    written_for_users = isinstance(error, (ValueError, OSError, KeyError)) and line
    return (line if written_for_users else f"{type(error).__name__}: {line}")[:500]
