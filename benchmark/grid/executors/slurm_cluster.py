"""Executor that runs cells as jobs of Slurm, through submitit. Queues, limits and placement are Slurm's.

Jobs outlive a launcher that is killed. A file in the work folder of each cell names its job, so the same command finds
these jobs, and no cell is queued twice.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from benchmark.grid.executors import Ended, ExecutorError
from benchmark.grid.executors.choice import cores_of_cell, gpus_of_cell
from benchmark.grid.executors.cluster_file import SlurmKeys, read_cluster
from benchmark.grid.executors.local import TRAIN
from benchmark.grid.executors.mailbox import receive, share_mark
from benchmark.grid.executors.remote import RemoteCell, RemoteOutcome, cell_variables, files_of_user
from benchmark.grid.executors.slurm_job import ENDED, LOG, RECORD, STARTED, SlurmCell, read_json
from benchmark.grid.progress import Steps, read_progress
from benchmark.records.atomic import write_text
from benchmark.records.failures import CODE, INFRASTRUCTURE
from benchmark.records.leases import Lease, is_dead, process
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore
from benchmark.records.validation import shortened

SIGNAL = "USR1"
"""Signal before the time limit, see `benchmark.training.interruption`."""
SIGNAL_VARIABLE = "SUBMITIT_PREEMPT_SIGNAL"
LARGEST_ARRAY = 1000
CHECK_SECONDS = 20.0
"""Seconds between two queries of the state of a job that has not written its file `ENDED`."""
DEFAULT_MINUTES = 240.0
ACTIVE = (
    "PENDING",
    "RUNNING",
    "REQUEUED",
    "CONFIGURING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUE_HOLD",
    "RESIZING",
    "UNKNOWN",
)


@dataclass
class _Job:
    folder: Path
    job: Any = None
    next_check: float = 0.0


class SlurmExecutor:
    """Runs cells as jobs.

    Args:
        store: store of results, logs and leases; its folders are on a file system that the nodes share.
        keys: keys of the cluster.
        parameters: parameters of submitit, see `submission_parameters`.
        imports: files of the user, which each cell imports first.
        cores: cores of a cell.
        program: script that runs one cell.
    """

    def __init__(
        self,
        store: ResultStore,
        keys: SlurmKeys,
        parameters: Mapping[str, Any],
        imports: tuple[str | Path, ...] = (),
        cores: int = 1,
        program: Path = TRAIN,
    ) -> None:
        self.store, self.keys, self.cores, self.program = store, keys, cores, program
        self.imports = files_of_user(imports)
        self.workers = LARGEST_ARRAY if keys.system == "slurm" else keys.parallel
        self.submission = auto_executor(store.work / "slurm", keys, parameters)
        self._mark = share_mark(store.work)
        self._jobs: dict[RunSpec, _Job] = {}
        self._unsent: dict[RunSpec, tuple[SlurmCell, Lease]] = {}

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Take over the job of a cell that has one; else let it be queued with the next array."""
        work_folder = self.store.work_folder(spec).absolute()
        work_folder.mkdir(parents=True, exist_ok=True)
        known = self._known_job(work_folder / RECORD)
        if known is not None:
            lease.note(queue=f"slurm job {known.job.job_id if known.job is not None else 'of another launcher'}")
            self._jobs[spec] = known
            return work_folder / LOG
        token = secrets.token_hex(6)
        folder = work_folder / f"job-{token}"
        write_text(work_folder / RECORD, json.dumps({"token": token, "job": None}))
        (work_folder / "progress.json").unlink(missing_ok=True)
        cell = RemoteCell(
            spec.to_text(),
            str(self.store.work.absolute()),
            self._mark,
            self.imports,
            variables=cell_variables(),
            cores=self.cores,
            program=str(self.program),
        )
        patience = max(1.0, self.keys.signal_seconds - 10.0)
        self._unsent[spec] = (SlurmCell(cell, work_folder / RECORD, token, folder, patience), lease)
        self._jobs[spec] = _Job(folder)
        return work_folder / LOG

    def ended(self) -> list[Ended]:
        """Cells whose job has ended since the last call."""
        failed = self._submit() if self._unsent else []
        found = [ended for spec, job in list(self._jobs.items()) if (ended := self._end_of(spec, job)) is not None]
        for ended in found:
            del self._jobs[ended.spec]
        return [*failed, *found]

    def steps(self, spec: RunSpec) -> Steps | None:
        """Steps of a running cell, from its progress.json."""
        return read_progress(self.store.work_folder(spec))

    def cancel(self, spec: RunSpec) -> None:
        """Cancel the job of one cell, and forget it."""
        job = self._jobs.pop(spec)
        self._unsent.pop(spec, None)
        if job.job is not None:
            job.job.cancel(check=False)
        (self.store.work_folder(spec) / RECORD).unlink(missing_ok=True)

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Cancel the jobs of all cells."""
        for spec in list(self._jobs):
            self.cancel(spec)

    def _submit(self) -> list[Ended]:
        """Queue all new cells, as one array."""
        batch, self._unsent = self._unsent, {}
        try:
            with self.submission.batch():
                jobs = [self.submission.submit(cell) for cell, _ in batch.values()]
        except Exception as error:  # noqa: BLE001  (submitit raises errors of sbatch in several types)
            return [self._not_queued(spec, error) for spec in batch]
        for (spec, (cell, lease)), job in zip(batch.items(), jobs, strict=True):
            self._jobs[spec].job = job
            entry = {"token": cell.token, "job": job.job_id, "process": self._controller(job)}
            write_text(cell.record, json.dumps(entry))
            lease.note(queue=f"{self.keys.system} job {job.job_id}")
            if self.keys.system == "debug":
                job.results()
        return []

    def _not_queued(self, spec: RunSpec, error: Exception) -> Ended:
        del self._jobs[spec]
        (self.store.work_folder(spec) / RECORD).unlink(missing_ok=True)
        return Ended(spec, f"could not be queued: {shortened(error)}", INFRASTRUCTURE)

    def _end_of(self, spec: RunSpec, job: _Job) -> Ended | None:
        """The end of a job: its result, or its loss; None while it is queued or runs."""
        if (job.folder / ENDED).is_file():
            end = read_json(job.folder / ENDED)
            details = job.folder / "out" / "runs" / spec.folder / self.store.details_path(spec).name
            files = {details.name: details.read_bytes()} if details.is_file() else {}
            how, error_class = str(end.get("how", "")), str(end.get("error_class", CODE))
            ended = receive(spec, RemoteOutcome(how, error_class, end.get("result"), files), self.store)
            self._forget(spec, job)
            return ended
        if time.monotonic() < job.next_check:
            return None
        job.next_check = time.monotonic() + (CHECK_SECONDS if self.keys.system == "slurm" else 0.5)
        if self._is_active(job) or (job.folder / ENDED).is_file():
            return None
        state = job.job.state if job.job is not None else "unknown"
        self._forget(spec, job)
        return Ended(spec, f"its job has ended without a result, in the state {state}", INFRASTRUCTURE)

    def _forget(self, spec: RunSpec, job: _Job) -> None:
        (self.store.work_folder(spec) / RECORD).unlink(missing_ok=True)
        shutil.rmtree(job.folder, ignore_errors=True)

    def _known_job(self, record: Path) -> _Job | None:
        """The job of a launcher that has ended, if it is queued, runs, or has a result."""
        entry = read_json(record)
        if not entry.get("token"):
            return None
        folder = record.with_name(f"job-{entry['token']}")
        job_id = entry.get("job") or read_json(folder / STARTED).get("job")
        job = _Job(folder, self._job_of(str(job_id)) if job_id else None)
        if (folder / ENDED).is_file():
            return job
        if job.job is None or not self._is_active(job, entry):
            return None
        return job

    def _job_of(self, job_id: str) -> Any:
        kind = self.submission._executor.job_class if self.keys.system != "debug" else None
        return kind(folder=self.submission.folder, job_id=job_id) if kind is not None else None

    def _controller(self, job: Any) -> dict[str, Any] | None:
        """Identity of the process of a job of submitit's local executor."""
        return process(int(job.job_id)) if self.keys.system == "local" else None

    def _is_active(self, job: _Job, entry: Mapping[str, Any] | None = None) -> bool:
        if self.keys.system == "debug" or job.job is None:
            return False
        if self.keys.system == "local":
            record = entry or read_json(job.folder.parent / RECORD)
            return not is_dead(record.get("process") or {})
        return str(job.job.watcher.get_state(job.job.job_id, mode="force")).split(" ")[0] in ACTIVE


