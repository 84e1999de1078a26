"""Layers that give the results of the whole batch, if the batch is split over devices.

| layer | on a part of a batch |
| --- | --- |
| batch normalisation | mean and variance of the whole batch, forwards and backwards |
| dropout, dropout of channels, dropped paths | the rows of this part, of random numbers drawn for the whole batch |

torch's `SyncBatchNorm` is not used: it runs on GPUs alone, and leaves out the activation of timm's layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from timm.layers import DropPath
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.contracts import Regularizer
from benchmark.losses.batch_parts import num_parts, random_rows


def use_whole_batch(network: nn.Module) -> None:
    """Replace the layers of a network, in place; parameters, buffers, hooks and names stay.

    A regularizer that is not computed `by_parts` keeps its layers, since it receives the whole batch.

    Raises:
        ValueError: for batch normalisation of an unknown class, naming the layer.
    """
    for parent_name, parent in list(_modules_on_parts(network)):
        for name, layer in parent.named_children():
            kind = _replacement(layer, f"{parent_name}.{name}".lstrip("."))
            if kind is not None:
                replaced = kind.__new__(kind)
                replaced.__dict__.update(vars(layer))
                setattr(parent, name, replaced)


def _modules_on_parts(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    if isinstance(module, Regularizer) and not module.by_parts:
        return
    yield name, module
    for child_name, child in module.named_children():
        yield from _modules_on_parts(child, f"{name}.{child_name}".lstrip("."))


def _replacement(layer: nn.Module, name: str) -> type[nn.Module] | None:
    kind = REPLACEMENTS.get(type(layer))
    if kind is None and isinstance(layer, _BatchNorm) and not isinstance(layer, SynchronisedNorm):
        raise ValueError(
            f"{name}: batch normalisation of class {type(layer).__name__} is not known on several devices; use "
            "torch.nn.BatchNorm2d, or train on one device"
        )
    return kind


class SynchronisedNorm(_BatchNorm):
    """Batch normalisation with mean and variance of the whole batch."""

    def _check_input_dim(self, _: Tensor) -> None:
        return

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C, ...)."""
        if num_parts() == 1 or not self.training:
            return super().forward(maps)
        return self._of_whole_batch(maps)

    @torch.compiler.disable
    def _of_whole_batch(self, maps: Tensor) -> Tensor:
        normalised, mean, variance, count = _Normalise.apply(maps, self.weight, self.bias, self.eps)
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            cast(Tensor, self.num_batches_tracked).add_(1)
            factor = 1 / float(cast(Tensor, self.num_batches_tracked)) if self.momentum is None else self.momentum
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean.to(self.running_mean), factor)
            self.running_var.lerp_(unbiased.to(self.running_var), factor)
        return cast(Tensor, normalised)


class SynchronisedNormAct(SynchronisedNorm):
    """timm's batch normalisation with an activation."""

    drop: nn.Module
    act: nn.Module

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        normalised = super().forward(maps)
        activated: Tensor = self.act(self.drop(normalised))
        return activated


class _Normalise(torch.autograd.Function):
    """Maps normalised by the statistics of all parts; also mean, variance (biased) and number of values per channel."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        axes = [axis for axis in range(maps.ndim) if axis != 1]
        variance, mean = torch.var_mean(maps.detach().to(_sum_type(maps)), axes, correction=0)
        count = mean.new_full((1,), maps.numel() // maps.shape[1])
        mean, variance, total = _statistics_of_parts(mean, variance, count)
        normalised = F.batch_norm(maps, mean, variance, weight, bias, training=False, eps=eps)
        ctx.save_for_backward(maps, weight, mean, variance, total)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, total)
        return normalised, mean, variance, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        maps, weight, mean, variance, total = ctx.saved_tensors
        scale = torch.ones_like(mean) if weight is None else weight
        # With fixed statistics, the gradient of the maps is scaled by weight / deviation; the gradients of weight and
        # bias are the two sums over this part that the gradient of the statistics needs.
        to_maps, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, maps, scale, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack((to_bias, to_weight)).to(mean.dtype)
        dist.all_reduce(sums)
        inverse = (variance + ctx.eps).rsqrt()
        slope = -scale * inverse.square() * sums[1] / total
        offset = -scale * inverse * sums[0] / total
        shape = (1, -1, *[1] * (maps.ndim - 2))
        # The mean is subtracted first: for channels of little variance, slope * maps - slope * mean would cancel.
        centred = maps.to(mean.dtype) - mean.view(shape)
        wide = to_maps.to(mean.dtype).add_(offset.view(shape)).addcmul_(centred, slope.view(shape))
        affine = weight is not None
        return wide.to(maps.dtype), to_weight if affine else None, to_bias if affine else None, None


def _sum_type(maps: Tensor) -> torch.dtype:
    return maps.dtype if maps.dtype == torch.float64 else torch.float32


def _statistics_of_parts(mean: Tensor, variance: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased variance and count of all parts, from the statistics of each part."""
    own = torch.cat((mean, variance, count))
    gathered = [torch.empty_like(own) for _ in range(num_parts())]
    dist.all_gather(gathered, own)
    means, variances, counts = torch.stack(gathered).double().split([len(mean), len(mean), 1], dim=1)
    total = counts.sum()
    shares = counts / total
    joint = (shares * means).sum(0)
    spread = (shares * (variances + (means - joint).square())).sum(0)
    return joint.to(mean.dtype), spread.to(mean.dtype), total.to(mean.dtype)


class WholeBatchDropout(nn.Dropout):
    """Dropout of single values."""

    def forward(self, maps: Tensor) -> Tensor:
        """Any shape, rows first."""
        return _dropped(self, maps, maps) if self.training and num_parts() > 1 else super().forward(maps)


class WholeBatchChannelDropout(nn.Dropout2d):
    """Dropout of whole channels."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W)."""
        like = maps[:, :, :1, :1]
        return _dropped(self, maps, like) if self.training and num_parts() > 1 else super().forward(maps)


def _dropped(layer: nn.Dropout | nn.Dropout2d, maps: Tensor, like: Tensor) -> Tensor:
    """Maps times random factors of the shape of `like`, which are drawn in its order in memory, as in torch."""
    if layer.p == 0:
        return maps
    in_memory = sorted(range(like.ndim), key=like.stride, reverse=True)

    def draw(shape: tuple[int, ...]) -> Tensor:
        noise = torch.empty_permuted(shape, in_memory, dtype=maps.dtype, device=maps.device)
        return noise.bernoulli_(1 - layer.p).div_(max(1 - layer.p, torch.finfo(torch.float32).tiny))

    return maps * random_rows(like.shape, draw)


class WholeBatchDropPath(DropPath):
    """Dropped residual paths of whole images."""

    def forward(self, maps: Tensor) -> Tensor:
        """Any shape, rows first."""
        if not self.training or self.drop_prob == 0 or num_parts() == 1:
            plain: Tensor = super().forward(maps)
            return plain
        kept = 1 - self.drop_prob
        shape = (len(maps), *[1] * (maps.ndim - 1))
        factors = random_rows(shape, lambda whole: maps.new_empty(whole).bernoulli_(kept))
        return maps * (factors / kept if kept > 0 and self.scale_by_keep else factors)


REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SynchronisedNorm,
    nn.BatchNorm2d: SynchronisedNorm,
    nn.BatchNorm3d: SynchronisedNorm,
    BatchNormAct2d: SynchronisedNormAct,
    nn.Dropout: WholeBatchDropout,
    nn.Dropout2d: WholeBatchChannelDropout,
    DropPath: WholeBatchDropPath,
}
"""Replacement of a layer, by the exact type of the layer."""
