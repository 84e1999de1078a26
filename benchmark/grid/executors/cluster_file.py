"""Keys of a cluster, from a TOML file with the tables [slurm] and [ray]; docs/grid.md has an example of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.grid.executors import ExecutorError
from benchmark.records.toml_files import read_toml
from benchmark.records.validation import RecordError


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SlurmKeys(_Keys):
    """Keys of a Slurm cluster.

    Args:
        partition, account, qos, constraint, exclude: options of sbatch.
        modules: modules to load, `module load NAME`.
        environment: folder of the Python environment that has the suite's packages; by default the launcher's Python.
        container: image in which Python runs, through Apptainer.
        setup: further shell commands before the cell.
        parallel: cells that run at a time, the %N of a job array.
        minutes: time of the longest cell; by default from the estimate.
        margin: the time limit is `minutes` times this factor, plus `signal_seconds` and 5 minutes.
        longest_minutes: longest time limit of the partition; a longer cell is requeued and continues.
        signal_seconds: seconds before the limit at which a cell is asked to save its state.
        requeues: number of times that a cell may be requeued.
        options: other options of sbatch by name.
        system: "slurm", or "local" and "debug" of submitit, which run jobs on this machine.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    modules: tuple[str, ...] = ()
    environment: str | None = None
    container: str | None = None
    setup: tuple[str, ...] = ()
    parallel: int = Field(default=64, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    margin: float = Field(default=1.5, ge=1)
    longest_minutes: int = Field(default=24 * 60, ge=1)
    signal_seconds: int = Field(default=120, ge=1)
    requeues: int = Field(default=20, ge=0)
    options: dict[str, str | int | bool] = {}
    system: Literal["slurm", "local", "debug"] = "slurm"


class RayKeys(_Keys):
    """Keys of a Ray cluster.

    Args:
        address: address of the head, such as "10.0.0.1:6379" or "auto".
        runtime_env: runtime environment of Ray, such as `{ working_dir = "." }` for nodes without this checkout.
    """

    address: str | None = None
    runtime_env: dict[str, Any] = {}


class Cluster(_Keys):
    """Keys of a cluster."""

    slurm: SlurmKeys = SlurmKeys()
    ray: RayKeys = RayKeys()


def read_cluster(path: str | Path | None) -> Cluster:
    """Read the keys of a cluster; without a file, all keys have their defaults.

    Raises:
        ExecutorError: if the file cannot be read or has a wrong key; in one line.
    """
    if path is None:
        return Cluster()
    try:
        return read_toml(Cluster, Path(path))
    except RecordError as error:
        raise ExecutorError(str(error)) from None
