#!/usr/bin/env python
"""Run a grid of methods x regularizers x seeds, one process per cell, and print its leaderboard.

    python tools/run_grid.py --recipe nyuv2_lite --methods 'single_task,*sharing' --regularizers all --seeds 0 1 2
    python tools/run_grid.py --board nyuv2_lite --status

A cell that is done is not run again, so the same command continues a grid that was stopped or failed in part. A cell
whose recipe, user code, version or data changed is a new cell. Several grids may run at a time on the same folders. The
exit code is 0 if every cell is done, 1 if a cell is not done, 2 if the request was wrong.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import WRONG_USE, Parser, add_cell_options, check_writable, pass_cell_options, positive, shown  # noqa: E402

if TYPE_CHECKING:
    from benchmark.grid.cells import Report
    from benchmark.records.result import RunSpec
    from benchmark.records.store import ResultStore
    from benchmark.training.requests import Request

SIGNAL_EXIT = 128
RETRYABLE = ("failed", "diverged")
LISTED = ("methods", "regularizers", "backbones", "datasets", "losses", "metrics", "recipes", "boards", "tasks")
FORGETTABLE = ("stale", "failed", "all")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recipe", help="name of a recipe, or path of your own")
    what.add_argument("--board", metavar="NAME", help="run the cells of OUT/boards/NAME.toml in their order")
    what.add_argument("--list", choices=LISTED, metavar="KIND", help=f"list the names of a kind: {', '.join(LISTED)}")
    parser.add_argument(
        "--methods",
        metavar="A,B",
        help="names or wildcards such as '*net' (default: all, without searches such as atrc_search)",
    )
    parser.add_argument("--regularizers", metavar="A,B", help="names or wildcards (default: none)")
    parser.add_argument("--seeds", type=seeds, nargs="+", metavar="N", help="seeds, as 0 1 2 or 0,1,2 (default: 0)")
    parser.add_argument("--backbone", help="name or name:weights (default: the recipe's)")
    parser.add_argument("--tasks", metavar="A,B", help="task names (default: the recipe's)")
    parser.add_argument(
        "--split",
        choices=("test", "val"),
        help="test (default), or val: train without the validation frames and score these",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cells at a time, which share the cores (default: 1 with a GPU, else one per core, limited by memory)",
    )
    parser.add_argument(
        "--out", type=Path, default=CHECKOUT / "results", metavar="DIR", help="folder of results (default: results)"
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder of logs and checkpoints (default: OUT/work)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting of the recipe; may be given several times",
    )
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with methods, regularizers, data sets or backbones",
    )
    parser.add_argument(
        "--retry",
        type=statuses,
        default=("failed",),
        metavar="STATUS",
        help="stored failures to run again: failed, diverged, both with a comma, or none (default: failed)",
    )
    parser.add_argument(
        "--columns", default="", metavar="METRICS", help="metrics of the printed table, as depth/delta1,semseg/pixAcc"
    )
    add_cell_options(parser)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--dry-run", action="store_true", help="only check everything and list the cells")
    mode.add_argument(
        "--status", action="store_true", help="only count the cells that are done, missing, stale, failed"
    )
    mode.add_argument(
        "--forget",
        choices=FORGETTABLE,
        help="list the results to remove: older results that a cell replaces, failed ones, or all; --yes removes them",
    )
    parser.add_argument("--yes", action="store_true", help="with --forget: remove the listed results")
    return parser.parse_args(arguments)


def seeds(text: str) -> list[int]:
    """Parse one or several seeds, separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong or not parts:
        raise argparse.ArgumentTypeError(f"a seed is an integer of 0 or more, found {(wrong or [text])[0]!r}")
    return [int(part) for part in parts]


def statuses(text: str) -> tuple[str, ...]:
    """Parse the statuses of --retry."""
    chosen = () if text == "none" else tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in RETRYABLE:
            raise argparse.ArgumentTypeError(f"expected failed, diverged or none, found {name!r}")
    return chosen


