"""From a table to the result files behind it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def way(start: Path, target: Path) -> str:
    """The relative path, with forward slashes, from a folder to a file."""
    return f"{_way_to_folder(start, target.parent)}/{target.name}"


@cache
def _way_to_folder(start: Path, target: Path) -> str:
    # The files of a recipe share one folder, and finding the way is slow beside all else that a link needs.
    return Path(os.path.relpath(target, start)).as_posix()
