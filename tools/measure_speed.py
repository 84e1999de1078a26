#!/usr/bin/env python
"""Measure how many times faster methods run here than as the framework alone would run them.

    python tools/measure_speed.py --recipe nyuv2_hrnet18 --methods pad_net,mti_net --batch 4

Each network runs twice, with the same weights: as the suite runs it, and with the ordinary layers of torch and timm and
planes in memory. Both take turns in one process, and the ratios are those of medians, so other work on the machine
falls on both. Methods that compute in another order than their definition are compared in their tests.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import WRONG_USE, Parser, positive
from tools.measure_cost import names, size, subjects


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line; what it has in common with measure_cost.py means the same."""
    parser = Parser(__doc__)
    parser.add_argument("--recipe", required=True, help="name of a recipe, or path of your own")
    parser.add_argument(
        "--methods", default="all", type=names, metavar="A,B", help="names or wildcards such as '*net' (default: all)"
    )
    parser.add_argument("--backbone", help="name or name:weights (default: the recipe's)")
    parser.add_argument("--size", type=size, metavar="HxW", help="size of the images (default: the recipe's)")
    parser.add_argument("--batch", type=positive, default=4, metavar="N", help="images at a time (default: 4)")
    parser.add_argument("--runs", type=positive, default=10, metavar="N", help="timed runs of each (default: 10)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is a GPU")
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
        help="your own Python file with methods or backbones",
    )
    parser.set_defaults(regularizers=["none"])
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table; 0 when done, 2 when it was asked for wrongly."""
    options = parse_arguments(arguments)
    try:
        wanted = subjects(options)
        from benchmark.cost.reference_layers import speed_ratios
    except (ValueError, KeyError, OSError, ImportError) as error:
        print(f"measure_speed.py: {error}", file=sys.stderr)
        return WRONG_USE
    print("| method | inference, times faster | training step, times faster |\n| --- | --- | --- |")
    for subject in wanted:
        found = speed_ratios(subject, options.batch)
        cells = [f"{found[name]:.2f}" if name in found else "none" for name in ("inference_ratio", "step_ratio")]
        print(f"| {subject.spec.method} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
