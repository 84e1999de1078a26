"""Costs of several methods and regularizers as Markdown tables and JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmark.cost.measure import Cost, MeasurementError, all_step_costs, in_own_process, inference_cost, trains
from benchmark.cost.operations import gigamacs
from benchmark.cost.parameters import count_parameters
from benchmark.cost.target import CostTarget
from benchmark.leaderboard.cost_table import CostRow, compute_table, parameter_table, short_hardware
from benchmark.records.provenance import provenance
from benchmark.records.result import NO_REGULARIZER


class Report:
    """Costs and failures of measured targets.

    Args:
        first: any of the targets, which share recipe, backbone, size and device.
        batches: batch sizes of inference.
        step_batch: images in a training step, None for the recipe's.
        kinds: kinds of cost to measure, some of "parameters", "macs", "inference" and "step".
    """

    def __init__(self, first: CostTarget, batches: Sequence[int], step_batch: int | None, kinds: Sequence[str]) -> None:
        self.first = first
        self.batches = tuple(batches)
        self.step_batch = step_batch or int(first.recipe.train_dataloader.batch_size)
        self.kinds = tuple(kinds)
        self.rows: list[CostRow] = []
        self.failures: list[str] = []
        self.started = time.time()

    def measure(self, target: CostTarget) -> list[str]:
        """Measure one target, and return the failures, one line each."""
        cost: Cost = {}
        failed: list[str] = []
        if "parameters" in self.kinds:
            cost |= count_parameters(target)
        if "macs" in self.kinds:
            cost["gmacs"] = gigamacs(target)
        for batch in self.batches if "inference" in self.kinds else ():
            self._try(cost, failed, lambda batch=batch: self._inference(target, batch))
        if "step" in self.kinds and trains(target):
            self._try(cost, failed, lambda: all_step_costs(target, self.step_batch, self._alone(target)))
        self.rows.append(CostRow(target.spec.method, target.spec.regularizer, cost))
        self.failures += failed
        return failed

    def markdown(self) -> str:
        """Title with sizes and hardware, and one or two tables."""
        origin = self.origin()
        height, width = self.first.size
        title = (
            f"Recipe {self.first.spec.recipe}, backbone {self.first.spec.backbone}, images of {height}x{width}, "
            f"training steps of {self.step_batch}, {self.first.runs} timed runs; {short_hardware(origin['hardware'])}"
        )
        lines = [title]
        if "parameters" in self.kinds:
            lines.append(parameter_table(self.rows))
        if set(self.kinds) != {"parameters"}:
            lines.append(compute_table(self.rows))
        return "\n\n".join(line.rstrip("\n") for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Settings, origin, failures and costs as JSON values."""
        spec = self.first.spec
        return {
            "recipe": spec.recipe,
            "backbone": spec.backbone,
            "tasks": list(spec.tasks),
            "overrides": dict(spec.overrides),
            "origin": self.origin(),
            "failures": self.failures,
            "rows": [
                {"method": row.method, "regularizer": row.regularizer, "cost": dict(row.cost)} for row in self.rows
            ],
        }

    def origin(self) -> dict[str, Any]:
        """Provenance of the measurement, image size, step batch and number of runs."""
        gpu = {"gpu": torch.cuda.get_device_name()} if self.first.device == "cuda" else {}
        from_here = provenance(
            started=self.started,
            data={},
            config_text=self.first.recipe.pretty_text,
            hardware_extra=gpu,
            imports=self.first.imports,
        )
        del from_here["data"]
        return from_here | {"size": list(self.first.size), "step_batch": self.step_batch, "runs": self.first.runs}

    def _try(self, cost: Cost, failed: list[str], work: Any) -> None:
        """Add the costs of a measurement; record a failure and continue."""
        try:
            cost |= work()
        except MeasurementError as error:
            failed.append(str(error))

    def _inference(self, target: CostTarget, batch: int) -> Cost:
        """Inference cost, measured once for each method, since no regularizer takes part."""
        for row in self.rows:
            if row.method == target.spec.method and f"latency_p50_seconds_batch{batch}" in row.cost:
                names = [name for name in row.cost if name.endswith(f"_batch{batch}")]
                return {name: row.cost[name] for name in names}
        return in_own_process(inference_cost, target.without_regularizer(), batch)

    def _alone(self, target: CostTarget) -> Cost | None:
        """Step cost of the method without a regularizer, if it was measured before."""
        for row in self.rows:
            if (row.method, row.regularizer) == (target.spec.method, NO_REGULARIZER) and "step_seconds" in row.cost:
                return dict(row.cost)
        return None
