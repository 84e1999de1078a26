"""Geometry consistency: predicted normals agree with predicted depth, and depth is smooth inside of segments.

Source: Yang et al., "Unsupervised Learning of Geometry with Edge-aware Depth-Normal Consistency", AAAI 2018,
https://arxiv.org/abs/1711.03665, for the agreement; Godard et al., "Unsupervised Monocular Depth Estimation with
Left-Right Consistency", CVPR 2017, https://arxiv.org/abs/1609.03677, for the smoothness that stops at edges.
Differs from the papers: normals are computed from depth by the cross product of central differences, and both are
predictions of one network. Edges are edges of the predicted segmentation; if this task is missing, of the image.
Gradients of depth are relative to its mean, so that a smaller scene has the same loss. It has no parameters.
Consulted: nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet

NEAREST = 0.1
"""Lower bound of predicted depth, metres: an untrained network predicts negative depth, which has no surface."""

EXPECTED = {"attaches_to_four_tasks_two_and_one": "compares depth with normals, so both tasks are needed"}


@REGULARIZERS.register(
    "geometry_consistency",
    title="Geometry consistency",
    paper="https://arxiv.org/abs/1711.03665",
    year=2018,
    version=2,
    expected_failures=EXPECTED,
)
class GeometryConsistency(Regularizer):
    """1 - <predicted normal, normal of predicted depth>, and |gradient of depth| exp(-|gradient of segmentation|).

    Both are means over the pixels of the images without their padding.

    Args:
        tasks: tasks of the run; a distance in metres and a direction are needed.
        feature_specs: not used.
        weight: factor of both terms.
        smoothness: further factor of the second term.

    Raises:
        ValueError: if the tasks have no distance or no direction, or a factor is negative.
    """

    needs_features = False

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, smoothness: float = 0.1
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        if smoothness < 0:
            raise ValueError(f"smoothness must not be negative, found {smoothness}")
        self.smoothness = smoothness
        self.depth = _first(tasks, "value", "m")
        self.normals = _first(tasks, "direction")
        self.segments = next((name for name, task in tasks.items() if task.readout == "class"), None)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """The two terms."""
        pixels = image_pixels(batch["images"])
        depth = output.predictions[self.depth].float().clamp(min=NEAREST)
        predicted = F.normalize(output.predictions[self.normals].float(), dim=1)
        from_depth = normals_from_depth(depth, batch["intrinsics"])
        agreement = (predicted[..., 1:-1, 1:-1] * from_depth).sum(1, keepdim=True)
        surrounded = F.max_pool2d((~pixels).float(), 3, stride=1) == 0
        edges = batch["images"] if self.segments is None else output.predictions[self.segments].softmax(1)
        return {
            "loss_geometry_consistency": self.weight * _mean(1 - agreement, surrounded),
            "loss_geometry_smoothness": self.weight * self.smoothness * smoothness(depth, edges.detach(), pixels),
        }


def image_pixels(images: Tensor) -> Tensor:
    """(B, 1, H, W) False in the padding, which is zero in all channels."""
    return (images != 0).any(1, keepdim=True)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the values at the counted pixels; 0 without such a pixel."""
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)


def normals_from_depth(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Unit normals of the surface through the points of a depth map, by central differences.

    Args:
        depth: (B, 1, H, W) metres along the optical axis, positive; H and W at least 3.
        intrinsics: (B, 3, 3) in pixels; pixel centres are at integer + 0.5.

    Returns:
        (B, 3, H - 2, W - 2): x right, y down, z towards the camera. Pixels at the border lack a neighbour.
    """
    points = depth * _rays(depth, intrinsics)
    right = points[..., 1:-1, 2:] - points[..., 1:-1, :-2]
    down = points[..., 2:, 1:-1] - points[..., :-2, 1:-1]
    # right x down points away from the camera, the normal towards the camera: all signs change. The z axis of normals
    # points towards the camera too, so the sign of z changes a second time.
    away = torch.linalg.cross(right, down, dim=1)
    return F.normalize(away, dim=1) * away.new_tensor([-1.0, -1.0, 1.0]).view(3, 1, 1)


def smoothness(depth: Tensor, guide: Tensor, pixels: Tensor) -> Tensor:
    """Mean of |gradient of depth| / mean depth * exp(-|gradient of guide|), summed over both directions.

    Args:
        depth: (B, 1, H, W).
        guide: (B, C, H, W), at whose edges depth may be discontinuous.
        pixels: (B, 1, H, W) bool; differences between two of these pixels count.
    """
    total = torch.where(pixels, depth, 0.0).sum((1, 2, 3), keepdim=True)
    relative = depth / (total / pixels.sum((1, 2, 3), keepdim=True).clamp(min=1)).clamp(min=NEAREST)
    terms = []
    for axis in (2, 3):
        length = depth.shape[axis] - 1
        both = pixels.narrow(axis, 0, length) & pixels.narrow(axis, 1, length)
        allowed = torch.exp(-guide.diff(dim=axis).abs().sum(1, keepdim=True))
        terms.append(_mean(relative.diff(dim=axis).abs() * allowed, both))
    return terms[0] + terms[1]


def _rays(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """(B, 3, H, W) point of each pixel at depth 1."""
    height, width = depth.shape[-2:]
    rows = torch.arange(height, device=depth.device, dtype=depth.dtype) + 0.5
    columns = torch.arange(width, device=depth.device, dtype=depth.dtype) + 0.5
    focal = intrinsics.to(depth)[:, :, :, None]
    across = ((columns - focal[:, 0, 2]) / focal[:, 0, 0])[:, None, :].expand(-1, height, -1)
    along = ((rows - focal[:, 1, 2]) / focal[:, 1, 1])[:, :, None].expand(-1, -1, width)
    return torch.stack([across, along, torch.ones_like(across)], dim=1)


def _first(tasks: TaskSet, readout: str, unit: str | None = None) -> str:
    for name, task in tasks.items():
        if task.readout == readout and unit in (None, task.unit):
            return name
    missing = "a distance in metres" if readout == "value" else "a direction"
    raise ValueError(f"geometry_consistency compares depth with normals; the tasks {', '.join(tasks)} lack {missing}")
