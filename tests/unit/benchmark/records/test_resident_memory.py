"""Peak memory of a process that a larger process started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]
MIB = 2**20
CHILD = """
from benchmark.records.resident_memory import peak_resident_bytes
before = peak_resident_bytes()
block = b"x" * (200 * 2**20)
del block
print(before, peak_resident_bytes())
"""
PARENT = f"""
import subprocess, sys
block = b"x" * (600 * 2**20)
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


def test_memory_of_the_parent_does_not_count() -> None:
    """600 MiB in the parent; 200 MiB in the child, freed again."""
    command = [sys.executable, "-c", PARENT]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    before, after = map(int, done.stdout.split())
    assert 5 * MIB < before < 300 * MIB
    assert abs(after - before - 200 * MIB) < 20 * MIB
