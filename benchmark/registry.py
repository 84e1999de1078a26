"""The registries METHODS, REGULARIZERS, DATASETS and BACKBONES.

Each registry is a child of mmsegmentation's registry of the same kind, so a config can also name modules of mmengine
and mmseg. An entry has a title, a paper and a year. The error for an unknown name suggests a near match. The package
with the entries is imported at the first look-up, so no list of entries has to be maintained.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import mmengine.registry
import mmseg.registry

from benchmark.tasks import TaskSet, suggest

ENTRY_POINT_GROUP = "dense_mtl_benchmark"
"""Installed packages that name a module in this entry-point group are imported on the first look-up."""

Registered = TypeVar("Registered", bound=Callable[..., Any])


class UnknownNameError(KeyError):
    """Unknown name; the message holds a near match and all registered names."""

    def __str__(self) -> str:
        return str(self.args[0])


class DuplicateNameError(ValueError):
    """The name of an entry is already taken by another entry."""


@dataclass(frozen=True)
class Entry:
    """A registered class or function with its description.

    Args:
        name: the name in configs and on the command line.
        factory: the registered class or function.
        title: the name in tables, as in the paper.
        paper: link to the paper; without a paper, to a section of the documentation.
        year: year of publication.
        expected_failures: contract checks that this entry fails, with the reason. A listed check must not pass.
        accepts_regularizers: False for a method that has nothing to train.
        large: True for a backbone that takes seconds to build; the quick tests run it on the meta device only.
        in_all: False for an entry that "all" excludes, such as a search, which has no row in a table.
        version: raised by one with each change that changes the numbers of trained cells. Results of different
            versions are not compared.

    Raises:
        ValueError: if the version is not a whole number of at least 1.
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

    def __post_init__(self) -> None:
        if type(self.version) is not int or self.version < 1:
            raise ValueError(f"version of {self.name!r} must be a whole number of at least 1, found {self.version!r}")


class Registry(mmengine.registry.Registry):
    """Registry that imports its entries and suggests near matches.

    Args:
        kind: singular noun for an entry in messages, such as "method".
        package: the package whose modules register the entries; a string, so that the core imports no sibling package.
        parent: registry for names that are not registered here.
    """

    def __init__(self, kind: str, package: str, parent: mmengine.registry.Registry) -> None:
        # The scope distinguishes the registries of a common parent.
        super().__init__(kind, parent=parent, scope=package.replace(".", "_"))
        self.kind = kind
        self.package = package
        self._entries: dict[str, Entry] = {}
        self._families: dict[str, Callable[[str], Entry]] = {}
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
            flags: other fields of `Entry`.

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

    def register_family(self, family: str) -> Callable[[Callable[[str], Entry]], Callable[[str], Entry]]:
        """Function decorator that adds entries "family:member" which are made when they are asked for.

        Args:
            family: part of the name before the colon. The function maps the part after it to an entry, and raises
                `UnknownNameError` for an unknown one.
        """

        def add(find: Callable[[str], Entry]) -> Callable[[str], Entry]:
            self._families[family] = find
            return find

        return add

    def is_family(self, name: str) -> bool:
        """True if entries of the form "name:member" exist."""
        self._discover()
        return name in self._families

    @property
    def families(self) -> Mapping[str, Callable[[str], Entry]]:
        """Functions that find the members of each family."""
        self._discover()
        return self._families

    def names(self, *patterns: str) -> list[str]:
        """Registered names in alphabetical order; with patterns, the matching names in the order of the patterns.

        Args:
            patterns: exact names, wildcards such as "*net", or "all" (see `Entry.in_all`).

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
        """The entry of a name.

        Raises:
            UnknownNameError: if the name is not registered.
        """
        self._discover()
        family, colon, member = name.partition(":")
        if colon and family in self._families:
            return self._families[family](member)
        if name not in self._entries:
            raise self._unknown(name)
        return self._entries[name]

    def create(self, name: str, /, *args: Any, **options: Any) -> Any:
        """Build the entry of a name from the arguments of its constructor."""
        return self.entry(name).factory(*args, **options)

    def import_from_location(self) -> None:
        """Import the entries of the project; mmengine calls this before a look-up in a config."""
        self._discover()

    def _unknown(self, name: str) -> UnknownNameError:
        hint = suggest(name, self._entries)
        return UnknownNameError(f"no {self.kind} named {name!r}.{hint} Registered: {', '.join(sorted(self._entries))}")

    def _discover(self) -> None:
        if self._discovered:
            return
        # Set first, since the modules imported below may look up names.
        self._discovered = True
        import_tree(_own_package(self.package))
        for point in entry_points(group=ENTRY_POINT_GROUP):
            point.load()


def _own_package(name: str) -> ModuleType:
    """A package of the suite.

    Raises:
        ImportError: if another package of the name was found first, such as the Hugging Face package `datasets`.
    """
    package = importlib.import_module(name)
    ours = Path(__file__).resolve().parents[1]
    places = [Path(place).resolve() for place in package.__path__]
    if any(place.is_relative_to(ours) for place in places) or "." in name:
        return package
    raise ImportError(
        f"the folder {name!r} of the suite is needed, but {places[0]} was imported first; run the tools of the "
        f"checkout, or put {ours} first on sys.path"
    )


def import_tree(package: ModuleType) -> None:
    """Import every public module below a package; modules with a leading underscore are not imported."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        leaf = module.name.rpartition(".")[2]
        # Importing __main__ would run the command line of the package.
        if leaf != "__main__" and "._" not in module.name.removeprefix(package.__name__):
            importlib.import_module(module.name)


