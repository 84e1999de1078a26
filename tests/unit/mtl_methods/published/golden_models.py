"""State dicts and outputs of the public implementations under the fill rule of ../shared/specs/checkpoints.md."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Share of an output's standard deviation; blocks that are easily swapped differ by 0.015 of it."""


def filled(key: str, shape: tuple[int, ...]) -> Tensor:
    """The published tensor of that name."""
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    if key.endswith("running_mean"):
        values = 0.1 * generator.standard_normal(shape)
    elif key.endswith("running_var"):
        values = generator.uniform(0.5, 1.5, shape)
    elif key.endswith(("pos_embed", "cls_token")):
        values = 0.02 * generator.standard_normal(shape)
    elif len(shape) >= 2:
        values = generator.standard_normal(shape) * 0.7 / np.sqrt(np.prod(shape[1:]))
    elif key.endswith("bias"):
        values = 0.1 * generator.standard_normal(shape)
    elif key.endswith(".param"):
        values = generator.uniform(0.1, 0.9, shape)
    else:
        values = generator.uniform(0.5, 1.5, shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def published_shapes(shared: Path, run: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a public model's state dict, in its order."""
    shapes = {}
    for line in (shared / "golden" / "keys" / f"{run}.txt").read_text().splitlines():
        _, name, shape = line.split(" ", 2)
        shapes[name] = tuple(int(number) for number in shape.strip("[]").split(",") if number.strip())
    return shapes


def published_state(shared: Path, run: str) -> dict[str, Tensor]:
    """The whole state dict of a public model, filled by the rule."""
    return {name: filled(name, shape) for name, shape in published_shapes(shared, run).items()}


def golden_images(shape: tuple[int, ...]) -> Tensor:
    """The images that the public models saw."""
    return torch.from_numpy(np.random.default_rng(12345).standard_normal(shape).astype(np.float32))


def compare(shared: Path, run: str, outputs: Mapping[str, Tensor]) -> None:
    """Assert that the outputs, under their published names, are those of the public model.

    The names must be all that the golden file has for the run.
    """
    start, end = f"{run}::", "|shape"
    with np.load(shared / "golden" / "models.npz") as golden:
        names = {key[len(start) : -len(end)] for key in golden.files if key.startswith(start) and key.endswith(end)}
        assert names == set(outputs), f"{run}: golden outputs {sorted(names)}, ours {sorted(outputs)}"
        for name, output in outputs.items():
            expected = golden[f"{run}::{name}"]
            mean, std, low, high = golden[f"{run}::{name}|stats"]
            found = output.detach().numpy()
            assert found.shape == tuple(golden[f"{run}::{name}|shape"]), name
            summary = [found.mean(), found.std(), found.min(), found.max()]
            np.testing.assert_allclose(summary, [mean, std, low, high], rtol=0, atol=10 * TOLERANCE * std, err_msg=name)
            if found.shape[-1] > 40:
                found = found[:, :, ::4, ::4]
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * std, err_msg=f"{run}: {name}")
