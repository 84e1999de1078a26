"""Cross-stitch networks: one network per task, whose features are mixed linearly between the stages.

Source: Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016, https://arxiv.org/abs/1604.03539; the
units in the encoder are from the survey of Vandenhende et al., TPAMI 2021, https://arxiv.org/abs/2004.13379.
Differs from the paper: units follow the stages of any backbone instead of the pooling layers of AlexNet. With more than
two tasks the weights 0.9 and 0.1 of a row sum to more than one, as in the survey's code (1.2 with four tasks);
`beta=None` gives rows with a sum of one. The variant on the heads is inferred from a parameter count, see
`CrossStitch`.
Consulted: counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit
ed3d9ac, CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec, Method, MultiTaskOutput, Share
from benchmark.heads import FCNHead, task_heads, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.choices import choose
from mtl_methods._shared.decoders import make_decoder, suited_head_on
from mtl_methods._shared.networks import OneTaskNetwork, predict_each

State = Tensor | list[Tensor]
Weights = tuple[float, float]

SINGLE_TASK = "single_task"
STARTS = {"backbone": False, SINGLE_TASK: True}
"""True for a start from trained single-task networks, by the name of the start."""

ONLY_IN_THE_ENCODER = 'only where="encoder" has a network for each task that can start from single_task'

PREFIX = "stitched."
"""Put before the name of a tensor in `single_task`, it gives the name of the tensor here."""


@METHODS.register("cross_stitch", title="Cross-Stitch", paper="https://arxiv.org/abs/1604.03539", year=2016)
class CrossStitch(Method):
    """Mixes the features of the tasks, channel by channel: F'_t = sum over s of weight_ts * F_s.

    | variant | row or file | parameters for four tasks: published, here |
    | --- | --- | --- |
    | where="encoder" | MTL-PyTorch on resnet50_dilated with DeepLab heads | 158,606,893, 158,606,893 |
    | where="heads" | "Cross-Stitch" of the NYU-v2 tables on HRNet-W18-small-v2 (inferred) | 4.52 M, 4,516,628 |

    where="encoder": a network per task, with a unit after each stage (on each branch of HRNet, and on the class token
    of a Vision Transformer). Regularizers read the map of each head, marked with its task.
    where="heads": hard sharing with one unit before the last layer of the heads. Regularizers read its shared map.

    The public code starts from trained networks of the single tasks, as start="single_task" with where="encoder" does.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        where: "encoder" or "heads".
        head: kind of the heads of where="encoder", see `heads.make_head`; None for `decoders.suited_head`: "deeplab" on
            dilated ResNets, as in the public code, else "fcn".
        alpha: initial weight of a task's own features.
        beta: initial weight of the features of each other task; None for (1 - alpha) / (number of tasks - 1).
        start: "backbone" for networks with the weights of the backbone, "single_task" for networks with the weights of
            the trained cell of single_task with the same recipe, backbone and seed. The grid trains that cell first.
            Outside a grid, call `load_single_task`.

    Raises:
        ValueError: for another `where` or `start`. With where="heads": also for a head other than "fcn", and for
            start="single_task".
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        where: str = "encoder",
        head: str | None = None,
        alpha: float = 0.9,
        beta: float | None = 0.1,
        start: str = "backbone",
    ) -> None:
        super().__init__(tasks, backbone)
        if choose("start", start, STARTS) and where != "encoder":
            raise ValueError(ONLY_IN_THE_ENCODER)
        weights = (alpha, others_share(alpha, len(tasks)) if beta is None else beta)
        self.stitched = choose("where", where, PLACEMENTS)(tasks, backbone, head, weights)
        self.feature_specs = self.stitched.feature_specs

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task."""
        output: MultiTaskOutput = self.stitched(images, self.share)
        return output

    def load_single_task(self, state: Mapping[str, Tensor]) -> None:
        """Load the weights of trained single-task networks; the units keep their weights.

        Args:
            state: state dict of `single_task` with the same tasks, backbone and kind of head.

        Raises:
            ValueError: naming the first tensor that is missing, unknown or of another shape; or with where="heads".
        """
        if not isinstance(self.stitched, StitchedEncoders):
            raise ValueError(ONLY_IN_THE_ENCODER)
        self.load_state_dict({**self.state_dict(), **from_single_task(state, self.state_dict())})

    @classmethod
    def needs(cls, backbone: str, options: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """With start="single_task", the cell of single_task with the same heads."""
        if options.get("start") != SINGLE_TASK:
            return {}
        head = options.get("head") or suited_head_on(backbone)
        # The default head is not named, so that the cell is the one that grids train anyway.
        return {SINGLE_TASK: {} if head == "fcn" else {"head": head}}

    def start_from(self, trained: Mapping[str, Method]) -> None:
        """See `load_single_task`."""
        self.load_single_task(trained[SINGLE_TASK].state_dict())


def from_single_task(state: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `single_task` under the names of `CrossStitch(where="encoder")`.

    Args:
        state: state dict of `single_task`.
        ours: state dict of the cross-stitch network.

    Raises:
        ValueError: naming the first tensor that is missing, unknown or of another shape.
    """
    wanted = {name: tensor for name, tensor in ours.items() if name.startswith(f"{PREFIX}networks.")}
    found = {f"{PREFIX}{name}": tensor for name, tensor in state.items()}
    for name in [*wanted, *found]:
        source = name.removeprefix(PREFIX)
        if name not in found:
            raise ValueError(f"tensor {source!r} is not in the single-task state; train it on the same tasks and head")
        if name not in wanted:
            raise ValueError(f"tensor {source!r} of the single-task state belongs to no network here")
        if found[name].shape != wanted[name].shape:
            shapes = f"{tuple(found[name].shape)} in the single-task state and {tuple(wanted[name].shape)} here"
            raise ValueError(f"tensor {source!r} has shape {shapes}; use the same backbone and head")
    return found


