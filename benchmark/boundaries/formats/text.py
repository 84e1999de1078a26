"""Reader of text files and tables: UTF-8 or UTF-16 with or without byte-order mark, any line ends."""

from __future__ import annotations

import codecs
from pathlib import Path

from benchmark.boundaries.formats.content import DataError, read_bytes

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_text(path: Path) -> str:
    """Read the content of a text file.

    Raises:
        DataError: if the file is missing or not a text file.
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
    """Read the lines of a text file, without line ends.

    Raises:
        DataError: as `read_text`.
    """
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


def read_rows(path: Path) -> list[tuple[int, str]]:
    """Read the stripped lines of a text file with their numbers from 1, without empty lines and comments (`#`).

    Raises:
        DataError: as `read_text`.
    """
    rows = ((number, line.strip()) for number, line in enumerate(read_lines(path), start=1))
    return [(number, line) for number, line in rows if line and not line.startswith("#")]
