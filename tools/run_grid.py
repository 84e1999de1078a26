#!/usr/bin/env python
"""Run a grid of methods x regularizers x seeds, one process per cell, and print its leaderboard.

    python tools/run_grid.py --recipe nyuv2_lite --methods 'single_task,*sharing' --regularizers all --seeds 0 1 2

Cells that are done are never run again: the same command continues a grid that was stopped or that failed in part.
Several of these may run at a time on the same folders. The exit code is 0 when every cell is done, 1 when one is not,
2 when the grid was asked for wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import WRONG_USE, Parser, positive, shown  # noqa: E402

if TYPE_CHECKING:
    from benchmark.grid.cells import Report
    from benchmark.records.result import RunSpec
    from benchmark.records.store import ResultStore

SIGNAL_EXIT = 128
RETRYABLE = ("failed", "diverged")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("--recipe", required=True, help="name of a recipe, or path of your own")
    parser.add_argument(
        "--methods",
        default="all",
        metavar="A,B",
        help="names or wildcards such as '*net' (default: all; a search such as atrc_search is named)",
    )
    parser.add_argument("--regularizers", default="none", metavar="A,B", help="names or wildcards (default: none)")
    parser.add_argument("--seeds", type=seed, nargs="+", default=[0], metavar="N", help="seeds (default: 0)")
    parser.add_argument("--backbone", help="name or name:weights (default: the recipe's)")
    parser.add_argument("--tasks", metavar="A,B", help="task names (default: the recipe's)")
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cells at a time, which share the cores (default: 1 with a GPU, else one per core as far as memory goes)",
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
        help="which stored failures to run again: failed, diverged, both with a comma, or none (default: failed)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only check everything and list the cells")
    return parser.parse_args(arguments)


def seed(text: str) -> int:
    """A seed of the command line."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is an integer of 0 or more, found {text!r}")
    return int(text)


def statuses(text: str) -> tuple[str, ...]:
    """What --retry names."""
    chosen = () if text == "none" else tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in RETRYABLE:
            raise argparse.ArgumentTypeError(f"expected failed, diverged or none, found {name!r}")
    return chosen


def requested_cells(options: argparse.Namespace) -> tuple[list[RunSpec], list[str]]:
    """The cells that the command line describes, and notes on what was left out.

    Raises:
        ValueError, KeyError, OSError, ImportError: for whatever was asked for wrongly, in one line.
    """
    from benchmark.grid.cells import cells, dropped_pairs
    from benchmark.registry import METHODS, REGULARIZERS, import_files
    from benchmark.training.compose import check_spec, parse_overrides, recipe_defaults
    from benchmark.training.dependencies import with_needed

    import_files(options.imports)
    methods = METHODS.names(*names(options.methods, "--methods"))
    regularizers = REGULARIZERS.names(*names(options.regularizers, "--regularizers"))
    overrides = parse_overrides(options.overrides)
    backbone, known_tasks = recipe_defaults(options.recipe, overrides)
    # In the recipe's order whatever the order on the command line: equal requests must give equal cells.
    tasks = ordered(names(options.tasks, "--tasks"), known_tasks) if options.tasks else known_tasks
    plain = [name for name in methods if not METHODS.entry(name).accepts_regularizers]
    grid = cells(
        options.recipe, methods, regularizers, options.seeds, options.backbone or backbone, tasks, overrides, plain
    )
    for spec in grid:
        if spec.seed == options.seeds[0]:
            check_spec(spec)
    dropped = dropped_pairs(methods, regularizers, plain)
    notes = [f"left out {method}+{regularizer}: {method} takes no regularizer" for method, regularizer in dropped]
    complete = with_needed(grid)
    notes += [f"added {spec.run_id}, which others start or learn from" for spec in complete if spec not in grid]
    return complete, notes


def prepare_data(options: argparse.Namespace) -> None:
    """Make the recipe's data set, or find it, before the first cell starts.

    Raises:
        ValueError, OSError: if it is not there and cannot be made; the message says what to do.
    """
    from benchmark.registry import DATASETS
    from benchmark.training.compose import data_root, load_recipe, parse_overrides, posed_pairs

    recipe = load_recipe(options.recipe, parse_overrides(options.overrides))
    factory: Any = DATASETS.entry(recipe.dataset).factory
    factory.ensure(data_root(recipe))
    pairs = posed_pairs(recipe)
    if pairs is not None:
        views: Any = DATASETS.entry(pairs["name"]).factory
        views.ensure(Path(pairs["root"]))