def others_share(alpha: float, tasks: int) -> float:
    """Weight of the features of each other task for which a row sums to one."""
    return (1 - alpha) / max(tasks - 1, 1)


class CrossStitchUnit(nn.ModuleDict):
    """F'_t = sum over s of weight_ts * F_s, a weight for each channel.

    Args:
        tasks: the tasks, in order.
        channels: channels of the maps.
        weights: initial weight of a task's own features, and of the features of each other task.
    """

    def __init__(self, tasks: TaskSet, channels: int, weights: Weights) -> None:
        own, other = weights
        super().__init__(
            {
                target: nn.ParameterDict(
                    {source: torch.full((channels,), own if source == target else other) for source in tasks}
                )
                for target in tasks
            }
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C, h, w) of each task, in order -> the same shapes."""
        rows = cast(Mapping[str, nn.ParameterDict], self)
        # By name: a ParameterDict keeps its entries in alphabetical order.
        return [weighted_sum([row[source].view(-1, 1, 1) for source in rows], maps) for row in rows.values()]


def weighted_sum(weights: Sequence[Tensor], maps: Sequence[Tensor]) -> Tensor:
    """Weighted sum of the maps."""
    total = weights[0].to(maps[0].dtype) * maps[0]
    for weight, tensor in zip(weights[1:], maps[1:], strict=True):
        total = total.addcmul_(weight.to(tensor.dtype), tensor)
    return total


class StitchedEncoders(nn.Module):
    """A network per task, with cross-stitch units after each stage of the encoders.

    Args:
        tasks: the tasks, in order.
        backbone: name known to `make_backbone`.
        head: kind of head, see `heads.make_head`; None for `decoders.suited_head`.
        weights: see `CrossStitchUnit`.
    """

    def __init__(self, tasks: TaskSet, backbone: str, head: str | None, weights: Weights) -> None:
        super().__init__()
        networks = {name: OneTaskNetwork(task, backbone, head) for name, task in tasks.items()}
        self.feature_specs: tuple[FeatureSpec, ...] = tuple(network.feature_spec for network in networks.values())
        stages = next(iter(networks.values())).backbone.stage_specs
        self.units = nn.ModuleList(
            nn.ModuleList(CrossStitchUnit(tasks, spec.channels, weights) for spec in specs) for specs in stages
        )
        self.networks = nn.ModuleDict(networks)

    def forward(self, images: Tensor, share: Share) -> MultiTaskOutput:
        """Run the encoders side by side, then each decoder and head by itself."""
        networks = cast(Mapping[str, OneTaskNetwork], self.networks)
        states: list[State] = [network.backbone.stem(images) for network in networks.values()]
        passed: list[list[State]] = [[] for _ in networks]
        for position, units in enumerate(self.units):
            states = [
                network.backbone.stages[position](state)
                for network, state in zip(networks.values(), states, strict=True)
            ]
            states = stitch(cast(nn.ModuleList, units), states)
            for collected, state in zip(passed, states, strict=True):
                collected.append(state)
        size = images.shape[-2:]
        features = share(
            *(
                network.features_of_states(collected, size)
                for network, collected in zip(networks.values(), passed, strict=True)
            )
        )
        return MultiTaskOutput(predict_each(self.networks, features, size), features)


def stitch(units: nn.ModuleList, states: Sequence[State]) -> list[State]:
    """Mix the states of the tasks, map by map; a state of one map stays a tensor."""
    if isinstance(states[0], Tensor):
        mixed: list[State] = units[0](states)
        return mixed
    by_map = [unit(maps) for unit, *maps in zip(units, *states, strict=True)]
    return [list(maps) for maps in zip(*by_map, strict=True)]


class StitchedHeads(nn.Module):
    """Hard sharing with one unit between the hidden features of the heads and their last layers.

    Args:
        tasks: the tasks, in order.
        backbone: name known to `make_backbone`.
        head: "fcn" or None.
        weights: see `CrossStitchUnit`.

    Raises:
        ValueError: for another kind of head.
    """

    def __init__(self, tasks: TaskSet, backbone: str, head: str | None, weights: Weights) -> None:
        super().__init__()
        if head not in (None, "fcn"):
            raise ValueError(f'where="heads" mixes the features of heads of kind "fcn", found {head!r}; leave head out')
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_decoder(self.backbone)
        self.heads = task_heads(spec.channels, tasks)
        width = cast(FCNHead, next(iter(self.heads.values()))).logits.in_channels
        self.unit = CrossStitchUnit(tasks, width, weights)
        self.feature_specs: tuple[FeatureSpec, ...] = (spec,)

    def forward(self, images: Tensor, share: Share) -> MultiTaskOutput:
        """Predict every task from one shared map."""
        (features,) = share(self.decoder(self.backbone(images)))
        heads = cast(Mapping[str, FCNHead], self.heads)
        mixed = self.unit([head.features(features) for head in heads.values()])
        predictions = {
            name: upsample_to(head.logits(maps), images.shape[-2:])
            for (name, head), maps in zip(heads.items(), mixed, strict=True)
        }
        return MultiTaskOutput(predictions, features=(features,))


PLACEMENTS: dict[str, Callable[[TaskSet, str, str | None, Weights], StitchedEncoders | StitchedHeads]] = {
    "encoder": StitchedEncoders,
    "heads": StitchedHeads,
}
"""(tasks, backbone, head, weights) -> network, by `where`."""
