"""Numbers of parameters of a network, in total and for each part."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.cost.target import CostTarget, build, build_shapes
from benchmark.training.model import TrainingModule
from benchmark.training.random_batches import random_batch

GRAPH_SIZE = (64, 96)
"""(H, W) of the images for methods that cannot run on the meta device."""


def count_parameters(target: CostTarget) -> dict[str, float]:
    """Parameters at training (with the regularizer), at inference (the model alone), and of each part.

    A parameter of the model belongs to the first matching part:

    * `backbone`: it is one of `Method.backbone_parameters`;
    * `auxiliary`: auxiliary predictions or penalties depend on it, and no prediction does;
    * `task_NAME`: predictions depend on it; its name contains the task, or they are predictions of this task alone;
    * `shared`: the predictions of several tasks depend on it;
    * `unused`: no output of the method depends on it.

    "Depends" means that a gradient arrives: a parameter behind a stopped gradient does not count.
    """
    module = build_shapes(target)
    try:
        output = _output(module, torch.empty(2, 3, *target.size, device="meta"))
    except (NotImplementedError, RuntimeError):
        # A method whose control flow depends on values cannot run on the meta device.
        module = build(target)
        output = _output(module, random_batch(target.tasks, 2, GRAPH_SIZE, target.device)["images"])
    return counts(module) | parts(module.model.method, output)


def counts(module: TrainingModule) -> dict[str, float]:
    """Parameters at training, at inference and of the regularizer alone."""
    training, inference = size_of(module.parameters()), size_of(module.model.parameters())
    return {
        "parameters_training": training,
        "parameters_inference": inference,
        "parameters_regularizer": training - inference,
    }


def parts(method: Method, output: MultiTaskOutput) -> dict[str, float]:
    """Parameters of a method by part, see `count_parameters`.

    Args:
        method: the method.
        output: output of the method in training mode, with its graph.
    """
    in_backbones = {id(parameter) for parameter in method.backbone_parameters()}
    reached = {task: parameters_behind([prediction]) for task, prediction in output.predictions.items()}
    by_auxiliary = parameters_behind([part.prediction for part in output.auxiliary] + list(output.penalties.values()))
    sums = dict.fromkeys(["backbone", "shared", *(f"task_{task}" for task in reached), "auxiliary", "unused"], 0.0)
    for name, parameter in method.named_parameters():
        readers = [task for task, behind in reached.items() if id(parameter) in behind]
        named = [task for task in name.split(".") if task in reached]
        if id(parameter) in in_backbones:
            part = "backbone"
        elif not readers:
            part = "auxiliary" if id(parameter) in by_auxiliary else "unused"
        elif named or len(readers) == 1:
            part = f"task_{(named or readers)[0]}"
        else:
            part = "shared"
        sums[part] += parameter.numel()
    return {f"parameters_{part}": total for part, total in sums.items()}


def parameters_behind(outputs: Iterable[Tensor]) -> set[int]:
    """Ids of the parameters that a gradient of these tensors would reach."""
    found: set[int] = set()
    seen = set()
    nodes = [output.grad_fn for output in outputs if output.grad_fn is not None]
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        nodes += [following for following, _ in node.next_functions if following is not None]
    return found


def size_of(parameters: Iterable[nn.Parameter]) -> float:
    """Total number of elements."""
    return float(sum(parameter.numel() for parameter in parameters))


def _output(module: TrainingModule, images: Tensor) -> MultiTaskOutput:
    output: MultiTaskOutput = module.train().model.method(images)
    return output
