"""State dicts and outputs of public implementations, whose tensors were filled with numbers drawn by their names."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHECKOUT = Path(__file__).resolve().parents[4]
REFERENCE = CHECKOUT / "tests" / "reference" / "golden"
"""Reduced golden numbers, see tests/reference/reduce_golden.py."""

WHOLE = CHECKOUT.parent / "shared" / "golden"
"""Whole golden numbers, on some machines."""

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


def published_shapes(run: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a public model's state dict, in its order."""
    section = key_lists()[run]
    return {
        name: tuple(int(number) for number in shape.strip("[]").split(",") if number.strip())
        for _, name, shape in (line.split(" ", 2) for line in section)
    }


@cache
def key_lists() -> dict[str, list[str]]:
    """Lines "P NAME [SHAPE]" of parameters and "B NAME [SHAPE]" of buffers, by run."""
    runs: dict[str, list[str]] = {}
    for line in lzma.decompress((REFERENCE / "keys.txt.xz").read_bytes()).decode().splitlines():
        if line.startswith("# "):
            lines = runs.setdefault(line.removeprefix("# "), [])
        else:
            lines.append(line)
    return runs


def published_state(run: str) -> dict[str, Tensor]:
    """The whole state dict of a public model, filled by the rule."""
    return {name: filled(name, shape) for name, shape in published_shapes(run).items()}


def golden_images(shape: tuple[int, ...]) -> Tensor:
    """The images that the public models saw."""
    return torch.from_numpy(np.random.default_rng(12345).standard_normal(shape).astype(np.float32))


def compare(run: str, outputs: Mapping[str, Tensor]) -> None:
    """Assert that the outputs, under their published names, equal the outputs of the public model.

    They are compared with the reduced golden numbers, and with the whole ones where these are at hand. The names must
    be all that the golden file has for the run.
    """
    for folder in (REFERENCE, WHOLE):
        if folder is REFERENCE or folder.is_dir():
            with np.load(folder / "models.npz") as golden:
                _compare(golden, run, outputs)


def _compare(golden: Any, run: str, outputs: Mapping[str, Tensor]) -> None:
    start, end = f"{run}::", "|shape"
    names = {key[len(start) : -len(end)] for key in golden.files if key.startswith(start) and key.endswith(end)}
    assert names == set(outputs), f"{run}: golden outputs {sorted(names)}, ours {sorted(outputs)}"
    for name, output in outputs.items():
        expected = golden[f"{run}::{name}"]
        mean, std, low, high = golden[f"{run}::{name}|stats"]
        found = output.detach().numpy()
        assert found.shape == tuple(golden[f"{run}::{name}|shape"]), name
        summary = [found.mean(), found.std(), found.min(), found.max()]
        np.testing.assert_allclose(summary, [mean, std, low, high], rtol=0, atol=10 * TOLERANCE * std, err_msg=name)
        step = found.shape[-1] // expected.shape[-1]
        np.testing.assert_allclose(
            found[:, :, ::step, ::step], expected, rtol=0, atol=TOLERANCE * std, err_msg=f"{run}: {name}"
        )
