"""Unusual inputs written by scripts in ../shared: read, or refused in one line."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.boundaries.formats.content import DataError
from datasets.nyuv2.sources.releases import open_release
from datasets.own.folder import FolderDataset
from datasets.posed_clip.opening import open_clips
from datasets.preparation.archives import unpacked

READ = ""
FOLDERS = {
    "control": READ,
    "jpeg_trailer": READ,
    "appledouble": READ,
    "bom_lists": READ,
    "bom_manifest": READ,
    "nfd_names": READ,
    "unicode_and_spaces": READ,
    "exif_180": READ,
    "one_bit_semseg": READ,
    "palette_semseg": READ,
    "rgb_semseg": "a colour picture; a label map has one number per pixel",
    "jpeg_semseg": "files here end in .png, .npy",
    "jpeg_named_png": READ,
    "png_named_jpg": READ,
    "cmyk_jpeg": READ,
    "mixed_images": READ,
    "rgb16_image": "expected 8 bits a channel",
    "depth_65535": READ,
    "depth_inf_nan_neg": READ,
    "depth_minus_one": "a missing one is 0, NaN or infinite",
    "depth_1hw": READ,
    "depth_small": "found 24x32, the image has 48x64; resize it without interpolation",
    "normals_chw": "the channels come first",
    "normals_png16": "expected 8 bits a channel",
    "symlinks": READ,
    "subfolders": "a folder; put all files directly into",
    "one_test_frame": READ,
    "odd_sizes": READ,
    "empty_line_comment": READ,
    "npy_fortran_bigendian": READ,
    "npz_named_npy": "an archive of several arrays",
    "object_npy": "it holds Python objects",
    "png_hole": "a checksum of the PNG image is wrong",
    "png_lost_chunk_depth": "truncated, the PNG image ends after",
    "jpeg_no_eoi": READ,
    "jpeg_raspberry": READ,
}
CLIPS = {
    "seven_nan_pose": 5,
    "seven_zero_pose": 5,
    "seven_crlf_bom": 6,
    "seven_thumbs": 6,
    "seven_proj": 6,
    "tum_commas": 6,
    "tum_nan_pose": 5,
    "tum_unnormalised": 6,
    "tum_spaces": 6,
    "tum_backslash": 6,
    "tum_integer_frames": 6,
    "tum_absolute": "lies outside the folder of the clip",
    "tum_truncated_line": "line 7: found 5 numbers",
    "colmap_sparse0": 6,
    "colmap_same_stem": 6,
    "colmap_huge_ids": 6,
    "colmap_no_points_lines": "10 numbers are no triples",
}
ARCHIVES = {
    "zip_backslash": READ,
    "zip_encrypted_flag": "is encrypted; nothing was unpacked; unpack it yourself and give the folder",
    "zip_absolute": "has an absolute path",
    "tar_hardlinks": READ,
    "tar_symlink_extra": "is a symbolic link; nothing was unpacked; unpack it yourself and give the folder",
    "tar_sparse": READ,
    "tar_zst": "compressed by Zstandard",
    "html_page": "a web page in place of the file",
    "lfs_pointer": "a Git LFS pointer in place of the file",
    "rgba_image": READ,
}


@pytest.fixture
def make(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a case of a script and return its folder. It runs in this process: a new one costs half a second."""

    def write(script: str, case: str) -> Path:
        folder = tmp_path / case
        monkeypatch.setattr(sys, "argv", [script, case, str(folder)])
        runpy.run_path(str(shared / "cases" / script), run_name="__main__")
        return folder

    return write


def expect(expected: Any, read: Any) -> None:
    """Check that `read` returns the expected value, or is refused in one line with the expected text."""
    if isinstance(expected, str) and expected != READ:
        with pytest.raises(DataError) as caught:
            read()
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        found = read()
        assert expected in (READ, found)


@pytest.mark.parametrize("case", FOLDERS)
def test_folders(make: Any, case: str) -> None:
    folder = make("folder_cases.py", case)

    def read() -> int:
        data = FolderDataset(folder, "train", size=(48, 64))
        targets = data[0]["targets"]
        assert 2.4 < float(targets["depth"].max()) < 3.1
        classes = {"one_bit_semseg": [0, 1]}.get(case, [0, 1, 2])
        assert np.unique(targets["semseg"]).tolist() == classes
        return len(data)

    expect(FOLDERS[case], read)


@pytest.mark.parametrize("case", CLIPS)
def test_clips(make: Any, case: str) -> None:
    folder = make("clip_cases.py", case)

    def read() -> int:
        source = open_clips([folder], None, every=1, test_share=0)
        depths = [source.read(*frame)[1]["depth"] for frame in source.frames]
        assert all(1.4 < depth.mean() < 2.3 for depth in depths)
        return len(depths)

    expect(CLIPS[case], read)


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives(make: Any, case: str) -> None:
    (archive,) = make("archive_cases.py", case).iterdir()

    def read() -> int:
        with unpacked(archive, archive.parent / "out") as folder:
            source = open_release(folder, None)
            return len([source.read(*frame) for frame in source.frames])

    expect(5 if ARCHIVES[case] == READ else ARCHIVES[case], read)
