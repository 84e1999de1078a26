"""Cells as jobs: through submitit's local and debug executors, and the batch script of a Slurm cluster."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import processes
import pytest

from benchmark.grid.cells import cells
from benchmark.grid.executors import ExecutorError
from benchmark.grid.executors.choice import ExecutorOptions
from benchmark.grid.executors.cluster_file import SlurmKeys, read_cluster
from benchmark.grid.executors.slurm_cluster import SlurmExecutor, auto_executor, make
from benchmark.grid.status import cell_states
from benchmark.records.leases import Lease
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

pytestmark = pytest.mark.skipif(find_spec("submitit") is None, reason="needs the extra slurm: pip install submitit")

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[4]
wait_until = partial(processes.wait_until, seconds=90.0)


def launch(root: Path, system: str, methods: str, seeds: int, seconds: float) -> subprocess.Popen[str]:
    arguments = [str(argument) for argument in (root, system, methods, seeds, seconds)]
    command = [sys.executable, str(HERE / "slurm_grid.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def starts(store: ResultStore) -> list[tuple[str, int]]:
    try:
        lines = (store.work / "started.txt").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_jobs_on_this_machine_store_their_results(tmp_path):
    launcher = launch(tmp_path, "local", "quick,crashes", 1, 0)
    output, _ = launcher.communicate(timeout=120)
    assert "done quick+none seed 0" in output
    assert "failed crashes+none seed 0: exit code 3; last line of its log: last words" in output
    store = ResultStore(tmp_path)
    assert not list((store.work / "leases").iterdir())
    assert not list(store.work.glob("smoke/*/job*")), "the files of a job that has ended are removed"


def test_the_debug_executor_takes_the_same_path(tmp_path):
    output, _ = launch(tmp_path, "debug", "quick", 1, 0).communicate(timeout=120)
    assert "done quick+none seed 0" in output, output


@pytest.mark.slow
def test_a_job_before_its_limit_saves_its_state_and_is_queued_again(tmp_path):
    """Two requeues: the cell continues at its step, so every step is computed once."""
    store = ResultStore(tmp_path)
    launcher = launch(tmp_path, "local", "slow", 1, 20)
    for count in (1, 2):
        wait_until(lambda count=count: len(starts(store)) == count)
        wait_until(lambda count=count: len(steps_of(store)) >= 2 * count)
        os.kill(parent_of(starts(store)[-1][1]), signal.SIGUSR1)
    output, _ = launcher.communicate(timeout=240)
    assert "done slow+none seed 0" in output, output
    assert len(starts(store)) == 3
    assert steps_of(store) == list(range(10))


def steps_of(store: ResultStore) -> list[int]:
    logs = list(store.work.glob("smoke/*/cell.log"))
    return [int(step) for log in logs for step in re.findall(r"^step (\d+)", log.read_text(), re.MULTILINE)]


@pytest.mark.slow
def test_jobs_of_a_launcher_that_was_killed_are_found_by_the_same_command(tmp_path):
    store = ResultStore(tmp_path)
    launcher = launch(tmp_path, "local", "slow", 2, 15)
    wait_until(lambda: len(starts(store)) == 2)
    launcher.kill()
    launcher.communicate()
    output, _ = launch(tmp_path, "local", "slow", 2, 15).communicate(timeout=240)
    assert output.count("done slow+none") == 2, output
    assert set(Counter(run_id for run_id, _ in starts(store)).values()) == {1}, "a job was queued twice"


@pytest.mark.slow
def test_ctrl_c_cancels_the_jobs(tmp_path):
    store = ResultStore(tmp_path)
    launcher = launch(tmp_path, "local", "slow", 2, 300)
    wait_until(lambda: len(starts(store)) == 2)
    launcher.send_signal(signal.SIGINT)
    output, _ = launcher.communicate(timeout=60)
    assert "stopped by 2" in output
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for _, pid in starts(store)))
    assert not list(store.root.glob("runs/*/*.json"))
    assert not list((store.work / "leases").iterdir())


SBATCH = """#!/bin/sh
cp "$1" {captured}
echo Submitted batch job 17
"""


@pytest.fixture
def slurm_commands(tmp_path, monkeypatch) -> Path:
    """Stand-ins for the commands of Slurm; returns the file that `sbatch` copies its script to."""
    folder, captured = tmp_path / "bin", tmp_path / "captured.sh"
    folder.mkdir()
    scripts = {"sbatch": SBATCH.format(captured=captured), "scancel": f"#!/bin/sh\necho $@ >> {tmp_path}/cancelled\n"}
    for name in ("sbatch", "srun", "scancel", "sacct"):
        (folder / name).write_text(scripts.get(name, "#!/bin/sh\nexit 0\n"))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return captured


def documented(language: str, start: str) -> str:
    """The block of docs/grid.md in a language that begins with a text."""
    page = (CHECKOUT / "docs" / "grid.md").read_text()
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return next(block for block in blocks if block.startswith(start))


def queued_grid(tmp_path: Path) -> tuple[SlurmExecutor, ResultStore, list[RunSpec]]:
    """An executor with the keys of the documentation that has queued 24 cells."""
    file = tmp_path / "my_cluster.toml"
    file.write_text(documented("toml", "[slurm]"))
    store = ResultStore(tmp_path / "results")
    options = ExecutorOptions("slurm", cluster=file, cpus_per_cell=4, gpus_per_cell=1, memory_gib=32, minutes=60)
    executor = make(options, store)
    grid = cells("smoke", ["slow"], ["none"], range(24), "b", ["semseg"])
    for spec in grid:
        executor.start(spec, store.claim(spec))
    assert executor.ended() == []
    return executor, store, grid


def test_the_batch_script_is_the_documented_one(tmp_path, slurm_commands):
    """docs/grid.md shows the script that its example of a cluster file makes for 24 cells; compared line by line."""
    _, store, _ = queued_grid(tmp_path)
    script = slurm_commands.read_text()
    for path, name in ((store.work.absolute(), "WORK"), (CHECKOUT, "CHECKOUT")):
        script = script.replace(str(path), name)
    assert script.strip().splitlines() == documented("bash", "#!/bin/bash").strip().splitlines()


def test_queued_cells_are_seen_and_cancelled(tmp_path, slurm_commands):
    executor, store, grid = queued_grid(tmp_path)
    assert {cell.state for cell in cell_states(grid, store)} == {"queued"}
    assert cell_states(grid, store)[3].owner == "slurm job 17_3"
    executor.stop(hurry=lambda: False)
    cancelled = (tmp_path / "cancelled").read_text().split()
    assert {f"17_{number}" for number in range(24)} <= set(cancelled)
    assert not list(store.work.glob("smoke/*/job.json"))


def test_a_second_launcher_takes_the_jobs_over(tmp_path, slurm_commands):
    """`sacct` knows nothing of the jobs yet, as it does right after they were queued."""
    _, store, grid = queued_grid(tmp_path)
    slurm_commands.unlink()
    second = make(ExecutorOptions("slurm", cluster=tmp_path / "my_cluster.toml"), store)
    for spec in grid:
        second.start(spec, Lease(store.leases, spec.run_id, 1, "other"))
    assert second.ended() == []
    assert not slurm_commands.exists(), "nothing is queued again"


def test_jobs_find_the_suite_before_the_paths_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/mine", "", "/other"]))
    for _ in range(2):
        auto_executor(tmp_path, SlurmKeys(system="debug"), {})
        assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(CHECKOUT), "/mine", "/other"]


def test_a_machine_without_slurm_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorError, match=r"--executor slurm: .*srun.*run it where sbatch and srun are found"):
        make(ExecutorOptions("slurm"), ResultStore(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[slurm]\npartion = "gpu"', "unknown key slurm.partion. Did you mean 'partition'?"),
        ("[slurm]\nparallel = 0", "slurm.parallel: Input should be greater than or equal to 1, found 0"),
        ("[slurm", "not readable as TOML"),
        ("[pbs]", "unknown key pbs."),
    ],
)
def test_a_wrong_key_of_a_cluster_is_named_in_one_line(tmp_path, text, message):
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    with pytest.raises(ExecutorError) as caught:
        read_cluster(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_have_defaults():
    assert read_cluster(None).slurm == SlurmKeys()
