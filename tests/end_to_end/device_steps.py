"""Train cells for some steps, on one process or on several that torchrun starts, and write the logged values.

    python device_steps.py OUT.json '[{"method": "hard_sharing", "regularizer": "none", "steps": 4}, ...]'
    torchrun --nproc-per-node 2 device_steps.py OUT.json '[...]'

Each cell may also have "overrides" and "double", for a training in float64.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import benchmark.training.model
from benchmark.records.result import RunSpec
from benchmark.training.cell import train_runner
from benchmark.training.cell_runner import CellRunner
from benchmark.training.compose import compose
from benchmark.training.data_parallel import process_group

SIZE = {"train_dataloader.dataset.size": [32, 64], "test_dataloader.dataset.size": [32, 64]}
TASKS = ("semseg", "depth", "normals", "boundary")
plain_forward = benchmark.training.model.ChannelsLast.forward


def in_double(value: Any) -> Any:
    """The value with every floating-point tensor in it as float64."""
    if isinstance(value, Mapping):
        return {name: in_double(part) for name, part in value.items()}
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def double_batch(preprocessor: Any, data: Any, training: bool = False) -> Any:
    """`ChannelsLast.forward` in float64."""
    return in_double(plain_forward(preprocessor, data, training))


def logged_values(cell: Mapping[str, Any]) -> dict[str, list[float]]:
    """Values of every step by name."""
    overrides = {**SIZE, "train_dataloader.batch_size": 4, "train_cfg.max_iters": cell["steps"]}
    spec = RunSpec(
        recipe="smoke",
        method=cell["method"],
        regularizer=cell["regularizer"],
        backbone=cell.get("backbone", "resnet18"),
        tasks=TASKS,
        seed=0,
        overrides=overrides | cell.get("overrides", {}),
    )
    double = cell.get("double", False)
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    benchmark.training.model.ChannelsLast.forward = double_batch if double else plain_forward
    with tempfile.TemporaryDirectory() as folder:
        runner = CellRunner.from_cfg(compose(spec, Path(folder)))
        train_runner(runner, 0.0)
    logged = runner.message_hub.log_scalars
    return {name: [float(value) for value in buffer.data[0]] for name, buffer in logged.items()}


if __name__ == "__main__":
    with process_group() as devices:
        values = [logged_values(cell) for cell in json.loads(sys.argv[2])]
        if devices.writes:
            Path(sys.argv[1]).write_text(json.dumps(values))
