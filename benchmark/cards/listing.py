"""Names that a grid knows, each with one line of its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmark.cards.entries import summary
from benchmark.cards.reading import docstring, metric_cards
from benchmark.losses import LOSSES
from benchmark.metrics.catalogue import CATALOGUE
from benchmark.metrics.own import METRICS
from benchmark.records.boards import board_names, read_board
from benchmark.records.validation import RecordError
from benchmark.registry import BACKBONES, DATASETS, METHODS, REGULARIZERS, Registry
from benchmark.tasks import STANDARD_TASKS
from benchmark.training.recipe_files import RECIPES, recipe_names

Lines = Iterator[tuple[str, str]]
METRIC_FOLDER = Path(__file__).resolve().parents[1] / "metrics"


def listing(kind: str, results: Path) -> list[str]:
    """One line per name of a kind: the name and its description.

    Args:
        kind: a key of `KINDS`.
        results: folder of results, for boards.
    """
    lines = list(KINDS[kind](results))
    width = max((len(name) for name, _ in lines), default=0)
    return [f"{name:{width}}  {text}".rstrip() for name, text in lines]


def first_line(owner: Any) -> str:
    """First line of a docstring; empty without one."""
    return (inspect.getdoc(owner) or "").partition("\n")[0]


def _registered(registry: Registry) -> Callable[[Path], Lines]:
    def lines(_results: Path) -> Lines:
        for name in registry.names():
            yield name, summary(registry.entry(name)).replace("\\|", "|")
        for family, find in registry.families.items():
            yield f"{family}:NAME", first_line(find)

    return lines


def _losses(_results: Path) -> Lines:
    for name in sorted(LOSSES):
        yield name, first_line(LOSSES[name])


def _metrics(_results: Path) -> Lines:
    """Metrics with unit and direction: the formula of the card, or the docstring of a user's metric."""
    formulas = {
        name: cards.field(name, "Formula").replace("`", "")
        for cards in metric_cards([METRIC_FOLDER])
        for name in cards.own
    }
    for name, known in CATALOGUE.items():
        text = first_line(METRICS[name].measure) if name in METRICS else formulas.get(name, "")
        yield name, f"[{known.unit}, {'higher' if known.higher_is_better else 'lower'} is better] {text}"


def _recipes(_results: Path) -> Lines:
    for name in recipe_names():
        yield name, docstring(RECIPES / f"{name}.py").partition("\n")[0].removeprefix(f"{name}: ")


def _boards(results: Path) -> Lines:
    for name in board_names(results):
        try:
            yield name, read_board(results, name).title
        except RecordError as error:
            yield name, str(error)


def _tasks(_results: Path) -> Lines:
    for name, task in STANDARD_TASKS.items():
        yield name, f"[{task.unit}] ranked by {task.primary_metric}, trained with {task.loss}"


KINDS: dict[str, Callable[[Path], Lines]] = {
    "methods": _registered(METHODS),
    "regularizers": _registered(REGULARIZERS),
    "backbones": _registered(BACKBONES),
    "datasets": _registered(DATASETS),
    "losses": _losses,
    "metrics": _metrics,
    "recipes": _recipes,
    "boards": _boards,
    "tasks": _tasks,
}
