"""Findings of the checks, and their table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.records.escaping import escape_markdown
from benchmark.records.provenance import code_state, hardware, utc, versions
from benchmark.records.validation import shortened

PASSED, FAILED, SKIPPED = "passed", "FAILED", "not run"
COLUMNS = ("check", "subject", "verdict", "found")


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Args:
        check: name of the check.
        subject: network, recipe or setting.
        verdict: "passed", "FAILED" or "not run".
        found: measured values, in words.
    """

    check: str
    subject: str
    verdict: str
    found: str


Check = Callable[[], Iterator[Finding]]


def finding(check: str, subject: str, passed: bool, found: str) -> Finding:
    """A finding that passed or failed."""
    return Finding(check, subject, PASSED if passed else FAILED, found)


def findings_of(checks: Sequence[tuple[str, Check]], seconds: float) -> Iterator[Finding]:
    """Findings of the checks in their order. An error of a check is a finding; after `seconds` no check begins.

    Args:
        checks: name and function of each check.
        seconds: time for all checks.
    """
    end = time.monotonic() + seconds
    for name, check in checks:
        if time.monotonic() > end:
            yield Finding(name, "", SKIPPED, f"the {seconds / 60:.0f} minutes are over")
            continue
        try:
            yield from check()
        # Any error of a check is a finding, and the next check runs.
        except Exception as error:
            yield finding(name, "", False, f"{type(error).__name__}: {shortened(error, 200)}")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def markdown(findings: Sequence[Finding], device: str, command: str, seconds: float) -> str:
    """The table with device, versions and commit, as a Markdown page."""
    machine, code, packages = hardware(), code_state(), versions()
    name = torch.cuda.get_device_name() if device == "cuda" else machine["cpu"]
    rows = [[getattr(row, column) for column in COLUMNS] for row in findings]
    table = [COLUMNS, ["---"] * len(COLUMNS), *([escape_markdown(text) for text in row] for row in rows)]
    facts: dict[str, Any] = {
        "command": f"`{command}`",
        "finished": utc(time.time()),
        "minutes": f"{seconds / 60:.1f}",
        "torch": packages.get("torch"),
        "commit": f"{code['commit']}{' with changes' if code['dirty'] else ''}",
        "cores": machine["cores"],
    }
    lines = [f"# Device check: {name}", "", *(f"* {key}: {value}" for key, value in facts.items()), ""]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in table), ""])
