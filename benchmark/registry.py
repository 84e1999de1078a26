"""The registries: METHODS, REGULARIZERS, DATASETS, BACKBONES.

Each is a child of mmengine's (through mmsegmentation's) registry of the same kind, so a config can name mmengine and
mmseg modules too. Unlike mmengine's, an entry carries a title, a paper and a year, an unknown name is answered with
near matches, and the folder that holds the entries is imported on the first look-up, so nobody keeps a list.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import mmengine.registry
import mmseg.registry

from benchmark.tasks import TaskSet

ENTRY_POINT_GROUP = "dense_mtl_benchmark"
"""Installed packages that name a module in this entry-point group are imported on the first look-up."""

Registered = TypeVar("Registered", bound=Callable[..., Any])


class UnknownNameError(KeyError):
    """No entry of that name; the message holds near matches and what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


class DuplicateNameError(ValueError):
    """The name is taken."""


@dataclass(frozen=True)
class Entry:
    """What a registry knows of an entry.

    Args:
        name: the name in configs and on the command line.
        factory: the registered class or function.
        title: the name in tables, as in the paper.
        paper: link to the paper, or to the section of our documentation where there is none.
        year: year of publication.
        expected_failures: contract checks that this entry fails, with the reason; strict.
        accepts_regularizers: False for a method that has nothing to train.
        large: True for a backbone that takes seconds to build; the quick tests run it on the meta device only.
        in_all: False for what "all" leaves out, since it makes something other than a row of a table, as a search does.
        version: raised whenever its numbers change; part of the identity of a cell.
    """

    name: str
    factory: Callable[..., Any]
    title: str
    paper: str
    year: int
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    accepts_regularizers: bool = True
    large: bool = False
    in_all: bool = True
    version: int = 1


