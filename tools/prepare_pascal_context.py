"""Prepare PASCAL-Context for training: checked, and brought into one layout on disk.

    python tools/prepare_pascal_context.py PASCAL_MT.tgz
    python tools/prepare_pascal_context.py PASCALContext.tar.gz

The release of ASTMT (PASCAL_MT) or of ATRC and InvPT (PASCALContext), as a folder or as the archive that it came in.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmark.records.provenance import data_home  # noqa: E402
from tools.command_line import WRONG_USE, Parser, positive, shown  # noqa: E402

if TYPE_CHECKING:
    from datasets.layout.layout import DatasetInfo


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("release", type=Path, metavar="PATH", help="folder or archive (tar, tar.gz, zip, ...)")
    parser.add_argument(
        "--out", type=Path, help="where to put it (default: pascal_context below $MTL_DATA, else data/pascal_context)"
    )
    parser.add_argument("--workers", type=positive, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N frames of each split")
    parser.add_argument("--overwrite", action="store_true", help="replace the data set that --out holds")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, out: Path) -> DatasetInfo:
    """Prepare into `out`.

    Raises:
        DataError: in one line, when the input or the place is wrong.
    """
    from datasets.layout.layout import exclusive
    from datasets.pascal_context.release import open_release
    from datasets.preparation.archives import unpacked
    from datasets.preparation.preparing import check_vacant, prepare, progress

    check_vacant(out, options.overwrite)
    with exclusive(out.absolute()), unpacked(options.release, out) as folder:
        source = open_release(folder)
        track = progress("preparing PASCAL-Context")
        return prepare(source, out, workers=options.workers, limit=options.limit, track=track)


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 when the data set is in place, 2 when the input or the place is wrong."""
    options = parse(arguments)
    from datasets.layout.layout import DataError

    out = options.out or data_home() / "pascal_context"
    try:
        info = run(options, out)
    except (DataError, OSError) as error:
        print(f"prepare_pascal_context: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("prepare_pascal_context: stopped; nothing was changed", file=sys.stderr)
        return 130
    from datasets.pascal_context.release import PUBLISHED_FRAMES

    counts = ", ".join(f"{number} {split}" for split, number in info.counts.items())
    print(f"{shown(out)}: {info.id} ({counts} frames)")
    if dict(info.counts) != PUBLISHED_FRAMES and options.limit is None:
        expected = ", ".join(f"{number} {split}" for split, number in PUBLISHED_FRAMES.items())
        print(f"  note: the published release has {expected} frames; numbers on this one compare with no paper")
    print(f"  validation: {info.validation}")
    print(f"  {' '.join(info.notes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
