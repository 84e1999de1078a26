"""Executor that runs cells as Ray tasks. Placement, queues, and retries after the loss of a node are Ray's."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark.grid.executors import Ended, ExecutorError
from benchmark.grid.executors.choice import cores_of_cell, gpus_of_cell, no_cells
from benchmark.grid.executors.cluster_file import read_cluster
from benchmark.grid.executors.local import TRAIN
from benchmark.grid.executors.mailbox import receive, share_mark
from benchmark.grid.executors.remote import (
    RemoteCell,
    RemoteOutcome,
    cell_variables,
    files_of_user,
    run_in_temporary_folder,
    weights_of,
)
from benchmark.grid.progress import Steps, read_progress
from benchmark.records.atomic import write_short_lived_text
from benchmark.records.failures import INFRASTRUCTURE
from benchmark.records.leases import Lease
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore
from benchmark.records.validation import shortened

RETRIES = 5
"""Largest number of further starts of a cell whose node was lost."""
DRAIN_SECONDS = 0.5
GIB = 2**30


class Messages:
    """Actor at the launcher that collects the output of the cells."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.steps: dict[str, Steps] = {}

    def tell(self, run_id: str, text: str, steps: Steps | None) -> None:
        """Receive output and steps of a cell."""
        if text:
            self.texts.setdefault(run_id, []).append(text)
        if steps is not None:
            self.steps[run_id] = steps

    def drain(self) -> tuple[dict[str, str], dict[str, Steps]]:
        """Output since the last call, and the steps of every cell that has reported them since."""
        texts, self.texts = {run_id: "".join(parts) for run_id, parts in self.texts.items()}, {}
        steps, self.steps = self.steps, {}
        return texts, steps


def run_task(cell: RemoteCell, messages: Any) -> RemoteOutcome:
    """Body of a task: run a cell, and send its output to the launcher."""
    run_id = RunSpec.from_text(cell.spec).run_id

    def report(text: str, steps: Steps | None) -> None:
        if text or steps:
            messages.tell.remote(run_id, text, steps)

    folder = Path(tempfile.mkdtemp(prefix="cell-"))
    return run_in_temporary_folder(cell, folder, report)


