"""Tables of all registered methods, regularizers and backbones, from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

from benchmark.registry import BACKBONES, METHODS, REGULARIZERS, Entry, Registry

NOTICE = "Made by `python tools/make_cards.py` from registries and docstrings; do not edit."


def entries_text() -> str:
    """docs/methods.md: one table per registry."""
    sections = (("Methods", METHODS), ("Regularizers and controls", REGULARIZERS), ("Backbones", BACKBONES))
    return "\n".join([f"# Methods, regularizers, backbones\n\n{NOTICE}", *(_section(*part) for part in sections), ""])


def _section(title: str, registry: Registry) -> str:
    shipped = (registry.entry(name) for name in registry.names())
    return "\n".join([f"\n## {title}\n", *table(entry for entry in shipped if is_shipped(entry, registry))])


def is_shipped(entry: Entry, registry: Registry) -> bool:
    """True if the suite registers the entry, not a file of a user."""
    return entry.factory.__module__.startswith(registry.package.partition(".")[0])


def table(entries: Iterable[Entry]) -> Iterator[str]:
    """Rows of a Markdown table of entries, header first."""
    yield "| name | idea | source | version |\n| --- | --- | --- | --- |"
    for entry in entries:
        link = entry.paper if entry.paper.startswith("http") else f"../{entry.paper}"
        yield f"| `{entry.name}` | {summary(entry)} | [{entry.title}, {entry.year}]({link}) | {entry.version} |"


def summary(entry: Entry) -> str:
    """Idea of an entry: the text after "NAME: " at the top of its module, else the first line of its factory.

    The docstring of a module with several entries does not begin with a name.
    """
    module = inspect.getdoc(inspect.getmodule(entry.factory)) or ""
    head = " ".join(module.partition("\n\n")[0].split())
    name, colon, idea = head.partition(": ")
    text = idea if colon and len(name) < 40 else (inspect.getdoc(entry.factory) or "").partition("\n")[0]
    return text.replace("|", "\\|")
