#!/usr/bin/env python
"""Run a grid of methods x regularizers x seeds, one process per cell, and print its leaderboard.

    python tools/run_grid.py --recipe nyuv2_lite --methods 'single_task,*sharing' --regularizers all --seeds 0 1 2
    python tools/run_grid.py --board nyuv2_lite --status

A cell that is done is not run again, so the same command continues a grid that was stopped or failed in part. A cell
whose recipe, user code, version or data changed is a new cell. Several grids may run at a time on the same folders. The
exit code is 0 if every cell is done, 1 if a cell is not done, 2 if the request was wrong, and 128 + N if signal N
stopped the grid.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmark.tasks import counted  # noqa: E402
from tools.command_line import WRONG_USE, check_writable, pass_cell_options, shown  # noqa: E402
from tools.grid_arguments import parse_grid_arguments  # noqa: E402

if TYPE_CHECKING:
    from benchmark.grid.cells import Report
    from benchmark.grid.executors import Executor
    from benchmark.records.result import RunSpec
    from benchmark.records.store import ResultStore
    from benchmark.training.launch import GridPlan
    from benchmark.training.requests import Request

SIGNAL_EXIT = 128


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    return parse_grid_arguments(__doc__, arguments)


def requested(options: argparse.Namespace) -> list[Request]:
    """The requests of the command line, of a board or of a grid file.

    Raises:
        ValueError, OSError, ImportError: for a wrong request, in one line.
    """
    from benchmark.metrics.catalogue import described
    from benchmark.registry import import_files
    from benchmark.training.launch import requests_of_board, requests_of_file
    from benchmark.training.requests import Request
    from benchmark.training.sweeps import variants_of

    import_files(options.imports)
    for key in names(options.columns, "--columns") if options.columns else ():
        described(key)
    if options.board or options.grid:
        chosen = ("methods", "regularizers", "seeds", "backbone", "tasks", "split", "overrides")
        given = [name for name in chosen if getattr(options, name)]
        if given:
            file = "--board" if options.board else "--grid"
            raise ValueError(f"{file} selects the cells to run; leave out --{given[0].replace('overrides', 'set')}")
        return requests_of_board(options.out, options.board) if options.board else requests_of_file(Path(options.grid))
    return [
        Request(
            options.recipe,
            names(options.methods or "all", "--methods"),
            names(options.regularizers or "none", "--regularizers"),
            [seed for group in options.seeds or [[0]] for seed in group],
            options.backbone,
            names(options.tasks, "--tasks") if options.tasks else (),
            variants_of(options.recipe, options.overrides),
            options.split or "test",
        )
    ]


def names(text: str, option: str) -> list[str]:
    """Parse comma-separated names.

    Raises:
        ValueError: for a text without names.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ValueError(f"{option} names nothing, found {text!r}")
    return found


def prepare_data(requests: Sequence[Request]) -> None:
    """Generate the data sets of the recipes, or check that they exist, before the first cell starts."""
    from benchmark.training.launch import prepare_data

    prepare_data(requests)


def print_only(plan: GridPlan, options: argparse.Namespace) -> bool:
    """Run --dry-run, --status, --watch, --why, --estimate or --forget; False if the cells are to be run."""
    if options.forget:
        forget(plan.cells, plan.store, options.forget, options.yes)
    elif options.watch:
        watch(plan, options.watch)
    elif options.status:
        from benchmark.grid.status import status_text

        print(status_text(plan.cells, plan.store))
    elif options.why:
        from benchmark.grid.explain import explanation, find_cell

        print(explanation(find_cell(plan.cells, options.why), plan.store, plan.needed))
    elif options.estimate:
        from benchmark.cost.estimate import estimate_text

        print(estimate_text(plan.cells, plan.store, options.workers, options.imports))
    elif options.dry_run:
        print_plan(plan.cells, plan.store)
    else:
        return False
    return True


