"""Origin of a result: commit, command, recipe, hardware and data of the cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner

from benchmark.records.provenance import provenance
from benchmark.records.result import RunSpec
from benchmark.training.data_parallel import devices_here
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError


@dataclass
class Origin:
    """Origin of a result, completed during the run.

    Args:
        spec: the cell.
        started: time.time() at the start.
        imports: files of the user.
        data: id, fingerprint and number of frames of the evaluated data; empty before the evaluation.
        parts: earlier parts of an interrupted training, see `parts_before`.
    """

    spec: RunSpec
    started: float
    imports: tuple[str | Path, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    parts: Sequence[Mapping[str, Any]] = ()

    def provenance(self) -> dict[str, Any]:
        """Provenance of the result."""
        try:
            text = load_recipe(self.spec.recipe, self.spec.overrides).pretty_text
        except ConfigError:
            text = ""
        gpu: dict[str, Any] = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
        devices = devices_here().count
        gpu |= {"devices": devices} if devices > 1 else {}
        earlier = {"earlier_parts": [dict(part) for part in self.parts]} if self.parts else {}
        return earlier | provenance(
            started=self.started, data=self.data, config_text=text, hardware_extra=gpu, imports=self.imports
        )


def data_provenance(dataset: Any) -> dict[str, Any]:
    """Id, fingerprint and number of frames of the evaluated data."""
    info = dataset.info
    return {"id": info.id, "fingerprint": info.fingerprint, "frames": len(dataset)}


def pairs_provenance(runner: Runner) -> dict[str, Any]:
    """Id, fingerprint and number of the posed pairs in the training split; empty without pairs."""
    pairs = getattr(runner.train_dataloader.dataset, "pairs", None)
    if pairs is None:
        return {}
    return {"pairs": {"id": pairs.views.info.id, "fingerprint": pairs.views.info.fingerprint, "pairs": len(pairs)}}
