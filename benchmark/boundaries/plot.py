"""Plot of precision over recall, with lines of equal F as in boundary papers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.boundaries.summary import Summary

LEVELS = np.arange(1, 10) / 10
GREEN = "#4c9f50"


def plot_curve(summary: Summary, label: str, path: Path) -> None:
    """Plot the precision-recall curve of a summary.

    Args:
        summary: summary of the images.
        label: label of the protocol, see `Protocol.label`.
        path: file to write; the suffix selects the format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision", aspect="equal")
    for level in LEVELS:
        # F = 2 P R / (P + R) solved for P; it reaches 1 where R = F / (2 - F).
        recall = np.linspace(level / (2 - level), 1, 200)
        axes.plot(recall, level * recall / (2 * recall - level), color=GREEN, linewidth=0.6, alpha=0.6)
        axes.annotate(
            f"F {level:.1f}",
            (1, level / (2 - level)),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6,
            color=GREEN,
            annotation_clip=False,
        )
    reached = summary.curve[:, 2] > 0
    ods = summary.ods
    axes.plot(
        summary.curve[reached, 0],
        summary.curve[reached, 1],
        color="#b02418",
        linewidth=1.8,
        label=f"AP {100 * summary.ap:.1f} %",
        zorder=3,
    )
    axes.plot(
        ods.recall,
        ods.precision,
        "o",
        color="#b02418",
        markersize=6,
        zorder=4,
        clip_on=False,
        label=f"odsF {100 * ods.f:.1f} % at {ods.threshold:.3g}",
    )
    axes.plot(
        summary.ois.recall,
        summary.ois.precision,
        "s",
        color="#333333",
        markersize=4.5,
        zorder=4,
        clip_on=False,
        label=f"oisF {100 * summary.ois.f:.1f} %",
    )
    axes.set_title(f"Boundaries, {label}", fontsize=10)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", fontsize=8, framealpha=1)
    figure.savefig(path)
