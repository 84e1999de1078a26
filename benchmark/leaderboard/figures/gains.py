"""Figures of paired gains: forest plots, the map of methods and regularizers, and the map of negative transfer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.comparisons import FAMILIES, GENERAL, PRIMARY, ROW, THESE, Comparison
from benchmark.leaderboard.figures.captions import joined, legend, protocol, shown_of
from benchmark.leaderboard.figures.description import (
    FEW,
    GAIN,
    LOSS,
    MAX_ROWS,
    OPEN,
    Cell,
    DotPanel,
    Figure,
    MapPanel,
    Mark,
)
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.summary import comparison_name, reference_name
from benchmark.leaderboard.text import format_gain, format_p, signed
from benchmark.records.result import NO_REGULARIZER, REFERENCE_METHOD

GAIN_AXIS = "gain (%)"
MEAN_TITLE = "mean over tasks"
INTERVALS = "Lines are 95 % t intervals of paired gains; a row with fewer than three common seeds has no line."


def forest_over_reference(analysis: Analysis) -> Figure | None:
    """Gain of each row over the reference row, mean and per task."""
    started = [row for row in analysis.rows if row.key != analysis.reference and row.cells]
    rows = started[:MAX_ROWS]
    if analysis.reference is None or not rows:
        return None
    panels = []
    for task in _targets(analysis):
        found = [(row, analysis.find(ROW, row.key, analysis.reference, task)) for row in rows]
        marks = [_mark(one_line(row.key.label), comparison) for row, comparison in found if comparison is not None]
        categories = tuple(dict.fromkeys(one_line(row.key.label) for row in rows))
        panels.append(DotPanel(_target_title(task), GAIN_AXIS, categories, tuple(filter(None, marks)), zero=True))
    title = f"Gain over {one_line(reference_name(analysis))}"
    caption = joined(
        f"{title}, paired by seed.",
        INTERVALS,
        legend(GAIN, LOSS, OPEN, FEW),
        shown_of(len(started)),
        protocol(analysis),
    )
    return Figure("forest-reference", title, caption, tuple(panels))


def forests_of_regularizers(analysis: Analysis) -> list[Figure]:
    """Gain of one regularizer over another by method: the declared pairs, else all pairs over no regularizer."""
    within = [found for found in analysis.comparisons if found.row.method == found.baseline.method]
    declared = {_nameless(found) for found in within if found.family == PRIMARY}
    chosen = declared or {pair for found in within if (pair := _nameless(found))[1].regularizer == NO_REGULARIZER}
    pairs = [pair for pair in dict.fromkeys(map(_nameless, within)) if pair in chosen]
    return [
        _forest(analysis, [found for found in within if _nameless(found) == pair], f"forest-{position}")
        for position, pair in enumerate(pairs, 1)
    ]


def method_map(analysis: Analysis) -> Figure | None:
    """Gain over the reference row by method and regularizer; a row that was not run is drawn as missing."""
    if analysis.reference is None:
        return None
    regularizers = tuple(dict.fromkeys(one_line(row.key.regularizer_label) for row in analysis.table.rows))
    methods = tuple(dict.fromkeys(one_line(row.key.method) for row in analysis.table.rows))
    panels = []
    for task in _targets(analysis):
        cells = {
            (one_line(row.key.method), one_line(row.key.regularizer_label)): _cell(analysis, row, task)
            for row in analysis.table.rows
        }
        panels.append(
            MapPanel(
                _target_title(task),
                regularizers,
                methods[:MAX_ROWS],
                cells,
                _limit(analysis, ("", *_tasks(analysis))),
                True,
                GAIN_AXIS,
            )
        )
    title = f"Gain over {one_line(reference_name(analysis))} (%)"
    caption = joined(
        f"{title} by method and regularizer. A triangle marks a gain or a loss that survives Holm; all other cells "
        "show neither. A dashed cell is part of the board and has no result yet; a blank is no part of it.",
        shown_of(len(methods)),
        protocol(analysis),
    )
    return Figure("methods", title, caption, tuple(panels))


def negative_transfer(analysis: Analysis) -> Figure | None:
    """Tasks that a row helps or hurts against single-task networks."""
    reference, tasks = analysis.reference, _tasks(analysis)
    started = [row for row in analysis.rows if row.key != reference and row.cells]
    rows = started[:MAX_ROWS]
    if reference is None or reference.method != REFERENCE_METHOD or not rows or not tasks:
        return None
    names = tuple(one_line(column.task) for column in analysis.table.measured)
    cells = {
        (one_line(row.key.label), name): _cell(analysis, row, task)
        for row in rows
        for name, task in zip(names, tasks, strict=True)
    }
    panel = MapPanel(
        "gain of each task",
        names,
        tuple(one_line(row.key.label) for row in rows),
        cells,
        _limit(analysis, tasks),
        True,
        GAIN_AXIS,
    )
    hurt = sum(
        found.verdict == LOSS
        for row in rows
        for task in tasks
        if (found := analysis.find(ROW, row.key, reference, task))
    )
    caption = joined(
        f"Gain of each task over {one_line(reference.label)}, in percent: below 0, the task is hurt. "
        f"{hurt} losses survive Holm and are marked by a triangle; the others may be chance.",
        shown_of(len(started)),
        protocol(analysis),
    )
    return Figure(
        "negative-transfer", "Negative transfer: tasks hurt against single-task networks", caption, (panel,), 1
    )


def _forest(analysis: Analysis, members: Sequence[Comparison], key: str) -> Figure:
    general = [found for found in members if found.kind == GENERAL]
    labels = {**{found.row: one_line(found.row.method) for found in members if found.kind == ROW}}
    rows = list(labels)[:MAX_ROWS]
    totals = [kind for kind in (GENERAL, THESE) if any(found.kind == kind and found.estimate for found in members)]
    panels = []
    for task in _targets(analysis):
        marks = [
            _mark(labels[found.row] if found.kind == ROW else found.kind, found)
            for found in members
            if found.task == task and (found.row in rows or found.kind in totals)
        ]
        categories = (*(labels[row] for row in rows), *totals)
        panels.append(DotPanel(_target_title(task), GAIN_AXIS, categories, tuple(filter(None, marks)), zero=True))
    title = one_line(comparison_name(members[0]))
    over = f"The last lines are means over {len(general[0].methods)} methods." if general and totals else ""
    caption = joined(
        f"Gain of {title} within each method, paired by seed.",
        INTERVALS,
        legend(GAIN, LOSS, OPEN, FEW),
        over,
        shown_of(len(labels)),
        protocol(analysis),
    )
    return Figure(key, f"Gain of {title}", caption, tuple(panels))


def _nameless(found: Comparison) -> tuple[RowKey, RowKey]:
    return found.row._replace(method=""), found.baseline._replace(method="")


def _tasks(analysis: Analysis) -> list[str]:
    """Targets of comparisons that are single tasks; the mean stands for the task of a table with one."""
    measured = analysis.table.measured
    return [column.task for column in measured] if len(measured) > 1 else [""] * len(measured)


def _targets(analysis: Analysis) -> list[str]:
    return list(dict.fromkeys(["", *_tasks(analysis)]))


def _target_title(task: str) -> str:
    return one_line(task) if task else MEAN_TITLE


def _mark(category: str, found: Comparison) -> Mark | None:
    estimate = found.estimate
    if estimate is None:
        return None
    style = found.verdict or (FEW if estimate.low is None else OPEN)
    row = found.row.label if found.kind == ROW else ""
    return Mark(category, estimate.mean, estimate.low, estimate.high, style, sentence(found), row)


def sentence(found: Comparison) -> str:
    """A comparison in words."""
    target = found.task or MEAN_TITLE
    name = found.row.label if found.kind == ROW else found.kind
    over = found.baseline.label if found.kind == ROW else comparison_name(found)
    parts = [f"{name} over {over}" if found.kind == ROW else f"{over}, {name}", target]
    parts.append(f"{format_gain(found.estimate)} %")
    if found.estimate is not None and found.estimate.low is not None:
        parts.append(f"n = {found.estimate.n}")
    if found.family in FAMILIES and found.p_adjusted is not None:
        parts.append(f"p after Holm {format_p(found.p_adjusted)}")
        parts.append(f"a {found.verdict}" if found.verdict else "neither a gain nor a loss is shown")
    return one_line(", ".join(parts))


def _cell(analysis: Analysis, row: Row, task: str) -> Cell:
    """Gain of a row over the reference row; missing without a common seed."""
    name = row.key.label
    if row.key == analysis.reference and row.cells:
        return Cell(0.0, "ref", one_line(f"{name}: the reference"), name)
    found = analysis.find(ROW, row.key, analysis.reference, task)
    if found is None or found.estimate is None:
        # Without a common seed; the reference row itself without a result.
        state = row.progress() if row.planned else "no common seed"
        label = f"{len(row.cells)}/{len(row.planned)}" if row.planned else "\N{EN DASH}"
        return Cell(None, label, one_line(f"{name}: no gain yet, {state}"), name)
    arrow = {GAIN: " \N{BLACK UP-POINTING TRIANGLE}", LOSS: " \N{BLACK DOWN-POINTING TRIANGLE}"}.get(found.verdict, "")
    partial = f" ({found.estimate.n})" if row.planned and found.estimate.n < len(row.planned) else ""
    return Cell(found.estimate.mean, f"{signed(found.estimate.mean)}{arrow}{partial}", sentence(found), name)


def _limit(analysis: Analysis, tasks: Sequence[str]) -> float:
    """Range of the colours, at least 0.5: nine in ten gains lie within it, so that an outlier does not decide it."""
    sizes = sorted(abs(value) for value in _means(analysis, tasks))
    return max(sizes[int(0.9 * (len(sizes) - 1))], 0.5) if sizes else 1.0


def _means(analysis: Analysis, tasks: Sequence[str]) -> Iterator[float]:
    for row in analysis.rows:
        for task in tasks:
            found = analysis.find(ROW, row.key, analysis.reference, task)
            if found is not None and found.estimate is not None:
                yield found.estimate.mean
