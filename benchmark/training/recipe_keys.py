"""Dotted keys of recipes: known keys and overrides. Imports no registry of the project."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from typing import Any

import mmengine.runner  # noqa: F401  (registers the optimizers, schedules, hooks and loops that a recipe may name)
from mmengine.registry import HOOKS, OPTIMIZERS, PARAM_SCHEDULERS, VISBACKENDS

from benchmark.tasks import suggest


class ConfigError(ValueError):
    """A recipe, a name or an override is wrong; the message is one line for the user."""


def override(recipe: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of a recipe.

    The parents of the key must exist. A key below a `type` is compared with the constructor of that class; all other
    names and values are compared with `benchmark.training.settings` later.

    Raises:
        ConfigError: for an unknown key.
    """
    *parents, leaf = key.split(".")
    node: Any = recipe
    for depth, part in enumerate(parents):
        node = _child(node, part, key, ".".join(parents[: depth + 1]))
    if isinstance(node, list):
        node[_index(node, leaf, key)] = value
        return
    found = constructor(node) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or (found is not None and leaf not in {*node, *keywords(found)[0]}):
        raise ConfigError(f"no setting {key!r} in the recipe.{suggest(key, _paths(recipe))}")
    recipe_node: Any = node
    recipe_node[leaf] = value


def _child(node: Any, part: str, key: str, so_far: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, key)]
    if not isinstance(node, Mapping) or part not in node:
        known = ", ".join(node) if isinstance(node, Mapping) else "nothing below it"
        raise ConfigError(f"no setting {key!r} in the recipe: {so_far!r} does not exist (found: {known})")
    return node[part]


def _index(values: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(values):
        raise ConfigError(f"{key!r}: {part!r} must be a number from 0 to {len(values) - 1}")
    return int(part)


def constructor(node: Mapping[str, Any]) -> Any | None:
    """The class of an optimizer, schedule, hook or log that a config node names by `type`; None if not registered."""
    name = node.get("type")
    for registry in (OPTIMIZERS, PARAM_SCHEDULERS, HOOKS, VISBACKENDS):
        # mmengine would import an object by its path, if `type` is not a registered name.
        found = registry.get(name) if isinstance(name, str) and "." not in name else None
        if found is not None:
            return found
    return None


def keywords(factory: Callable[..., Any]) -> tuple[list[str], bool]:
    """Keywords of a constructor, and True if it also takes any other keyword.

    A class whose constructor passes `**kwargs` on, such as a schedule of mmengine, takes the keywords of its base
    classes too.
    """
    classes = [base for base in getattr(factory, "__mro__", ()) if "__init__" in vars(base) and base is not object]
    names: dict[str, None] = {}
    for callee in [base.__init__ for base in classes] or [factory]:
        parameters = list(signature(callee).parameters.values())[len(classes) > 0 :]
        names |= {part.name: None for part in parameters if part.kind not in (part.VAR_POSITIONAL, part.VAR_KEYWORD)}
        if all(part.kind is not part.VAR_KEYWORD for part in parameters):
            return list(names), False
    return list(names), True


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of all settings of a recipe."""
    pairs = node.items() if isinstance(node, Mapping) else ()
    for name, child in pairs:
        yield f"{prefix}{name}"
        yield from _paths(child, f"{prefix}{name}.")


def literal(value: Any) -> Any:
    """Value of a string that is a Python literal; other strings and values are returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """`["train_cfg.max_iters=10"]` -> `{"train_cfg.max_iters": "10"}`.

    Raises:
        ConfigError: for an argument without "=".
    """
    texts = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set takes key=value, found {assignment!r}")
        texts[key.strip()] = value.strip()
    return texts


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """`["train_cfg.max_iters=10"]` -> `{"train_cfg.max_iters": 10}`; see `parse_assignments`."""
    return {key: literal(text) for key, text in parse_assignments(assignments).items()}