def submission_parameters(
    keys: SlurmKeys, minutes: float, cores: int, gpus: float, memory_gib: float | None
) -> dict[str, Any]:
    """Parameters of submitit for the jobs of a grid.

    Args:
        keys: keys of the cluster.
        minutes: time of the longest cell.
        cores: cores of a cell.
        gpus: GPUs of a cell.
        memory_gib: memory of a cell; None for the default of the cluster.
    """
    chosen = {name: getattr(keys, name) for name in ("partition", "account", "qos", "constraint", "exclude")}
    limit = min(keys.longest_minutes, math.ceil(minutes * keys.margin + keys.signal_seconds / 60 + 5))
    return {
        "timeout_min": limit,
        "cpus_per_task": cores,
        "gpus_per_node": math.ceil(gpus) or None,
        "mem_gb": memory_gib,
        "name": "mtl-grid",
        "slurm_array_parallelism": keys.parallel,
        "slurm_signal_delay_s": keys.signal_seconds,
        "slurm_setup": setup_lines(keys),
        "slurm_additional_parameters": {"requeue": True, **keys.options},
        **{f"slurm_{name}": value for name, value in chosen.items() if value is not None},
    }


def setup_lines(keys: SlurmKeys) -> list[str]:
    """Shell commands of a job before its cell."""
    lines = [f"export {SIGNAL_VARIABLE}={SIGNAL}", f"export PYTHONPATH={quote(str(CHECKOUT))}"]
    lines += [f"module load {quote(name)}" for name in keys.modules]
    if keys.environment:
        lines.append(f"source {quote(str(Path(keys.environment) / 'bin' / 'activate'))}")
    return [*lines, *keys.setup]


