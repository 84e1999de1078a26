#!/usr/bin/env python
"""Make LEADERBOARD.md, board.html, the CSV files and pages about regularizers from results, boards, published numbers.

    python tools/make_leaderboard.py                          # write the files into the folder of results
    python tools/make_leaderboard.py --readme README.md       # and the short table between the marks in README.md
    python tools/make_leaderboard.py --check --readme README.md   # write nothing; exit code 1 if a file is outdated
    python tools/make_leaderboard.py --figures figures        # figures of the boards as SVG, PDF and PNG, with captions
    python tools/make_leaderboard.py --latex nyuv2_lite --rows 'mti_net*' --columns semseg/mIoU,depth/delta1

docs/results.md describes the columns of the CSV and Parquet files. A file that is not a readable result
is named on standard error and left out.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmark.tasks import counted  # noqa: E402
from tools.command_line import Parser, refuse, shown  # noqa: E402

if TYPE_CHECKING:
    from benchmark.leaderboard.files import Contents


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--results", type=Path, default=CHECKOUT / "results", metavar="DIR", help="folder with runs/ (default: results)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the files (default: the folder of results)")
    parser.add_argument(
        "--reported",
        type=Path,
        metavar="FILE",
        default=CHECKOUT / "results" / "reported.json",
        help="published numbers (default: results/reported.json)",
    )
    parser.add_argument(
        "--columns", default="", metavar="METRICS", help="metrics to show, such as depth/delta1,semseg/pixAcc"
    )
    parser.add_argument(
        "--rank-by",
        default="",
        metavar="METRICS",
        help="metrics that rank their tasks, such as depth/absRel (default: the board's, else the primary metrics)",
    )
    parser.add_argument("--readme", type=Path, metavar="FILE", help="also rewrite the marked block of this file")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="also write the picture of the first board as SVG")
    parser.add_argument("--parquet", action="store_true", help="also write leaderboard.parquet and comparisons.parquet")
    parser.add_argument(
        "--latex", metavar="NAME", help="print the table of a board or a recipe as LaTeX; write no file"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="write the figures of all boards into this folder, and nothing else"
    )
    parser.add_argument(
        "--rows", nargs="+", default=[], metavar="PATTERN", help="rows of the LaTeX table, such as 'mti_net*'"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is outdated")
    parser.add_argument("--strict", action="store_true", help="end with exit code 1 if a file had to be left out")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Make the files. Exit code 0, 1 as described at --strict and --check, or 2 for a wrong request."""
    options = parse_arguments(arguments)
    # No object here is cyclic, and with 10,000 results the collector takes a fifth of the time.
    gc.disable()
    from benchmark.leaderboard.columns import chosen_ranking
    from benchmark.leaderboard.files import read_contents

    if not options.results.is_dir():
        return refuse("make_leaderboard.py", ValueError(f"no folder {options.results}; --results names one with runs/"))
    try:
        contents = read_contents(options.results, options.reported, chosen_ranking(options.rank_by))
        for unreadable in contents.left_out:
            print(f"left out: {unreadable.reason}", file=sys.stderr)
        code = act(options, contents)
    except (ImportError, OSError, ValueError) as error:
        return refuse("make_leaderboard.py", error)
    return 1 if options.strict and contents.left_out else code


def act(options: argparse.Namespace, contents: Contents) -> int:
    """Print, check or write, depending on the options."""
    if options.latex is not None:
        print_latex(options, contents)
        return 0
    if options.figures is not None:
        from benchmark.leaderboard.figures.files import write_figures

        written = write_figures(contents.analyses, contents.reported, options.figures)
        print(f"{shown(options.figures)}: {len(written)} files")
        return 0
    return check(options, contents) if options.check else write(options, contents)


def print_latex(options: argparse.Namespace, contents: Contents) -> None:
    """Print the tables of a board, or of a recipe that is on no board.

    Raises:
        ValueError: if the board or recipe has no results.
    """
    from benchmark.leaderboard.files import columns_of
    from benchmark.leaderboard.latex import latex_table

    known = [analysis for analysis in contents.analyses if analysis.table.results]
    chosen = [analysis for analysis in known if analysis.name == options.latex]
    if not chosen:
        names = ", ".join(dict.fromkeys(analysis.name for analysis in known)) or "none"
        raise ValueError(f"--latex: found {options.latex!r}, expected a board or recipe with results: {names}")
    columns = columns_of(contents, options.columns)
    for analysis in chosen:
        print(latex_table(analysis, columns, options.rows))


def write(options: argparse.Namespace, contents: Contents) -> int:
    """Write the files and print their paths."""
    from benchmark.leaderboard.files import columns_of, texts_of, write_parquet_files
    from benchmark.records.atomic import write_text

    out = options.out or options.results
    texts = {
        out / name: text for name, text in texts_of(contents, out, columns_of(contents, options.columns)).items()
    } | readme_text(options, contents)
    for path, text in texts.items():
        write_text(path, text)
    made = [
        *texts,
        *picture(options, contents),
        *page(contents, out),
        *(write_parquet_files(contents, out) if options.parquet else []),
    ]
    left_out = f", {len(contents.left_out)} left out" if contents.left_out else ""
    counts = counted(contents.num_results, "result") + left_out
    print(f"{', '.join(shown(path) for path in made)}: {counts}")
    return 0


def page(contents: Contents, out: Path) -> list[Path]:
    """Write board.html; without plotly, say how to install it, and leave the page out."""
    from benchmark.leaderboard.files import PAGE, write_page

    try:
        return [write_page(contents, out)]
    except ImportError as error:
        print(f"{PAGE} is not written: {error}", file=sys.stderr)
        return []


def picture(options: argparse.Namespace, contents: Contents) -> list[Path]:
    """Write the file of --picture if it shows something else than the results."""
    from benchmark.leaderboard.figures.picture import write_picture

    outdated = outdated_picture(options, contents)
    for path in outdated:
        write_picture(path, contents.analyses)
    return outdated


def outdated_picture(options: argparse.Namespace, contents: Contents) -> list[Path]:
    """The file of --picture, if it shows something else than the results."""
    from benchmark.leaderboard.figures.picture import picture_is_current

    path: Path | None = options.picture
    return [path] if path is not None and not picture_is_current(path, contents.analyses) else []


def check(options: argparse.Namespace, contents: Contents) -> int:
    """Print the outdated files. Exit code 1 if a file is outdated, else 0."""
    from benchmark.leaderboard.files import columns_of, outdated_files, read_text

    outdated = outdated_files(contents, options.out or options.results, columns_of(contents, options.columns))
    outdated += outdated_picture(options, contents)
    outdated += [path for path, text in readme_text(options, contents).items() if read_text(path) != text]
    for path in outdated:
        print(f"outdated: {shown(path)}; run python tools/make_leaderboard.py", file=sys.stderr)
    return 1 if outdated else 0


def readme_text(options: argparse.Namespace, contents: Contents) -> dict[Path, str]:
    """The file of --readme with its new text; empty without the option."""
    from benchmark.leaderboard.readme import with_readme_block

    if options.readme is None:
        return {}
    try:
        return {options.readme: with_readme_block(options.readme.read_text(encoding="utf-8"), contents.analyses)}
    except ValueError as error:
        raise ValueError(f"{options.readme}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
