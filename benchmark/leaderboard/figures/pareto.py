"""Gain against cost: multiply-accumulates, latency and training memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.cost_table import short_hardware
from benchmark.leaderboard.figures.captions import joined, protocol
from benchmark.leaderboard.figures.description import Figure, Point, ScatterPanel
from benchmark.leaderboard.markup import PLAIN, one_line
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.statistics import Estimate
from benchmark.leaderboard.summary import reference_name
from benchmark.leaderboard.text import format_gain
from benchmark.tasks import counted


class Cost(NamedTuple):
    """A cost of a row: its name in result files, its axis, and the factor to the unit of the axis."""

    name: str
    axis: str
    factor: float


COSTS = (
    Cost("gmacs", "multiply-accumulates of one image (G)", 1.0),
    Cost("latency_p50_seconds_batch1", "latency of one image, median (ms)", 1e3),
    Cost("step_memory_mb", "memory of a training step (MiB)", 1.0),
)
NO_GAIN = Estimate(0, 0.0)


def pareto(analysis: Analysis) -> Figure | None:
    """Gain over the reference row against each cost, of rows whose costs were measured on the same machine and size."""
    rows, where = _of_one_machine(analysis)
    if analysis.reference is None or not rows:
        return None
    axis = f"gain over {one_line(reference_name(analysis))} (%)"
    panels = tuple(
        ScatterPanel(cost.axis, cost.axis, axis, points) for cost in COSTS if (points := _points(analysis, rows, cost))
    )
    if not panels:
        return None
    missing = sum(bool(row.cells) for row in analysis.rows) - len(rows)
    caption = joined(
        "Mean gain against cost; up and left is better. The line of steps joins the rows that no other row exceeds in "
        "both, by their means alone: it is no statement of significance. Lines are 95 % t intervals.",
        f"Costs were measured by tools/measure_cost.py at {where}." if where else "",
        f"Left out: {counted(missing, 'row')} without costs measured there." if missing else "",
        protocol(analysis),
    )
    return Figure("pareto", "Gain against cost", caption, panels)


def _of_one_machine(analysis: Analysis) -> tuple[list[Row], str]:
    """The most common hardware of measured costs: the rows measured there, and its name."""
    places = {row.key: place for row in analysis.rows if row.cells and (place := _place(row)) is not None}
    if not places:
        return [], ""
    (most, _), *_ = Counter(places.values()).most_common(1)
    return [row for row in analysis.rows if places.get(row.key) == most], most


def _place(row: Row) -> str | None:
    """Image size and hardware of the measured costs of a row; None without a measurement."""
    if all(row.cost(cost.name) is None for cost in COSTS):
        return None
    origins: list[Mapping[str, Any]] = [origin for origin in row.provenance("cost") if isinstance(origin, Mapping)]
    texts = [
        f"{'x'.join(map(str, origin.get('size', ())))} on {short_hardware(origin.get('hardware'), PLAIN)}"
        for origin in origins
    ]
    return one_line("; ".join(dict.fromkeys(texts)))


def _points(analysis: Analysis, rows: Sequence[Row], cost: Cost) -> tuple[Point, ...]:
    found = [
        (row, value * cost.factor, estimate)
        for row in rows
        if (value := row.cost(cost.name)) is not None and (estimate := _gain(analysis, row)) is not None
    ]
    return tuple(
        Point(
            one_line(row.key.label),
            x,
            estimate.mean,
            estimate.low,
            estimate.high,
            not any(_exceeds((a, other.mean), (x, estimate.mean)) for _, a, other in found),
            one_line(f"{row.key.label}: {x:.4g}, gain {_gain_text(estimate)}"),
            row.key.label,
        )
        for row, x, estimate in found
    )


def _gain(analysis: Analysis, row: Row) -> Estimate | None:
    if row.key == analysis.reference:
        return NO_GAIN
    found = analysis.delta(row.key)
    return found.estimate if found else None


def _gain_text(estimate: Estimate) -> str:
    return "0, the reference" if estimate is NO_GAIN else f"{format_gain(estimate)} %"


def _exceeds(other: tuple[float, float], own: tuple[float, float]) -> bool:
    """True if the other point costs no more and gains no less, and differs."""
    return other[0] <= own[0] and other[1] >= own[1] and other != own
