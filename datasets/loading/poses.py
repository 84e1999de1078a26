"""Camera poses: (4, 4) from the camera to the world, metres; camera frame x right, y down, z forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 1e-3
"""Largest deviation of an entry of R R^T from the identity; trackers write poses with few digits."""


def is_rigid(pose: Sequence[float] | NDArray[Any]) -> bool:
    """True if 16 numbers, row by row, are a rotation and a translation, without reflection and scale."""
    matrix = np.array(pose, np.float64).reshape(4, 4)
    rotation = matrix[:3, :3]
    if not np.isfinite(matrix).all() or not (matrix[3] == (0, 0, 0, 1)).all():
        return False
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=_TOLERANCE) and np.linalg.det(rotation) > 0)


def inverse(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a rigid pose: world-to-camera from camera-to-world, or the reverse."""
    back = np.eye(4)
    back[:3, :3] = pose[:3, :3].T
    back[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return back
