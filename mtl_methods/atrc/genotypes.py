"""Genotypes: which context a target task draws from a source task, for every pair of tasks.

A genotype is `{target: {source: context}}` by task name. The published genotypes were found by the search of Bruggemann
et al., ICCV 2021, and are facts of https://github.com/brdav/atrc, commit 76d8055, folder genotypes. That folder has no
genotype for PASCAL-Context with HRNet-W48.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.tasks import suggest
from mtl_methods.published.description import our_task

NONE, GLOBAL, LOCAL, T_LABEL, S_LABEL = CONTEXTS = ("none", "global", "local", "t_label", "s_label")
"""Contexts in the order of the numbers 0 to 4 of the public code. "none" removes the edge; T-label gathers the features
of the source by the label map of the target, S-label by the label map of the source."""

Genotype = dict[str, dict[str, str]]

WIDE_DECODER = 720
"""Channels of the concatenated branches of HRNet-W48; from this width on its genotype is the default."""

LETTERS = {"-": NONE, "g": GLOBAL, "l": LOCAL, "T": T_LABEL, "s": S_LABEL}


def _table(tasks: str, **rows: str) -> Genotype:
    """A genotype from one row of letters per target."""
    sources = tasks.split()
    return {
        target: dict(zip(sources, (LETTERS[letter] for letter in row.split()), strict=True))
        for target, row in rows.items()
    }


PUBLISHED: dict[str, Genotype] = {
    "nyud_hrnet18": _table(
        "semseg depth normals boundary", semseg="  T T s s", depth="   s T s s", normals=" s T T s", boundary="T T g T"
    ),
    "nyud_hrnet48": _table(
        "semseg depth normals boundary", semseg="  T - - s", depth="   s g g s", normals=" s g g s", boundary="T T T T"
    ),
    "pascal_hrnet18": _table(
        "semseg human_parts saliency normals boundary",
        semseg="     T T s - s",
        human_parts="T T s T s",
        saliency="   T T T s T",
        normals="    T T T T s",
        boundary="   T T T g T",
    ),
}


class GenotypeError(ValueError):
    """A genotype that does not exist, cannot be read, or does not fit the tasks."""


def resolve(choice: str | Mapping[str, Mapping[str, str]] | None, tasks: Sequence[str], channels: int) -> Genotype:
    """The genotype of a constructor argument, with exactly the edges between the given tasks.

    Args:
        choice: one of
            a published name, such as "nyud_hrnet18";
            a context for every edge including the diagonal;
            a path ending in .json, written by our search or by the public code;
            a genotype;
            None for the published genotype of these tasks and this width, see `default_name`. Edges from or to a task
            that it does not contain are global.
        tasks: names of the tasks, in order.
        channels: channels of the map that the task branches start from.

    Raises:
        GenotypeError: with the unknown name, or the missing edge.
    """
    if choice is None:
        table = PUBLISHED[default_name(tasks, channels)]
        return {target: {source: table.get(target, {}).get(source, GLOBAL) for source in tasks} for target in tasks}
    if not isinstance(choice, str):
        return checked(choice, tasks, "the genotype")
    if choice in CONTEXTS:
        return {target: dict.fromkeys(tasks, choice) for target in tasks}
    if choice.endswith(".json"):
        return checked(read(Path(choice)), tasks, choice)
    if choice not in PUBLISHED:
        known = [*PUBLISHED, *CONTEXTS]
        hint = suggest(choice, known)
        raise GenotypeError(f"no genotype {choice!r}.{hint} There are {', '.join(known)}, or the path of a .json file")
    return checked(PUBLISHED[choice], tasks, choice)


def default_name(tasks: Sequence[str], channels: int) -> str:
    """Name of the published genotype of the data set that shares most tasks.

    On NYU-v2 it is the genotype of HRNet-W48 for maps of its width or wider, else of HRNet-W18, for every backbone.
    """
    nyud = "nyud_hrnet48" if channels >= WIDE_DECODER else "nyud_hrnet18"
    return max((nyud, "pascal_hrnet18"), key=lambda name: len(set(tasks) & set(PUBLISHED[name])))


def checked(genotype: Mapping[str, Mapping[str, str]], tasks: Sequence[str], origin: str) -> Genotype:
    """The edges between `tasks`, in their order.

    Raises:
        GenotypeError: if an edge is missing or has a context that does not exist.
    """
    edges: Genotype = {target: {} for target in tasks}
    for target in tasks:
        for source in tasks:
            context = genotype.get(target, {}).get(source)
            if context is None:
                raise GenotypeError(f"{origin}: no context for target {target!r} and source {source!r}")
            if context not in CONTEXTS:
                raise GenotypeError(
                    f"{origin}: {context!r} for target {target!r} and source {source!r} is not one of "
                    f"{', '.join(CONTEXTS)}"
                )
            edges[target][source] = context
    return edges


def read(path: Path) -> Genotype:
    """Read a genotype file of `to_text`, or of the public search (numbers under "data").

    Raises:
        GenotypeError: if the file is missing or has another content.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GenotypeError(f"{path}: no such genotype file; tools/export_genotype.py writes one") from error
    except json.JSONDecodeError as error:
        raise GenotypeError(f"{path}: not a JSON file ({error})") from error
    table = content.get("genotype", content.get("data")) if isinstance(content, dict) else None
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise GenotypeError(f'{path}: expected {{"genotype": {{target: {{source: context}}}}}}')
    return {
        our_task(target): {our_task(source): _context(value) for source, value in row.items()}
        for target, row in table.items()
    }


def to_text(genotype: Mapping[str, Mapping[str, str]], origin: Mapping[str, Any]) -> str:
    """Content of a genotype file.

    Args:
        genotype: the genotype.
        origin: description of its source, for readers of the file.
    """
    return json.dumps({"genotype": genotype, "origin": dict(origin)}, indent=2) + "\n"


def _context(value: Any) -> str:
    """Name of a context that the public code writes as a number; names are unchanged."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(CONTEXTS):
        return CONTEXTS[value]
    return str(value)


def label_tasks(genotype: Genotype) -> list[str]:
    """The tasks whose label map an edge needs, in order. These tasks have an auxiliary head."""
    needed = {target for target, row in genotype.items() if T_LABEL in row.values()}
    needed |= {source for row in genotype.values() for source, context in row.items() if context == S_LABEL}
    return [task for task in genotype if task in needed]
