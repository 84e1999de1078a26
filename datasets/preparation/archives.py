"""Safe unpacking of data set archives.

Only files and folders inside the target folder are unpacked: no absolute path, no `..`, no symbolic link, no device, no
repeated name, no permissions and no owners. A hard link becomes a copy. A truncated or damaged archive is refused as a
whole. Every member is checked here, since some supported Python versions lack the extraction filter of `tarfile`.
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
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from benchmark.boundaries.formats.content import DataError, first_line, is_system_file, refuse_placeholder

MAX_BYTES = 100 * 2**30
"""Limit of the size of all files together; the largest release has about 10 GB."""
MAX_FILES = 300_000
MAX_LEVELS = 2
"""Levels below the top at which a release may begin: archives of folders, and folders of archives of folders."""

_BLOCK = 512
_CHUNK = 2**20
_UNPACK_YOURSELF = "unpack it yourself and give the folder"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_ENCRYPTED = 0x1
_DEFLATE64 = 9
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
"""Exceptions of the standard library for damaged archives."""


@dataclass(frozen=True)
class _Member:
    """One entry of an archive.

    Args:
        name: path in the archive, as stored.
        size: size of a file in bytes.
        refusal: reason why it cannot be unpacked, empty for files and folders.
        open: function that opens the content; it returns None for a folder.
        copy_of: target of a hard link; empty for other members.
        separators: characters between the folders of the name.
    """

    name: str
    size: int
    refusal: str
    open: Callable[[], IO[bytes] | None]
    copy_of: str = ""
    separators: str = "/"


@contextmanager
def unpacked(source: Path, target: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[Path]:
    """The content of `source` as a folder: `source` itself, or a temporary folder for an archive, removed at the end.

    A `DataError` about an unpacked file names it as ARCHIVE:MEMBER. Callers that may run at the same time hold
    `datasets.layout.layout.exclusive(target)`.

    Args:
        source: folder, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz or .zip, recognised by content, not by name.
        target: folder of the prepared data set; the temporary folder is created next to it, on the same disk.
        max_bytes: limit of the unpacked size.

    Raises:
        DataError: if the archive is missing, truncated or damaged, or a member must not be unpacked.
    """
    if source.is_dir():
        yield source
        return
    target = Path(target).absolute()
    folder = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        unpack(source, folder, max_bytes=max_bytes)
        yield folder
    except DataError as error:
        message = str(error).replace(f"{folder}{os.sep}", f"{source}:").replace(str(folder), str(source))
        raise DataError(message) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(source: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack an archive into a new folder; after an error the folder is incomplete.

    Raises:
        DataError: as `unpacked`.
    """
    try:
        with open(source, "rb") as file:
            members = _members_of(file, source)
            folder.mkdir(parents=True)
            _write_all(members, source, folder, max_bytes)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file or folder") from None
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{source}: truncated or damaged archive ({first_line(error)}){_AGAIN}") from None
    except OSError as error:
        # Decompressors raise OSError without errno for damaged data; errors of the system have an errno.
        if error.errno is None:
            raise DataError(f"{source}: truncated or damaged archive ({first_line(error)}){_AGAIN}") from None
        raise DataError(f"{source}: cannot be unpacked to {folder} ({error.strerror})") from None


def folder_with(folder: Path, names: Iterable[str], release: str) -> Path:
    """The topmost folder that contains all `names`.

    Args:
        folder: start of the search, which covers `MAX_LEVELS` levels below it.
        names: names of files or folders.
        release: name of the release, for the message.

    Raises:
        DataError: if no folder matches, or two folders at the same level.
    """
    wanted = tuple(names)
    level = [folder]
    for _ in range(MAX_LEVELS + 1):
        matches = [candidate for candidate in level if all((candidate / name).exists() for name in wanted)]
        if len(matches) > 1:
            raise DataError(
                f"{folder}: holds {release} twice, in {matches[0].name}/ and {matches[1].name}/; give one of them"
            )
        if matches:
            return matches[0]
        level = [child for candidate in level for child in sorted(candidate.iterdir()) if child.is_dir()]
    raise DataError(f"{folder}: not {release}, which has {', '.join(wanted)}")


def _members_of(file: IO[bytes], source: Path) -> Iterator[_Member]:
    """The members of an archive, its format recognised by its first bytes."""
    start = file.read(_BLOCK)
    file.seek(0)
    refuse_placeholder(start, source)
    if start.startswith(_ZSTANDARD):
        raise DataError(f"{source}: compressed by Zstandard, which is not read here; {_UNPACK_YOURSELF}")
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


