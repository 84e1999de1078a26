"""Dotted keys of recipes: which are known, and setting one. Imports no registry of ours."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import HOOKS, OPTIMIZERS, PARAM_SCHEDULERS, VISBACKENDS

from benchmark.tasks import suggest
from benchmark.training import compiling


class ConfigError(ValueError):
    """A recipe, a name or an override that cannot be used; the message is one line for the user."""


def override(recipe: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of a recipe.

    A key is known if the recipe has it, or if its parent names a `type` whose constructor takes it. Below `method`,
    `regularizer` and `loss_options` any key is taken here: who takes them is asked in `check_spec`.
    """
    *parents, leaf = key.split(".")
    node: Any = recipe
    for depth, part in enumerate(parents):
        node = _child(node, part, key, ".".join(parents[: depth + 1]))
    if isinstance(node, list):
        node[_index(node, leaf, key)] = value
        return
    open_ended = bool(parents) and (parents[0] in ("method", "regularizer") or parents[-1] == "loss_options")
    known = [*node, *_parameters_of_type(node)] if isinstance(node, Mapping) else []
    if not parents:
        known.append(compiling.SETTING)
    if parents[:1] == ["tasks"]:
        known += ["channels", "loss", "loss_options", "loss_weight"]
    if not open_ended and leaf not in known:
        raise ConfigError(f"no setting {key!r} in the recipe.{suggest(key, _paths(recipe))}")
    node[leaf] = value


def _child(node: Any, part: str, key: str, so_far: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, key)]
    if not isinstance(node, Mapping) or part not in node:
        known = ", ".join(node) if isinstance(node, Mapping) else "nothing below it"
        raise ConfigError(f"no setting {key!r} in the recipe: there is no {so_far!r} (here: {known})")
    return node[part]


def _index(values: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(values):
        raise ConfigError(f"{key!r}: {part!r} must be a number from 0 to {len(values) - 1}")
    return int(part)


def constructor(node: Mapping[str, Any]) -> Any | None:
    """The class that a config node names by `type`; None if it names no class of these registries."""
    name = node.get("type")
    for registry in (OPTIMIZERS, PARAM_SCHEDULERS, HOOKS, VISBACKENDS):
        found = registry.get(name) if isinstance(name, str) else None
        if found is not None:
            return found
    return None


def _parameters_of_type(node: Mapping[str, Any]) -> list[str]:
    """Constructor keywords of the class that a config node names by `type`."""
    found = constructor(node)
    return [] if found is None else list(inspect.signature(found).parameters)


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of all settings of a recipe."""
    pairs = node.items() if isinstance(node, Mapping) else ()
    for name, child in pairs:
        yield f"{prefix}{name}"
        yield from _paths(child, f"{prefix}{name}.")


def literal(value: Any) -> Any:
    """A string as the Python literal that it is; any other value, and a string that is none, as it stands."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value
