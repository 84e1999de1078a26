"""Import of a file of public code as a method with its weights."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor

import mtl_methods.published
from benchmark.contracts import Method
from benchmark.records.validation import shortened
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods.published.description import Published
from mtl_methods.published.renaming import ImportRefusedError, translate

MOST_CHARACTERS = 160
"""Length of a quoted message of torch."""
CONTAINERS = ("state_dict", "model", "model_state_dict", "network")
"""Keys under which public training code stores the state dict in a checkpoint."""

_NUMPY = (
    np.dtype,
    np.ndarray,
    *(type(np.dtype(kind)) for kind in (*"?bhilqBHILQefd", "U", "S")),
    *(
        (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for core in ("core", "_core")
    ),
)
PLAIN: tuple[Any, ...] = (Namespace, *_NUMPY)
"""Classes that public training code stores with its tensors: options, and scores as NumPy numbers. Loading them runs no
code of the file."""


LIGHTNING = ("pytorch_lightning.", "lightning.", "lightning_fabric.")
"""Modules of classes in checkpoints of Lightning: callbacks as keys, options as values."""


class _Nothing:
    """Placeholder for a class of Lightning in a file, so that no code of Lightning is imported or run."""

    def __init__(self, *values: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class Imported(NamedTuple):
    """A published network in the terms of this suite.

    Args:
        description: method, backbone, channels and options.
        tasks: the tasks in the order of the file, with the channels of the file.
        method: the method with the published weights.
    """

    description: Published
    tasks: TaskSet
    method: Method


def formats() -> tuple[str, ...]:
    """The formats that can be imported."""
    return tuple(sorted({module.FORMAT for module in _readers()}))


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save`; code in the file is never run.

    Raises:
        ImportRefusedError: if the file is missing, has another format, or contains more than tensors and plain values.
    """
    try:
        with torch.serialization.safe_globals([*PLAIN, *_of_lightning(path)]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ImportRefusedError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        reason = shortened((str(error).strip() or "unreadable").splitlines()[0], MOST_CHARACTERS)
        raise ImportRefusedError(
            f"{path}: refused, since it holds more than tensors and plain values ({reason}); "
            "save its state_dict alone and import that"
        ) from None
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, UnicodeDecodeError, KeyError, IndexError) as error:
        reason = shortened(error, MOST_CHARACTERS)
        raise ImportRefusedError(f"{path}: no checkpoint that torch can read ({reason})") from None
    return _state_in(content, path)


def _of_lightning(path: Path) -> list[tuple[type, str]]:
    """Placeholders for the classes of Lightning that a file names."""
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, OSError, EOFError, pickle.UnpicklingError):
        # Not a file of torch's newer format: the error comes from reading it.
        return []
    # One class per name, since two callbacks are two keys of one mapping. Torch fills only dict and its
    # own mappings, so every class whose name ends in Dict is read as dict.
    return [
        (dict if name.endswith("Dict") else type("Nothing", (_Nothing,), {}), name)
        for name in named
        if name.startswith(LIGHTNING)
    ]


def import_state(kind: str, state: Mapping[str, Tensor], known: TaskSet, options: Mapping[str, Any]) -> Imported:
    """Turn a published state dict into a method.

    Args:
        kind: one of `formats()`.
        state: the published state dict.
        known: tasks that may occur, by our names.
        options: constructor arguments that the file does not contain, such as the genotype of ATRC.

    Raises:
        ImportRefusedError: if no network of the format has such tensors, or if a tensor does not fit.
    """
    reader = _reader_of(kind, state)
    # Some formats have tensors that our method does not have, or lack tensors that it has.
    state = reader.prepared(state) if hasattr(reader, "prepared") else state
    description: Published = reader.describe(state)
    description = replace(description, options={**description.options, **options})
    tasks = _tasks_of(description, known)
    method: Method = METHODS.create(description.method, tasks, description.backbone, **description.options)
    method.load_state_dict(translate(state, reader.rules(description), method.state_dict()))
    return Imported(description, tasks, method.eval())


def _readers() -> list[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(mtl_methods.published.__path__))
    modules = [importlib.import_module(f"{mtl_methods.published.__name__}.{name}") for name in names]
    return [module for module in modules if hasattr(module, "FORMAT")]


def _reader_of(kind: str, state: Mapping[str, Tensor]) -> ModuleType:
    candidates = [reader for reader in _readers() if kind == reader.FORMAT]
    if not candidates:
        raise ImportRefusedError(f"no format named {kind!r}; formats: {', '.join(formats())}")
    for reader in candidates:
        if reader.recognise(state):
            return reader
    raise ImportRefusedError(
        f"no network of format {kind!r} has tensors such as {next(iter(state))!r}; known networks: "
        f"{', '.join(reader.__name__.rpartition('.')[2] for reader in candidates)}"
    )


def _tasks_of(description: Published, known: TaskSet) -> TaskSet:
    for name in description.channels:
        if name not in known:
            raise ImportRefusedError(f"the file has a task {name!r}, known are {', '.join(known)}")
    return TaskSet(replace(known[name], channels=count) for name, count in description.channels.items())


def _state_in(content: Any, path: Path) -> dict[str, Tensor]:
    for container in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(container), Mapping):
            content = content[container]
    if not isinstance(content, Mapping) or not content:
        raise ImportRefusedError(f"{path}: holds no state dict, but {type(content).__name__}")
    others = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise ImportRefusedError(f"{path}: {others[0]!r} is no tensor, so this is no state dict")
    # nn.DataParallel adds a prefix to all names.
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
