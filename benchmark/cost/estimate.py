"""Estimate of a grid before anything starts: time from stored results of this hardware or timed steps, and disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmark.cost.measure import MeasurementError, in_own_process, step_cost, trains
from benchmark.cost.target import CostTarget, build_shapes, image_size
from benchmark.grid.executors.local import default_workers
from benchmark.records.provenance import available_cores, hardware
from benchmark.records.result import DONE, RunResult, RunSpec
from benchmark.records.store import ResultStore, Stored
from benchmark.tasks import counted
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError

TIMED_STEPS = 3
NO_PART_OF_THE_TIME = (
    "train_cfg.",
    "optim_wrapper.optimizer.lr",
    "optim_wrapper.optimizer.weight_decay",
    "optim_wrapper.paramwise_cfg.",
    "optim_wrapper.clip_grad.",
    "param_scheduler",
    "regularizer.weight",
    "split",
    "tasks.",
)
"""Beginnings of the settings that are ignored when times of a step are compared."""
COMPARED = ("cpu", "threads", "gpu")
"""Entries of the hardware that must be equal for a stored time to count."""
MOMENTS = {"AdamW": 2, "Adam": 2, "SGD": 1}
"""Values that an optimizer keeps for each parameter."""
BYTES = 4


@dataclass(frozen=True)
class RowEstimate:
    """Estimate of the cells of a grid that differ in their seed only.

    Args:
        spec: one of the cells.
        cells: number of the cells that are to be run.
        minutes: minutes of one cell; None if it could not be measured.
        origin: source of the time, or the reason why it is missing.
        state_bytes: size of a training state.
        weight_bytes: size of the weights that stay.
    """

    spec: RunSpec
    cells: int
    minutes: float | None
    origin: str
    state_bytes: float
    weight_bytes: float


def estimate(
    grid: Iterable[RunSpec], store: ResultStore, workers: int | None = None, imports: Sequence[str | Path] = ()
) -> tuple[list[RowEstimate], int]:
    """Estimate the cells of a grid that are not done.

    Args:
        grid: identified cells.
        store: store of the results, whose times count if they were measured on this hardware.
        workers: cells at a time; None for the default of this machine.
        imports: files of the user.

    Returns:
        An estimate for each row, and the number of cells at a time.
    """
    machine = hardware()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else None
    count = workers or default_workers(machine["cores"], machine["memory_gib"], gpus)
    here = {**machine, "threads": max(1, machine["cores"] // count)}
    here["gpu"] = torch.cuda.get_device_name() if gpus else None
    rows: dict[RunSpec, int] = {}
    for spec in grid:
        if not _is_done(spec, store):
            row = replace(spec, seed=0)
            rows[row] = rows.get(row, 0) + 1
    stored = [found.result for found in store.results() if isinstance(found, Stored)] if rows else []
    comparable = [result for result in stored if result.status == DONE and _same_hardware(result, here)]
    times = Times(comparable, here)
    return [_row(spec, cells, times, tuple(map(str, imports))) for spec, cells in rows.items()], count


def longest_minutes(rows: Iterable[RowEstimate]) -> float | None:
    """Minutes of the longest cell; None if a time is not known."""
    minutes = [row.minutes for row in rows]
    known = [value for value in minutes if value is not None]
    return max(known) if known and len(known) == len(minutes) else None


def estimate_text(
    grid: Sequence[RunSpec], store: ResultStore, workers: int | None = None, imports: Sequence[str | Path] = ()
) -> str:
    """Table of the estimate, and the sums: core or GPU hours, hours with several cells at a time, disk."""
    rows, count = estimate(grid, store, workers, imports)
    if not rows:
        return "every cell is done"
    return "\n".join([*_table(rows), *_sums(rows, count, store)])


def _table(rows: Sequence[RowEstimate]) -> Iterator[str]:
    names = [" ".join(filter(None, (f"{r.spec.method}+{r.spec.regularizer}", str(r.spec.overrides)))) for r in rows]
    width = max(map(len, names))
    yield f"{'':{width}s}  cells  minutes each  from"
    for name, row in zip(names, rows, strict=True):
        minutes = "?" if row.minutes is None else f"{row.minutes:.1f}"
        yield f"{name:{width}s}  {row.cells:5d}  {minutes:>12s}  {row.origin}"


def _sums(rows: Sequence[RowEstimate], workers: int, store: ResultStore) -> Iterator[str]:
    cells = sum(row.cells for row in rows)
    hours = sum(row.cells * row.minutes for row in rows if row.minutes is not None) / 60
    unknown = sum(row.cells for row in rows if row.minutes is None)
    on_gpu = torch.cuda.is_available()
    unit, cores = ("GPU hours", 1) if on_gpu else ("core hours", max(1, available_cores() // workers))
    at_a_time = min(workers, cells)
    yield (
        f"{counted(cells, 'cell')} to run: {hours * cores:.2f} {unit}, "
        f"{hours / at_a_time:.2f} hours with {at_a_time} at a time"
        + (f", without {counted(unknown, 'cell')} of unknown time" if unknown else "")
    )
    # Two states of each running cell, and a third while one is written.
    running = 3 * sum(sorted((row.state_bytes for row in rows for _ in range(row.cells)), reverse=True)[:at_a_time])
    weights = sum(row.cells * row.weight_bytes for row in rows)
    place = next(path for path in (store.work.absolute(), *store.work.absolute().parents) if path.exists())
    yield (
        f"disk: {running / 2**30:.2f} GiB of training states at a time, {weights / 2**30:.2f} GiB of weights in the "
        f"end; {shutil.disk_usage(place).free / 2**30:.1f} GiB are free"
    )


def _row(spec: RunSpec, cells: int, times: Times, imports: tuple[str, ...]) -> RowEstimate:
    recipe = load_recipe(spec.recipe, spec.overrides)
    target = CostTarget(spec, _size_of(recipe), "cuda" if times.here["gpu"] else "cpu", TIMED_STEPS, imports)
    minutes, origin = times.minutes(recipe, target)
    with torch.random.fork_rng(devices=[]):
        module = build_shapes(target)
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    values = sum(tensor.numel() for tensor in module.state_dict().values() if hasattr(tensor, "numel"))
    optimizer = MOMENTS.get(str(recipe.optim_wrapper.optimizer.type), 2)
    averages = values if recipe.ema else 0
    return RowEstimate(
        spec, cells, minutes, origin, BYTES * (values + optimizer * trained + averages), BYTES * float(values)
    )


class Times:
    """Times of cells on this hardware, from stored results where there are some, else from timed steps.

    Args:
        stored: finished results of this hardware.
        here: this hardware, with the threads of a cell.
    """

    def __init__(self, stored: Sequence[RunResult], here: Mapping[str, Any]) -> None:
        self.stored, self.here = stored, here
        self._timed: dict[str, float] = {}

    def minutes(self, recipe: Any, target: CostTarget) -> tuple[float | None, str]:
        """Minutes of a cell, None if they cannot be measured; and their source, or the reason."""
        steps = int(recipe.train_cfg.max_iters)
        same_recipe = [result for result in self.stored if result.spec.folder == target.spec.folder]
        evaluation = _median(result.cost.get("evaluate_seconds") for result in same_recipe) or 0.0
        alike = [result for result in same_recipe if _as_long(result.spec, target.spec)]
        per_step = _median(result.cost.get("seconds_per_step") for result in alike)
        if per_step is not None:
            own = _median(result.cost.get("evaluate_seconds") for result in alike)
            seconds = steps * per_step + (evaluation if own is None else own)
            return seconds / 60, f"{len(alike)} stored results of this hardware"
        try:
            measured = self._timed_step(target, int(recipe.train_dataloader.batch_size))
        except (MeasurementError, ConfigError) as error:
            return None, str(error)
        note = "" if evaluation else ", without evaluation"
        return (steps * measured + evaluation) / 60, f"{TIMED_STEPS} timed steps{note}"

    def _timed_step(self, target: CostTarget, batch: int) -> float:
        ingredients = target.spec.ingredients
        key = repr((target.spec.method, target.spec.regularizer, ingredients and _timed_settings(ingredients.settings)))
        if key not in self._timed:
            self._timed[key] = _with_threads(self.here["threads"], target, batch) if trains(target) else 0.0
        return self._timed[key]


def _with_threads(threads: int, target: CostTarget, batch: int) -> float:
    """Seconds of a step with the threads of a cell; the measuring process inherits the variable."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        return float(in_own_process(step_cost, target, batch)["step_seconds"] or 0.0)
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _size_of(recipe: Any) -> tuple[int, int]:
    try:
        return image_size(recipe)
    except ConfigError:
        return (480, 640)


def _as_long(stored: RunSpec, spec: RunSpec) -> bool:
    """True if a step of a stored cell takes as long as a step of another cell."""
    if (stored.method, stored.regularizer, stored.backbone) != (spec.method, spec.regularizer, spec.backbone):
        return False
    if stored.ingredients is None or spec.ingredients is None:
        return False
    return _timed_settings(stored.ingredients.settings) == _timed_settings(spec.ingredients.settings)


def _timed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if not key.startswith(NO_PART_OF_THE_TIME)}


def _same_hardware(result: RunResult, here: Mapping[str, Any]) -> bool:
    found = result.provenance.get("hardware") or {}
    return all(found.get(key) == here.get(key) for key in COMPARED)


def _is_done(spec: RunSpec, store: ResultStore) -> bool:
    try:
        return store.finished(spec)
    except ValueError:
        return False


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
