#!/usr/bin/env python
"""Collect the trained models of the boards: one seed per row, as float16 safetensors in results/models.

    python tools/board_models.py            # write the missing models and results/models.json
    python tools/board_models.py --check    # compare the files in results/models with results/models.json

The manifest results/models.json is kept in git; the files are the assets of a release. Put them into results/models,
and tools/evaluate.py, tools/predict.py, tools/gallery.py and tools/export.py find them by the result file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmark.tasks import counted  # noqa: E402
from tools.command_line import Parser, refuse  # noqa: E402


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--results", type=Path, default=CHECKOUT / "results", metavar="DIR", help="folder with runs/ (default: results)"
    )
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: DIR/work)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a file is missing or differs"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the models. Exit code 0, 1 for a fault with --check, or 2 for a wrong request."""
    options = parse_arguments(arguments)
    from benchmark.inference.board_models import faults, update

    try:
        if options.check:
            found = faults(options.results)
            for line in found:
                print(line, file=sys.stderr)
            return 1 if found else 0
        models, missing = update(options.results, options.work)
    except (ValueError, OSError, KeyError, ImportError) as error:
        return refuse("board_models.py", error)
    for line in missing:
        print(line, file=sys.stderr)
    size = sum(entry.bytes for entry in models.values()) / 2**20
    without = counted(len(missing), "row")
    print(f"{counted(len(models), 'model')}, {size:.0f} MiB; {without} without weights on this machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
