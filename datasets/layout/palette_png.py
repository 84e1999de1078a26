"""Label maps in PNG files, read as numbers: grey pictures, and palette pictures, whose colours mean nothing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from datasets.layout.frame_files import Array, DataError, read_bytes, read_png

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
_COLOUR_CHUNKS = (b"PLTE", b"tRNS")


def read_indices(path: Path) -> Array:
    """(H, W) numbers of a PNG: grey values, or positions in its palette.

    Raises:
        DataError: if it is missing, truncated, not a PNG, or shows colours without a palette.
    """
    data = read_bytes(path).tobytes()
    is_palette = data.startswith(_SIGNATURE) and data[25:26] == bytes([_PALETTE])
    # Decoders answer with the colours of a palette; the same file under a grey header has the numbers.
    picture = _decode_as_grey(data) if is_palette else read_png(path)
    if picture is None:
        raise DataError(f"{path}: truncated or not a readable PNG image ({len(data)} bytes)")
    if picture.ndim == 2:
        return picture
    first = picture[..., 0]
    if not all(np.array_equal(first, picture[..., channel]) for channel in range(1, min(picture.shape[2], 3))):
        raise DataError(f"{path}: a colour picture; a label map has one number per pixel, grey or in a palette")
    return np.ascontiguousarray(first)


def _decode_as_grey(data: bytes) -> Array | None:
    depth = data[24]
    header = data[16:25] + bytes([_GREY]) + data[26:29]
    chunks = [_chunk(b"IHDR", header)]
    try:
        chunks += [_chunk(kind, content) for kind, content in _chunks(data) if kind not in (b"IHDR", *_COLOUR_CHUNKS)]
    except struct.error:
        return None
    if not chunks[-1].startswith(b"\0\0\0\0IEND"):
        return None
    picture = cv2.imdecode(np.frombuffer(_SIGNATURE + b"".join(chunks), np.uint8), cv2.IMREAD_UNCHANGED)
    # A decoder spreads grey values of fewer bits over 0..255.
    return picture if picture is None or depth >= 8 else picture // (255 // (2**depth - 1))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        content = data[position + 8 : position + 8 + length]
        struct.unpack_from(">I", data, position + 8 + length)
        yield data[position + 4 : position + 8], content
        position += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
