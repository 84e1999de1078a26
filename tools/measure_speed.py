#!/usr/bin/env python
"""Measure how many times faster methods run on a CPU with `accelerate` than in plain torch.

    python tools/measure_speed.py --recipe nyuv2_lite --methods hard_sharing,mti_net --batch 4

Each network runs with `accelerate=True` and `accelerate=False`, alternately in one process on one thread, so other load
affects both equally. The ratios are ratios of medians.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import WRONG_USE, positive
from tools.measure_cost import network_parser, targets


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; options shared with measure_cost.py have the same meaning."""
    parser = network_parser(__doc__)
    parser.add_argument("--batch", type=positive, default=4, metavar="N", help="images at a time (default: 4)")
    parser.add_argument("--runs", type=positive, default=10, metavar="N", help="timed runs of each (default: 10)")
    parser.set_defaults(regularizers=["none"], device="cpu")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table. Exit code 0, or 2 for a wrong command line."""
    options = parse_arguments(arguments)
    try:
        wanted = targets(options)
    except (ValueError, KeyError, OSError, ImportError) as error:
        print(f"measure_speed.py: {error}", file=sys.stderr)
        return WRONG_USE
    import torch

    from benchmark.cost.measure import acceleration

    torch.set_num_threads(1)
    print("| method | inference, times faster | training step, times faster |\n| --- | --- | --- |")
    for target in wanted:
        ratios = acceleration(target, options.batch)
        cells = [f"{ratios[name]:.2f}" if name in ratios else "none" for name in ("inference_ratio", "step_ratio")]
        print(f"| {target.spec.method} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
