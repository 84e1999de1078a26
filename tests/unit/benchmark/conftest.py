"""Golden numbers of the public multi-task code, for losses and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Mapping[str, Any]:
    """Arrays by key: `in.*`, `loss.*`, `grad.*`, `metric.*`, `scheme.*`."""
    with np.load(golden_folder / "functions.npz") as arrays:
        return {key: arrays[key] for key in arrays.files if key.split(".")[0] not in {"op", "tf", "tf_in", "post"}}
