"""Peak memory of a piece of work."""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path

import torch

MIB = 2**20


class PeakMemory:
    """Peak memory since construction: of a GPU the memory of tensors, on a CPU the growth of the process.

    On a CPU the number is meaningful only in a fresh process: memory that was freed before is used again and does not
    count.

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
        """MiB at the peak, minus the memory at construction."""
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else _peak_bytes()
        return (peak - self.before) / MIB


def _forget_peak() -> None:
    """Reset the peak of this process to its present memory, if the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # macOS and some containers cannot. The peak then includes the memory that is loaded now.
        return


def _peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    # On Linux a child process inherits the ru_maxrss of its parent, so it is only the fallback.
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    unit = 1 if sys.platform == "darwin" else 1024
    return peaks[0] if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
