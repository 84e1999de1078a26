#!/usr/bin/env python
"""Examine a prepared data set: missing, damaged and changed files, and implausible labels.

    python tools/doctor.py data/nyuv2
    python tools/doctor.py data/nyuv2 --quick 100 --json report.json

Each problem is one line with the first wrong file, the fault and the remedy. The exit code is 0 without problems, 1
with problems, 2 without a prepared data set. No file is changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.doctor.frames import FrameFacts

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import WRONG_USE, Parser, positive  # noqa: E402

PROBLEMS = 1
INTERRUPTED = 130


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the data set, with dataset.json")
    parser.add_argument(
        "--quick",
        type=frames_to_read,
        metavar="N",
        nargs="?",
        const=60,
        help="read the files of N frames only, evenly spread (60 without N)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report to this file, as JSON")
    parser.add_argument("--workers", type=positive, default=2, metavar="N", help="processes (default: %(default)s)")
    return parser.parse_args(arguments)


def frames_to_read(text: str) -> int:
    """Parse the number of frames of --quick; argparse may pass DATA in place of the number."""
    try:
        return positive(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; give DATA before --quick") from None


def track(frames: Iterator[FrameFacts], total: int) -> Iterator[FrameFacts]:
    """Show progress with the time left."""
    from rich.console import Console
    from rich.progress import track as progress

    yield from progress(frames, description="examining", total=total, console=Console(stderr=True), transient=True)


def main(arguments: list[str] | None = None) -> int:
    """Examine the data set. Exit code 0 without problems, 1 with problems, 2 without a data set, 130 after Ctrl-C."""
    options = parse_arguments(arguments)
    from concurrent.futures.process import BrokenProcessPool

    from benchmark.records.atomic import write_text
    from datasets.doctor.examination import examine
    from datasets.doctor.tables import NoDatasetError

    try:
        report = examine(options.data, sample=options.quick, workers=options.workers, track=track)
        if options.json:
            write_text(options.json, json.dumps(report.to_dict(), indent=2) + "\n")
    except (NoDatasetError, OSError) as error:
        print(f"doctor.py: {error}", file=sys.stderr)
        return WRONG_USE
    except BrokenProcessPool:
        print("doctor.py: a process was killed, perhaps for lack of memory; try --workers 1", file=sys.stderr)
        return PROBLEMS
    except KeyboardInterrupt:
        print("doctor.py: stopped", file=sys.stderr)
        return INTERRUPTED
    print(report.text())
    return PROBLEMS if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
