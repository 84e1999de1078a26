#!/usr/bin/env python
"""Run the cell of a result file again and say if the numbers are the same.

    python tools/reproduce.py results/runs/nyuv2_lite/RUN_ID.json
    python tools/reproduce.py results/runs/nyuv2_lite/RUN_ID.json --check      # only what differs now, without training

It first compares environment, data and code with the result, then trains and scores the cell in a temporary folder with
the recorded number of threads. The verdict is "equal" (every metric to 1e-9), "within the spread" of the row's other
seeds, "outside" of it, or "undecided" if the row has fewer than three other seeds: docs/reproduce.md has the rule. The
exit code is 0 for equal and within the spread, 1 for the other verdicts and a training that fails, 2 for a wrong
request. With --check it is 0 if nothing differs, else 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmark.tasks import counted  # noqa: E402
from tools.command_line import Parser, check_writable, positive, refuse, shown  # noqa: E402

if TYPE_CHECKING:
    from benchmark.records.result import RunResult, RunSpec
    from benchmark.training.reproduction import Checks

MAX_FILES = 12
"""Changed files that are named; the others are counted."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("result", type=Path, help="result file of the cell, results/runs/RECIPE/RUN_ID.json")
    parser.add_argument("--check", action="store_true", help="only compare environment, data and code")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="folder with the row's other seeds (default: DIR of DIR/runs/...)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the second run, its log and weights here")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads (default: as recorded)")
    parser.add_argument(
        "--recipe", metavar="FILE", help="recipe of a result that names a file of yours; it runs as code"
    )
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with methods, regularizers, data sets or backbones",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, run again, compare. The module's docstring lists the exit codes."""
    options = parse_arguments(arguments)
    from benchmark.records.result import DONE
    from benchmark.records.store import read_result
    from benchmark.registry import import_files
    from benchmark.training.reproduction import checks_of, present_spec

    try:
        stored = read_result(options.result)
        if stored.status != DONE:
            raise ValueError(f"{options.result}: the cell {stored.status}, so it has no numbers: {stored.error}")
        if options.keep is not None:
            check_writable(options.keep)
        import_files(options.imports)
        spec = present_spec(stored, options.recipe)
        checks = checks_of(stored, spec)
    except (OSError, ImportError, ValueError, KeyError) as error:
        return refuse("reproduce.py", error)
    print_checks(stored, checks)
    if options.check:
        return 1 if any((checks.environment, checks.data, checks.code, checks.files, checks.unknown)) else 0
    return run_and_compare(stored, spec, checks, options)


def print_checks(stored: RunResult, checks: Checks) -> None:
    """One line per check, then one per difference."""
    spec = stored.spec
    say(f"{stored.run_id}: {spec.method} + {spec.regularizer}, recipe {spec.recipe}, seed {spec.seed}")
    print_check("environment", "equal versions and machine", checks.environment)
    print_check("data", f"equal: {(stored.provenance.get('data') or {}).get('id', 'not recorded')}", checks.data)
    files = [f"{name} changed since commit {stored.provenance['commit'][:12]}" for name in checks.files]
    if len(files) > MAX_FILES:
        files = [*files[:MAX_FILES], f"and {len(files) - MAX_FILES} more files"]
    print_check("code", "equal versions, settings and files", [*checks.code, *files, *checks.unknown])


def print_check(name: str, equal: str, differences: Sequence[str]) -> None:
    """The outcome of one check."""
    say(f"{name + ':':13s}{'differs' if differences else equal}")
    for difference in differences:
        say(f"  {difference}")


