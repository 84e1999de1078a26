"""Trainings under two launchers, while processes are killed and stopped, states are damaged and the disk is full."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import processes_with, stall, wait_for_end_of
from safetensors.torch import load_file

from benchmark.records.store import ResultStore, Stored
from benchmark.training.checkpoints import PREVIOUS_FILE, STATE_FILE
from benchmark.training.model_files import MODEL_FILE

CHECKOUT = Path(__file__).resolve().parents[2]
STEPS = 24
"""A training takes about as long as the start of its process, so that kills at any time reach trainings."""
GRID = [
    *("--recipe", "smoke", "--methods", "hard_sharing", "--backbone", "timm:test_resnet"),
    *("--regularizers", "none,aux_heads,three_d_aware"),
    *("--set", f"train_cfg.max_iters={STEPS}", "--set", "checkpoint_interval=1"),
    *("--set", "train_dataloader.dataset.size=32x64", "--set", "test_dataloader.dataset.size=32x64"),
]
MEASURED = re.compile("time|seconds|memory")
"""Diagnostics that differ from run to run."""
DISK_MIB = 1024
LONGEST_WAIT = 60.0
"""Seconds; a cell takes ten to start."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which a test can fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "chaos", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system, to fill it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Chaos:
    """Two launchers of one grid, and what happens to them.

    Args:
        root: folder of results and work.
        logs: folder of the launchers' output, on another disk.
        grid: options of tools/run_grid.py.
    """

    def __init__(self, root: Path, logs: Path, grid: Sequence[str]) -> None:
        self.root, self.logs, self.grid, self.random = root, logs, grid, random.Random(0)
        self.logs.mkdir()
        self.launchers = [self.launch(index) for index in range(2)]

    def launch(self, index: int) -> subprocess.Popen[bytes]:
        """Start a launcher with one worker, on one core, so that its cells have one thread like the calm ones."""
        log = self.logs / f"{len(list(self.logs.iterdir()))}.txt"
        with open(log, "wb") as output:
            cores = sorted(os.sched_getaffinity(0))
            core = cores[index % len(cores)]
            command = ["taskset", "--cpu-list", str(core), sys.executable, "tools/run_grid.py", *self.grid]
            command += ["--out", str(self.root), "--workers", "1"]
            return subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT)

    def cells(self) -> list[int]:
        """Processes of running cells."""
        return processes_with("tools/train.py", str(self.root))

    def states(self) -> list[Path]:
        """Newest training states of cells that are not done."""
        return list(self.root.glob(f"work/smoke/*/{STATE_FILE}"))

    def wait(self) -> None:
        """Wait for some seconds, or until a cell or a launcher writes a state, a model or a result."""
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0.05, 15.0))
            return
        until, before = time.monotonic() + LONGEST_WAIT, self.written()
        while time.monotonic() < until and self.written() == before:
            time.sleep(0.002)

    def written(self) -> set[tuple[Path, int]]:
        """States, models and results, also half-written ones, with the times of their last change."""
        found = set()
        for pattern in ("work/smoke/*/*state*", "work/smoke/*/*model*", "runs/smoke/*"):
            for path in self.root.glob(pattern):
                with suppress(FileNotFoundError):
                    found.add((path, path.stat().st_mtime_ns))
        return found

    def kill(self) -> None:
        """SIGKILL of a cell, or more rarely of a launcher."""
        cells = self.cells()
        if cells and self.random.random() < 0.75:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(cells), signal.SIGKILL)
        else:
            self.random.choice(self.launchers).kill()

    def restart(self) -> None:
        """Start launchers that have ended anew."""
        for index, launcher in enumerate(self.launchers):
            if launcher.poll() is not None:
                self.launchers[index] = self.launch(index)

    def stall(self) -> None:
        """Stop a launcher for longer than its leases live."""
        stall(self.random.choice(self.launchers), self.root / "work" / "leases", self.random.uniform(0.5, 4.0))

    def damage(self) -> None:
        """Flip a bit of a cell's newest state, or remove the file, after a SIGKILL of the cells.

        It waits until a cell has two states, so that it can continue from the older one.
        """
        until = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < until and not list(self.root.glob(f"work/smoke/*/{PREVIOUS_FILE}")):
            time.sleep(0.002)
        for pid in self.cells():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for path in self.states():
            with suppress(FileNotFoundError):
                if self.random.random() < 0.5:
                    path.unlink()
                    continue
                content = bytearray(path.read_bytes())
                content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
                path.write_bytes(content)

    def fill_disk(self) -> None:
        """Leave no byte on the disk for some seconds."""
        filler = self.root.parent / "filler"
        with suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"\0" * (1 << 20))
        time.sleep(self.random.uniform(3.0, 8.0))
        filler.unlink()


