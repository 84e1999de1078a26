"""The setting `compile` of a recipe: keywords of torch.compile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.tasks import suggest

SETTING = "compile"
"""Optional setting: True, or keywords of `torch.compile` for the method."""
OPTIONS = ("backend", "dynamic", "fullgraph", "mode", "options")


def compile_options(recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """Keywords of `torch.compile` from a recipe; None without compilation.

    Raises:
        ValueError: for values other than True, False, None and a mapping of `OPTIONS`.
    """
    chosen = recipe.get(SETTING, False)
    if chosen is None or isinstance(chosen, bool):
        return {} if chosen else None
    if not isinstance(chosen, Mapping):
        raise ValueError(f"{SETTING} is True, False or a mapping of {', '.join(OPTIONS)}; found {chosen!r}")
    for name in chosen:
        if name not in OPTIONS:
            raise ValueError(f"{SETTING} has no option {name!r}.{suggest(name, OPTIONS)} Options: {', '.join(OPTIONS)}")
    return dict(chosen)
