"""Change of the normalisation of images to the one that a backbone's weights were trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.contracts import IMAGENET_MEAN, IMAGENET_STD


class Renormalise(nn.Module):
    """Replaces the ImageNet normalisation of a `Batch` by another normalisation.

    Args:
        mean: mean of the other normalisation, RGB in 0..1.
        std: standard deviation of the other normalisation.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        ours, theirs = torch.tensor([IMAGENET_MEAN, IMAGENET_STD]), torch.tensor([tuple(mean), tuple(std)])
        # Not persistent: they belong to the architecture, not to its weights.
        self.register_buffer("scale", (ours[1] / theirs[1]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", ((ours[0] - theirs[0]) / theirs[1]).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> the same shape."""
        return torch.addcmul(self.shift, images, self.scale)