class RayExecutor:
    """Runs cells as Ray tasks.

    Args:
        store: store of results, logs and leases.
        resources: `num_cpus`, `num_gpus` (fractions too) and `memory` in bytes of a cell.
        imports: files of the user, which each cell imports first.
        workers: cells that are handed to Ray at a time; None for twice as many as the cluster takes.
        program: script that runs one cell.
        needed: cells that a cell starts or learns from.

    Raises:
        ExecutorError: if no node of the cluster has the resources of a cell.
    """

    def __init__(
        self,
        store: ResultStore,
        resources: Mapping[str, Any],
        imports: tuple[str | Path, ...] = (),
        workers: int | None = None,
        program: Path = TRAIN,
        needed: Callable[[RunSpec], Sequence[RunSpec]] = no_cells,
    ) -> None:
        self.needed = needed
        self.store, self.resources, self.program = store, dict(resources), program
        self.imports, self._limit = files_of_user(imports), workers
        if not self._slots():
            raise ExecutorError(f"no node of the Ray cluster has the resources of a cell: {_described(resources)}")
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._messages = ray.remote(Messages).options(num_cpus=0, scheduling_strategy=here).remote()
        self._task = ray.remote(run_task).options(max_retries=RETRIES, **self.resources)
        self._refs: dict[RunSpec, Any] = {}
        self._next_drain = 0.0
        self._mark = share_mark(store.work)

    @property
    def workers(self) -> int:
        """Twice the number of cells that the cluster takes now, so that Ray always has a queue."""
        return self._limit or 2 * max(1, self._slots())

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Hand a cell to Ray; its output is appended to its log here."""
        folder = self.store.work_folder(spec)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "progress.json").unlink(missing_ok=True)
        lease.note(queue="ray")
        cell = RemoteCell(
            spec.to_text(),
            str(self.store.work.resolve()),
            self._mark,
            self.imports,
            weights_of(self.needed(spec), self.store),
            variables=cell_variables(),
            cores=max(1, int(self.resources.get("num_cpus", 1))),
            program=str(self.program),
        )
        self._refs[spec] = self._task.remote(cell, self._messages)
        return folder / "cell.log"

    def ended(self) -> list[Ended]:
        """Cells whose task has ended since the last call."""
        self._drain()
        if not self._refs:
            return []
        ready, _ = ray.wait(list(self._refs.values()), num_returns=len(self._refs), timeout=0, fetch_local=False)
        wanted = set(ready)
        over = {spec: ref for spec, ref in self._refs.items() if ref in wanted}
        if over:
            self._drain(now=True)
        return [self._ended(spec, ref) for spec, ref in over.items()]

    def _ended(self, spec: RunSpec, ref: Any) -> Ended:
        del self._refs[spec]
        try:
            outcome: RemoteOutcome = ray.get(ref)
        except ray.exceptions.RayError as error:
            return Ended(spec, f"lost by Ray: {type(error).__name__}: {shortened(error)}", INFRASTRUCTURE)
        return receive(spec, outcome, self.store)

    def steps(self, spec: RunSpec) -> Steps | None:
        """Steps of a running cell, as far as they have arrived here."""
        return read_progress(self.store.work_folder(spec))

    def cancel(self, spec: RunSpec) -> None:
        """End one cell."""
        ray.cancel(self._refs.pop(spec), force=True)

    def stop(self, hurry: Callable[[], bool]) -> None:
        """End all cells and the actor of the messages; Ray kills their processes."""
        for spec in list(self._refs):
            self.cancel(spec)
        self._drain(now=True)
        ray.kill(self._messages)

    def _drain(self, now: bool = False) -> None:
        """Append received output to the logs of the cells, and write received steps into their progress files."""
        if not now and time.monotonic() < self._next_drain:
            return
        self._next_drain = time.monotonic() + DRAIN_SECONDS
        try:
            texts, steps = ray.get(self._messages.drain.remote(), timeout=10)
        except ray.exceptions.RayError:
            return
        for spec in self._refs:
            folder = self.store.work_folder(spec)
            if spec.run_id in texts:
                with open(folder / "cell.log", "a", encoding="utf-8") as log:
                    log.write(texts[spec.run_id])
            if spec.run_id in steps:
                step, total = steps[spec.run_id]
                write_short_lived_text(folder / "progress.json", f'{{"step": {step}, "steps": {total}}}')

    def _slots(self) -> int:
        """Cells that the nodes of the cluster take at a time."""
        names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
        needs = {names[key]: value for key, value in self.resources.items() if value}
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(int(min((node.get(name, 0) // need for name, need in needs.items()), default=1)) for node in alive)


def make(options: Any, store: ResultStore) -> RayExecutor:
    """The executor of a command line; starts Ray on this machine, or connects to a running cluster.

    Raises:
        ExecutorError: if the cluster cannot be reached or is too small.
    """
    keys = read_cluster(options.cluster).ray
    address = options.ray_address or keys.address
    environment = {
        **keys.runtime_env,
        "env_vars": {"PYTHONPATH": str(CHECKOUT), **keys.runtime_env.get("env_vars", {})},
    }
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        try:
            connect = partial(ray.init, runtime_env=environment, log_to_driver=False, logging_level="error")
            connect(address=address) if address else connect(include_dashboard=False)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise ExecutorError(f"Ray at {address or 'this machine'}: {shortened(error)}") from None
    gpus = gpus_of_cell(options, bool(ray.cluster_resources().get("GPU")))
    resources: dict[str, Any] = {"num_cpus": cores_of_cell(options), "num_gpus": gpus}
    if options.memory_gib:
        resources["memory"] = int(options.memory_gib * GIB)
    return RayExecutor(store, resources, options.imports, options.workers, needed=options.needed)


def _described(resources: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.removeprefix('num_')} {value}" for key, value in resources.items())
