"""Reader of cards: descriptions of metrics and data sets in the docstrings of their modules.

A docstring holds a card below an underlined heading, as Markdown bullets:

    Metric card                                       Data card
    -----------                                       ---------
    * **Valid pixels**: labelled ones.                * **What**: 1449 frames of indoor scenes.
    * **Source**: eq. 3.                              * **Semseg**: 40 classes.

    `mIoU`, `mIoU@crop`
    * **Formula**: `mean over classes of I / U`

A field above the first name holds for every name. A field below a name holds for this name alone, and replaces a field
of the same title above the first name. Docstrings are read from the source files, so no module is imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

METRIC_HEADING, DATA_HEADING = "Metric card", "Data card"

METRIC_FIELDS = ("Formula", "Valid pixels", "Resolution", "Pooling", "Source", "Deviations")
"""Required fields of a metric card."""

DATA_FIELDS = ("What", "Source", "Licence", "Size", "Images", "Deviations")
"""Required fields of a data card, in addition to one field for each task."""

_FIELD = re.compile(r"\* \*\*(?P<field>[^*]+)\*\*: *(?P<text>.*)")
_NAMES = re.compile(r"`[^`]+`(?:, `[^`]+`)*")


class CardError(ValueError):
    """A card is unreadable or incomplete; the message names the card and the remedy."""


@dataclass(frozen=True)
class MetricCards:
    """Metric cards of one module.

    Args:
        module: path of the source file.
        title: first line of its docstring, without the full stop.
        common: fields of all its metrics.
        own: further fields of each metric, by metric name.
    """

    module: Path
    title: str
    common: Mapping[str, str]
    own: Mapping[str, Mapping[str, str]]

    def field(self, name: str, field: str) -> str:
        """Text of a field of a metric; empty if missing."""
        return self.own[name].get(field) or self.common.get(field, "")


def docstring(path: Path) -> str:
    """Docstring of a source file, without common indentation; empty if missing."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def section(text: str, heading: str) -> str:
    """Text from an underlined heading to the next heading; empty if the heading is missing."""
    lines = text.splitlines()
    underlined = [
        number
        for number in range(len(lines) - 1)
        if lines[number].strip() and re.fullmatch(r"[-=]{3,}", lines[number + 1].strip())
    ]
    starts = [number for number in underlined if lines[number].strip() == heading]
    if not starts:
        return ""
    end = next((number for number in underlined if number > starts[0]), len(lines))
    return "\n".join(lines[starts[0] + 2 : end]).strip()


def fields(text: str) -> dict[str, str]:
    """Bullets of a card by name, continuation lines joined.

    Raises:
        CardError: if a field occurs twice.
    """
    found: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        bullet = _FIELD.match(line)
        if bullet:
            current = bullet["field"]
            if current in found:
                raise CardError(f"the field {current!r} occurs twice")
            found[current] = bullet["text"]
        elif current and line.startswith(" "):
            found[current] = f"{found[current]} {line.strip()}".strip()
        elif line.strip():
            current = ""
    return found


def metric_cards(folders: Iterable[Path]) -> list[MetricCards]:
    """Metric cards of all modules below the folders, in the order of the paths.

    Raises:
        CardError: if a card cannot be read.
    """
    files = (path for folder in folders for path in sorted(folder.rglob("*.py")))
    return [cards for path in files if (cards := _module_cards(path)) is not None]


def _module_cards(path: Path) -> MetricCards | None:
    text = docstring(path)
    body = section(text, METRIC_HEADING)
    if not body:
        return None
    head: list[str] = []
    parts: dict[str, list[str]] = {}
    target = [head]
    for line in body.splitlines():
        if _NAMES.fullmatch(line.strip()) and not line.startswith(" "):
            names = [name.strip().strip("`") for name in line.split(",")]
            twice = [name for name in names if name in parts]
            if twice:
                raise CardError(f"{path}: the metric {twice[0]!r} has two cards; keep one")
            target = [parts.setdefault(name, []) for name in names]
            continue
        for lines in target:
            lines.append(line)
    try:
        own = {name: fields("\n".join(lines)) for name, lines in parts.items()}
        common = fields("\n".join(head))
    except CardError as error:
        raise CardError(f"{path}: {error}; keep one") from None
    return MetricCards(path, text.splitlines()[0].rstrip("."), common, own)


def incomplete(cards: Iterable[MetricCards], wanted: Iterable[str]) -> list[str]:
    """Missing cards and fields of metrics, one line each.

    Args:
        cards: cards of all modules.
        wanted: names of all metrics.
    """
    known = list(cards)
    problems = [
        f"{group.module}: the card of {name!r} lacks {field!r}"
        for group in known
        for name in group.own
        for field in METRIC_FIELDS
        if not group.field(name, field)
    ]
    described = {name for group in known for name in group.own}
    return problems + [
        f"no docstring of benchmark/metrics has a card of {name!r}; write one below {METRIC_HEADING!r}"
        for name in wanted
        if name not in described
    ]


def incomplete_data(path: Path, tasks: Iterable[str]) -> list[str]:
    """Missing fields of the card of a data set, one line each.

    Args:
        path: source file that registers the data set.
        tasks: names of its tasks.
    """
    body = section(docstring(path), DATA_HEADING)
    if not body:
        return [f"{path}: the docstring has no {DATA_HEADING!r}"]
    present = {name.lower() for name in fields(body)}
    # "Labels" replaces the task fields for a data set whose tasks come from the user's data.
    wanted = DATA_FIELDS if "labels" in present else (*DATA_FIELDS, *tasks)
    return [f"{path}: the data card lacks {field!r}" for field in wanted if field.lower() not in present]