def watch(plan: GridPlan, seconds: float) -> None:
    """Draw the status again and again until every cell has a result, or until Ctrl-C."""
    from benchmark.grid.status import watch_text

    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() else ""
    ended = False
    try:
        while not ended:
            text, ended = watch_text(plan.cells, plan.store, shutil.get_terminal_size().lines)
            print(f"{clear}{text}", flush=True)
            time.sleep(0 if ended else seconds)
    except KeyboardInterrupt:
        print()


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
    from benchmark.grid.stale import MISSING, OlderResults, state_of

    older = OlderResults(store)
    states = {spec: state_of(spec, older) for spec in grid}
    for spec, state in states.items():
        print(f"{'to run' if state == MISSING else state:8s} {spec.run_id}")
    print(f"{counted(len(grid), 'cell')}, {sum(state != 'done' for state in states.values())} not done")


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
    remedy = "" if confirmed or not chosen else "; --yes removes them with their checkpoints"
    print(f"{counted(len(chosen), 'result')}{remedy}")


def print_report(report: Report) -> None:
    """Count the cells that are not done, on standard error; the progress has named each with its error."""
    from collections import Counter

    counts = Counter(outcome.status for outcome in report.not_done.values())
    if counts:
        print("not done: " + ", ".join(f"{number} {status}" for status, number in counts.items()), file=sys.stderr)
    if report.stopped_by is not None:
        print("stopped; the same command continues with the cells that are left", file=sys.stderr)


def print_leaderboard(store: ResultStore, recipe: str, columns: str, told: Collection[str]) -> None:
    """Write the leaderboard's files, print the tables of one recipe and the paths of all files.

    Args:
        store: store of the results.
        recipe: name of the recipe.
        columns: metrics to show, with commas; empty for the ranking metrics.
        told: run_ids of cells whose failure the progress has shown.

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
            print(terminal_table(analysis, width, chosen, told))
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
    from benchmark.grid.executors import ExecutorError
    from benchmark.grid.progress import progress_on
    from benchmark.grid.stale import replaced
    from benchmark.records.store import ResultStore, StoreError
    from benchmark.training.launch import plan_grid, run_plan

    try:
        check_writable(options.out)
        requests = requested(options)
        plan = plan_grid(requests, ResultStore(options.out, options.work))
        check_cell_options(plan.cells, options)
    except (ValueError, KeyError, OSError, ImportError) as error:
        return refuse(error)
    for note in [*plan.notes, *replaced(plan.cells, plan.store)]:
        print(note, file=sys.stderr)
    plan = plan.only(options.only)
    if not plan.cells:
        return refuse("no cell to run")
    try:
        if print_only(plan, options):
            return 0
        executor = executor_of(options, plan)
        if any(plan.store.version(spec) is None for spec in plan.cells):
            prepare_data(requests)
        report = run_plan(plan, executor, progress_on(sys.stderr), options.retry, options.limit)
        told = {spec.run_id for spec in report.not_done}
        print_leaderboard(plan.store, requests[0].recipe, options.columns, told)
    except (StoreError, ExecutorError, ValueError, OSError) as error:
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
    from benchmark.grid.executors.choice import ON_CLUSTERS
    from benchmark.training.compose import check_devices
    from benchmark.training.follow import chosen_logs

    chosen_logs(options.log)
    for spec in {(spec.recipe, spec.overrides): spec for spec in grid}.values():
        check_devices(spec, options.devices, elsewhere=options.executor in ON_CLUSTERS)
    pass_cell_options(options)


def executor_of(options: argparse.Namespace, plan: GridPlan) -> Executor:
    """The executor of the command line.

    Raises:
        ExecutorError: if it cannot be used here, in one line.
    """
    from benchmark.grid.executors.choice import SLURM, ExecutorOptions, make_executor, require_package

    # Before an estimate for the cluster, which takes a while.
    require_package(options.executor)
    chosen = ExecutorOptions(
        options.executor,
        options.workers,
        tuple(options.imports),
        options.gpus_per_cell,
        options.cpus_per_cell,
        options.memory_per_cell,
        options.ray_address,
        options.cluster,
        minutes_of(plan, options) if options.executor == SLURM else None,
        plan.needed,
        options.devices,
    )
    return make_executor(chosen, plan.store)


def minutes_of(plan: GridPlan, options: argparse.Namespace) -> float | None:
    """Estimated minutes of the longest cell; None if the file of the cluster names them, or if they are not known."""
    from benchmark.grid.executors.cluster_file import read_cluster

    if read_cluster(options.cluster).slurm.minutes is not None:
        return None
    from benchmark.cost.estimate import estimate, longest_minutes

    return longest_minutes(estimate(plan.cells, plan.store, options.workers, options.imports)[0])


if __name__ == "__main__":
    sys.exit(main())
