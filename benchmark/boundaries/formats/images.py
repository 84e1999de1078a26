"""Reader of PNG and JPEG images. The format is read from the content, not from the name.

An EXIF orientation is applied, as image viewers do. A file is complete if it decodes completely: data after its end
mark are ignored, and a gap in the middle is an error.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import MAX_PIXELS, DataError, describe_shape, first_line, read_bytes

Array = NDArray[Any]

_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_GRAY, _RGB, _PALETTE = 0, 2, 3
_CHANNELS = {_GRAY: 1, _RGB: 3, _PALETTE: 1, 4: 2, 6: 4}
"""Samples per pixel by PNG color type."""
_MAX_EXTRANEOUS = 4
"""Bytes that some encoders leave between the compressed data and the end mark of a JPEG."""
_MAX_ZEROS = 15
_NO_END_MARK = "Premature end of JPEG file"
_SEQUENTIAL, _HUFFMAN, _APP1, _EXIF = (0xC0, 0xC1), 0xC4, 0xE1, b"Exif\0\0"
_ORIENTATION = 0x0112
_OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"RIFF": "WebP", b"\0\0\0": "HEIF"}


def read_image(path: Path) -> Array:
    """Read an image as (H, W, 3) uint8 RGB. Gray is repeated, transparency is dropped.

    Raises:
        DataError: if the file is missing, damaged, neither PNG nor JPEG, or has more than 8 bits a channel.
    """
    pixels = read_pixels(path)
    if pixels.dtype != np.uint8:
        raise DataError(f"{path}: found {_described(pixels)}, expected 8 bits a channel; convert the image")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def read_pixels(path: Path) -> Array:
    """Read pixels (H, W) or (H, W, 3) as an image viewer shows them: RGB, 8 or 16 bits, palettes resolved.

    Raises:
        DataError: if the file is missing, damaged or neither PNG nor JPEG.
    """
    data = read_bytes(path)
    if data.startswith(_JPEG_START):
        return _oriented(_decode_jpeg(data, path), _jpeg_exif(data))
    return _read_png(data, path, as_numbers=False)


def read_numbers(path: Path) -> Array:
    """Read the numbers (H, W) of a PNG: gray values as stored at 1 to 16 bits, or positions in its palette.

    Raises:
        DataError: if the file is missing, damaged, not a PNG, or in colors without a palette.
    """
    data = read_bytes(path)
    if data.startswith(_JPEG_START):
        raise DataError(f"{path}: a JPEG image, whose compression changes numbers; store label maps as PNG")
    numbers = _read_png(data, path, as_numbers=True)
    if numbers.ndim == 2:
        return numbers
    first = numbers[..., 0]
    if not all(np.array_equal(first, numbers[..., channel]) for channel in (1, 2)):
        raise DataError(
            f"{path}: a colour picture; a label map has one number per pixel, grey or in a palette, so convert its "
            "colours to class numbers"
        )
    return np.ascontiguousarray(first)


def has_orientation(path: Path) -> bool:
    """True if an EXIF orientation turns or mirrors the image.

    Raises:
        DataError: if the file is missing, or a PNG is truncated or damaged.
    """
    data = read_bytes(path)
    if data.startswith(_JPEG_START):
        return _orientation(_jpeg_exif(data)) != 1
    return _orientation(dict(_png_chunks(data, path)).get(b"eXIf", b"")) != 1


def _described(pixels: Array) -> str:
    return f"{describe_shape(pixels.shape)} {pixels.dtype}"


def _read_png(data: bytes, path: Path, *, as_numbers: bool) -> Array:
    import cv2

    if not data.startswith(_PNG_START):
        raise DataError(f"{path}: not a PNG or JPEG image{_found_format(data)}")
    chunks = list(_png_chunks(data, path))
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise DataError(f"{path}: damaged, the PNG image has no header")
    header = chunks[0][1]
    width, height, bits, color_type = struct.unpack_from(">IIBB", header)
    _check_size(width, height, path)
    _check_compressed([content for kind, content in chunks if kind == b"IDAT"], header, path)
    numbers = as_numbers and color_type in (_GRAY, _PALETTE)
    if numbers:
        # Decoders resolve a palette and rescale gray values of few bits. With a gray header, the same data decode to
        # the stored numbers.
        header = header[:9] + bytes([_GRAY]) + header[10:]
    # Chunks for transparency and color management have no effect here, and damaged ones are common: leave them out.
    kept = [(b"IHDR", header), *((kind, content) for kind, content in chunks if kind == b"IDAT"), (b"IEND", b"")]
    if not numbers:
        kept[1:1] = [(kind, content) for kind, content in chunks if kind == b"PLTE"]
    plain = _PNG_START + b"".join(_png_chunk(kind, content) for kind, content in kept)
    pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError(f"{path}: damaged, the PNG image cannot be decoded")
    if numbers and bits < 8:
        pixels = pixels // (255 // (2**bits - 1))
    if pixels.ndim == 3:
        pixels = pixels[..., 2::-1]
    return _oriented(pixels, dict(chunks).get(b"eXIf", b""))


def _png_chunks(data: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks up to the end mark, after checking the checksums."""
    place = len(_PNG_START)
    while True:
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if place + 12 > len(data) or end > len(data):
            raise DataError(f"{path}: truncated, the PNG image ends after {len(data)} bytes")
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise DataError(f"{path}: damaged, a checksum of the PNG image is wrong")
        kind = data[place + 4 : place + 8]
        yield kind, data[place + 8 : end - 4]
        if kind == b"IEND":
            return
        place = end


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _check_compressed(parts: list[bytes], header: bytes, path: Path) -> None:
    """Refuse incomplete pixel data, which decoders fill without an error."""
    width, height, bits, color_type, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if color_type not in _CHANNELS:
        raise DataError(f"{path}: damaged, the PNG image has the unknown color type {color_type}")
    row_bytes = 1 + -(-width * bits * _CHANNELS[color_type] // 8)
    # The seven passes of an interlaced image need up to twice the rows.
    least, most = height * row_bytes, (2 * height + 8) * (row_bytes + 8) if interlace else height * row_bytes
    decompressor = zlib.decompressobj()
    try:
        size = len(decompressor.decompress(b"".join(parts), most + 1))
    except zlib.error as error:
        raise DataError(f"{path}: damaged, the PNG image cannot be decompressed ({first_line(error)})") from None
    if not decompressor.eof or (size < least and not interlace):
        raise DataError(f"{path}: damaged, the pixels of the PNG image are not complete")


def _decode_jpeg(data: bytes, path: Path) -> Array:
    import cv2
    import simplejpeg

    try:
        height, width, color_space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError):
        raise DataError(f"{path}: truncated or damaged JPEG image (its header cannot be read)") from None
    _check_size(width, height, path)
    fault = _jpeg_fault(data, color_space)
    pixels = None
    if not fault:
        # A file without its end mark may still hold all rows.
        complete = np.frombuffer(data + _JPEG_END, np.uint8)
        pixels = cv2.imdecode(complete, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        reason = fault or "not decodable"
        raise DataError(f"{path}: truncated or damaged JPEG image ({reason}); copy it again from its source")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _jpeg_fault(data: bytes, color_space: str) -> str:
    """Fault that the decoder reports in the compressed data; empty without a fault.

    OpenCV's decoder fills missing parts with gray and only prints a warning. simplejpeg stops at the warning.
    """
    if _has_gap(data):
        return "a gap of zeros in the compressed data"
    # Converting to gray skips the chroma; four channels cannot be converted.
    target = "CMYK" if color_space in ("CMYK", "YCCK") else "GRAY"
    message = _warning(data, target)
    if message.startswith(_NO_END_MARK):
        # Some phones write other data in place of the end mark. Without such data, the file was truncated.
        has_trailer = _extraneous_bytes(_warning(data + _JPEG_END, target)) is not None
        return "" if has_trailer else message
    extraneous = _extraneous_bytes(message)
    if extraneous is not None and extraneous <= _MAX_EXTRANEOUS:
        return ""
    return message if message.startswith("Corrupt JPEG data") else ""


def _warning(data: bytes, color_space: str) -> str:
    """First warning of the decoder; empty without a warning."""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, colorspace=color_space, strict=True)
    except (ValueError, KeyError) as error:
        return first_line(error)
    return ""


