#!/usr/bin/env python
"""Train and evaluate one cell, and store its result; an interrupted cell continues from its last saved state.

    python tools/train.py --recipe nyuv2_lite --method hard_sharing --regularizer aux_heads --seed 0
    python tools/train.py --recipe nyuv2_hrnet18 --method hard_sharing --devices 4

The grid (tools/run_grid.py) starts one such process per cell.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, add_cell_options, check_writable, refuse

if TYPE_CHECKING:
    from benchmark.records.result import RunResult, RunSpec


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
    add_cell_options(parser)
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
    from benchmark.training.compose import check_devices, check_spec
    from benchmark.training.dependencies import identify
    from benchmark.training.follow import chosen_logs
    from benchmark.training.identity import ensure_data
    from benchmark.training.recipe_files import load_recipe
    from benchmark.training.recipe_keys import ConfigError

    options.logs = chosen_logs(options.log)
    import_files(options.imports)
    asked = requested_spec(options)
    check_spec(asked)
    check_devices(asked, options.devices)
    ensure_data(load_recipe(asked.recipe, asked.overrides))
    spec = identify(asked)
    if asked.ingredients is not None and spec.run_id != asked.run_id and spec.ingredients is not None:
        changes = "; ".join(spec.ingredients.changes_since(asked.ingredients))
        raise ConfigError(f"{asked.run_id} is another cell now ({changes}); start the grid again")
    return spec


def run(spec: RunSpec, folder: Path, options: argparse.Namespace, arguments: Sequence[str]) -> RunResult:
    """Run a cell in this process, or in one process for each of several devices."""
    from benchmark.training.cell import run_cell
    from benchmark.training.device_processes import run_on_devices

    if options.devices == 1:
        return run_cell(spec, folder, options.imports, options.logs)
    return run_on_devices(spec, folder, options.imports, options.devices, [__file__, *arguments])


def run_process(options: argparse.Namespace) -> int:
    """Run the part of one of several processes, started by `run` or by torchrun; torchrun's first process publishes."""
    from benchmark.records.store import ResultStore
    from benchmark.training.data_parallel import process_group
    from benchmark.training.details import DETAILS_FILE
    from benchmark.training.device_processes import RESULT_VARIABLE, CellPartError, RefusedError, run_part

    try:
        with process_group() as devices:
            spec = checked_spec(options)
            store = ResultStore(options.out, options.work)
            folder = store.work_folder(spec)
            if store.finished(spec):
                print(f"already done: {store.path(spec)}")
                return 0
            if RESULT_VARIABLE in os.environ or not devices.writes:
                run_part(spec, folder, options.imports, options.logs)
                return 0
            with store.hold(spec) as lease:
                path = store.publish(
                    run_part(spec, folder, options.imports, options.logs), lease, details=folder / DETAILS_FILE
                )
            print(path)
    except RefusedError as error:
        return refuse("train.py", error)
    except CellPartError as error:
        cause = error.__cause__ or error
        sys.excepthook(type(cause), cause, cause.__traceback__)
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the cell.

    Exit code 0 if its result is done, 1 if it failed or diverged, 2 for a wrong request, 75 if its result could not be
    stored, 85 if it was interrupted by SIGUSR1 and its state is saved.
    """
    options = parse_arguments(arguments)
    from torch.distributed import is_torchelastic_launched

    from benchmark.records.escaping import escape_terminal
    from benchmark.records.failures import INTERRUPTED_EXIT_CODE, RETRY_EXIT_CODE
    from benchmark.records.store import ResultStore, StoreError
    from benchmark.records.validation import RecordError
    from benchmark.training.checkpoints import OtherDevicesError, remove_training_state
    from benchmark.training.details import DETAILS_FILE
    from benchmark.training.device_processes import RefusedError
    from benchmark.training.interruption import CellInterruptedError, listen

    listen()
    try:
        check_writable(options.out)
        if is_torchelastic_launched():
            return run_process(options)
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
            result = run(spec, folder, options, sys.argv[1:] if arguments is None else arguments)
            path = store.publish(result, lease, details=folder / DETAILS_FILE)
        if result.status == "done":
            # Delete the state after storing: if storing fails, the next start evaluates but does not train again.
            remove_training_state(folder)
    except CellInterruptedError as error:
        print(f"interrupted: {error}")
        return INTERRUPTED_EXIT_CODE
    except (RefusedError, OtherDevicesError) as error:
        return refuse("train.py", error)
    except (StoreError, RecordError, OSError) as error:
        refuse("train.py", error)
        return RETRY_EXIT_CODE
    print(escape_terminal(f"{result.status}: {path if result.error is None else f'{result.error} ({path})'}"))
    return 0 if result.status == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
