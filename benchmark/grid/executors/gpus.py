"""GPUs of this machine, and their distribution to cells. Imports no torch."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from itertools import takewhile

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[str, ...]:
    """Numbers or names of the GPUs that this process may use."""
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:
        names = (name.strip() for name in chosen.split(","))
        # CUDA ends the list at an invalid number.
        return tuple(takewhile(lambda name: name not in ("", "-1"), names))
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(answer.stdout.split()) if answer.returncode == 0 else ()


def cells_at_once(gpus: int, per_cell: float) -> int:
    """Number of cells that a number of GPUs takes at a time; a cell with a part of a GPU has it on one GPU.

    Args:
        gpus: number of GPUs.
        per_cell: GPUs of a cell: a whole number, or a part of one GPU, above 0.
    """
    return gpus * int(1 / per_cell) if per_cell < 1 else gpus // round(per_cell)


class GpuShares:
    """Hands out GPUs to cells, and takes them back.

    Args:
        gpus: names of the GPUs.
        per_cell: GPUs of a cell, a whole number; below 1 for several cells on one GPU, 0 for none.
    """

    def __init__(self, gpus: Sequence[str], per_cell: float) -> None:
        self.per_cell = per_cell
        on_one_gpu = cells_at_once(1, min(per_cell, 1.0)) if per_cell else 0
        # One after the other, so that cells spread over the GPUs before two of them share one.
        self._free = [gpu for _ in range(on_one_gpu) for gpu in gpus]

    def take(self) -> tuple[str, ...]:
        """The GPUs of one more cell.

        Raises:
            OSError: if too few are free.
        """
        count = max(1, round(self.per_cell)) if self.per_cell else 0
        if count > len(self._free):
            raise OSError(f"{len(self._free)} GPUs are free, a cell needs {count}")
        taken, self._free = self._free[:count], self._free[count:]
        return tuple(taken)

    def give_back(self, gpus: Sequence[str]) -> None:
        """Take the GPUs of a cell back."""
        self._free.extend(gpus)


def free_port() -> int:
    """A port of this machine that no process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
