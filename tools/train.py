#!/usr/bin/env python
"""Train and evaluate one cell, and store its result; an interrupted cell continues from its last saved state.

    python tools/train.py --recipe nyuv2_lite --method hard_sharing --regularizer aux_heads --seed 0

The grid (tools/run_grid.py) starts one such process per cell.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, check_writable, refuse

if TYPE_CHECKING:
    from benchmark.records.result import RunSpec


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line of one cell."""
    parser = Parser(__doc__)
    parser.add_argument("--spec", metavar="JSON", help="the complete cell as JSON, in place of --recipe to --set")
    parser.add_argument("--recipe", help="name of a recipe, or path of your own")
    parser.add_argument("--method", help="registered method")
    parser.add_argument("--regularizer", default="none", help="registered regularizer (default: none)")
    parser.add_argument("--backbone", help="name or name:weights (default: the recipe's)")
    parser.add_argument("--tasks", help="comma-separated task names (default: the recipe's)")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="split to score (default: test)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation (default: 0)")
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
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of results (default: results)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: OUT/work)")
    return parser.parse_args(arguments)


def requested_spec(options: argparse.Namespace) -> RunSpec:
    """The cell of the command line; backbone and tasks default to the recipe's."""
    from benchmark.records.result import RunSpec
    from benchmark.training.recipe_files import recipe_defaults
    from benchmark.training.recipe_keys import ConfigError, parse_overrides

    if options.spec:
        return RunSpec.from_text(options.spec, "--spec")
    if not options.recipe or not options.method:
        raise ConfigError("name a cell with --recipe and --method, or with --spec")
    overrides = parse_overrides(options.overrides)
    backbone, tasks = recipe_defaults(options.recipe, overrides)
    names = tuple(options.tasks.split(",")) if options.tasks else tasks
    return RunSpec(
        recipe=options.recipe,
        method=options.method,
        regularizer=options.regularizer,
        backbone=options.backbone or backbone,
        tasks=names,
        seed=options.seed,
        overrides=overrides,
        split=options.split,
    )


def checked_spec(options: argparse.Namespace) -> RunSpec:
    """The identified cell of the command line, after its data are prepared.

    Raises:
        ConfigError: if it cannot be run, or changed since a grid asked for it.
    """
    from benchmark.registry import import_files
    from benchmark.training.compose import check_spec
    from benchmark.training.dependencies import identify
    from benchmark.training.identity import ensure_data
    from benchmark.training.recipe_files import load_recipe
    from benchmark.training.recipe_keys import ConfigError

    import_files(options.imports)
    asked = requested_spec(options)
    check_spec(asked)
    ensure_data(load_recipe(asked.recipe, asked.overrides))
    spec = identify(asked)
    if asked.ingredients is not None and spec.run_id != asked.run_id and spec.ingredients is not None:
        changes = "; ".join(spec.ingredients.changes_since(asked.ingredients))
        raise ConfigError(f"{asked.run_id} is another cell now ({changes}); start the grid again")
    return spec


def main(arguments: list[str] | None = None) -> int:
    """Run the cell.

    Exit code 0 if its result is done, 1 if it failed or diverged, 2 for a wrong request, 75 if its result could not be
    stored, 85 if it was interrupted by SIGUSR1 and its state is saved.
    """
    options = parse_arguments(arguments)
    from benchmark.records.escaping import escape_terminal
    from benchmark.records.failures import INTERRUPTED_EXIT_CODE, RETRY_EXIT_CODE
    from benchmark.records.store import ResultStore, StoreError
    from benchmark.records.validation import RecordError
    from benchmark.training.cell import run_cell
    from benchmark.training.checkpoints import remove_training_state
    from benchmark.training.details import DETAILS_FILE
    from benchmark.training.interruption import CellInterruptedError, listen

    listen()
    try:
        check_writable(options.out)
        spec = checked_spec(options)
    except (OSError, ImportError, ValueError) as error:
        return refuse("train.py", error)
    store = ResultStore(options.out, options.work)
    try:
        if store.finished(spec):
            print(f"already done: {store.path(spec)}")
            remove_training_state(store.work_folder(spec))
            return 0
        store.check_writable(spec)
        folder = store.work_folder(spec)
        with store.hold(spec) as lease:
            result = run_cell(spec, folder, options.imports)
            path = store.publish(result, lease, details=folder / DETAILS_FILE)
        if result.status == "done":
            # Delete the state after storing: if storing fails, the next start evaluates but does not train again.
            remove_training_state(folder)
    except CellInterruptedError as error:
        print(f"interrupted: {error}")
        return INTERRUPTED_EXIT_CODE
    except (StoreError, RecordError, OSError) as error:
        refuse("train.py", error)
        return RETRY_EXIT_CODE
    print(escape_terminal(f"{result.status}: {path if result.error is None else f'{result.error} ({path})'}"))
    return 0 if result.status == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
