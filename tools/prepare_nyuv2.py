"""Prepare the real NYU-v2 for training: crop, normals, boundaries, one canonical layout on disk."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.nyuv2.prepare import Digests

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--from-folder", type=Path, required=True, metavar="DIR",
        help="folder with INDEX.csv, classes.csv, rgb/, depth8/ and label40/",
    )
    parser.add_argument("--out", type=Path, help="where to put it (default: nyuv2 below $MTL_DATA, else data/nyuv2)")
    parser.add_argument("--workers", type=positive, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N frames of each split")
    parser.add_argument("--overwrite", action="store_true", help="replace the data set that --out holds")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, found {number}")
    return number


def track(frames: Iterator[Digests], total: int) -> Iterator[Digests]:
    """Show progress with the time left."""
    from rich.console import Console
    from rich.progress import track as progress

    yield from progress(frames, description="preparing NYU-v2", total=total, console=Console(stderr=True))


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 when the data set is in place, 2 when the input or the place is wrong."""
    options = parse(arguments)
    from datasets.layout import DataError, data_root
    from datasets.nyuv2.prepare import prepare

    out = options.out or data_root() / "nyuv2"
    try:
        if out.exists() and not options.overwrite and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out}: there is something here already; give --overwrite to replace it, or another --out")
        info = prepare(options.from_folder, out, workers=options.workers, limit=options.limit, track=track)
    except (DataError, OSError) as error:
        print(f"prepare_nyuv2: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("prepare_nyuv2: stopped; nothing was changed", file=sys.stderr)
        return 130
    counts = ", ".join(f"{number} {split}" for split, number in info.counts.items())
    print(f"{out}: {info.id} ({counts} frames)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
