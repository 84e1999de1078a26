"""Command line that renders the data set: python -m datasets.synthetic --out DIR --rooms N --preview FILE.png."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.boundaries.formats.content import DataError
from benchmark.records.provenance import data_home
from datasets.layout.layout import exclusive
from datasets.synthetic.generate import RoomPlan, generate
from datasets.synthetic.preview import contact_sheet


def parse_size(text: str) -> tuple[int, int]:
    """Convert a size such as "120x160" to (H, W): (120, 160)."""
    height, _, width = text.partition("x")
    return int(height), int(width)


def plan_of(arguments: argparse.Namespace) -> RoomPlan:
    """Plan of the rooms that the command line asks for; one room in five belongs to the test split."""
    test_rooms = max(1, round(arguments.rooms / 5))
    return RoomPlan(arguments.rooms - test_rooms, test_rooms, arguments.seed, arguments.size)


def main(command: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    default = RoomPlan()
    parser = argparse.ArgumentParser(prog="python -m datasets.synthetic", description="Render furnished rooms.")
    parser.add_argument(
        "--out", type=Path, default=data_home() / "synthetic", help="folder of the data set (%(default)s)"
    )
    parser.add_argument(
        "--rooms", type=int, default=default.train_rooms + default.test_rooms, help="number of rooms (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of all random choices (%(default)s)")
    parser.add_argument(
        "--size", type=parse_size, default=default.size, metavar="HxW", help="size of the frames (120x160)"
    )
    parser.add_argument("--workers", type=int, help="number of processes (one per core)")
    parser.add_argument("--preview", type=Path, metavar="FILE.png", help="also write a contact sheet")
    arguments = parser.parse_args(command)
    try:
        plan, root = plan_of(arguments), arguments.out.absolute()
        with exclusive(root):
            info = generate(root, plan, arguments.workers)
        if arguments.preview:
            contact_sheet(root, arguments.preview)
    except (DataError, ValueError, ImportError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{info.id}: {info.counts['train']} train and {info.counts['test']} test frames in {root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
