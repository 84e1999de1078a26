"""Resized frames of a split as memory-mapped arrays: decoded once, shared by all processes.

    ROOT/cache/HxW-FINGERPRINT8/SPLIT/MODALITY.npy    (N, H, W[, 3]), coded as in `datasets.loading.transforms.Frame`

The folder is complete or absent. The fingerprint in its name ties it to the data that it was made from. The environment
variable MTL_CACHE names another folder for caches, for data on a read-only disk.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from datasets.layout.frame_files import Array
from datasets.layout.layout import DatasetInfo, exclusive
from datasets.loading.transforms import Frame

CACHE_VARIABLE = "MTL_CACHE"
"""Environment variable that names the folder of caches."""


def cache_home() -> Path | None:
    """Folder of caches that the environment names; None without one."""
    home = os.environ.get(CACHE_VARIABLE)
    return Path(home) if home else None


def cache_folder(root: Path, info: DatasetInfo, size: tuple[int, int], split: str) -> Path:
    """Folder of the resized frames of a split."""
    home = cache_home()
    place = root / "cache" if home is None else home / info.id
    return place / f"{size[0]}x{size[1]}-{info.fingerprint[:8]}" / split


def try_cache(folder: Path, count: int, read: Callable[[int], Frame]) -> bool:
    """Make the cache as `ensure_cache` does; False, after a warning, if the folder cannot be written."""
    try:
        ensure_cache(folder, count, read)
    except OSError as error:
        warnings.warn(
            f"{folder}: no cache, frames are decoded in every epoch ({error.strerror or error}); set {CACHE_VARIABLE} "
            "to a folder that can be written",
            stacklevel=2,
        )
        return False
    return True


def ensure_cache(folder: Path, count: int, read: Callable[[int], Frame]) -> None:
    """Make the cache if it is missing; of several processes one makes it and the others wait.

    Args:
        folder: see `cache_folder`.
        count: frames of the split.
        read: position -> frame with all labels, already resized.
    """
    if folder.is_dir():
        return
    with exclusive(folder):
        if folder.is_dir():
            return
        building = folder.with_name(f".{folder.name}.building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        try:
            _fill(building, count, map(read, _progress(range(count), f"caching {folder.parent.name} {folder.name}")))
            os.replace(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _fill(folder: Path, count: int, frames: Iterable[Frame]) -> None:
    arrays: dict[str, np.memmap] = {}
    for position, frame in enumerate(frames):
        for modality, array in {"image": frame.image, **frame.labels()}.items():
            if position == 0:
                arrays[modality] = np.lib.format.open_memmap(
                    folder / f"{modality}.npy", mode="w+", dtype=array.dtype, shape=(count, *array.shape)
                )
            arrays[modality][position] = array
    for memory in arrays.values():
        memory.flush()


def _progress(positions: Sequence[int], description: str) -> Iterable[int]:
    # Drawing a bar costs an import; a cache that is there needs neither.
    from rich.console import Console
    from rich.progress import track

    return track(positions, description=description, console=Console(stderr=True))


class CachedFrames:
    """Reads a cache; opened anew in every process, so that it can be sent to workers.

    Args:
        folder: see `cache_folder`; made by `ensure_cache`.
        modalities: which labels are wanted.

    Raises:
        DataError: if an array is missing or truncated.
    """

    def __init__(self, folder: Path, modalities: Sequence[str]) -> None:
        self.folder = folder
        self.modalities = ("image", *modalities)
        self._arrays: dict[str, Array] = {}
        self._open()

    def read(self, position: int) -> dict[str, Array]:
        """Views of the arrays of one frame, by the field names of `Frame`; read-only."""
        if not self._arrays:
            self._open()
        return {modality: array[position] for modality, array in self._arrays.items()}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_arrays": {}}

    def _open(self) -> None:
        for modality in self.modalities:
            path = self.folder / f"{modality}.npy"
            try:
                # A plain array over the same memory: indexing a memmap object is several times slower.
                self._arrays[modality] = np.asarray(np.load(path, mmap_mode="r"))
            except (OSError, ValueError) as error:
                remedy = f"delete {self.folder} to have it made again"
                raise DataError(f"{path}: cannot be read ({error}); {remedy}") from None
