"""Archives of data sets, unpacked as if a stranger had made them.

Only files and folders that stay inside are unpacked: no absolute path, no `..`, no link, no device, nothing twice, no
permissions and no owners. A truncated or damaged archive is refused as a whole. Python's own extraction filter does not
exist in every supported version, so every member is checked here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from datasets.layout.frame_files import DataError

MOST_BYTES = 100 * 2**30
"""Of all files together; the largest release is about 10 GB."""
MOST_FILES = 300_000
DEEPEST = 2
"""Levels below the top at which a release may begin: archives of folders, and folders of archives of folders."""

_BLOCK = 512
_CHUNK = 2**20
_CLUTTER = ("__MACOSX", ".DS_Store", "._")
_AGAIN = "; get it again, and compare its size with the one that its source states"
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    UnicodeDecodeError,
    ValueError,
    RuntimeError,
)
"""What the standard library raises for a damaged archive, password-protected and of unknown compression included."""


@dataclass(frozen=True)
class _Member:
    """One entry: `open` gives its content, None for a folder; `kind` is what it is if it is neither file nor folder."""

    name: str
    size: int
    kind: str
    open: Callable[[], IO[bytes] | None]


@contextmanager
def unpacked(source: Path, beside: Path, *, most_bytes: int = MOST_BYTES) -> Iterator[Path]:
    """A folder with what `source` holds: itself, or for an archive a temporary folder that is removed at the end.

    A `DataError` about an unpacked file that is raised within names it as ARCHIVE:MEMBER. Callers that may run at the
    same time hold `datasets.layout.layout.exclusive(beside)` around it.

    Args:
        source: folder, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz or .zip; told apart by content, not by name.
        beside: place of the data set to be made; the temporary folder stands next to it, hence on the same disk.
        most_bytes: refuse to unpack more.

    Raises:
        DataError: if there is nothing, it is no archive, it is truncated or damaged, or a member must not be unpacked.
    """
    if source.is_dir():
        yield source
        return
    beside = Path(beside).absolute()
    folder = beside.with_name(f".{beside.name}.unpacking")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        unpack(source, folder, most_bytes=most_bytes)
        yield folder
    except DataError as error:
        message = str(error).replace(f"{folder}{os.sep}", f"{source}:").replace(str(folder), str(source))
        raise DataError(message) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(source: Path, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
    """Unpack an archive into a new folder; what is there after an error is not complete.

    Raises:
        DataError: as `unpacked` says.
    """
    try:
        with open(source, "rb") as file:
            members = _members_of(file, source)
            folder.mkdir(parents=True)
            _write_all(members, source, folder, most_bytes)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file or folder") from None
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{source}: truncated or damaged archive ({_first_line(error)}){_AGAIN}") from None
    except OSError as error:
        # Decompressors raise plain OSErrors for damaged data, those of the system have a number.
        if error.errno is None:
            raise DataError(f"{source}: truncated or damaged archive ({_first_line(error)}){_AGAIN}") from None
        raise DataError(f"{source}: cannot be unpacked to {folder} ({error.strerror})") from None


def folder_with(folder: Path, names: Iterable[str], what: str) -> Path:
    """The folder in which a release begins: the topmost one that has all `names`.

    Args:
        folder: looked at itself, then what it holds, `DEEPEST` levels down.
        names: files or folders.
        what: the release, for the message.

    Raises:
        DataError: if there is none, or more than one at the same level.
    """
    wanted = tuple(names)
    level = [folder]
    for _ in range(DEEPEST + 1):
        found = [place for place in level if all((place / name).exists() for name in wanted)]
        if len(found) > 1:
            raise DataError(f"{folder}: holds {what} twice, in {found[0].name}/ and {found[1].name}/; give one of them")
        if found:
            return found[0]
        level = [child for place in level for child in sorted(place.iterdir()) if child.is_dir()]
    raise DataError(f"{folder}: not {what}, which has {', '.join(wanted)}")


def _members_of(file: IO[bytes], source: Path) -> Iterator[_Member]:
    """The members of an archive, its format recognised by its first bytes."""
    start = file.read(_BLOCK)
    file.seek(0)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_members(file)
    for magic, open_stream in _COMPRESSIONS.items():
        if start.startswith(magic):
            return _tar_members(open_stream(file))
    if start[257:262] == b"ustar" or not start.strip(b"\0"):
        return _tar_members(file)
    raise DataError(f"{source}: neither a folder nor a tar or zip archive ({os.path.getsize(source)} bytes)")


_COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


class _Watched(io.RawIOBase):
    """A stream that remembers what was read last, since `tarfile` takes a missing end for the end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """Read from the stream."""
        self.last = self.stream.read(size)
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move in the stream."""
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        """Position in the stream."""
        return self.stream.tell()


def _tar_members(stream: IO[bytes]) -> Iterator[_Member]:
    watched = _Watched(stream)
    with tarfile.open(fileobj=watched, mode="r:") as archive:
        for info in archive:
            plain = info.isreg() or info.isdir()
            kind = "" if plain else "a link" if info.issym() or info.islnk() else "a device or another special file"
            yield _Member(info.name, info.size, kind, lambda info=info: archive.extractfile(info))  # type: ignore[misc]
        if watched.last != bytes(_BLOCK):
            raise tarfile.ReadError("its end mark is missing")
        # The check sum of a compressed stream is compared at its very end.
        while watched.read(_CHUNK):
            pass


def _zip_members(file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = stat.S_IFMT(info.external_attr >> 16)
            kind = "" if mode in (0, stat.S_IFREG, stat.S_IFDIR) else "a link" if stat.S_ISLNK(mode) else "a device"
            is_folder = info.is_dir()
            yield _Member(
                info.orig_filename,
                info.file_size,
                kind,
                lambda info=info, is_folder=is_folder: None if is_folder else archive.open(info),  # type: ignore[misc]
            )


def _write_all(members: Iterable[_Member], source: Path, folder: Path, most_bytes: int) -> None:
    left, count = most_bytes, 0
    for member in members:
        where = f"{source}: member {member.name!r}"
        path = _inside(member, where)
        if any(part.startswith(_CLUTTER) for part in path.parts):
            continue
        left, count = left - member.size, count + 1
        if left < 0 or count > MOST_FILES:
            raise DataError(
                f"{source}: unpacks to more than {most_bytes / 2**30:.3g} GiB or {MOST_FILES} files; if you trust it, "
                "unpack it yourself and give the folder"
            )
        _write(member, folder / path, where)


def _inside(member: _Member, where: str) -> PurePosixPath:
    """The path of a member below the folder.

    Raises:
        DataError: if it would not lie there, or is neither a file nor a folder.
    """
    path, windows = PurePosixPath(member.name), PureWindowsPath(member.name)
    if path.is_absolute() or windows.drive or windows.root:
        raise DataError(f"{where} has an absolute path; nothing was unpacked")
    if ".." in path.parts or ".." in windows.parts:
        raise DataError(f"{where} points out of the archive (path traversal); nothing was unpacked")
    if "\\" in member.name or "\0" in member.name:
        raise DataError(f"{where} has a backslash or a zero in its name; nothing was unpacked")
    if member.kind:
        raise DataError(f"{where} is {member.kind}, only files and folders are unpacked; nothing was unpacked")
    return path


def _write(member: _Member, target: Path, where: str) -> None:
    content = member.open()
    try:
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, open(target, "xb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{where} is in there twice, or is both a file and a folder; nothing was unpacked") from None
    if target.stat().st_size != member.size:
        raise EOFError(f"{member.name!r} has {target.stat().st_size} of {member.size} bytes")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
