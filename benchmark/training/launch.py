"""Grids from Python and notebooks: `benchmark.run_grid(...)` plans and runs cells like tools/run_grid.py.

import benchmark

report = benchmark.run_grid("smoke", methods=["hard_sharing"], regularizers=["none", "aux_heads"], out="results/demo")
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.grid.cells import Report, run
from benchmark.grid.executors import Executor
from benchmark.grid.executors.choice import ExecutorOptions, make_executor
from benchmark.grid.failures import FailureRules
from benchmark.grid.progress import Progress, progress_on
from benchmark.grid.status import cell_states
from benchmark.records.boards import read_board, read_grid_file
from benchmark.records.overrides import Overrides
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import DONE, FAILED, TEST, RunSpec
from benchmark.records.store import ResultStore
from benchmark.registry import import_files
from benchmark.training.dependencies import needs_of
from benchmark.training.identity import ensure_data
from benchmark.training.requests import Request, checked_cells, of_file, recipes_of
from benchmark.training.sweeps import combinations

RESULTS = CHECKOUT / "results"


@dataclass(frozen=True)
class GridPlan:
    """Checked and identified cells of a grid.

    Args:
        requests: requests that the cells come from.
        cells: the cells in the order of running, each after the cells that it needs.
        notes: lines on cells that were left out or added.
        store: store of their results.
    """

    requests: Sequence[Request]
    cells: Sequence[RunSpec]
    notes: Sequence[str]
    store: ResultStore
    _needed: dict[RunSpec, tuple[RunSpec, ...]] = field(default_factory=dict)

    def needed(self, spec: RunSpec) -> tuple[RunSpec, ...]:
        """Cells that a cell starts or learns from."""
        if spec not in self._needed:
            self._needed[spec] = needs_of(spec).cells
        return self._needed[spec]

    def only(self, states: Collection[str]) -> GridPlan:
        """The cells in some states, such as "failed" or "missing"; all cells if no state is named."""
        if not states:
            return self
        kept = [cell.spec for cell in cell_states(self.cells, self.store) if cell.state in states]
        return replace(self, cells=kept)


def requests_of_file(path: Path) -> list[Request]:
    """The requests of a grid file."""
    return of_file(read_grid_file(path))


def requests_of_board(out: Path, name: str) -> list[Request]:
    """The requests of a board below a folder of results."""
    return of_file(read_board(out, name))


def plan_grid(requests: Sequence[Request], store: ResultStore) -> GridPlan:
    """Check and identify the cells of requests.

    Raises:
        ValueError, KeyError, OSError: for a wrong request, in one line.
    """
    cells, notes = checked_cells(requests)
    return GridPlan(requests, cells, notes, store)


def prepare_data(requests: Iterable[Request]) -> None:
    """Generate the data sets of the recipes, or check that they exist, before the first cell starts.

    Raises:
        ValueError, OSError: if data are missing and cannot be generated; the message has the remedy.
    """
    for recipe in recipes_of(list(requests)):
        ensure_data(recipe)


def run_plan(
    plan: GridPlan,
    executor: Executor,
    progress: Progress,
    retry: Collection[str] = (FAILED,),
    limit: int | None = None,
    rules: FailureRules | None = None,
) -> Report:
    """Run the cells of a plan that are not done; see `benchmark.grid.cells.run`."""
    plan.store.work.mkdir(parents=True, exist_ok=True)
    return run(plan.cells, plan.store, executor, progress, retry, plan.needed, rules, limit)


def run_grid(
    recipe: str | None = None,
    methods: Sequence[str] = ("all",),
    regularizers: Sequence[str] = ("none",),
    seeds: Sequence[int] = (0,),
    *,
    board: str | None = None,
    grid: str | Path | None = None,
    backbone: str | None = None,
    tasks: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    split: str = TEST,
    out: str | Path = RESULTS,
    work: str | Path | None = None,
    imports: Sequence[str | Path] = (),
    retry: Collection[str] = (FAILED,),
    only: Collection[str] = (),
    limit: int | None = None,
    executor: str = "local",
    workers: int | None = None,
    **executor_options: Any,
) -> Report:
    """Run a grid and return the outcome of every cell; the results are files below `out`.

    Args:
        recipe: name of a recipe, or path of the user's own recipe file. Name one of `recipe`, `board` and `grid`. A
            board or a grid file names its own cells: methods, regularizers, seeds, backbone, tasks, settings, sweep
            and split are refused with it.
        methods: names or wildcards.
        regularizers: names or wildcards.
        seeds: seeds in the order of running.
        board: name of a board below `out`.
        grid: path of a grid file.
        backbone: name or name:weights; None for the recipe's.
        tasks: task names; empty for the recipe's.
        settings: changed recipe settings.
        sweep: recipe settings with several values: cells for each combination.
        split: "test" or "val".
        out: folder of results.
        work: folder of logs and checkpoints; `out/work` if not given.
        imports: files of the user.
        retry: statuses of cells to run again.
        only: states of the cells to run, such as "failed"; empty for all.
        limit: largest number of cells to run; None for all.
        executor: "local", "in_process", "ray" or "slurm".
        workers: cells at a time; by default as many as the machine takes.
        executor_options: other fields of `benchmark.grid.executors.choice.ExecutorOptions`.

    Raises:
        ValueError, KeyError, OSError: for a wrong request, in one line.
        ExecutorError: if the executor cannot be used here.
    """
    import_files(imports)
    if sum(choice is not None for choice in (recipe, board, grid)) != 1:
        raise ValueError("name one of recipe, board and grid")
    if recipe is None:
        _refuse_cells(
            methods=methods,
            regularizers=regularizers,
            seeds=seeds,
            backbone=backbone,
            tasks=tasks,
            settings=settings,
            sweep=sweep,
            split=split,
        )
    if board is not None:
        requests = requests_of_board(Path(out), board)
    elif grid is not None:
        requests = requests_of_file(Path(grid))
    else:
        fixed = {key: [value] for key, value in (settings or {}).items()}
        variants = combinations(fixed | dict(sweep or {})) if settings or sweep else [Overrides()]
        requests = [Request(str(recipe), methods, regularizers, seeds, backbone, tasks, variants, split)]
    plan = plan_grid(requests, ResultStore(out, work)).only(only)
    if any(cell.state != DONE for cell in cell_states(plan.cells, plan.store)):
        prepare_data(requests)
    options = ExecutorOptions(executor, workers, tuple(imports), **executor_options)
    return run_plan(plan, make_executor(options, plan.store), progress_on(sys.stderr), retry, limit)


def _refuse_cells(**arguments: Any) -> None:
    """Check that arguments of `run_grid` that choose cells have their defaults.

    Raises:
        ValueError: for the first other value.
    """
    parameters = inspect.signature(run_grid).parameters
    for name, value in arguments.items():
        if value != parameters[name].default:
            raise ValueError(f"{name}: a board or a grid file names its own cells; leave this argument out")
