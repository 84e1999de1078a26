"""Choice of the executor by name. Executors of other packages are imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

from benchmark.grid.executors import Executor, ExecutorError
from benchmark.grid.executors.gpus import cells_at_once, visible_gpus
from benchmark.grid.executors.in_process import InProcessExecutor
from benchmark.grid.executors.local import LocalExecutor, default_workers
from benchmark.records.provenance import hardware
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

SLURM = "slurm"
ON_CLUSTERS = ("ray", SLURM)
EXECUTORS = ("local", *ON_CLUSTERS, "in_process")
PACKAGES = {"ray": "ray", SLURM: "submitit"}
RUN_CELL = "benchmark.training.cell:run_cell"
"""Function that trains a cell; named as text, since this package imports no torch."""


def no_cells(spec: RunSpec) -> Sequence[RunSpec]:
    """No needed cells, for a grid of independent cells."""
    return ()


@dataclass(frozen=True)
class ExecutorOptions:
    """Options of the command line for the executor and its resources.

    Args:
        name: one of `EXECUTORS`.
        workers: cells at a time; None for as many as the machine or the cluster takes.
        imports: files of the user, which each cell imports first.
        gpus_per_cell: GPUs of a cell, a fraction if several cells share one; None for one GPU for each of its devices
            if there are GPUs, and for none on Slurm.
        cpus_per_cell: cores of a cell on Ray and Slurm.
        memory_gib: memory of a cell on Ray and Slurm.
        ray_address: address of a running Ray cluster; None starts Ray on this machine.
        cluster: file with the keys of a cluster, see docs/grid.md.
        minutes: time of the longest cell, for the time limit of a batch system.
        needed: cells that a cell starts or learns from, whose weights go to machines without the launcher's folders.
        devices: devices of one cell, see --devices of tools/train.py.
    """

    name: str = "local"
    workers: int | None = None
    imports: tuple[str | Path, ...] = ()
    gpus_per_cell: float | None = None
    cpus_per_cell: int = 1
    memory_gib: float | None = None
    ray_address: str | None = None
    cluster: str | Path | None = None
    minutes: float | None = None
    needed: Callable[[RunSpec], Sequence[RunSpec]] = no_cells
    devices: int = 1


def make_executor(options: ExecutorOptions, store: ResultStore) -> Executor:
    """Make the executor of a name.

    Raises:
        ExecutorError: for an unknown name, a missing package, or a request that it cannot fulfil; in one line.
    """
    makers: dict[str, Callable[[ExecutorOptions, ResultStore], Executor]] = {
        "local": _local,
        "in_process": _in_process,
        "ray": _ray,
        SLURM: _slurm,
    }
    if options.name not in makers:
        raise ExecutorError(f"no executor named {options.name!r}; executors: {', '.join(EXECUTORS)}")
    require_package(options.name)
    return makers[options.name](options, store)


def require_package(executor: str) -> None:
    """Check that the package of an executor is installed.

    Raises:
        ExecutorError: if it is missing; the message has the command that installs it.
    """
    package = PACKAGES.get(executor)
    if package and find_spec(package) is None:
        raise ExecutorError(f"--executor {executor} needs the package {package}: python -m pip install {package}")


def gpus_of_cell(options: ExecutorOptions, has_gpus: bool) -> float:
    """GPUs to reserve for a cell: by default one for each of its devices if `has_gpus`, else 0.

    Raises:
        ExecutorError: if a chosen number of GPUs is above 0, but below the number of devices, or above 1 and no whole
            number.
    """
    gpus = options.gpus_per_cell
    if gpus is None:
        return float(options.devices) if has_gpus else 0.0
    if gpus > 1 and not float(gpus).is_integer():
        raise ExecutorError(f"--gpus-per-cell {gpus:g}: expected a whole number of GPUs, or a part of one")
    if options.devices > 1 and 0 < gpus < options.devices:
        raise ExecutorError(f"--devices {options.devices} needs --gpus-per-cell {options.devices}, found {gpus:g}")
    return gpus


def cores_of_cell(options: ExecutorOptions) -> int:
    """Cores to reserve for a cell on a cluster: at least one for each of its processes."""
    return max(options.cpus_per_cell, options.devices)


def _local(options: ExecutorOptions, store: ResultStore) -> Executor:
    gpus, machine = visible_gpus(), hardware()
    per_cell = gpus_of_cell(options, bool(gpus))
    if per_cell > len(gpus):
        raise ExecutorError(f"--gpus-per-cell {per_cell:g}: this machine has {len(gpus)} GPUs")
    slots = cells_at_once(len(gpus), per_cell) if per_cell else None
    fitting = default_workers(machine["cores"], machine["memory_gib"], slots)
    # On a CPU, a cell on several devices computes in as many processes.
    workers = options.workers or (fitting if gpus else max(1, fitting // options.devices))
    if slots is not None and workers > slots:
        raise ExecutorError(f"--workers {workers}: {len(gpus)} GPUs take {slots} cells; lower --gpus-per-cell")
    return LocalExecutor(store, workers, options.imports, gpus=gpus, gpus_per_cell=per_cell)


def _in_process(options: ExecutorOptions, store: ResultStore) -> Executor:
    run_cell = resolve_name(RUN_CELL)
    return InProcessExecutor(store, lambda spec, folder: run_cell(spec, folder, options.imports))


def _ray(options: ExecutorOptions, store: ResultStore) -> Executor:
    executor: Executor = import_module("benchmark.grid.executors.ray_cluster").make(options, store)
    return executor


def _slurm(options: ExecutorOptions, store: ResultStore) -> Executor:
    executor: Executor = import_module("benchmark.grid.executors.slurm_cluster").make(options, store)
    return executor