def numbers(store: ResultStore) -> dict[str, tuple[Any, Any]]:
    """Metrics and diagnostics of each cell, without durations."""
    entries = list(store.results())
    assert all(isinstance(entry, Stored) for entry in entries)
    return {
        entry.result.spec.run_id: (
            entry.result.metrics,
            {name: value for name, value in entry.result.diagnostics.items() if not MEASURED.search(name)},
        )
        for entry in entries
        if isinstance(entry, Stored)
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_seeds", "counts"),
    [(1, {"kill": 6, "stall": 1, "fill_disk": 1}), (8, {"kill": 60, "stall": 6, "damage": 7, "fill_disk": 3})],
    ids=["short", "long"],
)
def test_trainings_survive_kills_stalls_damaged_states_and_a_full_disk(
    num_seeds: int,
    counts: dict[str, int],
    small_rooms: Path,
    small_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three cells a seed have the numbers and weights of a calm grid, each is published once, and nothing half-written
    stays.
    """
    for name, value in (("MTL_DATA", str(small_rooms)), ("OMP_NUM_THREADS", "1"), ("CUDA_VISIBLE_DEVICES", "")):
        monkeypatch.setenv(name, value)
    calm, grid = tmp_path / "calm", [*GRID, "--seeds", *map(str, range(num_seeds))]
    command = [sys.executable, "tools/run_grid.py", *grid, "--out", str(calm), "--executor", "in_process"]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)

    chaos = Chaos(small_disk / "results", tmp_path / "launchers", grid)
    events = [event for event, count in counts.items() for _ in range(count)]
    chaos.random.shuffle(events)
    # Kills alone may miss all trainings of a small grid; damage waits for one.
    for event in ["damage", *events]:
        chaos.wait()
        getattr(chaos, event)()
        chaos.restart()
    for launcher in chaos.launchers:
        launcher.wait(timeout=1800)
    assert chaos.launch(0).wait(timeout=1800) == 0
    wait_for_end_of("tools/train.py", str(chaos.root))
    check_equal(ResultStore(calm), ResultStore(chaos.root), num_cells=3 * num_seeds)
    assert not list(chaos.root.rglob("*.tmp")), "a half-written file stays"
    assert not chaos.states(), "the state of a cell that is done stays"


def check_equal(expected: ResultStore, found: ResultStore, num_cells: int) -> None:
    """Compare two grids: numbers, weights, and how often a cell was published."""
    assert len(numbers(expected)) == num_cells
    assert numbers(found) == numbers(expected)
    for entry in expected.results():
        assert isinstance(entry, Stored)
        folders = [store.work_folder(entry.result.spec) for store in (expected, found)]
        first, second = (load_file(folder / MODEL_FILE) for folder in folders)
        assert first.keys() == second.keys()
        assert all(first[name].equal(second[name]) for name in first)
        log = (folders[1] / "cell.log").read_text(errors="replace")
        assert len(re.findall("^done: ", log, re.MULTILINE)) <= 1, f"{folders[1]}: published twice"
    interrupted = [
        part
        for entry in found.results()
        if isinstance(entry, Stored)
        for part in entry.result.provenance.get("earlier_parts", [])
    ]
    assert len(interrupted) >= num_cells / 4, "the kills did not reach trainings"