def _extraneous_bytes(message: str) -> int | None:
    words = message.split()
    if "extraneous bytes before marker 0xd9" not in message:
        return None
    return int(words[words.index("extraneous") - 1])


def _has_gap(data: bytes) -> bool:
    """True if the compressed data of a baseline JPEG have a run of zeros that no encoder writes.

    Decoders resynchronise after a gap, often without a warning. Zeros are allowed if the all-zero codes of all
    Huffman tables mean an unchanged block without details, as in flat areas under optimised tables.
    """
    segments = list(_jpeg_segments(data))
    if not any(marker in _SEQUENTIAL for marker, _ in segments):
        return False
    scan = data.find(b"\xff\xda")
    if not 0 <= scan < data.find(bytes(_MAX_ZEROS + 1), scan) < data.find(_JPEG_END, scan):
        return False
    return any(symbol != 0 for marker, content in segments if marker == _HUFFMAN for symbol in _first_symbols(content))


def _first_symbols(tables: bytes) -> Iterator[int]:
    """Symbol of the all-zero code of each Huffman table in a segment."""
    place = 0
    while place + 17 < len(tables):
        yield tables[place + 17]
        place += 17 + sum(tables[place + 1 : place + 17])


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the first compressed data."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (0xDA, 0xD9):
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        yield data[place + 1], data[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)


def _jpeg_exif(data: bytes) -> bytes:
    """EXIF block of a JPEG; empty if missing."""
    blocks = (content[6:] for marker, content in _jpeg_segments(data) if marker == _APP1 and content[:6] == _EXIF)
    return next(blocks, b"")


def _orientation(exif: bytes) -> int:
    """EXIF orientation 1 to 8; 1 if it is missing or the block is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * entry)
            if tag == _ORIENTATION and kind == 3:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _oriented(pixels: Array, exif: bytes) -> Array:
    """Apply the EXIF orientation to an image."""
    orientation = _orientation(exif)
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns))


def _check_size(width: int, height: int, path: Path) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path}: an image of {width}x{height} pixels; at most {MAX_PIXELS} are read, so scale it down")


def _found_format(data: bytes) -> str:
    """Format of a file by its first bytes, for the message."""
    if not data:
        return ", the file is empty"
    known = next((name for start, name in _OTHER_FORMATS.items() if data.startswith(start)), "")
    return f" but {known}; convert it" if known else f" ({len(data)} bytes, the first are {data[:8]!r})"
