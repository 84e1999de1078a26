#!/usr/bin/env python
"""Print a study of a recipe: its settings beside each other, by accuracy, noise of a paired gain, and cost.

    python tools/run_grid.py --recipe nyuv2_lite --methods hard_sharing --regularizers none,three_d_aware --split val \
        --seeds 100 101 102 --out results/studies/nyuv2_lite --set train_dataloader.batch_size=4
    python tools/summarize_study.py results/studies/nyuv2_lite

The results of a study are trained on the training frames without the validation frames and scored on these. The cost is
the number of steps times the step time of `tools/measure_cost.py --store`, if it was measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, refuse  # noqa: E402


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("results", type=Path, metavar="DIR", help="folder with runs/")
    parser.add_argument("--method", default="hard_sharing", help="default: hard_sharing")
    parser.add_argument("--regularizer", default="three_d_aware", help="default: three_d_aware")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Print the table. Exit code 0, or 2 for a wrong request."""
    options = parse_arguments(arguments)
    from benchmark.leaderboard.files import read_contents
    from benchmark.leaderboard.study import study, study_table

    if not (options.results / "runs").is_dir():
        return refuse("summarize_study.py", ValueError(f"no results in {options.results}: it has no folder runs"))
    try:
        contents = read_contents(options.results, options.results / "reported.json")
    except (OSError, ValueError) as error:
        return refuse("summarize_study.py", error)
    for unreadable in contents.left_out:
        print(f"left out: {unreadable.reason}", file=sys.stderr)
    print(study_table(study(contents.analyses, options.method, options.regularizer)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