def requested(options: argparse.Namespace) -> list[Request]:
    """The requests of the command line: one request, or the requests of a board.

    Raises:
        ValueError, OSError, ImportError: for a wrong request, in one line.
    """
    from benchmark.metrics.catalogue import described
    from benchmark.records.boards import read_board
    from benchmark.records.overrides import Overrides
    from benchmark.registry import import_files
    from benchmark.training.recipe_keys import parse_overrides
    from benchmark.training.requests import Request, of_board

    import_files(options.imports)
    for key in names(options.columns, "--columns") if options.columns else ():
        described(key)
    chosen = ("methods", "regularizers", "seeds", "backbone", "tasks", "split", "overrides")
    if options.board:
        given = [name for name in chosen if getattr(options, name)]
        if given:
            raise ValueError(f"--board selects the cells to run; leave out --{given[0].replace('overrides', 'set')}")
        return of_board(read_board(options.out, options.board))
    return [
        Request(
            options.recipe,
            names(options.methods or "all", "--methods"),
            names(options.regularizers or "none", "--regularizers"),
            [seed for group in options.seeds or [[0]] for seed in group],
            options.backbone,
            names(options.tasks, "--tasks") if options.tasks else (),
            Overrides(parse_overrides(options.overrides)),
            options.split or "test",
        )
    ]


def prepare_data(requests: Sequence[Request]) -> None:
    """Generate the data sets of the recipes, or check that they exist, before the first cell starts.

    Raises:
        ValueError, OSError: if data are missing and cannot be generated; the message has the remedy.
    """
    from benchmark.training.identity import ensure_data
    from benchmark.training.requests import recipes_of

    for recipe in recipes_of(requests):
        ensure_data(recipe)


