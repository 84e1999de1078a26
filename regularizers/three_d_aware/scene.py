"""One triplane with the tasks that are rendered from it, which tasks share one, and how views are rendered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec
from regularizers.aux_heads import readable_maps
from regularizers.three_d_aware.camera import Camera
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.planes import TriplaneEncoder
from regularizers.three_d_aware.rays import Rays, RaySampler
from regularizers.three_d_aware.renderer import Renderer, Rendering
from regularizers.three_d_aware.sampler import Triplane


class Scene(nn.Module):
    """Encoder and field of one triplane.

    Args:
        maps: positions of the feature maps that it reads.
        encoder: makes the triplane.
        fields: reads it.
    """

    def __init__(self, maps: Sequence[int], encoder: TriplaneEncoder, fields: TaskField) -> None:
        super().__init__()
        self.maps = tuple(maps)
        self.encoder = encoder
        self.fields = fields

    def planes(self, features: Sequence[Tensor], grid: tuple[int, int]) -> Triplane:
        """The triplane of a method's feature maps, at least in float32: densities and weights need it."""
        made = self.encoder([features[position] for position in self.maps], grid)
        if made.xy.dtype in (torch.float32, torch.float64):
            return made
        return Triplane(made.xy.float(), made.xz.float(), made.yz.float())


@dataclass(frozen=True)
class Views:
    """How the views of a batch are rendered.

    Args:
        sampler: where rays are sampled.
        renderer: how they are composited.
        stride: image size divided by rendered size, rounded up.
    """

    sampler: RaySampler
    renderer: Renderer
    stride: int

    def triplanes(self, scenes: nn.ModuleList, features: Sequence[Tensor], size: tuple[int, int]) -> list[Triplane]:
        """The triplane of each `Scene`.

        Args:
            scenes: `Scene`s.
            features: of the method.
            size: height and width of its images.
        """
        return [cast(Scene, scene).planes(features, self.grid(size)) for scene in scenes]

    def source(
        self, scenes: nn.ModuleList, planes: Sequence[Triplane], batch: Batch, jittered: bool
    ) -> tuple[Rays, list[Rendering]]:
        """Render the images of a batch as they were seen.

        Args:
            scenes: `Scene`s; one rendering each.
            planes: their triplanes of these images.
            batch: gives image size and, for metric rays, intrinsics.
            jittered: draw the samples' places in their cells from torch's stream; else they lie in the middle.
        """
        like, size = planes[0].xy, image_size(batch)
        rays = self.sampler.source_view(self._jitter(like, jittered), self.grid(size), source_camera(batch, like))
        return rays, _rendered(self.renderer.source_view, scenes, planes, rays)

    def novel(
        self, scenes: nn.ModuleList, planes: Sequence[Triplane], source: Camera, target: Camera, jittered: bool
    ) -> tuple[Rays, list[Rendering]]:
        """Render another camera's view, as large as that of the images.

        Args:
            scenes: `Scene`s; one rendering each.
            planes: their triplanes of the images of the source camera.
            source: camera of these images.
            target: camera to render, of as many images.
            jittered: see `source`.

        Raises:
            ValueError: if rays are not metric, see `RaySampler.novel_view`.
        """
        rays = self.sampler.novel_view(self._jitter(planes[0].xy, jittered), self.grid(source.size), source, target)
        return rays, _rendered(self.renderer.novel_view, scenes, planes, rays)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that images of a height and width are rendered at, and that their xy planes have."""
        return -(-size[0] // self.stride), -(-size[1] // self.stride)

    def _jitter(self, like: Tensor, jittered: bool) -> Tensor:
        """Places of the samples in their cells, for planes of which `like` is one."""
        middle = self.sampler.middle(len(like), like)
        # Drawn on the CPU, so that every device draws the same.
        return torch.rand(middle.shape).to(middle) if jittered else middle


def _rendered(
    render: Callable[[TaskField, Triplane, Rays], Rendering],
    scenes: nn.ModuleList,
    planes: Sequence[Triplane],
    rays: Rays,
) -> list[Rendering]:
    with torch.autocast(planes[0].xy.device.type, enabled=False):
        return [render(cast(Scene, scene).fields, made, rays) for scene, made in zip(scenes, planes, strict=True)]


def image_size(batch: Batch) -> tuple[int, int]:
    """Height and width of a batch's images."""
    height, width = batch["images"].shape[-2:]
    return height, width


def source_camera(batch: Batch, like: Tensor) -> Camera | None:
    """The camera of a batch's images, None where its intrinsics are not known."""
    if "intrinsics" not in batch:
        return None
    return Camera(batch["intrinsics"].to(like), image_size(batch))


def tasks_by_maps(
    feature_specs: Sequence[FeatureSpec], tasks: Sequence[str], strides: Collection[int] | None = None
) -> Mapping[tuple[int, ...], list[str]]:
    """Tasks by the maps that their triplane is made of: all by the maps that all tasks share, finest first.

    A method without such maps, as separate networks are, has a triplane for each task, so that none sends a gradient
    into the network of another.

    Args:
        feature_specs: maps of the method.
        tasks: names of the tasks.
        strides: of the maps that are read; None for all.

    Raises:
        ValueError: if a task has nothing to read.
    """
    shared = [position for position, spec in enumerate(feature_specs) if spec.task is None]
    shared.sort(key=lambda position: feature_specs[position].stride)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in tasks:
        readable = shared or readable_maps(feature_specs, name)
        chosen = [position for position in readable if strides is None or feature_specs[position].stride in strides]
        if not chosen:
            there = ", ".join(str(feature_specs[position].stride) for position in readable)
            raise ValueError(f"strides={list(strides or ())} chooses no map for {name}; strides there are {there}")
        groups.setdefault(tuple(chosen), []).append(name)
    return groups
