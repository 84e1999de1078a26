"""Report on a data set, as text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

PREPARE_AGAIN = "restore it or prepare the data set again"

_NUMBER = re.compile(r"[-+]?\d[\w.+-]*|\bnan\b|\binf\b")


@dataclass(frozen=True)
class Finding:
    """One fault or doubtful property of a data set.

    Args:
        level: "problem" makes results wrong; "warning" may be intended.
        where: the file or folder, the first one of several.
        text: fault and remedy, in one line.
        others: number of further files with the same finding.
    """

    level: Literal["problem", "warning"]
    where: str
    text: str
    others: int = 0

    def line(self) -> str:
        """The finding in one line; unprintable characters become blanks."""
        more = f" ({self.others} further {'file' if self.others == 1 else 'files'} like this)" if self.others else ""
        return "".join(
            character if character.isprintable() else " "
            for character in f"{self.level}: {self.where}: {self.text}{more}"
        )


def problem(where: object, text: str) -> Finding:
    """A problem at one file or folder."""
    return Finding("problem", str(where), text)


def warning(where: object, text: str) -> Finding:
    """A warning about one file or folder."""
    return Finding("warning", str(where), text)


def grouped(findings: Iterable[tuple[str, Finding]]) -> list[Finding]:
    """Merge findings that differ only in file and numbers: the first one, with the number of the others.

    Args:
        findings: modality and finding; findings of different modalities are not merged.
    """
    first: dict[tuple[str, str, str], Finding] = {}
    for modality, finding in findings:
        key = modality, finding.level, _NUMBER.sub("#", finding.text)
        previous = first.get(key)
        first[key] = replace(previous, others=previous.others + 1) if previous else finding
    return list(first.values())


@dataclass(frozen=True)
class ModalityLine:
    """One row of the table in the report: one modality in one split.

    Args:
        modality: name of the modality.
        split: name of the split.
        frames: number of examined frames with a readable file.
        coverage: share of labelled pixels; None for images.
        facts: further numbers by name, see `summary`.
    """

    modality: str
    split: str
    frames: int
    coverage: float | None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Findings and table of an examination.

    Args:
        root: examined folder.
        id: id of the data set; empty if dataset.json cannot be read.
        counts: number of frames per split in frames.csv.
        examined: number of frames whose files were read.
        total: number of frames of the data set.
        lines: rows of the table.
        findings: findings, problems first.
    """

    root: str
    id: str
    counts: dict[str, int]
    examined: int
    total: int
    lines: Sequence[ModalityLine]
    findings: Sequence[Finding]

    @property
    def problems(self) -> list[Finding]:
        """The findings that make results wrong."""
        return [finding for finding in self.findings if finding.level == "problem"]

    def text(self) -> str:
        """The report as plain text."""
        counts = ", ".join(f"{number} {split}" for split, number in self.counts.items()) or "none"
        parts = [f"{self.root}: {self.id or 'not a readable data set'}", f"frames: {counts}; read {self.examined}"]
        if self.lines:
            parts += ["", *table(self.lines)]
        parts += ["", *(finding.line() for finding in self.findings)] if self.findings else []
        return "\n".join([*parts, "", self.verdict()])

    def verdict(self) -> str:
        """The last line: ok, or the number of problems."""
        warnings = len(self.findings) - len(self.problems)
        noted = f", {warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else ""
        part = "" if self.examined == self.total else f" in {self.examined} of {self.total} frames"
        if not self.problems:
            return f"ok: no problem found{part}{noted}"
        return f"not ok: {len(self.problems)} {'problem' if len(self.problems) == 1 else 'problems'}{part}{noted}"

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON-compatible dictionary."""
        return {
            "root": self.root,
            "id": self.id,
            "ok": not self.problems,
            "frames": self.counts,
            "examined": self.examined,
            "total": self.total,
            "modalities": [
                {
                    "modality": line.modality,
                    "split": line.split,
                    "frames": line.frames,
                    "coverage": line.coverage,
                    **line.facts,
                }
                for line in self.lines
            ],
            "findings": [asdict(finding) for finding in self.findings],
        }


def table(lines: Sequence[ModalityLine]) -> list[str]:
    """Lines of the table, with aligned columns."""
    head = ("modality", "split", "frames", "labelled", "")
    rows = [head, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(line: ModalityLine) -> tuple[str, ...]:
    facts = ", ".join(f"{name} {_format_value(value)}" for name, value in line.facts.items())
    coverage = "" if line.coverage is None else f"{100 * line.coverage:.1f} %"
    return line.modality, line.split, str(line.frames), coverage, facts


def _format_value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
