"""The plot of precision over recall: what its lines and points show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest

from benchmark.boundaries.plot import plot_curve
from benchmark.boundaries.summary import Point, Summary

SUMMARY = Summary(
    ods=Point(0.25, recall=0.6, precision=0.4, f=0.48),
    ois=Point(float("nan"), recall=0.7, precision=0.5, f=0.583),
    ap=0.321,
    curve=np.array([[0.9, 0.2, 0.327], [0.6, 0.4, 0.48], [0.0, 1.0, 0.0]]),
)


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The axes of the plot of `SUMMARY`, which is written to a file."""
    figures: list[Any] = []
    write = matplotlib.figure.Figure.savefig

    def keep(figure: Any, path: Path) -> None:
        figures.append(figure)
        write(figure, path)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", keep)
    plot_curve(SUMMARY, "seism", tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    return figures[0].axes[0]


def test_the_curve_and_the_best_points_are_drawn_over_recall(axes: Any) -> None:
    """A threshold at which F is 0 is no point of the curve."""
    curve, ods, ois = (line.get_xydata().tolist() for line in axes.lines[-3:])
    assert curve == [[0.9, 0.2], [0.6, 0.4]]
    assert (ods, ois) == ([[0.6, 0.4]], [[0.7, 0.5]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("recall", "precision")
    assert axes.get_title() == "Boundaries, seism"


def test_the_legend_names_the_numbers_in_percent(axes: Any) -> None:
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["AP 32.1 %", "odsF 48.0 % at 0.25", "oisF 58.3 %"]


def test_every_point_of_a_green_line_has_the_f_of_its_label(axes: Any) -> None:
    """F is the harmonic mean of recall and precision."""
    lines = axes.lines[:-3]
    assert len(lines) == len(axes.texts) == 9
    for line, text in zip(lines, axes.texts, strict=True):
        recall, precision = line.get_xydata().T
        np.testing.assert_allclose(2 / (1 / recall + 1 / precision), float(text.get_text().removeprefix("F ")))
