"""Unpacking of archives: equal folders from every format, and refusals of unsafe or damaged archives in one line."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.boundaries.formats.content import DataError
from datasets.preparation.archives import folder_with, unpacked

NOISE = np.random.default_rng(0).bytes(5000)
FILES = {"top/a.txt": b"a" * 1000, "top/deep/b.bin": NOISE, "top/empty": b""}
FORMATS = ("x.tar", "x.tgz", "x.tar.bz2", "x.tar.xz", "x.zip")
TAR_MODES = {"x.tar": "w:", "x.tgz": "w:gz", "x.tar.bz2": "w:bz2", "x.tar.xz": "w:xz"}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, TAR_MODES[path.name]) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(path: Path, **options: int) -> str:
    """Message of the refusal, after a check that only the archive is left."""
    before = set(path.parent.rglob("*"))
    with pytest.raises(DataError) as caught, unpacked(path, path.parent / "out", **options):
        pytest.fail("it was unpacked")
    assert set(path.parent.rglob("*")) == before
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_folder_and_leaves_nothing(tmp_path, name):
    path = pack(tmp_path / name, {**FILES, "./top/c": b"c", "__MACOSX/top/._a.txt": b"x", "top/._a.txt": b"x"})
    with unpacked(path, tmp_path / "out") as folder:
        assert folder.parent == tmp_path
        assert contents(folder) == {**FILES, "top/c": b"c"}
    assert os.listdir(tmp_path) == [name]


def test_a_folder_is_used_as_it_is(tmp_path):
    with unpacked(tmp_path, tmp_path / "out") as folder:
        assert folder == tmp_path
    assert tmp_path.is_dir()


def test_the_format_is_recognised_by_content_and_not_by_name(tmp_path):
    path = pack(tmp_path / "x.tgz", FILES).rename(tmp_path / "download")
    with unpacked(path, tmp_path / "out") as folder:
        assert contents(folder) == FILES


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".out.unpacking" / "old").mkdir(parents=True)
    with unpacked(pack(tmp_path / "x.tar", FILES), tmp_path / "out") as folder:
        assert contents(folder) == FILES


def test_an_error_about_an_unpacked_file_names_archive_and_member(tmp_path):
    path = pack(tmp_path / "x.zip", FILES)
    with pytest.raises(DataError) as caught, unpacked(path, tmp_path / "out") as folder:
        raise DataError(f"{folder / 'top' / 'a.txt'}: is odd")
    assert str(caught.value) == f"{path}:top/a.txt: is odd"
    assert os.listdir(tmp_path) == ["x.zip"]


OUTSIDE = {
    "../evil": "points out of the archive (path traversal)",
    "top/../../evil": "points out of the archive (path traversal)",
    "/evil": "has an absolute path",
    "C:\\evil": "has an absolute path",
    "\\\\host\\share\\evil": "has an absolute path",
    "top\\..\\..\\evil": "points out of the archive (path traversal)",
    "top\\evil": "has a backslash",
}


@pytest.mark.parametrize(
    ("kind", "name"),
    # Windows tools write backslashes into zip archives; another test reads them.
    [(kind, name) for kind in ("x.tgz", "x.zip") for name in OUTSIDE if (kind, name) != ("x.zip", "top\\evil")],
)
def test_a_path_that_leads_outside_is_refused(tmp_path, kind, name):
    message = refused(pack(tmp_path / kind, {**FILES, name: b"evil"}))
    assert repr(name) in message
    assert OUTSIDE[name] in message


def test_a_file_twice_is_refused(tmp_path):
    assert "member './top/a.txt' is contained twice" in refused(
        pack(tmp_path / "x.tar", {**FILES, "./top/a.txt": b"other"})
    )


def test_a_file_that_is_a_folder_too_is_refused(tmp_path):
    assert "both a file and a folder" in refused(pack(tmp_path / "x.tar", {**FILES, "top/a.txt/b": b""}))


def special(kind: bytes, target: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = pack(folder / "x.tar", {})
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("top/odd")
            info.type, info.linkname = kind, target
            archive.addfile(info)
        return path

    return make


def zipped_link(folder: Path) -> Path:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("top/odd")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return path


SPECIAL = {
    "symbolic link": (
        special(tarfile.SYMTYPE, "/etc/passwd"),
        "is a symbolic link; nothing was unpacked; unpack it yourself",
    ),
    "hard link": (special(tarfile.LNKTYPE, "../outside"), ": its original '../outside' points out of the archive"),
    "device": (special(tarfile.CHRTYPE), "is a device"),
    "pipe": (special(tarfile.FIFOTYPE), "is a device or another special file"),
    "link in a zip": (zipped_link, "is a symbolic link"),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_links_and_devices_are_refused(tmp_path, case):
    make, message = SPECIAL[case]
    assert f"'top/odd'{'' if message[0] == ':' else ' '}{message}" in refused(make(tmp_path))


@pytest.mark.parametrize("name", FORMATS)
def test_an_archive_cut_anywhere_is_refused(tmp_path, name):
    """At 12 places; a plain tar also between members and within a header, where `tarfile` itself sees no error."""
    whole = pack(tmp_path / name, FILES).read_bytes()
    # 10240 is the block of a tar: behind its three files it is padded with zeros.
    content = 512 + 1024 + 512 + 5120 + 512 if name == "x.tar" else len(whole) - 1
    between = (512, 1536, 1800, 2048, 7168, 7300, 7680) if name == "x.tar" else ()
    for length in {*np.linspace(6, content, 12).astype(int), *between}:
        (tmp_path / name).write_bytes(whole[:length])
        message = refused(tmp_path / name)
        assert "truncated or damaged" in message or length < 262, "shorter than the mark of a tar it is anything"


def test_flipped_bytes_are_detected_by_the_checksum(tmp_path):
    for name in ("x.tgz", "x.zip"):
        data = bytearray(pack(tmp_path / name, {"noise": NOISE}).read_bytes())
        data[2000] ^= 0xFF
        (tmp_path / name).write_bytes(data)
        assert "truncated or damaged archive" in refused(tmp_path / name)
        (tmp_path / name).unlink()


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(pack(tmp_path / "x.zip", FILES).read_bytes())
    # Bit 0 of the flags, in the local header and in the central directory.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    assert "is encrypted; nothing was unpacked; unpack it yourself and give the folder" in refused(tmp_path / "x.zip")


def test_a_zip_compressed_by_deflate64_is_refused_by_name(tmp_path):
    data = bytearray(pack(tmp_path / "x.zip", FILES).read_bytes())
    data[8], data[data.index(b"PK\x01\x02") + 10] = 9, 9
    (tmp_path / "x.zip").write_bytes(data)
    assert "is compressed by Deflate64, which Python does not read" in refused(tmp_path / "x.zip")


def test_backslashes_in_a_zip_separate_folders(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**FILES, "top/folder/": b""}.items():
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("/", "\\")
            archive.writestr(info, content)
    with unpacked(path, tmp_path / "out") as folder:
        assert contents(folder) == FILES
        assert (folder / "top" / "folder").is_dir()


def add_hard_link(path: Path, name: str, original: str) -> Path:
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.LNKTYPE, original
        archive.addfile(info)
    return path


def test_a_hard_link_becomes_a_copy(tmp_path):
    path = add_hard_link(pack(tmp_path / "x.tar", FILES), "top/copy", "top/a.txt")
    with unpacked(path, tmp_path / "out") as folder:
        assert contents(folder) == {**FILES, "top/copy": FILES["top/a.txt"]}


def test_a_hard_link_to_a_file_that_is_not_unpacked_is_refused(tmp_path):
    message = refused(add_hard_link(pack(tmp_path / "x.tar", FILES), "top/copy", "top/later"))
    assert "is a hard link to 'top/later', which does not come before it" in message


def test_copies_by_hard_links_count_for_the_size(tmp_path):
    path = pack(tmp_path / "x.tar", FILES)
    for number in range(9):
        add_hard_link(path, f"top/{number}", "top/deep/b.bin")
    assert "unpacks to more than" in refused(path, max_bytes=30_000)


def test_a_large_header_is_refused_before_it_is_read(tmp_path):
    """A pax header declares a name of 500 MB, which the file does not contain."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 500 * 2**20
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240))
    assert "a header of 524288000 bytes" in refused(tmp_path / "x.tar")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "page.tgz").write_text("<html>Google Drive - Virus scan warning</html>")
    assert "a web page in place of the file" in refused(tmp_path / "page.tgz")
    (tmp_path / "lfs.tgz").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "a Git LFS pointer in place of the file; run `git lfs pull`" in refused(tmp_path / "lfs.tgz")
    (tmp_path / "a.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(600))
    assert "compressed by Zstandard" in refused(tmp_path / "a.tar.zst")
    (tmp_path / "note.tgz").write_text("a note")
    assert "neither a folder nor a tar or zip archive (6 bytes)" in refused(tmp_path / "note.tgz")
    assert "no such file" in refused(tmp_path / "missing.tgz")


def test_a_bomb_is_refused(tmp_path):
    path = pack(tmp_path / "x.zip", {"zeros": bytes(2 * 2**20)})
    assert "unpacks to more than 0.000977 GiB" in refused(path, max_bytes=2**20)


def test_folder_with_finds_a_release_below_its_wrappers(tmp_path):
    (tmp_path / "data" / "NYUD_MT" / "gt_sets").mkdir(parents=True)
    (tmp_path / "data" / "NYUD_MT" / "images").mkdir()
    assert folder_with(tmp_path, ("images", "gt_sets"), "a release") == tmp_path / "data" / "NYUD_MT"
    assert folder_with(tmp_path / "data" / "NYUD_MT", ("gt_sets",), "a release").name == "NYUD_MT"


def test_folder_with_refuses_no_match_and_two_matches(tmp_path):
    with pytest.raises(DataError, match=r"not a release, which has images"):
        folder_with(tmp_path, ("images",), "a release")
    for name in "ab":
        (tmp_path / name / "images").mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds a release twice, in a/ and b/"):
        folder_with(tmp_path, ("images",), "a release")
