"""Bytes of foreign files, and the error for files that cannot be used."""

from __future__ import annotations

from pathlib import Path

MAX_BYTES = 2**30
"""Largest file, and largest decompressed content of a file, that is read into memory."""

MAX_PIXELS = 2**27
"""Largest image: 134 megapixels."""

_SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")
_LFS_POINTER = b"version https://git-lfs"
_PAGE_STARTS = (b"<!doctype html", b"<html")


class DataError(ValueError):
    """Data on disk cannot be used; the message is one line: the file, the content found in it, the remedy."""


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Content of a file.

    Raises:
        DataError: if the file is missing, unreadable, larger than `max_bytes`, or a placeholder for the real file.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or first_line(error)})") from None
    if len(content) > max_bytes:
        raise DataError(f"{path}: larger than {max_bytes / 2**20:.4g} MiB, the limit of files of this kind")
    refuse_placeholder(content, path)
    return content


def refuse_placeholder(start: bytes, path: Path) -> None:
    """Refuse a placeholder text in place of a file that was not downloaded.

    Raises:
        DataError: for a Git LFS pointer and for an HTML page.
    """
    if start.startswith(_LFS_POINTER):
        raise DataError(f"{path}: a Git LFS pointer in place of the file; run `git lfs pull` where it comes from")
    if start[:64].lstrip().lower().startswith(_PAGE_STARTS):
        raise DataError(f"{path}: a web page in place of the file; open its address in a browser and download again")


def first_line(error: BaseException) -> str:
    """First line of the message of an error; the name of its type if the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def is_system_file(name: str) -> bool:
    """True for names of hidden files and of files that macOS and Windows add to folders."""
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


def describe_shape(shape: tuple[int, ...]) -> str:
    """A shape for messages, as in "480x640"."""
    return "x".join(map(str, shape)) or "a single value"
