"""Text files and tables: UTF-8 or UTF-16 with or without byte-order mark, lines ended in any way."""

from __future__ import annotations

import codecs
from pathlib import Path

from benchmark.boundaries.formats.content import DataError, read_bytes

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_text(path: Path) -> str:
    """Content of a text file.

    Raises:
        DataError: if the file is missing or is no text.
    """
    data = read_bytes(path)
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(f"{path}: not a text file, byte {data.index(0)} is zero; save it as UTF-8")
    return text


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without their ends.

    Raises:
        DataError: as `read_text`.
    """
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


def read_rows(path: Path) -> list[tuple[int, str]]:
    """Number, from 1, and text of the lines that are neither empty nor comments (`#`), without blanks at both ends.

    Raises:
        DataError: as `read_text`.
    """
    rows = ((number, line.strip()) for number, line in enumerate(read_lines(path), start=1))
    return [(number, line) for number, line in rows if line and not line.startswith("#")]