def names(text: str, option: str) -> list[str]:
    """Parse comma-separated names.

    Raises:
        ValueError: for a text without names.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ValueError(f"{option} names nothing, found {text!r}")
    return found


def print_only(grid: Sequence[RunSpec], store: ResultStore, options: argparse.Namespace) -> None:
    """Run --dry-run, --status or --forget."""
    from benchmark.grid.stale import status_text

    if options.forget:
        forget(grid, store, options.forget, options.yes)
    elif options.status:
        print(status_text(grid, store))
    else:
        print_plan(grid, store)


def print_names(options: argparse.Namespace) -> int:
    """Run --list. Exit code 0, or 2 if a file of the user cannot be imported."""
    from benchmark.cards.listing import listing
    from benchmark.records.escaping import escape_terminal
    from benchmark.registry import import_files

    try:
        import_files(options.imports)
        print(escape_terminal("\n".join(listing(options.list, options.out))))
    except (ValueError, KeyError, OSError, ImportError) as error:
        return refuse(error)
    return 0


def print_plan(grid: Sequence[RunSpec], store: ResultStore) -> None:
    """List the cells with their state."""
    from benchmark.grid.stale import MISSING, state_of

    states = {spec: state_of(spec, store) for spec in grid}
    for spec, state in states.items():
        print(f"{'to run' if state == MISSING else state:8s} {spec.run_id}")
    print(f"{len(grid)} cells, {sum(state != 'done' for state in states.values())} not done")


def forget(grid: Sequence[RunSpec], store: ResultStore, which: str, confirmed: bool) -> None:
    """List results of a grid, and remove them if confirmed.

    Raises:
        StoreError: if a process is running one of the cells.
    """
    from benchmark.grid.stale import forget, forgettable

    chosen = forgettable(grid, store, which)
    for spec, path in chosen:
        if confirmed:
            forget(spec, path, store)
        print(f"{'removed' if confirmed else 'would remove'} {shown(path)}")
    print(f"{len(chosen)} results" + ("" if confirmed or not chosen else "; --yes removes them with their checkpoints"))


def print_report(report: Report) -> None:
    """Count the cells that are not done, on standard error; the progress has named each with its error."""
    from collections import Counter

    counts = Counter(outcome.status for outcome in report.not_done.values())
    if counts:
        print("not done: " + ", ".join(f"{number} {status}" for status, number in counts.items()), file=sys.stderr)
    if report.stopped_by is not None:
        print("stopped; the same command continues with the cells that are left", file=sys.stderr)


def print_leaderboard(store: ResultStore, recipe: str, columns: str) -> None:
    """Write the leaderboard's files, print the tables of one recipe and the paths of all files.

    Raises:
        ValueError: for a metric in `columns` that no result has.
    """
    from benchmark.leaderboard.files import columns_of, write_leaderboard
    from benchmark.leaderboard.terminal import terminal_table

    written = write_leaderboard(store.root, store.root, CHECKOUT / "results" / "reported.json")
    for unreadable in written.contents.left_out:
        print(f"left out: {unreadable.reason}", file=sys.stderr)
    print()
    width = shutil.get_terminal_size().columns
    chosen = columns_of(written.contents, columns)
    for analysis in written.contents.analyses:
        if analysis.table.setting.recipe == recipe and (analysis.table.results or analysis.table.not_done):
            print(terminal_table(analysis, width, chosen))
    print(f"leaderboard: {shown(written.markdown)} and {shown(written.csv)}")
    print(f"results: {shown(store.root / 'runs')}, logs: {shown(store.work)}")


def refuse(error: object) -> int:
    """Print an error in one line; returns the exit code of a wrong request."""
    print(f"run_grid.py: {error}", file=sys.stderr)
    return WRONG_USE


def main(arguments: list[str] | None = None) -> int:
    """Run the grid. The module's docstring lists the exit codes."""
    options = parse_arguments(arguments)
    if options.list:
        return print_names(options)
    from benchmark.grid.stale import replaced
    from benchmark.records.store import ResultStore, StoreError
    from benchmark.training.requests import checked_cells

    try:
        check_writable(options.out)
        requests = requested(options)
        grid, notes = checked_cells(requests)
        check_cell_options(grid, options)
    except (ValueError, KeyError, OSError, ImportError) as error:
        return refuse(error)
    store = ResultStore(options.out, options.work)
    for note in [*notes, *replaced(grid, store)]:
        print(note, file=sys.stderr)
    if not grid:
        return refuse("no cell to run")
    try:
        if options.dry_run or options.status or options.forget:
            print_only(grid, store, options)
            return 0
        if any(store.version(spec) is None for spec in grid):
            prepare_data(requests)
        report = run_cells(grid, store, options)
        print_leaderboard(store, requests[0].recipe, options.columns)
    except (StoreError, ValueError, OSError) as error:
        return refuse(error)
    print_report(report)
    if report.stopped_by is not None:
        return SIGNAL_EXIT + report.stopped_by
    return 1 if report.not_done else 0


def check_cell_options(grid: Sequence[RunSpec], options: argparse.Namespace) -> None:
    """Check --devices and --log before anything starts, and pass them to the cells.

    Raises:
        ConfigError: for devices that do not fit the machine or a batch, and for logs without their packages.
    """
    from benchmark.training.compose import check_devices
    from benchmark.training.follow import chosen_logs

    chosen_logs(options.log)
    for spec in {(spec.recipe, spec.overrides): spec for spec in grid}.values():
        check_devices(spec, options.devices)
    pass_cell_options(options)


def run_cells(grid: Sequence[RunSpec], store: ResultStore, options: argparse.Namespace) -> Report:
    """Run the remaining cells as processes on this machine."""
    import torch

    from benchmark.grid.cells import run
    from benchmark.grid.executors.local import LocalExecutor, default_workers
    from benchmark.grid.progress import progress_on
    from benchmark.records.provenance import hardware
    from benchmark.training.dependencies import needs_of

    store.work.mkdir(parents=True, exist_ok=True)
    machine = hardware()
    cells = default_workers(machine["cores"], machine["memory_gib"], torch.cuda.is_available())
    workers = options.workers or max(1, cells // options.devices)
    executor = LocalExecutor(store, workers, options.imports)
    needed = {spec: needs_of(spec).cells for spec in grid}
    return run(grid, store, executor, progress_on(sys.stderr), options.retry, needed.__getitem__)


if __name__ == "__main__":
    sys.exit(main())
