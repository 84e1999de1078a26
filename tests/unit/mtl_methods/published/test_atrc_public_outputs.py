"""ATRC with other contexts, widths, tasks and image sizes than the golden run, imported, against the public code.

Expected values: tests/reference/atrc_public.npz, every 16th row and column of outputs of https://github.com/brdav/atrc
at commit 76d8055, run with torch 2.14.1 on the CPU, weights by the fill rule, its CUDA operator of local attention
replaced by gathering the zero-padded windows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_models import TOLERANCE, golden_images
from public_atrc import Numbers, state_of
from torch import Tensor

from benchmark.heads import upsample_to
from benchmark.tasks import STANDARD_TASKS
from mtl_methods.atrc.genotypes import CONTEXTS, PUBLISHED, Genotype
from mtl_methods.published.description import OUR_TASKS, our_task
from mtl_methods.published.importing import import_state

REFERENCE = Path(__file__).resolve().parents[3] / "reference" / "atrc_public.npz"
NYUD = {"semseg": 40, "depth": 1, "normals": 3, "edge": 1}
PASCAL = {"semseg": 21, "human_parts": 7, "sal": 2, "normals": 3, "edge": 1}
TURNED = {"edge": 1, "depth": 1, "semseg": 40, "normals": 3}
PUBLIC = {ours: theirs for theirs, ours in OUR_TASKS.items()}


def everywhere(number: int) -> Numbers:
    return {target: dict.fromkeys(NYUD, number) for target in NYUD}


def published(name: str) -> Numbers:
    """A published genotype by number, under the public names of the tasks."""
    return {
        PUBLIC.get(target, target): {PUBLIC.get(source, source): CONTEXTS.index(word) for source, word in row.items()}
        for target, row in PUBLISHED[name].items()
    }


ROWS = {"edge": (2, 0, 3, 1), "depth": (4, 2, 0, 3), "semseg": (0, 0, 0, 0), "normals": (1, 4, 4, 2)}
MIXED = {target: dict(zip(TURNED, row, strict=True)) for target, row in ROWS.items()}
"""Every context, and a task without any; in an order of the tasks that no configuration has."""

CASES = {
    "global": ("atrc_hrnet18", NYUD, everywhere(1)),
    "local": ("atrc_hrnet18", NYUD, everywhere(2)),
    "t_label": ("atrc_hrnet18", NYUD, everywhere(3)),
    "s_label": ("atrc_hrnet18", NYUD, everywhere(4)),
    "mixed": ("atrc_hrnet18", TURNED, MIXED),
    "nyud_hrnet48": ("atrc_hrnet48", NYUD, published("nyud_hrnet48")),
    "pascal_hrnet18": ("atrc_hrnet18", PASCAL, published("pascal_hrnet18")),
    "baseline_mtl": ("atrc_hrnet18", NYUD, None),
    "baseline_stl": ("atrc_hrnet18", {"edge": 1}, None),
}
TOLD_BY_THE_FILE = ("nyud_hrnet48", "pascal_hrnet18", "baseline_mtl", "baseline_stl")


def option(name: str, genotype: Numbers | None) -> dict[str, str | Genotype]:
    """The option that says what the file does not."""
    if genotype is None or name in TOLD_BY_THE_FILE:
        return {}
    if name in CONTEXTS:
        return {"genotype": name}
    words = {
        our_task(target): {our_task(source): CONTEXTS[number] for source, number in row.items()}
        for target, row in genotype.items()
    }
    return {"genotype": words}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "hrnet48" in name else []) for name in CASES]
)
@torch.no_grad()
def test_outputs_are_those_of_the_public_code(name: str):
    run, channels, genotype = CASES[name]
    with np.load(REFERENCE) as file:
        keys = [key for key in file.files if key.startswith((f"{name}|", f"{name}:"))]
        reference = {key.removeprefix(name): file[key] for key in keys}
    state = state_of(run, channels, genotype)
    tensors, numbers = reference.pop("|tensors")
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (tensors, numbers)
    size = tuple(int(length) for length in reference.pop("|size"))
    method = import_state("atrc", state, STANDARD_TASKS, option(name, genotype)).method
    output = method(golden_images((1, 3, *size)))
    found = {f"::final/{PUBLIC.get(task, task)}": maps for task, maps in output.predictions.items()}
    found |= {
        f"::aux/{PUBLIC.get(part.task, part.task)}": upsample_to(part.prediction, size) for part in output.auxiliary
    }
    compare(found, reference)


def compare(found: dict[str, Tensor], reference: dict[str, np.ndarray]) -> None:
    """Assert that the outputs equal the reference, with the same names."""
    assert set(found) == {key for key in reference if not key.endswith("|std")}
    for key, maps in found.items():
        tolerance = TOLERANCE * reference[f"{key}|std"]
        np.testing.assert_allclose(maps[:, :, ::16, ::16].numpy(), reference[key], rtol=0, atol=tolerance, err_msg=key)