class _CheckedStream(io.RawIOBase):
    """A stream that keeps the last bytes read, since `tarfile` does not report a missing end mark.

    It refuses to read a large header, which `tarfile` would keep in memory.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """Read from the stream."""
        if size > _CHUNK + _BLOCK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self.stream.read(size)
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move in the stream."""
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        """Position in the stream."""
        return self.stream.tell()


def _tar_members(stream: IO[bytes]) -> Iterator[_Member]:
    checked = _CheckedStream(stream)
    with tarfile.open(fileobj=checked, mode="r:") as archive:
        for info in archive:
            supported = info.isreg() or info.isdir() or info.islnk()
            refusal = "" if supported else "a symbolic link" if info.issym() else "a device or another special file"
            copy_of = info.linkname if info.islnk() else ""
            yield _Member(info.name, info.size, refusal, lambda info=info: archive.extractfile(info), copy_of)  # type: ignore[misc]
        if checked.last != bytes(_BLOCK):
            raise tarfile.ReadError("its end mark is missing")
        # The checksum of a compressed stream is verified at its end.
        while checked.read(_CHUNK):
            pass


def _zip_members(file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            is_folder = info.orig_filename.endswith(("/", "\\"))
            yield _Member(
                info.orig_filename,
                info.file_size,
                _zip_refusal(info),
                lambda info=info, is_folder=is_folder: None if is_folder else archive.open(info),  # type: ignore[misc]
                # Some Windows tools write backslashes in place of slashes.
                separators="/\\",
            )


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a symbolic link" if stat.S_ISLNK(mode) else "a device"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        method = "Deflate64" if info.compress_type == _DEFLATE64 else f"method {info.compress_type}"
        return f"compressed by {method}, which Python does not read"
    return ""


def _write_all(members: Iterable[_Member], source: Path, folder: Path, max_bytes: int) -> None:
    left, count = max_bytes, 0
    for member in members:
        where = f"{source}: member {member.name!r}"
        path = _inside(member, where)
        if any(is_system_file(part) for part in path.parts):
            continue
        size = _size_of_copy(member, folder, where) if member.copy_of else member.size
        left, count = left - size, count + 1
        if left < 0 or count > MAX_FILES:
            raise DataError(
                f"{source}: unpacks to more than {max_bytes / 2**30:.3g} GiB or {MAX_FILES} files; if you trust it, "
                f"{_UNPACK_YOURSELF}"
            )
        _write(member, folder, folder / path, where)


def _size_of_copy(member: _Member, folder: Path, where: str) -> int:
    try:
        return _original(member, folder, where).stat().st_size
    except FileNotFoundError:
        raise DataError(
            f"{where} is a hard link to {member.copy_of!r}, which does not come before it; {_UNPACK_YOURSELF}"
        ) from None


def _original(member: _Member, folder: Path, where: str) -> Path:
    """The unpacked file that a hard link points to."""
    return folder / _inside(replace(member, name=member.copy_of), f"{where}: its original {member.copy_of!r}")


def _inside(member: _Member, where: str) -> PurePosixPath:
    """The path of a member relative to the folder.

    Raises:
        DataError: if it leads outside the folder, or the member is neither a file nor a folder.
    """
    path, windows = PurePosixPath(member.name), PureWindowsPath(member.name)
    if path.is_absolute() or windows.drive or windows.root:
        raise DataError(f"{where} has an absolute path; nothing was unpacked")
    if ".." in path.parts or ".." in windows.parts:
        raise DataError(f"{where} points out of the archive (path traversal); nothing was unpacked")
    name = member.name.replace("\\", "/") if "\\" in member.separators else member.name
    if "\\" in name or "\0" in name:
        raise DataError(f"{where} has a backslash or a zero in its name; {_UNPACK_YOURSELF}")
    if member.refusal:
        raise DataError(f"{where} is {member.refusal}; nothing was unpacked; {_UNPACK_YOURSELF}")
    return PurePosixPath(name)


def _write(member: _Member, folder: Path, target: Path, where: str) -> None:
    try:
        content = _original(member, folder, where).open("rb") if member.copy_of else member.open()
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, open(target, "xb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{where} is contained twice, or is both a file and a folder; {_UNPACK_YOURSELF}") from None
    if not member.copy_of and target.stat().st_size != member.size:
        raise EOFError(f"{member.name!r} has {target.stat().st_size} of {member.size} bytes")
