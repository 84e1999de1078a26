"""Cards as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.cards.reading import DATA_HEADING, METRIC_FIELDS, MetricCards, docstring, section
from benchmark.metrics.catalogue import CATALOGUE
from benchmark.tasks import STANDARD_TASKS

NOTICE = "Made by `python tools/make_cards.py` from the docstrings of the modules named here; do not edit."

METRICS_HEAD = f"""\
# Metric cards

{NOTICE}

Definitions of all numbers of the leaderboard. They are computed from sums over the whole split, so they do not depend
on batch size, order or number of processes, and are rounded only when printed. `@` in a name is followed by the pooling
or the protocol. A user's own task is measured as the standard task with the same readout.
"""

DATA_HEAD = f"""\
# Data cards

{NOTICE}

Content, source and deviations of each registered data set. Every prepared copy has an id that ends with a fingerprint
of its content; results with different ids are never averaged, ranked or compared. `python tools/doctor.py data/NAME`
checks a copy.
"""


@dataclass(frozen=True)
class DataSet:
    """A registered data set.

    Args:
        name: name in configs.
        title: name in tables.
        paper: link to the paper, or path of the project's documentation.
        source: file that registers the data set.
    """

    name: str
    title: str
    paper: str
    source: Path


def metrics_text(cards: Sequence[MetricCards], checkout: Path) -> str:
    """benchmark/metrics/CARDS.md."""
    return "\n".join([METRICS_HEAD, *(_group(group, checkout) for group in cards)])


def data_text(sets: Iterable[DataSet], checkout: Path) -> str:
    """datasets/CARDS.md."""
    return "\n".join([DATA_HEAD, *(_data_set(entry, checkout) for entry in sets)])


def _data_set(entry: DataSet, checkout: Path) -> str:
    path = entry.source.relative_to(checkout).as_posix()
    link = f"[{entry.paper}]({entry.paper})" if "://" in entry.paper else f"`{entry.paper}`"
    body = section(docstring(entry.source), DATA_HEADING)
    return f"## {entry.title} (`{entry.name}`)\n\nModule `{path}`, reference {link}.\n\n{body}\n"


def _group(group: MetricCards, checkout: Path) -> str:
    path = group.module.relative_to(checkout).as_posix()
    common = [f"* **{field}**: {text}" for field, text in group.common.items()]
    head = f"## {group.title}\n\nModule `{path}`.\n"
    parts = [head, *(["\n".join(common) + "\n"] if common else []), _table(group), _own(group)]
    return "\n".join(part for part in parts if part)


def _table(group: MetricCards) -> str:
    """Unit, direction and formula of each metric, and the standard tasks that it ranks."""
    lines = ["| metric | unit | better | ranks | formula |", "| --- | --- | --- | --- | --- |"]
    for name in group.own:
        known = CATALOGUE.get(name)
        unit = known.unit if known else group.field(name, "Unit")
        better = ("higher" if known.higher_is_better else "lower") if known else group.field(name, "Better")
        ranks = ", ".join(task.name for task in STANDARD_TASKS.values() if task.primary_metric == name)
        formula = group.field(name, METRIC_FIELDS[0])
        lines.append(f"| `{name}` | {unit} | {better} | {ranks} | {formula.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _own(group: MetricCards) -> str:
    """Fields of single metrics, other than the formula."""
    lines = [
        f"* `{name}`, **{field}**: {text}"
        for name, own in group.own.items()
        for field, text in own.items()
        if field not in (METRIC_FIELDS[0], "Unit", "Better")
    ]
    return "\n".join(lines) + "\n" if lines else ""