def python_command(keys: SlurmKeys) -> str | None:
    """The command that starts Python in a job; None for the launcher's Python."""
    if keys.container:
        return f"apptainer exec --nv {quote(keys.container)} python"
    return quote(str(Path(keys.environment) / "bin" / "python")) if keys.environment else None


def auto_executor(folder: Path, keys: SlurmKeys, parameters: Mapping[str, Any]) -> Any:
    """Submitit's executor with the parameters that the system understands.

    Raises:
        ExecutorError: without Slurm on this machine.
    """
    # submitit reads the variable when it is imported.
    os.environ[SIGNAL_VARIABLE] = SIGNAL
    paths = [str(CHECKOUT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, paths)))
    submitit = importlib.import_module("submitit")
    options: dict[str, Any] = {}
    if keys.system == "slurm":
        options = {"slurm_max_num_timeout": keys.requeues, "slurm_python": python_command(keys)}
    try:
        executor = submitit.AutoExecutor(
            folder=folder.absolute(), cluster=keys.system, **{k: v for k, v in options.items() if v is not None}
        )
        known = {key: value for key, value in parameters.items() if value is not None}
        if keys.system != "slurm":
            known = {key: value for key, value in known.items() if not key.startswith("slurm_")}
        executor.update_parameters(**known)
    except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
        raise ExecutorError(f"--executor slurm: {shortened(error)}; run it where sbatch and srun are found") from None
    return executor


def make(options: Any, store: ResultStore) -> SlurmExecutor:
    """The executor of a command line.

    Raises:
        ExecutorError: for wrong keys, or without Slurm on this machine.
    """
    keys = read_cluster(options.cluster).slurm
    if options.workers:
        keys = keys.model_copy(update={"parallel": options.workers})
    minutes = keys.minutes or options.minutes or DEFAULT_MINUTES
    # The machine that queues jobs rarely has the nodes' GPUs, so only --gpus-per-cell asks for them.
    cores, gpus = cores_of_cell(options), gpus_of_cell(options, has_gpus=False)
    parameters = submission_parameters(keys, minutes, cores, gpus, options.memory_gib)
    return SlurmExecutor(store, keys, parameters, options.imports, cores)
