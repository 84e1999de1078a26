"""Errors of predictions as pictures: black is right, bright is wrong, grey has no label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.tasks import Task
from benchmark.visualization.colors import Picture, on_scale

WORST_SHARE, WORST_ANGLE = 0.5, 45.0
"""Error of the brightest colour: of a value as a share of the label; of a direction in degrees."""
NO_LABEL = 0.35
"""Grey of pixels without a label."""
LEGENDS = {
    "class": "bright: another class",
    "value": f"0 to {WORST_SHARE:.0%} of the label",
    "direction": f"0 to {WORST_ANGLE:g} degrees",
    "probability": "difference of probabilities, 0 to 1",
    "mask": "difference of probabilities, 0 to 1",
}
"""Meaning of the scale by readout."""


def error_map(
    task: Task, values: NDArray[np.float32], target: NDArray[np.float32], valid: NDArray[np.bool_]
) -> Picture:
    """(H, W, 3) picture of the error of a prediction.

    Args:
        task: its `readout` selects the error; `LEGENDS` has the scales.
        values: (C, H, W) prediction after the read-out.
        target: (C, H, W) label.
        valid: (H, W) pixels with a label.
    """
    if task.readout == "class":
        error = (values[0] != target[0]).astype(np.float32)
    elif task.readout == "value":
        error = np.abs(values[0] - target[0]) / np.where(valid, np.abs(target[0]), 1.0).clip(1e-6) / WORST_SHARE
    elif task.readout == "direction":
        cosine = (values * target).sum(0).clip(-1, 1)
        error = np.degrees(np.arccos(cosine)) / WORST_ANGLE
    else:
        error = np.abs(values[0] - target[0])
    picture = on_scale(error.astype(np.float32), (0.0, 1.0), "inferno")
    return np.where(valid[..., None], picture, np.float32(NO_LABEL)).astype(np.float32)
