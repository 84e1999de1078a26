"""Geometry consistency: predicted normals agree with those of the predicted depth, and depth is smooth inside segments.

Source: Yang et al., "Unsupervised Learning of Geometry with Edge-aware Depth-Normal Consistency", AAAI 2018,
https://arxiv.org/abs/1711.03665, for the agreement; Godard et al., "Unsupervised Monocular Depth Estimation with
Left-Right Consistency", CVPR 2017, https://arxiv.org/abs/1609.03677, for the smoothness that stops at edges.
Differs from the papers: normals follow from depth by the cross product of central differences, and both are
predictions of one network; edges are those of the predicted segmentation, where there is one, else of the image;
gradients of depth are relative to its mean, so that a shrinking scene gains nothing. It has no network of its own: the
cheapest rival of a volume.
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
"""Metres; an untrained network predicts negative depth, of which no surface is made."""

EXPECTED = {"attaches_to_four_tasks_two_and_one": "it compares depth with normals, so it needs both"}


@REGULARIZERS.register(
    "geometry_consistency",
    title="Geometry consistency",
    paper="https://arxiv.org/abs/1711.03665",
    year=2018,
    expected_failures=EXPECTED,
)
class GeometryConsistency(Regularizer):
    """1 - <predicted normal, normal of the predicted depth>, and |gradient of depth| exp(-|gradient of segments|).

    Args:
        tasks: tasks of the run, a distance in metres and a direction among them.
        feature_specs: not used.
        weight: factor of both terms.
        smoothness: factor of the second, beside it.

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
        depth = output.predictions[self.depth].float().clamp(min=NEAREST)
        predicted = F.normalize(output.predictions[self.normals].float(), dim=1)
        from_depth = normals_from_depth(depth, batch["intrinsics"])
        agreement = (predicted[..., 1:-1, 1:-1] * from_depth).sum(1)
        edges = batch["images"] if self.segments is None else output.predictions[self.segments].softmax(1)
        smooth = smoothness(depth, edges.detach())
        return {
            "loss_geometry_consistency": self.weight * (1 - agreement).mean(),
            "loss_geometry_smoothness": self.weight * self.smoothness * smooth,
        }


def normals_from_depth(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Unit normals of the surface through the points of a depth map, by central differences.

    Args:
        depth: (B, 1, H, W) metres along the optical axis, positive; H and W at least 3.
        intrinsics: (B, 3, 3) in pixels; pixel centres are at integer + 0.5.

    Returns:
        (B, 3, H - 2, W - 2): x right, y down, z towards the camera; the pixels of the rim have no two neighbours.
    """
    points = depth * _rays(depth, intrinsics)
    right = points[..., 1:-1, 2:] - points[..., 1:-1, :-2]
    down = points[..., 2:, 1:-1] - points[..., :-2, 1:-1]
    # right x down points away from the camera; the normal points at it, and its z is counted towards it.
    away = torch.linalg.cross(right, down, dim=1)
    return F.normalize(away, dim=1) * away.new_tensor([-1.0, -1.0, 1.0]).view(3, 1, 1)


def smoothness(depth: Tensor, guide: Tensor) -> Tensor:
    """Mean of |gradient of depth| / mean depth * exp(-|gradient of guide|), over both directions.

    Args:
        depth: (B, 1, H, W).
        guide: (B, C, H, W), whose edges let depth jump.
    """
    relative = depth / depth.mean(dim=(1, 2, 3), keepdim=True)
    terms = []
    for axis in (2, 3):
        allowed = torch.exp(-guide.diff(dim=axis).abs().sum(1, keepdim=True))
        terms.append((relative.diff(dim=axis).abs() * allowed).mean())
    return terms[0] + terms[1]


def _rays(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """(B, 3, H, W): the point of each pixel at depth 1."""
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
    what = "a distance in metres" if readout == "value" else "a direction"
    raise ValueError(f"geometry_consistency compares depth with normals; the tasks {', '.join(tasks)} have not {what}")
