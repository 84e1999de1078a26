"""Every metric and every registered data set has a complete card, and the card files are not stale."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmark.cards.reading import incomplete, incomplete_data, metric_cards
from benchmark.metrics.catalogue import CATALOGUE
from benchmark.metrics.own import METRICS
from benchmark.registry import DATASETS
from tools import make_cards

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in METRICS])
def test_a_metric_has_a_complete_card(name: str) -> None:
    cards = metric_cards(CHECKOUT / folder for folder in make_cards.WITH_METRICS)
    assert [line for line in incomplete(cards, [name]) if repr(name) in line] == []


@pytest.mark.parametrize("name", DATASETS.names())
def test_a_data_set_has_a_complete_card(name: str) -> None:
    factory = DATASETS.entry(name).factory
    source = sys.modules[factory.__module__].__file__
    assert source is not None
    assert incomplete_data(Path(source), getattr(factory, "tasks", ())) == []


def test_the_card_files_match_the_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_cards.main(["--check"]) == 0, capsys.readouterr().err
