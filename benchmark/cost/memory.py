"""Peak memory of a piece of work."""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path

import torch

MIB = 2**20


class PeakMemory:
    """Peak memory from its making on: of the GPU what its tensors take, of a CPU what the process grew by.

    On a CPU it says something only in a process that has done nothing else before: memory that was freed is used
    again, and does not show.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.device = device
        gc.collect()
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            _forget_peak()
            self.before = _peak_bytes()

    def mb(self) -> float:
        """MiB at the peak, above what there was before."""
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else _peak_bytes()
        return (peak - self.before) / MIB


def _forget_peak() -> None:
    """Let the peak of this process start from what it holds now, where the system can do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # Not on macOS, nor in every container. What was loaded so far is then the least that the peak can be.
        return


def _peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    # getrusage would count the process that started this one too: Linux hands its peak on to a child.
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    unit = 1 if sys.platform == "darwin" else 1024
    return peaks[0] if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
