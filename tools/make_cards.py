#!/usr/bin/env python
"""Write the cards of all metrics and data sets, and the tables of all methods, from the docstrings of their modules.

Without options, it updates benchmark/metrics/CARDS.md, datasets/CARDS.md and docs/methods.md. If a card is incomplete,
it names the card and writes no file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, shown  # noqa: E402

METRICS, DATA, ENTRIES = Path("benchmark/metrics/CARDS.md"), Path("datasets/CARDS.md"), Path("docs/methods.md")
WITH_METRICS = ("benchmark/metrics", "benchmark/leaderboard")
"""Folders whose modules have metric cards."""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is stale")
    return parser.parse_args(arguments)


def made() -> dict[Path, str]:
    """Texts of the card files, by path in the checkout.

    Raises:
        CardError: naming all cards that are incomplete.
    """
    from benchmark.cards.entries import entries_text
    from benchmark.cards.reading import CardError, incomplete, incomplete_data, metric_cards
    from benchmark.cards.text import DataSet, data_text, metrics_text
    from benchmark.metrics.catalogue import CATALOGUE
    from benchmark.registry import DATASETS

    cards = metric_cards(CHECKOUT / folder for folder in WITH_METRICS)
    entries = [DATASETS.entry(name) for name in DATASETS.names()]
    sources = [Path(str(sys.modules[entry.factory.__module__].__file__)) for entry in entries]
    problems = incomplete(cards, CATALOGUE)
    for entry, source in zip(entries, sources, strict=True):
        problems += incomplete_data(source, getattr(entry.factory, "tasks", ()))
    if problems:
        raise CardError("\n".join(problem.replace(f"{CHECKOUT}/", "") for problem in problems))
    sets = [
        DataSet(entry.name, entry.title, entry.paper, source)
        for entry, source in zip(entries, sources, strict=True)
        if source.is_relative_to(CHECKOUT)
    ]
    return {METRICS: metrics_text(cards, CHECKOUT), DATA: data_text(sets, CHECKOUT), ENTRIES: entries_text()}


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the files. Exit code 1 for an incomplete card, or a stale file with --check; else 0."""
    options = parse_arguments(arguments)
    from benchmark.cards.reading import CardError
    from benchmark.records.atomic import write_text

    try:
        texts = made()
    except CardError as error:
        print(error, file=sys.stderr)
        return 1
    stale = [path for path, text in texts.items() if not _is(CHECKOUT / path, text)]
    if options.check:
        for path in stale:
            print(f"{path} is stale; run python tools/make_cards.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        write_text(CHECKOUT / path, texts[path])
        print(shown(CHECKOUT / path))
    return 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
