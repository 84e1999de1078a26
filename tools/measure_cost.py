#!/usr/bin/env python
"""Measure the cost of methods and regularizers: parameters, multiply-accumulates, latency, memory, training steps.

    python tools/measure_cost.py --recipe nyuv2_lite --methods all --regularizers none,aux_heads
    python tools/measure_cost.py --recipe nyuv2_hrnet18 --methods atrc,mti_net --size 480x640 --measure parameters,macs
    python tools/measure_cost.py --recipe nyuv2_lite --methods hard_sharing --regularizers all --store results

Weights and images are random: no data set and no download is needed. Each time and each peak memory is measured in its
own process. Steps with and without a regularizer run alternately, so their ratio is valid under other load. --store
writes the numbers into the results of the same cells, and the leaderboard shows them with the name of this hardware.
The exit code is 0, 1 if a measurement failed, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import WRONG_USE, Parser, positive

if TYPE_CHECKING:
    from benchmark.cost.report import Report
    from benchmark.cost.target import CostTarget
    from benchmark.records.store import Stored

KINDS = ("parameters", "macs", "inference", "step")


def network_parser(description: str | None) -> Parser:
    """A parser with the options that choose networks: recipe, methods, backbone, image size, overrides, imports."""
    parser = Parser(description)
    parser.add_argument("--recipe", required=True, help="name of a recipe, or path of your own")
    parser.add_argument(
        "--methods", default="all", type=names, metavar="A,B", help="names or wildcards such as '*net' (default: all)"
    )
    parser.add_argument("--backbone", help="name or name:weights (default: the recipe's)")
    parser.add_argument("--size", type=size, metavar="HxW", help="size of the images (default: the recipe's)")
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
    return parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = network_parser(__doc__)
    parser.add_argument(
        "--regularizers", default=["none"], type=names, metavar="A,B", help="names or wildcards (default: none)"
    )
    parser.add_argument(
        "--batch", type=positive, nargs="+", default=[1, 8], metavar="N", help="batch sizes of inference (default: 1 8)"
    )
    parser.add_argument(
        "--step-batch", type=positive, metavar="N", help="images in a training step (default: the recipe's)"
    )
    parser.add_argument("--runs", type=positive, default=20, metavar="N", help="timed runs of each (default: 20)")
    parser.add_argument(
        "--measure", type=kinds, default=KINDS, metavar="A,B", help=f"some of {','.join(KINDS)} (default: all)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if torch finds a GPU")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to this file")
    parser.add_argument("--store", type=Path, metavar="DIR", help="write the costs into the results below DIR/runs")
    return parser.parse_args(arguments)


def names(text: str) -> list[str]:
    """Names of the command line, separated by commas."""
    listed = [name.strip() for name in text.split(",") if name.strip()]
    if not listed:
        raise argparse.ArgumentTypeError(f"expected names, found {text!r}")
    return listed


def size(text: str) -> tuple[int, int]:
    """Height and width in pixels, each at least 32."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or min(map(int, match.groups())) < 32:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH of 32 pixels or more, such as 480x640; found {text!r}")
    return int(match[1]), int(match[2])


def kinds(text: str) -> tuple[str, ...]:
    """Kinds of cost, some of `KINDS`."""
    listed = tuple(names(text))
    for name in listed:
        if name not in KINDS:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(KINDS)}; found {name!r}")
    return listed


def targets(options: argparse.Namespace) -> list[CostTarget]:
    """Networks selected by the command line.

    Raises:
        ValueError, KeyError, OSError, ImportError: for a wrong choice, in one line.
    """
    import torch

    from benchmark.cost.target import CostTarget, image_size
    from benchmark.grid.cells import cells
    from benchmark.registry import METHODS, REGULARIZERS, import_files
    from benchmark.training.compose import check_spec
    from benchmark.training.recipe_files import load_recipe
    from benchmark.training.recipe_keys import parse_overrides

    import_files(options.imports)
    has_gpu = torch.cuda.is_available()
    if options.device == "cuda" and not has_gpu:
        raise ValueError("--device cuda: torch finds no GPU on this machine")
    methods, regularizers = METHODS.names(*options.methods), REGULARIZERS.names(*options.regularizers)
    overrides = parse_overrides(options.overrides)
    recipe = load_recipe(options.recipe, overrides)
    plain = [name for name in methods if not METHODS.entry(name).accepts_regularizers]
    specs = cells(
        options.recipe,
        methods,
        regularizers,
        [0],
        options.backbone or str(recipe.backbone),
        tuple(recipe.tasks),
        overrides,
        plain,
    )
    for spec in specs:
        check_spec(spec)
    device = options.device or ("cuda" if has_gpu else "cpu")
    imports = tuple(str(Path(file).resolve()) for file in options.imports)
    return [CostTarget(spec, options.size or image_size(recipe), device, options.runs, imports) for spec in specs]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and store. Exit code 0, 1 if a measurement failed, 2 for a wrong command line."""
    options = parse_arguments(arguments)
    try:
        wanted = targets(options)
        from benchmark.cost.report import Report
        from benchmark.cost.storing import results_of

        report = Report(wanted[0], options.batch, options.step_batch, options.measure)
        # Find the results first, since measuring may take an hour.
        stored = [results_of(options.store, target.spec) if options.store else [] for target in wanted]
        measure(report, wanted)
        store(report, stored)
    except (ValueError, KeyError, OSError, ImportError) as error:
        print(f"measure_cost.py: {error}", file=sys.stderr)
        return WRONG_USE
    print(report.markdown())
    if options.json:
        options.json.write_text(json.dumps(report.to_json(), indent=2) + "\n")
    return 1 if report.failures else 0


def measure(report: Report, wanted: Sequence[CostTarget]) -> None:
    """Measure the targets one after another; progress and failures go to standard error."""
    for position, target in enumerate(wanted, 1):
        spec = target.spec
        print(f"{position}/{len(wanted)} {spec.method}+{spec.regularizer}", file=sys.stderr)
        for failure in report.measure(target):
            print(f"measure_cost.py: {failure}", file=sys.stderr)


def store(report: Report, stored: Sequence[Sequence[Stored]]) -> None:
    """Write the costs into the results, after a check of all results.

    Raises:
        ValueError: if a result was trained with another network.
    """
    from benchmark.cost.storing import check_parameters, store_cost

    pairs = [(found, row.cost) for row, results in zip(report.rows, stored, strict=True) for found in results]
    for found, cost in pairs:
        check_parameters(found, cost)
    for found, cost in pairs:
        store_cost(found, cost, report.origin())


if __name__ == "__main__":
    sys.exit(main())