def note_other_data(options: argparse.Namespace, grid: Sequence[RunSpec], store: ResultStore) -> None:
    """Say which results were scored on other data than lies here now: they count as done all the same."""
    from benchmark.training.compose import data_root, load_recipe, parse_overrides
    from datasets.layout.layout import DataError, read_info

    try:
        here = read_info(data_root(load_recipe(options.recipe, parse_overrides(options.overrides))))
    except DataError:
        return
    results = [result for result in map(store.read, grid) if result is not None and result.status == "done"]
    scored = [result.provenance.get("data", {}) for result in results]
    other = [data.get("id") for data in scored if data.get("fingerprint", here.fingerprint) != here.fingerprint]
    if other:
        print(
            f"{len(other)} of {len(grid)} cells have a result on {', '.join(sorted(map(str, set(other))))}, here is "
            f"{here.id}; they count as done and get a table of their own, another --out measures them anew",
            file=sys.stderr,
        )


def names(text: str, option: str) -> list[str]:
    """Comma-separated names.

    Raises:
        ValueError: if there is none.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ValueError(f"{option} names nothing, found {text!r}")
    return found


def ordered(chosen: Sequence[str], known: Sequence[str]) -> list[str]:
    """The chosen names in the order of the known ones, unknown ones last: `check_spec` refuses those with a hint."""
    return [name for name in known if name in chosen] + [name for name in chosen if name not in known]


def print_plan(grid: Sequence[RunSpec], store: ResultStore) -> None:
    """List the cells with their state."""
    from benchmark.records.result import RecordError

    left = 0
    for spec in grid:
        try:
            result = store.read(spec)
            state = result.status if result else "to run"
        except RecordError as error:
            state = f"unreadable ({error})"
        left += state != "done"
        print(f"{state:8s} {spec.run_id}")
    print(f"{len(grid)} cells, {left} not done")


def print_report(report: Report) -> None:
    """Name the cells that failed or diverged, each with its error, on standard error, and count those left."""
    from benchmark.grid.cells import LEFT

    left = [spec for spec, outcome in report.outcomes.items() if outcome.status == LEFT]
    for spec, outcome in report.not_done.items():
        if report.stopped_by is None or spec not in left:
            print(f"{outcome.status}: {spec.run_id}: {outcome.error}", file=sys.stderr)
    if report.stopped_by is not None:
        print(f"stopped; {len(left)} cells are left, the same command continues with them", file=sys.stderr)


def print_leaderboard(store: ResultStore, recipe: str) -> None:
    """Write the leaderboard's files, print the tables of one recipe, and say where everything is."""
    from benchmark.leaderboard.files import write_leaderboard
    from benchmark.leaderboard.markdown import brief_table

    written = write_leaderboard(store.root, store.root, CHECKOUT / "results" / "reported.json")
    for unreadable in written.left_out:
        print(f"left out: {unreadable.reason}", file=sys.stderr)
    print()
    for table in written.tables:
        if table.setting.recipe == recipe:
            print(brief_table(table))
    print(f"leaderboard: {shown(written.markdown)} and {shown(written.csv)}")
    print(f"results: {shown(store.root / 'runs')}, logs: {shown(store.work)}")


def refuse(error: object) -> int:
    """Say in one line why nothing, or nothing more, can be run."""
    print(f"run_grid.py: {error}", file=sys.stderr)
    return WRONG_USE


def main(arguments: list[str] | None = None) -> int:
    """Run the grid; the exit codes are in the description above."""
    options = parse_arguments(arguments)
    from benchmark.records.result import RecordError
    from benchmark.records.store import ResultStore

    try:
        grid, notes = requested_cells(options)
    except (ValueError, KeyError, OSError, ImportError) as error:
        return refuse(error)
    for note in notes:
        print(note, file=sys.stderr)
    if not grid:
        return refuse("there is no cell to run")
    store = ResultStore(options.out, options.work)
    if options.dry_run:
        print_plan(grid, store)
        return 0
    try:
        if any(store.version(spec) is None for spec in grid):
            prepare_data(options)
    except (ValueError, OSError) as error:
        return refuse(error)
    try:
        note_other_data(options, grid, store)
        report = run_cells(grid, store, options)
        print_leaderboard(store, options.recipe)
    except (OSError, RecordError) as error:
        return refuse(error)
    print_report(report)
    if report.stopped_by is not None:
        return SIGNAL_EXIT + report.stopped_by
    return 1 if report.not_done else 0


def run_cells(grid: Sequence[RunSpec], store: ResultStore, options: argparse.Namespace) -> Report:
    """Run the cells that are left, as processes on this machine."""
    import torch

    from benchmark.grid.cells import run
    from benchmark.grid.executors.local import LocalExecutor, default_workers
    from benchmark.grid.progress import progress_on
    from benchmark.records.provenance import hardware
    from benchmark.training.dependencies import needs_of

    store.work.mkdir(parents=True, exist_ok=True)
    machine = hardware()
    workers = options.workers or default_workers(machine["cores"], machine["memory_gib"], torch.cuda.is_available())
    executor = LocalExecutor(store, workers, options.imports)
    needed = {spec: needs_of(spec).cells for spec in grid}
    return run(grid, store, executor, progress_on(sys.stderr), options.retry, needed.__getitem__)


if __name__ == "__main__":
    sys.exit(main())
