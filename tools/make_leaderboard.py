#!/usr/bin/env python
"""Make LEADERBOARD.md and leaderboard.csv from all result files and the published numbers.

    python tools/make_leaderboard.py

A file that cannot be read as a result is named on standard error and left out.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import WRONG_USE, Parser, refuse, shown  # noqa: E402


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--results", type=Path, default=CHECKOUT / "results", metavar="DIR", help="folder with runs/ (default: results)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: the folder of results)")
    parser.add_argument(
        "--reported",
        type=Path,
        metavar="FILE",
        default=CHECKOUT / "results" / "reported.json",
        help="published numbers (default: results/reported.json)",
    )
    parser.add_argument("--strict", action="store_true", help="end with exit code 1 if a file had to be left out")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Make the files; returns 0 when done, 1 with --strict if a file was left out, 2 for a wrong request."""
    options = parse_arguments(arguments)
    # Nothing here is cyclic, and with 10,000 results in memory the collector takes a fifth of the time.
    gc.disable()
    from benchmark.leaderboard.files import write_leaderboard
    from benchmark.records.result import RecordError

    if not options.results.is_dir():
        print(f"make_leaderboard.py: no folder {options.results}; --results names one with runs/", file=sys.stderr)
        return WRONG_USE
    try:
        written = write_leaderboard(options.results, options.out or options.results, options.reported)
    except (RecordError, OSError) as error:
        return refuse("make_leaderboard.py", error)
    for unreadable in written.left_out:
        print(f"left out: {unreadable.reason}", file=sys.stderr)
    counts = f"{written.num_results} results" + (f", {len(written.left_out)} left out" if written.left_out else "")
    print(f"{shown(written.markdown)} and {shown(written.csv)}: {counts}")
    return 1 if options.strict and written.left_out else 0


if __name__ == "__main__":
    sys.exit(main())
