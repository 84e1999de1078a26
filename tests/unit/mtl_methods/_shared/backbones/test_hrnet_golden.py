"""Our HRNet against outputs of the public multi-task code, under weights filled by a rule.

Expected values: ../shared/golden/models.npz, made with https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.heads import concatenate_maps, upsample_to
from mtl_methods._shared.backbones import make_backbone


class PublishedNetwork(nn.Module):
    """HRNet and the heads of the public code: 1x1 convolution with bias, BN, ReLU, 1x1 convolution, on 270 channels."""

    def __init__(self, outputs: dict[str, int]) -> None:
        super().__init__()
        self.backbone = make_backbone("hrnet_w18_small_v2")
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Conv2d(270, 270, 1), nn.BatchNorm2d(270), nn.ReLU(), nn.Conv2d(270, channels, 1))
                for name, channels in outputs.items()
            }
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = concatenate_maps(self.backbone(images))
        return {name: upsample_to(head(maps), images.shape[-2:]) for name, head in self.heads.items()}


def filled(key: str, tensor: Tensor) -> Tensor:
    """The tensor of that official name under the fill rule of ../shared/specs/checkpoints.md."""
    generator, shape = np.random.default_rng(zlib.crc32(key.encode())), tuple(tensor.shape)
    if key.endswith("num_batches_tracked"):
        return tensor
    if key.endswith("running_mean"):
        values = 0.1 * generator.standard_normal(shape)
    elif key.endswith("running_var"):
        values = generator.uniform(0.5, 1.5, shape)
    elif len(shape) >= 2:
        values = generator.standard_normal(shape) * 0.7 / np.sqrt(np.prod(shape[1:]))
    elif key.endswith("bias"):
        values = 0.1 * generator.standard_normal(shape)
    else:
        values = generator.uniform(0.5, 1.5, shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def fill_as(network: nn.Module, listing: Path) -> None:
    """Fill a network by the official names, which follow the same order of registration."""
    official = [line.split(" ", 2)[1] for line in listing.read_text().splitlines()]
    state = network.state_dict()
    assert len(official) == len(state)
    assert [key.rpartition(".")[2] for key in official] == [key.rpartition(".")[2] for key in state]
    network.load_state_dict(
        {ours: filled(key, tensor) for key, (ours, tensor) in zip(official, state.items(), strict=True)}
    )


@pytest.mark.parametrize(
    ("run", "outputs"),
    [("stl_hrnet18_semseg", {"semseg": 40}), ("mtl_hrnet18", {"semseg": 40, "normals": 3, "edge": 1, "depth": 1})],
)
@torch.no_grad()
def test_hrnet_reproduces_the_public_implementation(shared: Path, run: str, outputs: dict[str, int]):
    network = PublishedNetwork(outputs).eval()
    fill_as(network, shared / "golden" / "keys" / f"{run}.txt")
    images = np.random.default_rng(12345).standard_normal((1, 3, 96, 128)).astype(np.float32)
    predictions = network(torch.from_numpy(images))
    with np.load(shared / "golden" / "models.npz") as golden:
        for name, prediction in predictions.items():
            expected = golden[f"{run}::{name}"]
            ours = (
                prediction.numpy() if expected.shape == tuple(prediction.shape) else prediction[..., ::4, ::4].numpy()
            )
            assert np.abs(ours - expected).max() < 1e-4 * expected.std(), name
