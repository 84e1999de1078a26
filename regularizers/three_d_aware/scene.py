"""One triplane with its encoder and field, and the tasks that share a triplane."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from regularizers.aux_heads import readable_maps
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.planes import TriplaneEncoder
from regularizers.three_d_aware.sampler import Triplane


class Scene(nn.Module):
    """Encoder and field of one triplane.

    Args:
        maps: positions of the feature maps that the encoder reads.
        encoder: computes the triplane.
        fields: networks that read the triplane.
    """

    def __init__(self, maps: Sequence[int], encoder: TriplaneEncoder, fields: TaskField) -> None:
        super().__init__()
        self.maps = tuple(maps)
        self.encoder = encoder
        self.fields = fields

    def planes(self, features: Sequence[Tensor], grid: tuple[int, int]) -> Triplane:
        """Triplane of a method's feature maps, in float32 or float64: ray weights need this precision."""
        planes = self.encoder([features[position] for position in self.maps], grid)
        if planes.xy.dtype in (torch.float32, torch.float64):
            return planes
        return Triplane(planes.xy.float(), planes.xz.float(), planes.yz.float())


def tasks_by_maps(
    feature_specs: Sequence[FeatureSpec], tasks: Iterable[str], strides: Collection[int] | None = None
) -> Mapping[tuple[int, ...], list[str]]:
    """Tasks by the positions of the feature maps that they read, finest first.

    All tasks read the maps that all tasks share. In a method without shared maps each task reads its own, so that no
    task sends a gradient into the network of another.

    Args:
        feature_specs: feature maps of the method.
        tasks: names of the tasks.
        strides: strides of the maps to read; None for all.

    Raises:
        ValueError: if a task has no map to read.
    """
    shared = [position for position, spec in enumerate(feature_specs) if spec.task is None]
    shared.sort(key=lambda position: feature_specs[position].stride)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in tasks:
        readable = shared or readable_maps(feature_specs, name)
        chosen = [position for position in readable if strides is None or feature_specs[position].stride in strides]
        if not chosen:
            available = ", ".join(str(feature_specs[position].stride) for position in readable)
            raise ValueError(f"strides={list(strides or ())} chooses no map for {name}; available: {available}")
        groups.setdefault(tuple(chosen), []).append(name)
    return groups