def run_and_compare(stored: RunResult, spec: RunSpec, checks: Checks, options: argparse.Namespace) -> int:
    """Run the cell again, print the comparison and the verdict; returns the exit code."""
    from benchmark.leaderboard.agreement import EQUAL, WITHIN, agreement_text, agreements, other_seeds, verdict_of
    from benchmark.records.store import ResultStore, Stored
    from benchmark.training.reproduction import data_of_runs

    folders = options.result.resolve().parents
    root = options.results or folders[min(2, len(folders) - 1)]
    others = other_seeds(stored, (found for found in ResultStore(root).results() if isinstance(found, Stored)))
    threads = options.threads or recorded_threads(stored)
    try:
        with folder_of(options.keep) as folder:
            again = run_again(spec, folder, threads, options.imports)
    except (OSError, RuntimeError, ValueError) as error:
        refuse("reproduce.py", error)
        return 1
    found = agreements(stored, again, others)
    verdict = verdict_of(found)
    print()
    say(agreement_text(found))
    for change in data_of_runs(stored, again):
        say(change)
    say(f"verdict: {verdict} {explained(verdict, len(found), len(others))}{since(verdict, checks)}")
    return 0 if verdict in (EQUAL, WITHIN) else 1


def recorded_threads(stored: RunResult) -> int:
    """Threads that the stored run computed with; 1 if it does not say."""
    found = (stored.provenance.get("hardware") or {}).get("threads")
    return found if isinstance(found, int) and found > 0 else 1


def run_again(spec: RunSpec, folder: Path, threads: int, imports: Sequence[str]) -> RunResult:
    """Train and score a cell, after the cells that it needs.

    Raises:
        RuntimeError: if a cell fails; the message has its error.
    """
    from benchmark.grid.executors.local import environment, how_it_ended
    from benchmark.records.result import DONE
    from benchmark.records.store import ResultStore
    from benchmark.training.dependencies import with_needed

    store = ResultStore(folder)
    for cell in with_needed([spec]):
        log = store.work_folder(cell) / "cell.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        say(f"training {cell.run_id} with {threads} {'thread' if threads == 1 else 'threads'}; log: {shown(log)}")
        command = [sys.executable, str(CHECKOUT / "tools" / "train.py"), "--spec", cell.to_text(), "--out", str(folder)]
        command += [part for file in imports for part in ("--import", file)]
        with open(log, "ab") as output:
            run = subprocess.run(
                command, env=environment(1, threads), stdout=output, stderr=subprocess.STDOUT, check=False
            )
        result = store.read(cell)
        if result is None or result.status != DONE:
            reason = how_it_ended(run.returncode, log) if result is None else f"{result.status}: {result.error}"
            raise RuntimeError(f"{cell.run_id}: {reason}")
    if result is None:
        raise RuntimeError("no cell to run")
    return result


@contextmanager
def folder_of(keep: Path | None) -> Iterator[Path]:
    """The folder of the second run: the user's, or a temporary one that is removed."""
    if keep is not None:
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        yield Path(folder)


def explained(verdict: str, num_metrics: int, num_others: int) -> str:
    """The reason of a verdict in a parenthesis."""
    from benchmark.leaderboard.agreement import EQUAL, OUTSIDE, UNDECIDED, WITHIN

    seeds = f"the row's {counted(num_others, 'other seed')}"
    return {
        EQUAL: f"(all {num_metrics} metrics to 1e-9)",
        WITHIN: f"of its seeds (95 % prediction intervals from {seeds}, for all tasks together)",
        OUTSIDE: f"(a ranking metric lies outside its 95 % prediction interval from {seeds})",
        UNDECIDED: f"(the numbers differ, and {seeds} are too few for an interval: at least 3 are needed)",
    }[verdict]


def since(verdict: str, checks: Checks) -> str:
    """The changes that may explain numbers that are not equal."""
    from benchmark.leaderboard.agreement import EQUAL

    if verdict == EQUAL:
        return ""
    changes = [*checks.code, *(f"{name} changed" for name in checks.files), *checks.data, *checks.environment]
    if not changes:
        return "; nothing that is recorded differs"
    more = f" and {len(changes) - MAX_FILES} more" if len(changes) > MAX_FILES else ""
    return f"; changed since the result: {'; '.join(changes[:MAX_FILES])}{more}"


def say(text: str) -> None:
    """Print text that may come from a file."""
    from benchmark.records.escaping import escape_terminal

    print(escape_terminal(text), flush=True)


if __name__ == "__main__":
    sys.exit(main())
