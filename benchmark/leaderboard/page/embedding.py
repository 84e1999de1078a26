"""Data and scripts within one HTML file: blocks of base64, which cannot hold a tag, unpacked when they are needed."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LEVEL = 6
"""Compression: level 9 takes half as long again and saves a quarter of a percent."""
PLOTLY_SCRIPT = Path("package_data", "plotly.min.js")


def packed_json(value: Any) -> str:
    """JSON, compressed by gzip and written in base64."""
    return packed(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


def packed(content: bytes) -> str:
    """Bytes, compressed by gzip and written in base64; equal bytes give equal text."""
    return b64encode(gzip.compress(content, LEVEL, mtime=0)).decode("ascii")


def unpacked(text: str) -> bytes:
    """The bytes of a block."""
    return gzip.decompress(b64decode(text))


def plotly_script() -> bytes:
    """The JavaScript of plotly, from the Python package.

    Raises:
        ImportError: if plotly is not installed; the message says how to install it.
    """
    spec = find_spec("plotly")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise ImportError("the page needs plotly: python -m pip install 'plotly>=6.1'")
    return (Path(next(iter(folders))) / PLOTLY_SCRIPT).read_bytes()
