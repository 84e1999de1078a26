"""Stand-ins for training data and trained teachers: random labels to calibrate on, and untrained networks.

With stand-ins, a network takes a step without data and without trained weights, for a check or a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.contracts import Method, Regularizer
from benchmark.registry import METHODS
from benchmark.training.model import TrainingModule
from benchmark.training.random_batches import random_batch


def prepare_with_stand_ins(
    module: TrainingModule, backbone: str, options: Mapping[str, Any], size: tuple[int, int]
) -> None:
    """Calibrate method and regularizer on random labels, and give the regularizer untrained teachers if it needs some.

    Args:
        module: the network, on the CPU.
        backbone: backbone of the teachers, as name:weights.
        options: options of the regularizer, which decide which teachers it needs.
        size: (H, W) of the labels.
    """
    tasks = module.model.tasks
    for part in (module.model.method, module.regularizer):
        if part is not None and type(part).calibrate not in (Method.calibrate, Regularizer.calibrate):
            part.calibrate([random_batch(tasks, 1, size)["targets"]])
    if module.regularizer is not None:
        needed = module.regularizer.needs(backbone, dict(options))
        teachers = {name: METHODS.create(name, tasks, backbone, **given).eval() for name, given in needed.items()}
        if teachers:
            module.regularizer.start_from(teachers)
