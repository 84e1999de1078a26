"""The cells of a grid, methods x regularizers x seeds, and running those cells that are not done.

The state of a grid is on disk: the store has the cells that are done, the leases the cells that are running. So a
launcher may be killed at any moment and started again, and several launchers may share one grid.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.grid.executors import Executor
from benchmark.grid.failures import FailureRules
from benchmark.grid.loop import LEFT, Dependencies, GridLoop, independent
from benchmark.grid.progress import Outcome, Progress
from benchmark.grid.signals import StopSignals
from benchmark.records.overrides import Overrides
from benchmark.records.result import DONE, FAILED, NO_REGULARIZER, REFERENCE_METHOD, TEST, RunSpec
from benchmark.records.store import ResultStore

__all__ = ["LEFT", "Report", "cells", "dropped_pairs", "run"]


@dataclass(frozen=True)
class Report:
    """Outcomes of a grid.

    Args:
        outcomes: outcome of every cell, in the order of the grid.
        stopped_by: signal that stopped the grid, None if the grid ran to its end.
    """

    outcomes: Mapping[RunSpec, Outcome]
    stopped_by: int | None = None

    @property
    def not_done(self) -> dict[RunSpec, Outcome]:
        """The cells whose status is not "done", with their outcomes."""
        return {spec: outcome for spec, outcome in self.outcomes.items() if outcome.status != DONE}


def cells(
    recipe: str,
    methods: Sequence[str],
    regularizers: Sequence[str],
    seeds: Sequence[int],
    backbone: str,
    tasks: Sequence[str],
    overrides: Mapping[str, Any] | None = None,
    plain_methods: Collection[str] = (),
    split: str = TEST,
) -> list[RunSpec]:
    """All cells of a grid in the order of running: the first seed of everything, then the next seed.

    Within a seed the single-task cells come first, since Delta_m needs them.

    Args:
        recipe: name of the recipe.
        methods: registered names.
        regularizers: registered names, "none" for cells without a regularizer.
        seeds: seeds in the order of running.
        backbone: name of the backbone with its weights.
        tasks: names in the recipe's order.
        overrides: changed recipe settings.
        plain_methods: methods that take no regularizer; their pairs with one are left out, see `dropped_pairs`.
        split: "test" or "val".
    """
    dropped = dropped_pairs(methods, regularizers, plain_methods)
    pairs = [(method, regularizer) for method in methods for regularizer in regularizers]
    pairs = [pair for pair in pairs if pair not in dropped]
    pairs.sort(key=lambda pair: (pair[0] != REFERENCE_METHOD, pair != (REFERENCE_METHOD, NO_REGULARIZER)))
    specs = [
        RunSpec(
            recipe, method, regularizer, backbone, tuple(tasks), seed, _applicable(overrides or {}, regularizer), split
        )
        for seed in seeds
        for method, regularizer in pairs
    ]
    return list(dict.fromkeys(specs))


def _applicable(overrides: Mapping[str, Any], regularizer: str) -> Mapping[str, Any]:
    """The overrides of a cell, without settings of the regularizer if it is "none".

    So a grid over several weights of a regularizer has each cell without a regularizer once.
    """
    return overrides if regularizer != NO_REGULARIZER else Overrides(overrides).split("regularizer")[1]


def dropped_pairs(
    methods: Iterable[str], regularizers: Iterable[str], plain_methods: Collection[str]
) -> list[tuple[str, str]]:
    """Pairs of method and regularizer that are left out, since the method takes no regularizer."""
    others = [regularizer for regularizer in regularizers if regularizer != NO_REGULARIZER]
    return [(method, regularizer) for method in methods if method in plain_methods for regularizer in others]


def run(
    grid: Sequence[RunSpec],
    store: ResultStore,
    executor: Executor,
    progress: Progress,
    retry: Collection[str] = (FAILED,),
    depends_on: Dependencies = independent,
    rules: FailureRules | None = None,
    limit: int | None = None,
) -> Report:
    """Run the cells that are not done, and wait for the cells that other launchers run.

    Args:
        grid: all cells, in the order of running.
        store: store of the results.
        executor: starts the cells.
        progress: display of the progress.
        retry: statuses of cells to run again; a cell that is done is never run again.
        depends_on: cells that must be done before a cell can start.
        rules: consequences of failures; by default two retries after failures of the infrastructure.
        limit: largest number of cells to run; None for all.
    """
    loop = GridLoop(grid, store, executor, progress, depends_on, rules)
    loop.plan(retry, limit)
    with StopSignals() as signals:
        loop.work(signals)
    return Report({spec: loop.outcomes[spec] for spec in grid}, signals.first)
