"""Make the reduced golden numbers in tests/reference/golden from the whole ones, which stand outside the checkout.

    python tests/reference/reduce_golden.py ../shared/golden

Every array was computed by public code, see the README of that folder. No third-party pixels are taken over.

| file | content |
| --- | --- |
| models.npz | outputs of public networks, every sixteenth row and column, with their shapes and statistics |
| keys.txt.xz | names and shapes of the tensors of each network: a line "# RUN", then the lines of keys/RUN.txt |
| functions.npz | inputs and outputs of losses, metrics, transforms, operators; gradients at every fourth pixel |
| boundary.npz | the synthetic cases of boundary matching |
"""

from __future__ import annotations

import lzma
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

REDUCED = Path(__file__).resolve().parent / "golden"
KEPT_FUNCTIONS = ("in.", "loss.", "grad.", "metric.", "scheme.", "op.locatt9.", "tf_in.", "tf.atrc.", "tf.invpt.")
LEFT_OUT = ("_allignored", "_nyu_centroids", ".similar", ".softmax", "_labels")
"""Ends of the names of arrays that no test reads, if they are larger than a number."""

SYNTHETIC = ("random_", "single_", "empty_", "all_ones", "chain_")
STEP = 4
"""Distance of the rows and columns that are kept; the outputs of networks were stored at every fourth before."""


def reduced_models(golden: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of networks, where they are large enough."""
    return {key: array[..., ::STEP, ::STEP] if _is_map(key, array) else array for key, array in golden.items()}


def _is_map(key: str, array: Any) -> bool:
    return "|" not in key and array.ndim == 4 and min(array.shape[-2:]) > 2 * STEP


def reduced_functions(golden: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs and scalars as they are; gradients and transformed images thinned out."""
    kept = {
        key: array
        for key, array in golden.items()
        if key.startswith(KEPT_FUNCTIONS) and not (array.ndim and key.endswith(LEFT_OUT))
    }
    thin = {key: array[..., ::STEP, ::STEP] for key, array in kept.items() if key.startswith("grad.")}
    thin |= {key: array[::STEP, ::STEP] for key, array in kept.items() if key.startswith("tf.") and array.ndim > 1}
    return kept | thin


def reduced_boundary(golden: Mapping[str, Any]) -> dict[str, Any]:
    """The cases that were drawn, not photographed."""
    names = [str(name) for name in golden["names"] if str(name).startswith(SYNTHETIC)]
    return {"names": np.array(names)} | {key: array for key, array in golden.items() if key.partition("/")[0] in names}


def keys_text(folder: Path) -> str:
    """The key lists of all runs as one text."""
    return "".join(
        f"# {file.stem}\n{file.read_text(encoding='utf-8').strip()}\n" for file in sorted(folder.glob("*.txt"))
    )


def main(golden: Path) -> None:
    """Write the four files."""
    for name, reduce in (("models", reduced_models), ("functions", reduced_functions), ("boundary", reduced_boundary)):
        with np.load(golden / f"{name}.npz") as arrays:
            np.savez_compressed(REDUCED / f"{name}.npz", **reduce(dict(arrays)))
    (REDUCED / "keys.txt.xz").write_bytes(lzma.compress(keys_text(golden / "keys").encode(), preset=9))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
