"""Specs from result files, which may come from any source and so must name registered code only.

mmengine imports and calls any object that a `type` names, and a recipe is a Python file. So a stored result may name
only shipped recipes and registered types. Other code runs only if the user names it: a recipe file, or a file with
`--import`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mmengine.registry import HOOKS, LOOPS, OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS

from benchmark.records.result import RunResult, RunSpec
from benchmark.training.recipe_files import recipe_names
from benchmark.training.recipe_keys import ConfigError, literal

REGISTRIES = (HOOKS, LOOPS, OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS)
LOCAL_LOGS = ("LocalVisBackend", "TensorboardVisBackend")
"""Log writers that send nothing over the network."""
CODE_KEYS = ("type", "constructor", "options")
"""Keys whose value mmengine imports if it is not registered, or whose value names a compiler for `torch.compile`."""


def trusted_spec(result: RunResult, recipe: str | None = None) -> RunSpec:
    """The spec of a stored result, after a check that composing it runs no foreign code.

    Args:
        result: result from a file.
        recipe: name or file from the user, in place of the result's recipe.

    Raises:
        ConfigError: if the result names a recipe that is not shipped, or a type that is not registered.
    """
    spec = result.spec
    if recipe is None and spec.recipe not in recipe_names():
        raise ConfigError(
            f"{result.run_id}: the result names the recipe {spec.recipe!r}, which is not a shipped one; a "
            "recipe is code: if you trust the file, name it with --recipe"
        )
    registered = {*LOCAL_LOGS, *(name for registry in REGISTRIES for name in registry.module_dict)}
    # Parsed as in `load_recipe`, since a text may be the literal of a mapping.
    values = {key: literal(value) for key, value in spec.overrides.items()}
    for key, value in _code_values(values):
        if not isinstance(value, str) or value not in registered:
            raise ConfigError(f"{result.run_id}: override {key}: found {value!r}, expected a registered name")
    return spec if recipe is None else replace(spec, recipe=recipe)


def _code_values(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of the settings that select code."""
    if key.rpartition(".")[2] in CODE_KEYS:
        yield key, node
    elif isinstance(node, Mapping):
        for name, value in node.items():
            yield from _code_values(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _code_values(value, f"{key}.{index}")
