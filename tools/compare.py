#!/usr/bin/env python
"""Compare two rows, two commits or two folders of results: paired gains, and differences of their ingredients.

    python tools/compare.py mti_net mti_net+three_d_aware     # rows, as the leaderboard names them
    python tools/compare.py 99b9bc45 0123abcd                 # cells that two commits trained
    python tools/compare.py results other/results             # the same cells in two folders

Gains are of the second over the first, paired by seed, with 95 % t intervals. They are not adjusted for several
comparisons.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, refuse  # noqa: E402

if TYPE_CHECKING:
    from benchmark.records.store import Stored


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("first", help="row, commit or folder")
    parser.add_argument("second", help="row, commit or folder that is compared with the first")
    parser.add_argument(
        "--results", type=Path, default=CHECKOUT / "results", metavar="DIR", help="folder with runs/ (default: results)"
    )
    parser.add_argument("--recipe", metavar="NAME", help="only results of this recipe")
    parser.add_argument(
        "--columns", default="", metavar="METRICS", help="metrics to compare, such as depth/delta1,semseg/pixAcc"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every difference. Exit code 0, or 2 if no cells can be compared."""
    options = parse_arguments(arguments)
    from benchmark.leaderboard.columns import chosen_columns
    from benchmark.leaderboard.compare import compare
    from benchmark.records.escaping import escape_terminal

    try:
        first, second = (read_side(name, options) for name in (options.first, options.second))
        columns = chosen_columns(options.columns, [cell.result for cell in (*first, *second)])
        differences = compare(first, second, columns)
    except (OSError, ValueError) as error:
        return refuse("compare.py", error)
    if not differences:
        what = f"{options.first} and {options.second}"
        return refuse("compare.py", ValueError(f"{what} have no seed of one recipe, backbone and tasks in common"))
    print("\n".join(escape_terminal(difference.to_text()) for difference in differences), end="")
    return 0


def read_side(name: str, options: argparse.Namespace) -> list[Stored]:
    """Read the results that one argument names.

    Raises:
        ValueError: if the argument names no result.
    """
    from benchmark.leaderboard.compare import select
    from benchmark.records.result import DONE
    from benchmark.records.store import ResultStore, Stored

    folder = Path(name) if (Path(name) / "runs").is_dir() else options.results
    found = [entry for entry in ResultStore(folder).results(options.recipe) if isinstance(entry, Stored)]
    return [cell for cell in found if cell.result.status == DONE] if folder == Path(name) else select(name, found)


if __name__ == "__main__":
    sys.exit(main())
