"""Cache of the resized frames of a split: memory-mapped arrays, decoded once and shared by all processes.

    ROOT/cache/HxW-FINGERPRINT8/SPLIT/MODALITY.npy    (N, H, W[, 3]), coded as in `datasets.loading.transforms.Frame`

The folder is complete or absent. The fingerprint in its name identifies the data. The environment variable MTL_CACHE
sets another folder for caches, for data on a read-only disk.
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
    """Folder of caches in the environment variable MTL_CACHE; None if it is not set."""
    home = os.environ.get(CACHE_VARIABLE)
    return Path(home) if home else None


def cache_folder(root: Path, info: DatasetInfo, size: tuple[int, int], split: str) -> Path:
    """Folder of the resized frames of a split."""
    home = cache_home()
    place = root / "cache" if home is None else home / info.id
    return place / f"{size[0]}x{size[1]}-{info.fingerprint[:8]}" / split


def try_cache(folder: Path, count: int, read: Callable[[int], Frame]) -> bool:
    """Create the cache by `ensure_cache`; return False, with a warning, if the folder cannot be written."""
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
    """Create the cache if it is missing; one process creates it while others wait.

    Args:
        folder: see `cache_folder`.
        count: number of frames of the split.
        read: function of the position that returns the resized frame with all labels.
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
    # Imported here, since an existing cache needs no progress bar.
    from rich.console import Console
    from rich.progress import track

    return track(positions, description=description, console=Console(stderr=True))


class CachedFrames:
    """Reader of a cache, picklable: each process opens the arrays anew.

    Args:
        folder: see `cache_folder`; created by `ensure_cache`.
        modalities: names of the labels to read.

    Raises:
        DataError: if an array is missing or truncated.
    """

    def __init__(self, folder: Path, modalities: Sequence[str]) -> None:
        self.folder = folder
        self.modalities = ("image", *modalities)
        self._arrays: dict[str, Array] = {}
        self._open()

    def read(self, position: int) -> dict[str, Array]:
        """Read-only views of the arrays of one frame, by the field names of `Frame`."""
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
                remedy = f"delete {self.folder}, and it is created again"
                raise DataError(f"{path}: cannot be read ({error}); {remedy}") from None
