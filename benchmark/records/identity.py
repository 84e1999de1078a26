"""Identity of a cell by its ingredients, which are all inputs that can change its numbers.

`benchmark.training.identity` computes `Ingredients` from recipes and registries. They are stored with each result, so
tables compare stored cells without computing ingredients. Imports no torch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from benchmark.records.validation import (
    CONFIG,
    Count,
    Json,
    Name,
    Text,
    canonical_json,
    one_line_errors,
    unchanged,
    validated,
)

__all__ = ["WITHOUT_EFFECT", "Ingredients", "flat", "has_effect", "normalised", "source_digest"]

WITHOUT_EFFECT = (
    "root",
    "*.root",
    "version",
    "log_level",
    "log_processor",
    "log_processor.*",
    "vis_backends",
    "vis_backends.*",
    "checkpoint_interval",
    "default_hooks.logger",
    "default_hooks.logger.*",
    "default_hooks.timer",
    "default_hooks.timer.*",
    "*.num_workers",
    "*.persistent_workers",
    "*.prefetch_factor",
    "*.pin_memory",
    "*_dataloader.dataset.cache",
    "accelerate",
    "accelerate.*",
)
"""Settings of a recipe that cannot change a number, as patterns of dotted keys. The data are identified by content in
place of their folder, and `Ingredients.versions` has the version."""


def has_effect(key: str) -> bool:
    """Return True if a setting of a recipe can change a number."""
    return not any(fnmatchcase(key, pattern) for pattern in WITHOUT_EFFECT)


Values = Annotated[Mapping[str, Any], unchanged(dict[Name, Json])]
Texts = Annotated[Mapping[str, str], unchanged(dict[Name, Text])]


@one_line_errors
@dataclass(frozen=True, config=CONFIG)
class Ingredients:
    """Everything that can change the numbers of a cell, except its seed.

    Args:
        settings: effective settings by dotted key, values normalised, settings at their default left out.
        versions: versions by component: method, regularizer, backbone, recipe, training.
        files: hash of each file of the user that the cell uses, by file name.
        data: id of the data, and their fingerprint if it is equal on all machines.
        needs: digests of the cells that this cell needs, by method.
    """

    settings: Values
    versions: Annotated[Mapping[str, int], unchanged(dict[Name, Count])]
    files: Texts = field(default_factory=dict)
    data: Values = field(default_factory=dict)
    needs: Texts = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the ingredients, as hexadecimal text; equal for all seeds."""
        return sha256(canonical_json(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values."""
        return {name: dict(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: Any) -> Ingredients:
        """Convert from plain JSON values.

        Raises:
            RecordError: naming the key, the value found and the value expected.
        """
        return validated(cls, data, "ingredients")

    def changes_since(self, old: Ingredients) -> list[str]:
        """Differences from older ingredients, one phrase each, such as "film.py changed since"."""
        return [*self._files(old), *self._versions(old), *self._data(old), *self._needs(old), *self._settings(old)]

    def _files(self, old: Ingredients) -> Iterator[str]:
        for name in sorted({*old.files, *self.files}):
            if name not in old.files:
                yield f"{name} takes part now"
            elif name not in self.files:
                yield f"{name} no longer takes part"
            elif old.files[name] != self.files[name]:
                yield f"{name} changed since"

    def _versions(self, old: Ingredients) -> Iterator[str]:
        for part in sorted({*old.versions, *self.versions}):
            before, now = old.versions.get(part, 1), self.versions.get(part, 1)
            if before != now:
                yield f"{' '.join(filter(None, (part, self.settings.get(part))))} version {before} -> {now}"

    def _data(self, old: Ingredients) -> Iterator[str]:
        for key in sorted({*old.data, *self.data}):
            before, now = old.data.get(key), self.data.get(key)
            if before != now:
                yield f"data {key} {before} -> {now}"

    def _needs(self, old: Ingredients) -> Iterator[str]:
        for method in sorted({*old.needs, *self.needs}):
            if old.needs.get(method) != self.needs.get(method):
                yield f"the needed cell of {method} changed since"

    def _settings(self, old: Ingredients) -> Iterator[str]:
        for key in sorted({*old.settings, *self.settings}):
            before, now = (settings.get(key, "default") for settings in (old.settings, self.settings))
            if before != now:
                yield f"{key} {before} -> {now}"


def normalised(value: Any) -> Any:
    """One JSON value for equal values: 1 for 1.0, a list for a tuple.

    Raises:
        TypeError: for a value that JSON does not know.
    """
    if isinstance(value, Mapping):
        return {str(key): normalised(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [normalised(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} is no JSON value")


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf of nested mappings and lists of mappings."""
    if isinstance(value, Mapping):
        children: Any = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        children = enumerate(value)
    else:
        yield prefix, value
        return
    for name, child in children:
        yield from flat(child, f"{prefix}.{name}" if prefix else str(name))


def source_digest(path: str | Path) -> str:
    """SHA-256 of a user's file: of its syntax tree without docstrings and comments, or of the bytes of other files.

    Raises:
        OSError: if the file cannot be read.
    """
    return content_digest(Path(path).read_bytes(), Path(path).suffix)


def content_digest(content: bytes, suffix: str) -> str:
    """`source_digest` of the content of a file whose name ends with `suffix`."""
    if suffix == ".py":
        with suppress(SyntaxError, ValueError):
            content = canonical_json(_tree(ast.parse(content))).encode()
    return sha256(content).hexdigest()


def _tree(node: Any) -> Any:
    """A syntax tree as JSON values, without empty fields, which differ between versions of Python."""
    if isinstance(node, list):
        return [_tree(item) for item in node if not _is_text_alone(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, _tree(value)) for name, value in ast.iter_fields(node) if value is not None and value != [])
    return [type(node).__name__, *(pair for pair in fields if pair[1])]


def _is_text_alone(node: Any) -> bool:
    """Return True for a docstring: a statement that is only a string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
