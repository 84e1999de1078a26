"""One cell: train, evaluate the last weights, and say what was measured, on what, at what cost."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from benchmark.metrics import described
from benchmark.records.provenance import code_state, provenance
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.validation import MAX_NUMBER
from benchmark.training.checkpoints import ResumableStateHook, misfit, parts_before, usable_states
from benchmark.training.compose import compose
from benchmark.training.dependencies import TRAIN_SECONDS, needs_of, trained_methods
from benchmark.training.details import DETAILS_FILE, write_details
from benchmark.training.loops import DivergedError
from benchmark.training.model import DIAGNOSTIC
from benchmark.training.model_files import MODEL_FILE, REGULARIZER_FILE, load_model, save_model, save_regularizer
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError

Metrics = dict[str, dict[str, dict[str, Any]]]
DIAGNOSED_STEPS = 100
"""Logged values that a diagnostic of a result is the mean of, at most."""


def run_cell(spec: RunSpec, folder: Path, imports: Sequence[str | Path] = ()) -> RunResult:
    """Train and evaluate one cell; an interrupted one continues where it was.

    Args:
        spec: what is measured.
        folder: the cell's own folder, for its log, checkpoints and trained model.
        imports: a user's own files that take part; the result names them.

    Returns:
        A result of status `done`, `diverged` (the loss became NaN or infinite) or `failed` (anything else, with the
        error in one line; the traceback is in the cell's log).
    """
    folder.mkdir(parents=True, exist_ok=True)
    code_state()
    origin = Origin(spec, time.time(), tuple(imports))
    try:
        return _measure(spec, folder, origin)
    except DivergedError as error:
        return failure(spec, "diverged", str(error), origin.provenance())
    except Exception as error:
        # The one place where everything is caught: the traceback goes to the cell's log, the line into its result.
        sys.excepthook(type(error), error, error.__traceback__)
        return failure(spec, "failed", _one_line(error), origin.provenance())


class CellRunner(Runner):
    """mmengine's runner with the names of the hooks in the log, in place of 83 lines with every stage of each."""

    def get_hooks_info(self) -> str:
        """Names of the hooks in the order of their priority."""
        return ", ".join(type(hook).__name__ for hook in self.hooks)


@dataclass
class Origin:
    """Where a result comes from, as far as it is known.

    Args:
        spec: what is measured.
        started: time.time() at the start.
        imports: a user's own files that take part.
        data: id, fingerprint and size of what is scored, once it is known.
        parts: of the training before this process, if it was interrupted.
    """

    spec: RunSpec
    started: float
    imports: tuple[str | Path, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    parts: Sequence[Mapping[str, Any]] = ()

    def provenance(self) -> dict[str, Any]:
        """As the result keeps it."""
        try:
            text = load_recipe(self.spec.recipe, self.spec.overrides).pretty_text
        except ConfigError:
            text = ""
        gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
        earlier = {"earlier_parts": [dict(part) for part in self.parts]} if self.parts else {}
        return earlier | provenance(
            started=self.started, data=self.data, config_text=text, hardware_extra=gpu, imports=self.imports
        )


def evaluate_cell(
    spec: RunSpec, weights: Path, folder: Path, prepare: Callable[[Method], None] | None = None
) -> tuple[Metrics, dict[str, Any]]:
    """Score saved weights on the test split of the cell's data set.

    Args:
        spec: the cell.
        weights: what `save_model` wrote.
        folder: for the log.
        prepare: is given the method with its weights before it is scored.

    Returns:
        The metrics by task, and what is known of the data.

    Raises:
        CheckpointError: if the weights do not fit the cell's model.
    """
    runner = CellRunner.from_cfg(compose(spec, folder))
    load_model(runner.model.model, weights)
    if prepare is not None:
        prepare(runner.model.model.method)
    return _described(runner.test()), data_provenance(runner.test_dataloader.dataset)


def scored_again(
    stored: RunResult, started: float, imports: Sequence[str | Path], metrics: Metrics, data: Mapping[str, Any]
) -> RunResult:
    """A stored result with the metrics of `evaluate_cell`; its cost and its origin stay those of the training.

    Args:
        stored: result of the training.
        started: time.time() before the scoring.
        imports: a user's own files that took part.
        metrics: replace the stored ones.
        data: what was scored.

    Returns:
        The result; its provenance says under `scored` by which commit and command the numbers were made.

    Raises:
        ValueError: if other data were scored than those that the result was made on.
    """
    before = stored.provenance.get("data", {}).get("fingerprint")
    if before is not None and before != data["fingerprint"]:
        raise ValueError(
            f"{stored.run_id}: trained and scored on {stored.provenance['data']['id']}, the data set here is "
            f"{data['id']}; prepare the same data, or keep the numbers apart with --json"
        )
    scored = Origin(stored.spec, started, tuple(imports), dict(data)).provenance()
    return replace(stored, metrics=metrics, provenance={**stored.provenance, "scored": scored})


def _measure(spec: RunSpec, folder: Path, origin: Origin) -> RunResult:
    runner, state = _runner_at_latest_state(spec, folder)
    cost: dict[str, Any] = _start(runner, spec, folder)
    origin.parts = parts_before(state)
    cost |= parameter_counts(runner.model) | _train(runner, sum(part["seconds"] for part in origin.parts))
    seconds = cost["train_seconds"] + (cost.get("needed_train_seconds") or 0.0)
    save_model(runner.model.model, folder / MODEL_FILE, {"run_id": spec.run_id, TRAIN_SECONDS: repr(seconds)})
    save_regularizer(runner.model.regularizer, folder / REGULARIZER_FILE, {"run_id": spec.run_id})
    before = time.perf_counter()
    metrics = _described(runner.test())
    cost |= {"evaluate_seconds": time.perf_counter() - before, "peak_memory_mb": peak_memory_mb()}
    origin.data = data_provenance(runner.test_dataloader.dataset) | pairs_provenance(runner)
    _check_finite(metrics)
    write_details(folder / DETAILS_FILE, runner)
    return RunResult(
        spec=spec,
        status="done",
        metrics=metrics,
        cost=cost,
        provenance=origin.provenance(),
        diagnostics=diagnostics_of(runner),
    )


def _runner_at_latest_state(spec: RunSpec, folder: Path) -> tuple[Runner, Mapping[str, Any] | None]:
    """Runner that continues from the newest usable training state, or starts anew; and that state."""
    interval = load_recipe(spec.recipe, spec.overrides).checkpoint_interval
    for state in (*usable_states(folder, spec.run_id), None):
        runner = CellRunner.from_cfg(compose(spec, folder, start_iteration=state["iteration"] if state else 0))
        problem = misfit(runner, state) if state else ""
        if not problem:
            break
        print(f"checkpoint ignored: {folder}: {problem}")
    runner.register_hook(ResumableStateHook(str(folder), spec.run_id, interval, state))
    return runner, state


def _check_finite(metrics: Metrics) -> None:
    """Raise DivergedError for a metric that is not a finite number: training again gives the same."""
    for task, values in metrics.items():
        for name, metric in values.items():
            if not abs(metric["value"]) <= MAX_NUMBER:
                raise DivergedError(f"{task}/{name} is {metric['value']}: the predictions are not finite numbers")


def _start(runner: Runner, spec: RunSpec, folder: Path) -> dict[str, float | None]:
    """Hand over the trained methods that the cell needs; returns what they cost."""
    needs = needs_of(spec)
    seconds: dict[RunSpec, float | None] = {}
    for part, cells in ((runner.model.model.method, needs.method), (runner.model.regularizer, needs.regularizer)):
        if cells:
            trained = trained_methods(cells, folder)
            with torch.random.fork_rng(devices=[]):
                part.start_from({name: cell.method for name, cell in trained.items()})
            seconds |= {cells[name]: cell.train_seconds for name, cell in trained.items()}
    if not seconds:
        return {}
    # What was made only now, as adaptors to a teacher, goes where the model is.
    runner.model.to(next(runner.model.parameters()).device)
    known = [value for value in seconds.values() if value is not None]
    return {"needed_train_seconds": sum(known) if len(known) == len(seconds) else None}


def _train(runner: Runner, seconds_before: float) -> dict[str, float]:
    """Train, unless there is nothing to train; returns the seconds, with those before an interruption."""
    method: Method = runner.model.model.method
    regularizer: Regularizer | None = runner.model.regularizer
    # The data set must stand, and be cached, before the clock starts.
    if type(method).calibrate is not Method.calibrate:
        method.calibrate(_training_targets(runner))
    if regularizer is not None and type(regularizer).calibrate is not Regularizer.calibrate:
        with torch.random.fork_rng(devices=[]):
            regularizer.calibrate(_training_targets(runner))
    if not any(parameter.requires_grad for parameter in method.parameters()):
        return {"train_seconds": 0.0, "seconds_per_step": 0.0}
    before = time.perf_counter()
    runner.train()
    seconds = seconds_before + time.perf_counter() - before
    return {"train_seconds": seconds, "seconds_per_step": seconds / max(1, runner.train_loop.max_iters)}


def diagnostics_of(runner: Runner) -> dict[str, float | None]:
    """What the regularizer logged beside its losses, the mean of the last values; None where it is no number."""
    start = f"train/{DIAGNOSTIC}"
    logged = {
        name.removeprefix(start): buffer
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.startswith(start)
    }
    means = {name: float(buffer.mean(DIAGNOSED_STEPS)) for name, buffer in logged.items()}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}


def _training_targets(runner: Runner) -> Iterator[Mapping[str, Tensor]]:
    """Targets of the training split, each frame once, without augmentation but for the padding of the test split."""
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
    """Largest resident memory of this process so far, or of the GPU where one is used, in MiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def data_provenance(dataset: Any) -> dict[str, Any]:
    """Id and fingerprint of the data that was scored, and the size it was scored at."""
    info = dataset.info
    return {"id": info.id, "fingerprint": info.fingerprint, "frames": len(dataset)}


def pairs_provenance(runner: Runner) -> dict[str, Any]:
    """Id and fingerprint of the posed views that were merged into the training split; nothing where none were."""
    pairs = getattr(runner.train_dataloader.dataset, "pairs", None)
    if pairs is None:
        return {}
    return {"pairs": {"id": pairs.views.info.id, "fingerprint": pairs.views.info.fingerprint, "pairs": len(pairs)}}


def _described(values: Mapping[str, float]) -> Metrics:
    """`{"semseg/mIoU": 20.7}` -> `{"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}`."""
    metrics: Metrics = {}
    for key, value in values.items():
        task, _, name = key.partition("/")
        meaning = described(key)
        metrics.setdefault(task, {})[name] = {"value": float(value), **meaning._asdict()}
    return metrics


def _one_line(error: Exception) -> str:
    """What went wrong; the type too, unless the message was written for users."""
    line = " ".join(str(error).split())
    written_for_users = isinstance(error, (ValueError, OSError, KeyError)) and line
    return (line if written_for_users else f"{type(error).__name__}: {line}")[:500]