def import_file(path: str | Path) -> ModuleType:
    """Import a user's Python file, so that its entries are registered.

    Raises:
        FileNotFoundError: if the file does not exist.
        DuplicateNameError, UnknownNameError: if an entry takes the name of another, or a looked-up name is unknown.
        ImportError: for any other error of the file; the message has its line.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"--import {path}: no such file")
    # The module name contains the path, so that two files of the same name are two modules.
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
    """Import several files, see `import_file`."""
    for path in paths:
        import_file(path)


def _line_in(error: BaseException, file: Path) -> str:
    """The text ", line 12" for the last line of the user's file in the traceback; empty without such a line."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""


SCRATCH, IMAGENET = "scratch", "imagenet"
WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
"""Endings of files with weights of a backbone."""


def split_backbone(backbone: str) -> tuple[str, str]:
    """Name and weights of "resnet18:imagenet" or "timm:convnext_atto:FILE"; the weights are "scratch" by default.

    The part before the first colon may be a family of backbones, see `Registry.register_family`.

    Raises:
        ValueError: for other weights than "scratch", "imagenet" and the path of a file.
    """
    first, _, rest = backbone.partition(":")
    name, weights = first, rest
    if BACKBONES.is_family(first):
        model, _, weights = rest.partition(":")
        name = f"{first}:{model}"
    weights = weights or SCRATCH
    if weights not in (SCRATCH, IMAGENET) and not is_weights_file(weights):
        raise ValueError(
            f"backbone {backbone!r} asks for weights {weights!r}; use {name}:{SCRATCH}, {name}:{IMAGENET} or "
            f"{name}:FILE with a .safetensors or .pth file"
        )
    return name, weights


def is_weights_file(weights: str) -> bool:
    """True if the weights of a backbone are the path of a file; the file may be missing."""
    return weights.endswith(WEIGHTS_SUFFIXES)


METHODS = Registry("method", "mtl_methods", parent=mmseg.registry.MODELS)
REGULARIZERS = Registry("regularizer", "regularizers", parent=mmseg.registry.MODELS)
BACKBONES = Registry("backbone", "mtl_methods._shared.backbones", parent=mmseg.registry.MODELS)
DATASETS = Registry("data set", "datasets", parent=mmseg.registry.DATASETS)
JOIN_PAIRS = "datasets.loading.pairs:join_pairs"
"""Function that adds pairs of posed views to a training split; a string, so that the core imports no sibling."""
ACCELERATE = "mtl_methods.accelerate:accelerate"
"""Function that replaces layers by equal, faster ones for a CPU; a string, so that the core imports no sibling."""


def offered_by(dataset: str, root: str | Path | None) -> TaskSet:
    """All tasks of a registered data set, with their default settings.

    Args:
        dataset: registered name.
        root: folder of the data, which some data sets read their tasks from; None for the tasks of the class.
    """
    factory: Any = DATASETS.entry(dataset).factory
    # A data set of the user may have only the class attribute.
    from_root = root is not None and hasattr(factory, "offered")
    offered: TaskSet = factory.offered(Path(str(root))) if from_root else factory.tasks
    return offered
