"""MTAN: one shared network, and soft attention of each task on the features of each stage.

Source: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
https://arxiv.org/abs/1803.10704; the variant on ResNet is from the survey of Vandenhende et al., TPAMI 2021,
https://arxiv.org/abs/2004.13379.
Differs from the paper: it follows the survey's code on a dilated ResNet with DeepLab heads. The authors' later ResNet
code differs in its output layers only (a bias, align_corners=True, and unit normals). The attention on other families
of backbones is ours, see `MTAN`. Odd sizes are rounded up where a map is pooled.
Consulted: counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit
ed3d9ac, CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec, Method, MultiTaskOutput
from benchmark.heads import upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import make_head_input, suited_head
from mtl_methods._shared.dynamic_layers import DynamicConv2d
from mtl_methods._shared.heads import make_heads

State = Tensor | list[Tensor]
Entry = TypeVar("Entry")


@METHODS.register("mtan", title="MTAN", paper="https://arxiv.org/abs/1803.10704", year=2019)
class MTAN(Method):
    """Shared encoder, a soft attention mask for each task and stage, and a decoder and head for each task.

    Regularizers read the map of each stage before the attention; of parallel branches, the maps of the last stage.

    For each stage and task, a mask in 0..1 multiplies the features after the last block of the stage. It is computed
    from the features before the last block and from the attended features of the task at the previous stage. Between
    two stages, one residual block for all tasks brings the attended features to the width and stride of the next stage.

    * A stage that is a chain of convolutional blocks (ResNet, EfficientNet) is split before its last block. The mask of
      any other stage is computed from the features that it multiplies.
    * HRNet: each branch has masks. The previous features of a new branch are the ones of the coarsest branch.
    * Vision Transformers: the map has masks, the class token has none.
    * The pyramid and the decoder of a task read its attended maps in place of the maps of the encoder. With masks of
      one this equals hard sharing with a decoder for each task.

    With resnet50_dilated, head="deeplab" and four tasks it has 112,656,493 parameters, as the public code. The tables
    of NYU-v2 with four tasks have no row of MTAN.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        head: "fcn", "hrnet" or "deeplab", see `heads.make_head`; None for `decoders.suited_head`: "deeplab" on dilated
            ResNets, as in the public code, else "fcn".
    """

    def __init__(self, tasks: TaskSet, backbone: str, head: str | None = None) -> None:
        super().__init__(tasks, backbone)
        self.backbone = make_backbone(backbone)
        kind = head or suited_head(self.backbone)
        specs = [self._attended(maps) for maps in self.backbone.stage_specs]
        self.attentions = nn.ModuleList(
            nn.ModuleList(
                TaskAttention(tasks, read, spec.channels if position else 0, spec.channels)
                for read, spec in zip(channels_read(stage, maps), maps, strict=True)
            )
            for position, (stage, maps) in enumerate(zip(self.backbone.stages, specs, strict=True))
        )
        self.convolve = DynamicConv2d()
        self.refines = nn.ModuleList(
            nn.ModuleList(Refine(source_of(before, branch), spec) for branch, spec in enumerate(after))
            for before, after in pairwise(specs)
        )
        self.decoders = nn.ModuleDict()
        for name in tasks:
            self.decoders[name], head_input = make_head_input(kind, self.backbone)
        self.heads = make_heads(kind, head_input.channels, tasks)
        self.feature_specs = tuple(specs[-1] if self.backbone.parallel else (maps[0] for maps in specs))

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Run the shared network once, and attend to each of its stages."""
        state: State = self.backbone.stem(images)
        tasks: dict[str, list[State]] = {name: [] for name in self.heads}
        features: list[Tensor] = []
        for position, stage in enumerate(self.backbone.stages):
            before, after = run_opened(stage, state)
            state = self._shared(after, len(features)) if self._is_shared(position) else after
            read, shared = (self._attended(as_maps(maps)) for maps in (state if before is after else before, state))
            features = [*features, *shared] if self._is_shared(position) else features
            previous = {name: self._refined(states) for name, states in tasks.items()}
            attended: list[dict[str, Tensor]] = [
                attention(
                    self.convolve,
                    read[branch],
                    shared[branch],
                    {name: maps[branch] for name, maps in previous.items() if maps},
                )
                for branch, attention in enumerate(cast(nn.ModuleList, self.attentions[position]))
            ]
            for name, states in tasks.items():
                maps = [of_tasks[name] for of_tasks in attended]
                states.append(maps if self.backbone.parallel else maps[0])
        predictions = {name: self._predict(name, states, images.shape[-2:]) for name, states in tasks.items()}
        return MultiTaskOutput(predictions, features=tuple(features))

    def _is_shared(self, position: int) -> bool:
        """True for a stage whose maps regularizers read: every stage, but of parallel branches only the last one."""
        return not self.backbone.parallel or position == len(self.backbone.stages) - 1

    def _shared(self, state: State, first: int) -> State:
        """Share the maps of a state that tasks attend to, from position `first` of `feature_specs` on."""
        maps = as_maps(state)
        attended = self._attended(maps)
        shared = [*self.share(*attended, first=first), *maps[len(attended) :]]
        return shared[0] if isinstance(state, Tensor) else shared

    def _attended(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Maps of a state (or their specs) that tasks attend to: all branches, but no class token."""
        return entries if self.backbone.parallel else entries[:1]

    def _refined(self, states: Sequence[State]) -> list[Tensor]:
        """The last attended maps of a task, refined for the next stage; empty before the first stage."""
        if not states:
            return []
        maps = as_maps(states[-1])
        refines = cast(nn.ModuleList, self.refines[len(states) - 1])
        return [refine(source_of(maps, branch)) for branch, refine in enumerate(refines)]

    def _predict(self, name: str, states: Sequence[State], size: Sequence[int]) -> Tensor:
        maps = self.decoders[name](self.backbone.pyramid(states, size))
        return upsample_to(self.heads[name](maps), size)


class Mask(nn.Sequential):
    """1x1 convolution to a quarter, BN, ReLU, 1x1 convolution, BN, logistic function: a mask in 0..1.

    Args:
        in_channels: channels of the maps that it is computed from.
        channels: channels of the mask.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        width = max(channels // 4, 1)
        super().__init__(
            nn.Conv2d(in_channels, width, kernel_size=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, channels, kernel_size=1),
            nn.BatchNorm2d(channels),
            nn.Sigmoid(),
        )

    @property
    def first(self) -> nn.Conv2d:
        """The first convolution."""
        return cast(nn.Conv2d, self[0])

    def after_first(self, reduced: Tensor) -> Tensor:
        """Apply the layers after the first convolution."""
        for layer in list(self)[1:]:
            reduced = layer(reduced)
        return reduced


class TaskAttention(nn.ModuleDict):
    """The masks of all tasks on one map.

    A mask is computed from the concatenation of a shared map and a map of the task. The first convolution is linear, so
    it is split into two: the shared map is convolved with the kernels of all tasks at once and is not copied per task.

    Args:
        tasks: the tasks, in order.
        read: channels of the shared map.
        previous: channels of the map of each task, 0 if there is no such map.
        channels: channels of the map that is multiplied.
    """

    def __init__(self, tasks: TaskSet, read: int, previous: int, channels: int) -> None:
        super().__init__({name: Mask(read + previous, channels) for name in tasks})

    def forward(
        self, convolve: nn.Module, read: Tensor, shared: Tensor, previous: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Attended features by task.

        Args:
            convolve: a `DynamicConv2d`.
            read: (B, C', h, w), from which all masks are computed.
            shared: (B, C, h, w), which the masks multiply.
            previous: (B, C, h, w) by task, from which its mask is computed too; empty in the first stage.
        """
        masks, channels = cast(Mapping[str, Mask], self), read.shape[1]
        kernels = torch.stack([mask.first.weight for mask in masks.values()])
        biases = torch.cat([cast(Tensor, mask.first.bias) for mask in masks.values()])
        reduced = convolve(read, kernels[:, :, :channels].flatten(0, 1), biases).chunk(len(masks), dim=1)
        attended = {}
        for (name, mask), part, kernel in zip(masks.items(), reduced, kernels, strict=True):
            if previous:
                part = part + convolve(previous[name], kernel[:, channels:])
            attended[name] = mask.after_first(part) * shared
        return attended


class Refine(nn.Module):
    """A bottleneck block with a projected shortcut, then max pooling where the stride grows; shared by the tasks.

    The tasks are processed one by one, so batch normalisation takes its statistics per task, as in the public code.

    Args:
        before: incoming map.
        after: outgoing map.
    """

    def __init__(self, before: FeatureSpec, after: FeatureSpec) -> None:
        super().__init__()
        width, factor = max(after.channels // 4, 1), after.stride // before.stride
        self.conv1 = nn.Conv2d(before.channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after.channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(after.channels)
        self.downsample = nn.Sequential(
            nn.Conv2d(before.channels, after.channels, kernel_size=1, bias=False), nn.BatchNorm2d(after.channels)
        )
        self.activation = nn.ReLU(inplace=True)
        # Rounded up, as in strided convolutions. The public code rounds down and accepts even sizes only.
        self.pool = nn.MaxPool2d(factor, ceil_mode=True) if factor > 1 else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', ceil(h / factor), ceil(w / factor))."""
        inner = self.activation(self.bn1(self.conv1(maps)))
        inner = self.activation(self.bn2(self.conv2(inner)))
        return self.pool(self.activation(self.bn3(self.conv3(inner)) + self.downsample(maps)))


def source_of(entries: Sequence[Entry], branch: int) -> Entry:
    """The entry of the previous stage for a branch: the same branch, or the coarsest one for a new branch."""
    return entries[min(branch, len(entries) - 1)]


def as_maps(state: State) -> list[Tensor]:
    """The maps of a state."""
    return [state] if isinstance(state, Tensor) else state


def opened(stage: nn.Module) -> list[nn.Module]:
    """The blocks of a stage if it is a chain of convolutional blocks; else the stage as the only block."""
    if type(stage) is not nn.Sequential:
        return [stage]
    blocks = [block for part in stage for block in opened(part)]
    return blocks if first_convolution(blocks[-1]) else [stage]


def first_convolution(block: nn.Module) -> nn.Conv2d | None:
    """The first convolution of a block of stride 1 without linear layers; None for other blocks."""
    layers = list(block.modules())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    strided = any(layer.stride != (1, 1) for layer in convolutions)
    if not convolutions or strided or any(isinstance(layer, nn.Linear) for layer in layers):
        return None
    return convolutions[0]


def channels_read(stage: nn.Module, specs: Sequence[FeatureSpec]) -> list[int]:
    """Channels of the maps from which the masks of a stage are computed, see `run_opened`."""
    *blocks, last = opened(stage)
    convolution = first_convolution(last)
    if blocks and convolution:
        return [convolution.in_channels]
    return [spec.channels for spec in specs]


def run_opened(stage: nn.Module, state: State) -> tuple[State, State]:
    """States before and after the last block of a stage; twice the state after it if the stage cannot be split."""
    *blocks, last = opened(stage)
    for block in blocks:
        state = block(state)
    after = last(state)
    return (state if blocks else after), after
