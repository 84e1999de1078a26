"""InvPT: the tasks attend to each other, everywhere in the image, at a resolution that grows.

Source: Ye and Xu, "Inverted Pyramid Multi-task Transformer for Dense Scene Understanding", ECCV 2022,
https://arxiv.org/abs/2203.07997.
Differs from the paper: where the public code differs from the paper, the code is followed, without its parameters that
have no effect (no gradient reaches them; see `InvPT`). Images that are no multiple of 64 are padded with zeros below
and to the right, and predictions are cropped. The maps of backbones other than ViT (`encoder.PyramidEncoder`) and the
width on backbones narrower than 768 channels are our choice.
Consulted: counts, tensor names, settings and outputs of https://github.com/prismformore/Multi-Task-Transformer, commit
870c6be, CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU
from benchmark.registry import METHODS
from benchmark.tasks import Task, TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.vit import TokenStem
from mtl_methods._shared.choices import choose
from mtl_methods._shared.padding import UpsampleAndCut
from mtl_methods.invpt.aggregation import STRIDE, TaskAggregation
from mtl_methods.invpt.decoder import Decoder
from mtl_methods.invpt.encoder import PlainEncoder, make_encoder, start_channels

MULTIPLE = 64
"""Divisor of padded image sizes: the first stage works at stride 32, and its queries are every second pixel."""
PAPER_WIDTH, PAPER_TASK_WIDTH, PAPER_CHANNELS = 576, 512, 768
WIDTH_STEP = 16
LAYOUTS = {"grid": False, "listed": True}
"""True for positions that are used in their order, by the name of the layout."""


@METHODS.register("invpt", title="InvPT", paper="https://arxiv.org/abs/2203.07997", year=2022)
class InvPT(Method):
    """A preliminary prediction per task at stride 32, then three stages in which all tasks attend to each other.

    Regularizers read the last map of a Vision Transformer. With other backbones they read the maps that the decoder
    reads, at strides 8, 16 and 32, or all branches of HRNet.

    | row or file, with four tasks and image_size=(448, 576) | published parameters | here + those without effect |
    | --- | --- | --- |
    | vit_large: "InvPT" of the NYU-v2 tables | 402,092,888 | 395,453,326 + 6,639,562 |
    | vit_base: its public code on ViT-B | 160,823,896 | 155,511,438 + 5,312,458 |

    No map finer than stride 8 is read, as in the public code, so thin boundaries of small images are lost. On
    `synthetic_demo`, InvPT has 48.5 odsF; hard sharing has 58.4 with the encoder's map at stride 4 and 48.0 without it.

    The public code also runs the convolution of a skip that nothing reads: 10.7 of its 1203.8 GFLOPs at 448x576.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        width: channels of the first stage of the decoder and of the map of each head, halved from stage to stage; None
            for the paper's 576, or half of the channels of a backbone narrower than 768, rounded down to a multiple of
            16.
        task_width: channels of the features of the preliminary predictions; None for the paper's 512, but at most
            `width`.
        num_heads: heads of the attention.
        mlp_ratio: hidden channels of the linear layers as a multiple of a stage's.
        drop_path: probability that the last block of a Vision Transformer is skipped in training; it increases linearly
            from zero at the first block.
        image_size: (H, W) that the position embedding of a Vision Transformer with class token is resized to before
            training, as in the public code; None to keep it as it was trained and resize it in every forward pass.
        layout: "grid" for positions on the grid of `image_size`; "listed" for positions of a published file, whose grid
            is unknown: an image with as many patches uses them in their order.
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        width: int | None = None,
        task_width: int | None = None,
        num_heads: int = 2,
        mlp_ratio: int = 4,
        drop_path: float = 0.15,
        image_size: Sequence[int] | None = None,
        layout: str = "grid",
    ) -> None:
        super().__init__(tasks, backbone)
        listed = choose("layout", layout, LAYOUTS)
        network = make_backbone(backbone)
        channels = start_channels(network)
        width = width or default_width(channels)
        task_width = task_width or min(width, PAPER_TASK_WIDTH)
        widths = (width, width // 2, width // 4)
        self.encoder = make_encoder(network, widths)
        if isinstance(self.encoder, PlainEncoder):
            self.encoder.drop_paths(drop_path)
            if image_size is not None and isinstance(self.encoder.stem, TokenStem):
                self.encoder.stem.fit_positions(image_size)
                self.encoder.stem.listed = listed
        self.preliminary = nn.ModuleDict(
            {name: Preliminary(task, channels, task_width, width) for name, task in tasks.items()}
        )
        self.decoder = Decoder(list(tasks), widths, num_heads, mlp_ratio)
        self.norms = nn.ModuleList(nn.LayerNorm(len(tasks) * count) for count in widths)
        self.aggregations = nn.ModuleDict({name: TaskAggregation(widths) for name in tasks})
        self.heads = nn.ModuleDict({name: nn.Conv2d(width, task.channels, 1) for name, task in tasks.items()})
        self.upsample = UpsampleAndCut()
        self.feature_specs = self.encoder.feature_specs

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task, twice: the preliminary predictions are auxiliary, with the task's own loss."""
        size = images.shape[-2:]
        padded = F.pad(images, (0, -size[1] % MULTIPLE, 0, -size[0] % MULTIPLE))
        padded_size = padded.shape[-2:]
        encoded = self.encoder(padded, size, self.share)
        started = {name: head(encoded.start) for name, head in self.preliminary.items()}
        stages = self.decoder(torch.stack([maps for maps, _ in started.values()]), encoded.skips)
        levels = [normalised(norm, maps) for norm, maps in zip(self.norms, stages, strict=True)]
        quarter = [length // STRIDE for length in padded_size]
        predictions = {}
        for position, (name, aggregate) in enumerate(self.aggregations.items()):
            maps = aggregate([level[position] for level in levels], quarter)
            predictions[name] = self.upsample(self.heads[name](maps), padded_size, size)
        auxiliary = tuple(
            Auxiliary("preliminary", name, self.upsample(logits, padded_size, size))
            for name, (_, logits) in started.items()
        )
        return MultiTaskOutput(predictions, features=encoded.shared, auxiliary=auxiliary)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Parameters of the backbone. Of a Vision Transformer only stem and stages are kept."""
        if isinstance(self.encoder, PlainEncoder):
            return [*self.encoder.stem.parameters(), *self.encoder.stages.parameters()]
        return super().backbone_parameters()


class Preliminary(nn.Module):
    """Two 3x3 convolutions and a preliminary prediction of one task; the first stage reads features and prediction.

    Args:
        task: the task.
        channels: channels of the encoder's map.
        task_width: channels of the task's features.
        width: channels of the first stage.
    """

    def __init__(self, task: Task, channels: int, task_width: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(ConvBNReLU(channels, channels, 3), ConvBNReLU(channels, task_width, 3))
        self.logits = nn.Conv2d(task_width, task.channels, kernel_size=1)
        self.mix = nn.Conv2d(task_width + task.channels, width, kernel_size=1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> map of the first stage (B, h, w, width), logits (B, C_task, h, w)."""
        features = self.features(maps)
        logits = self.logits(features)
        mixed = self.mix(torch.cat([features, logits], dim=1))
        return mixed.permute(0, 2, 3, 1), logits


def default_width(channels: int) -> int:
    """The paper's width for at least 768 channels, else half of the channels, rounded down to a multiple of 16.

    The narrowest backbone of the paper has 768 channels.
    """
    return PAPER_WIDTH if channels >= PAPER_CHANNELS else channels // 2 // WIDTH_STEP * WIDTH_STEP


def normalised(norm: nn.Module, maps: Tensor) -> Tensor:
    """Layer normalisation over the channels of all tasks together; (T, B, h, w, C) -> the same shape."""
    together = norm(maps.permute(1, 2, 3, 0, 4).flatten(3))
    return together.unflatten(3, (len(maps), -1)).permute(3, 0, 1, 2, 4)
