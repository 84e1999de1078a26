"""Golden numbers of the public multi-task code, for losses and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

COPY = Path(__file__).resolve().parents[2] / "reference" / "functions_small.npz"
"""The synthetic inputs, losses, gradients and metrics of golden/functions.npz, so that the tests run without it.

Gradients with many channels are kept at every fourth row and column.
"""


@pytest.fixture(scope="session", params=["copy", "shared"])
def golden(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Arrays by key: `in.*`, `loss.*`, `grad.*`, `metric.*`, `scheme.*`, see the specification of the checkpoints."""
    file = COPY if request.param == "copy" else request.getfixturevalue("shared") / "golden" / "functions.npz"
    with np.load(file) as arrays:
        return {key: arrays[key] for key in arrays.files if key.split(".")[0] not in {"op", "tf", "tf_in", "post"}}
