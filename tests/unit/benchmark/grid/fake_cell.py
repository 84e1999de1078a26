"""Substitute for tools/train.py in tests of the grid: same command line, no torch; the method names its behaviour.

Every start is noted in WORK/started.txt, every published result in WORK/ended.txt. Method names: `quick` is done at
once, `slow` takes the seconds of the override and continues at its last step after an interruption, `fails` stores a
failure, `crashes` and `killed` die without storing anything, `flaky` dies the first time.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from benchmark.records.atomic import write_text
from benchmark.records.failures import INTERRUPTED_EXIT_CODE
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import STATE_FILES, ResultStore, remove_files


def main() -> int:
    parser = argparse.ArgumentParser()
    for option in ("--spec", "--out", "--work"):
        parser.add_argument(option, required=True)
    parser.add_argument("--import", action="append", default=[], dest="imports")
    options = parser.parse_args()
    spec, store = RunSpec.from_text(options.spec), ResultStore(options.out, options.work)
    starts = note_start(Path(options.work), spec)
    print(f"threads {os.environ['OMP_NUM_THREADS']}", flush=True)
    with store.hold(spec) as lease:
        if spec.method == "crashes" or (spec.method == "flaky" and starts == 1):
            print("last words", flush=True)
            return 3
        if spec.method == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.method == "fails":
            store.publish(failure(spec, "failed", "as told", {}), lease)
            return 1
        if spec.method == "slow":
            sleep(spec.overrides["seconds"], store.work_folder(spec))
            remove_files(store.work_folder(spec), STATE_FILES)
        value = {"value": 1.0 + spec.seed, "unit": "%", "higher_is_better": True}
        store.publish(RunResult(spec, "done", {"semseg": {"mIoU": value}}), lease)
        with open(Path(options.work) / "ended.txt", "a", encoding="utf-8") as file:
            file.write(f"{spec.run_id}\n")
    return 0


def note_start(work: Path, spec: RunSpec) -> int:
    """Append this start; returns how often the cell was started so far."""
    with open(work / "started.txt", "a", encoding="utf-8") as file:
        file.write(f"{spec.run_id} {os.getpid()}\n")
    return sum(line.startswith(spec.run_id) for line in (work / "started.txt").read_text().splitlines())


def sleep(seconds: float, folder: Path) -> None:
    """Sleep in ten steps, and record them in progress.json; SIGUSR1 ends the cell between two steps."""
    asked: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: asked.append(number))
    state = folder / STATE_FILES[0]
    for step in range(int(state.read_text()) if state.exists() else 0, 10):
        print(f"step {step}", flush=True)
        write_text(folder / "progress.json", f'{{"step": {step}, "steps": 10}}')
        time.sleep(seconds / 10)
        write_text(state, str(step + 1))
        if asked:
            sys.exit(INTERRUPTED_EXIT_CODE)


if __name__ == "__main__":
    sys.exit(main())
