#!/usr/bin/env python
"""Evaluate the trained weights of one cell again, on the split of its result, or imported weights.

    python tools/evaluate.py results/runs/nyuv2_lite/RUN_ID.json
    python tools/evaluate.py --imported DIR --recipe nyuv2_hrnet18

The first command reads the cell from its result file and its weights from results/work or results/models, and prints
every metric with the stored value. With --store, the new numbers replace the stored numbers, for example after a metric
was added. The second command scores the output of tools/import_checkpoint.py in DIR, under the protocol of a recipe. If
a result names your own recipe file, give the file with --recipe: a recipe is code, and a result file cannot run code.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, refuse

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("result", type=Path, nargs="?", help="result file of the cell, results/runs/RECIPE/RUN_ID.json")
    parser.add_argument("--weights", type=Path, help="model.safetensors (default: below WORK, else in models)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: DIR/work for DIR/runs/...)")
    parser.add_argument("--json", type=Path, help="write the metrics to this file too")
    parser.add_argument("--store", action="store_true", help="write the metrics into the result file")
    parser.add_argument("--imported", type=Path, metavar="DIR", help="folder that tools/import_checkpoint.py wrote")
    parser.add_argument(
        "--recipe",
        help="name of a recipe, or path of your own: the protocol for --imported; or the recipe of a result that names "
        "a file of yours, which is run as code",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting of the recipe, with --imported",
    )
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with methods, regularizers, data sets or backbones",
    )
    options = parser.parse_args(arguments)
    if (options.result is None) == (options.imported is None):
        parser.error("name either a result file or --imported DIR")
    if options.imported is not None and options.recipe is None:
        parser.error("--imported needs --recipe")
    if options.imported is None and options.overrides:
        parser.error("--set is for --imported; a stored result keeps its own settings")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"no folder {options.json.parent} for --json")
    if options.imported is not None and (options.store or options.weights):
        parser.error("--store and --weights are for a result file, not for --imported")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Score the cell or the imported weights. Exit code 0, or 2 for a wrong request."""
    options = parse_arguments(arguments)
    from benchmark.registry import import_files
    from benchmark.training.model_files import CheckpointError
    from benchmark.training.recipe_keys import ConfigError

    try:
        import_files(options.imports)
        score_imported(options) if options.imported else score_cell(options)
    except (CheckpointError, ConfigError, ValueError, OSError, ImportError, KeyError) as error:
        return refuse("evaluate.py", error)
    return 0


def score_cell(options: argparse.Namespace) -> None:
    """Score the weights of a cell, print new and stored metrics, and store the new ones with --store."""
    from benchmark.inference.weights import cell_weights
    from benchmark.records.atomic import write_text
    from benchmark.records.store import stored_cell
    from benchmark.training.cell import evaluate_cell, scored_again
    from benchmark.training.trust import trusted_spec

    started = time.time()
    stored, folder = stored_cell(options.result, options.work)
    spec = trusted_spec(stored, options.recipe)
    weights = options.weights or cell_weights(options.result, stored, options.work)
    if options.store and not weights.is_relative_to(folder):
        raise ValueError(f"--store needs the weights of the training in {folder}, found {weights}")
    metrics, data = evaluate_cell(spec, weights, folder)
    if options.store:
        write_text(options.result, scored_again(stored, started, options.imports, metrics, data).to_text())
    print(f"{stored.run_id} on {data['id']}, {data['frames']} frames")
    print_metrics(metrics, stored.metrics)
    write_json(options.json, {"run_id": stored.run_id, "data": data, "metrics": metrics})


def score_imported(options: argparse.Namespace) -> None:
    """Score imported weights under a recipe and print the metrics."""
    from tempfile import TemporaryDirectory

    from benchmark.training.imported import evaluate_imported
    from benchmark.training.recipe_keys import parse_overrides

    overrides = parse_overrides(options.overrides)
    with TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        metrics, data = evaluate_imported(options.imported, options.recipe, overrides, work)
    print(f"{options.imported.name} under {options.recipe} on {data['id']}, {data['frames']} frames")
    print_metrics(metrics)
    write_json(
        options.json,
        {
            "imported": options.imported.name,
            "recipe": options.recipe,
            "overrides": overrides,
            "data": data,
            "metrics": metrics,
        },
    )


def print_metrics(metrics: Metrics, stored: Metrics | None = None) -> None:
    """Print one line for each number, with the stored number if it exists."""
    for task, entries in metrics.items():
        for name, entry in entries.items():
            line = f"{task + '/' + name:24s} {entry['value']:12.5f} {entry['unit']:6s}"
            before = (stored or {}).get(task, {}).get(name, {}).get("value")
            print(line if stored is None else f"{line} stored: {before}")


def write_json(path: Path | None, content: Mapping[str, Any]) -> None:
    """Write the measurements to a file if one is named."""
    if path is not None:
        path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