class Registry(mmengine.registry.Registry):
    """A registry that finds its own entries and explains itself.

    Args:
        kind: what an entry is, in the singular, for messages ("method").
        package: the package whose modules register the entries; a string, so that the core imports no sibling.
        parent: registry that is asked for names that are not ours.
    """

    def __init__(self, kind: str, package: str, parent: mmengine.registry.Registry) -> None:
        # The scope tells the registries apart below their common parent.
        super().__init__(kind, parent=parent, scope=package.replace(".", "_"))
        self.kind = kind
        self.package = package
        self.observers: list[Callable[[Any], None]] = []
        self._entries: dict[str, Entry] = {}
        self._discovered = False

    def register(
        self, name: str, *, title: str, paper: str, year: int, **flags: Any
    ) -> Callable[[Registered], Registered]:
        """Class decorator that adds an entry.

        Args:
            name: snake-case name.
            title: the name in tables.
            paper: link to the paper.
            year: year of publication.
            flags: further fields of `Entry`.

        Raises:
            DuplicateNameError: if another object holds the name.
        """

        def add(factory: Registered) -> Registered:
            taken = self._entries.get(name)
            if taken is not None:
                raise DuplicateNameError(
                    f"{self.kind} {name!r} is already registered by {taken.factory.__module__}; "
                    f"choose another name for the one in {factory.__module__}"
                )
            self._entries[name] = Entry(name, factory, title=title, paper=paper, year=year, **flags)
            self.register_module(name=name, module=factory)
            return factory

        return add

    def names(self, *patterns: str) -> list[str]:
        """Registered names in alphabetical order; with patterns, those that match one, in the order of the patterns.

        Args:
            patterns: exact names, wildcards such as "*net", or "all", see `Entry.in_all`.

        Raises:
            UnknownNameError: if a pattern matches nothing.
        """
        self._discover()
        known = sorted(self._entries)
        chosen: dict[str, None] = {}
        for pattern in patterns or ("*",):
            matches = [
                name
                for name in known
                if (self._entries[name].in_all if pattern == "all" else fnmatchcase(name, pattern))
            ]
            if not matches:
                raise self._unknown(pattern)
            chosen.update(dict.fromkeys(matches))
        return list(chosen)

    def entry(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UnknownNameError: with near matches, if there is none.
        """
        self._discover()
        if name not in self._entries:
            raise self._unknown(name)
        return self._entries[name]

    def create(self, name: str, /, *args: Any, **options: Any) -> Any:
        """Build the entry of that name from the arguments of its constructor, and show it to the observers."""
        made = self.entry(name).factory(*args, **options)
        for observe in self.observers:
            observe(made)
        return made

    @contextmanager
    def created(self) -> Iterator[list[Any]]:
        """What is created within the block, in the order of creation."""
        found: list[Any] = []
        self.observers.append(found.append)
        try:
            yield found
        finally:
            self.observers.remove(found.append)

    def import_from_location(self) -> None:
        """Find our own entries; mmengine calls this before a look-up in a config."""
        self._discover()

    def _unknown(self, name: str) -> UnknownNameError:
        near = get_close_matches(name, self._entries, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(repr(match) for match in near)}?" if near else ""
        return UnknownNameError(f"no {self.kind} named {name!r}.{hint} Registered: {', '.join(sorted(self._entries))}")

    def _discover(self) -> None:
        if self._discovered:
            return
        # Set first: the modules imported below may look names up themselves.
        self._discovered = True
        package = importlib.import_module(self.package)
        import_tree(package)
        for point in entry_points(group=ENTRY_POINT_GROUP):
            point.load()


def import_tree(package: ModuleType) -> None:
    """Import every public module below a package; names with a leading underscore are parts, not entries."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        leaf = module.name.rpartition(".")[2]
        # Running a package's command line is not importing its entries.
        if leaf != "__main__" and "._" not in module.name.removeprefix(package.__name__):
            importlib.import_module(module.name)


def import_file(path: str | Path) -> ModuleType:
    """Import a user's own Python file, so that what it registers can be named like everything else.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if the file cannot be run; the message says where it failed.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"--import {path}: no such file")
    # The name is made from the path, so that two files of one name do not take each other's place.
    name = f"imported_{abs(hash(str(file))):x}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"--import {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (DuplicateNameError, UnknownNameError):
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise ImportError(f"--import {path}: {type(error).__name__}: {error}{_line_in(error, file)}") from error
    return module


def import_files(paths: Iterable[str | Path]) -> None:
    """Import several of a user's files, see `import_file`."""
    for path in paths:
        import_file(path)


def _line_in(error: BaseException, file: Path) -> str:
    """The text ", line 12" for the user's file, where the traceback passes through it."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""


SCRATCH, IMAGENET = "scratch", "imagenet"


def split_backbone(backbone: str) -> tuple[str, str]:
    """("resnet18", "imagenet") of "resnet18:imagenet"; the weights are "scratch" where none are named.

    Raises:
        ValueError: for other weights than "scratch" and "imagenet".
    """
    name, _, weights = backbone.partition(":")
    weights = weights or SCRATCH
    if weights not in (SCRATCH, IMAGENET):
        raise ValueError(
            f"backbone {backbone!r} asks for weights {weights!r}; use {name}:{SCRATCH} or {name}:{IMAGENET}"
        )
    return name, weights


METHODS = Registry("method", "mtl_methods", parent=mmseg.registry.MODELS)
REGULARIZERS = Registry("regularizer", "regularizers", parent=mmseg.registry.MODELS)
BACKBONES = Registry("backbone", "mtl_methods._shared.backbones", parent=mmseg.registry.MODELS)
DATASETS = Registry("data set", "datasets", parent=mmseg.registry.DATASETS)
JOIN_PAIRS = "datasets.loading.pairs:join_pairs"
"""Function that merges pairs of posed views into a training split; a string, so that the core imports no sibling."""


def offered_by(dataset: str, root: str | Path | None) -> TaskSet:
    """All tasks of a registered data set; with their default settings."""
    factory: Any = DATASETS.entry(dataset).factory
    # A data set from outside the suite may have nothing but the class attribute.
    from_root = root is not None and hasattr(factory, "offered")
    offered: TaskSet = factory.offered(Path(str(root))) if from_root else factory.tasks
    return offered
