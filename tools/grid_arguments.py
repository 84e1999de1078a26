"""Command line of tools/run_grid.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.grid.executors.choice import EXECUTORS
from tools.command_line import Parser, add_cell_options, positive

CHECKOUT = Path(__file__).resolve().parents[1]
RETRYABLE = ("failed", "diverged")
LISTED = ("methods", "regularizers", "backbones", "datasets", "losses", "metrics", "recipes", "boards", "tasks")
FORGETTABLE = ("stale", "failed", "all")
STATES = ("missing", "stale", "failed", "diverged")
WATCH_SECONDS = 2.0


def parse_grid_arguments(description: str | None, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line of a grid."""
    parser = Parser(description)
    _add_cells(parser.add_argument_group("cells"))
    _add_folders(parser.add_argument_group("folders and tables"))
    _add_execution(parser.add_argument_group("execution"))
    add_cell_options(parser)
    _add_modes(parser.add_argument_group("in place of running"))
    options = parser.parse_args(arguments)
    modes = ("dry_run", "estimate", "why", "forget", "status")
    given = [name for name in modes if getattr(options, name)]
    if options.watch and not options.status:
        given.append("watch")
        options.status = True
    if len(given) > 1:
        parser.error(f"one of --{given[0].replace('_', '-')} and --{given[1].replace('_', '-')} at a time")
    return options


def _add_cells(group: argparse._ArgumentGroup) -> None:
    what = group.add_mutually_exclusive_group(required=True)
    what.add_argument("--recipe", help="name of a recipe, or path of your own")
    what.add_argument("--board", metavar="NAME", help="run the cells of OUT/boards/NAME.toml in their order")
    what.add_argument("--grid", metavar="FILE", help="run the cells of a grid file in their order")
    what.add_argument("--list", choices=LISTED, metavar="KIND", help=f"list the names of a kind: {', '.join(LISTED)}")
    group.add_argument(
        "--methods",
        metavar="A,B",
        help="names or wildcards such as '*net' (default: all, without searches such as atrc_search)",
    )
    group.add_argument("--regularizers", metavar="A,B", help="names or wildcards (default: none)")
    group.add_argument("--seeds", type=seeds, nargs="+", metavar="N", help="seeds, as 0 1 2 or 0,1,2 (default: 0)")
    group.add_argument("--backbone", help="name or name:weights (default: the recipe's)")
    group.add_argument("--tasks", metavar="A,B", help="task names (default: the recipe's)")
    group.add_argument(
        "--split",
        choices=("test", "val"),
        help="test (default), or val: train without the validation frames and score these",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting of the recipe; KEY=A,B makes cells for both values; may be given several times",
    )
    group.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with methods, regularizers, data sets or backbones",
    )
    group.add_argument(
        "--only",
        type=states,
        default=(),
        metavar="STATE",
        help="only cells in a state: missing, stale, failed, diverged, or several with commas",
    )
    group.add_argument("--limit", type=positive, metavar="N", help="run at most N cells")
    group.add_argument(
        "--retry",
        type=statuses,
        default=("failed",),
        metavar="STATUS",
        help="stored failures to run again: failed, diverged, both with a comma, or none (default: failed)",
    )


def _add_folders(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--columns", default="", metavar="METRICS", help="metrics of the printed table, as depth/delta1,semseg/pixAcc"
    )
    group.add_argument(
        "--out", type=Path, default=CHECKOUT / "results", metavar="DIR", help="folder of results (default: results)"
    )
    group.add_argument("--work", type=Path, metavar="DIR", help="folder of logs and checkpoints (default: OUT/work)")


def _add_execution(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--executor",
        choices=EXECUTORS,
        default="local",
        help="local: processes of this machine (default); ray, slurm: a cluster; in_process: this process, to debug",
    )
    group.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cells at a time (default: one per GPU, else one per core, limited by memory; all that a cluster takes)",
    )
    group.add_argument("--gpus-per-cell", type=share, metavar="N", help="GPUs of a cell; 0.5: two cells share a GPU")
    group.add_argument("--cpus-per-cell", type=positive, default=1, metavar="N", help="cores of a cell on a cluster")
    group.add_argument("--memory-per-cell", type=share, metavar="GIB", help="memory of a cell on a cluster, in GiB")
    group.add_argument("--ray-address", metavar="HOST:PORT", help="a running Ray cluster (default: start Ray here)")
    group.add_argument("--cluster", type=Path, metavar="FILE", help="keys of your cluster, see docs/grid.md")


def _add_modes(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dry-run", action="store_true", help="only check everything and list the cells")
    group.add_argument(
        "--estimate", action="store_true", help="only tell minutes, core or GPU hours and disk of the cells to run"
    )
    group.add_argument("--status", action="store_true", help="only show the state of each cell")
    group.add_argument(
        "--watch",
        type=seconds,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help="--status that is drawn again until every cell has a result",
    )
    group.add_argument("--why", metavar="CELL", help="only explain one cell: its state, what it waits for, its log")
    group.add_argument(
        "--forget",
        choices=FORGETTABLE,
        help="list the results to remove: older results that a cell replaces, failed ones, or all; --yes removes them",
    )
    group.add_argument("--yes", action="store_true", help="with --forget: remove the listed results")


def seeds(text: str) -> list[int]:
    """Parse one or several seeds, separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong or not parts:
        raise argparse.ArgumentTypeError(f"a seed is an integer of 0 or more, found {(wrong or [text])[0]!r}")
    return [int(part) for part in parts]


def statuses(text: str) -> tuple[str, ...]:
    """Parse the statuses of --retry."""
    return () if text == "none" else _names_of(text, RETRYABLE, "failed, diverged or none")


def states(text: str) -> tuple[str, ...]:
    """Parse the states of --only."""
    return _names_of(text, STATES, " or ".join([", ".join(STATES[:-1]), STATES[-1]]))


def _names_of(text: str, known: tuple[str, ...], expected: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"expected {expected}, found {name!r}")
    return chosen


def share(text: str) -> float:
    """Parse a number of 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, found {text!r}")
    return number


def seconds(text: str) -> float:
    """Parse a number of seconds of at least 0.1."""
    number = share(text)
    if number < 0.1:
        raise argparse.ArgumentTypeError(f"expected at least 0.1 seconds, found {text!r}")
    return number
