"""Peak memory of the code that runs between two calls."""

from __future__ import annotations

import gc
from pathlib import Path

import torch

from benchmark.records.resident_memory import peak_resident_bytes

MIB = 2**20


class PeakMemory:
    """Peak memory since construction: tensor memory on a GPU, growth of the process on a CPU.

    On a CPU, measure in a fresh process: reused memory that was freed before does not count.

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
            _reset_peak()
            self.before = peak_resident_bytes()

    def mb(self) -> float:
        """MiB at the peak, minus the memory at construction."""
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else peak_resident_bytes()
        return (peak - self.before) / MIB


def _reset_peak() -> None:
    """Reset the peak of this process to its present memory, if the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # macOS and some containers cannot reset the peak, which then includes the memory in use now.
        return
