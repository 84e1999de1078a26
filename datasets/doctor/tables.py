"""Checks of dataset.json, frames.csv and checksums.csv against each other and against the files on disk."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.boundaries.formats.content import DataError
from benchmark.tasks import and_more
from datasets.doctor.report import PREPARE_AGAIN, Finding, problem, warning
from datasets.layout.frame_files import modality_path
from datasets.layout.label_kinds import IMAGES
from datasets.layout.layout import DatasetInfo, FrameRecord, fingerprint, read_frames, read_info
from datasets.loading.poses import is_rigid

OFFICIAL_COUNTS = {"nyuv2": {"train": 795, "test": 654}, "pascal": {"train": 4998, "test": 5105}}
"""Number of frames per split of the complete data sets, by the beginning of the id."""

NEARLY = 0.9
"""If more than this share of the official frames is present, the others count as lost; else the part is intended."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class NoDatasetError(DataError):
    """The folder holds no prepared data set, not even a damaged one."""


@dataclass(frozen=True)
class Tables:
    """The three tables of a data set.

    Args:
        info: dataset.json.
        records: frames.csv.
        digests: checksums.csv, by path relative to the root; None if it cannot be read.
    """

    info: DatasetInfo
    records: Sequence[FrameRecord]
    digests: Mapping[str, str] | None

    def files(self, modality: str) -> list[str]:
        """Paths relative to the root of all files of a modality."""
        kinds = self.info.kinds
        return [modality_path(Path(), modality, record.name, kinds).as_posix() for record in self.records]


def open_tables(root: Path) -> tuple[Tables | None, list[Finding]]:
    """Read the three tables.

    Returns:
        The tables, None if they cannot be used; and the findings about them.

    Raises:
        NoDatasetError: if the folder has none of the tables.
    """
    if not root.is_dir():
        raise NoDatasetError(f"{root}: no such folder")
    if not any((root / name).exists() for name in ("dataset.json", "frames.csv", "checksums.csv")):
        raise NoDatasetError(f"{root}: no prepared data set here (no dataset.json); give the folder of one")
    try:
        info = _checked(read_info(root), root / "dataset.json")
        records = read_frames(root)
        if not records:
            raise DataError(f"{root / 'frames.csv'}: lists no frame; prepare the data set again")
        _refuse_bad_names(records, root / "frames.csv")
    except DataError as error:
        where, _, text = str(error).partition(": ")
        return None, [problem(where, text)]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        return None, [problem(root, f"dataset.json or frames.csv cannot be read ({error}); {PREPARE_AGAIN}")]
    try:
        digests = read_checksums(root)
    except DataError as error:
        where, _, text = str(error).partition(": ")
        return Tables(info, records, None), [problem(where, text)]
    return Tables(info, records, digests), []


def read_checksums(root: Path) -> dict[str, str]:
    """Read checksums.csv: digest by path relative to the root.

    Raises:
        DataError: naming the wrong line.
    """
    path = root / "checksums.csv"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "the file is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise DataError(f"{path}: {reason}; {PREPARE_AGAIN}") from None
    if not lines or lines[0] != "path,sha256":
        raise DataError(f"{path}: the first line is not 'path,sha256'; {PREPARE_AGAIN}")
    digests: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        name, _, digest = line.rpartition(",")
        if not name or name in digests or not _SHA256.fullmatch(digest):
            raise DataError(f"{path}: line {number} is no path and sha256, or names a file twice; {PREPARE_AGAIN}")
        digests[name] = digest
    return digests


def check_tables(root: Path, tables: Tables) -> Iterator[Finding]:
    """Findings of all checks that open no file of a frame."""
    yield from _counts(root, tables)
    yield from _names(root, tables)
    yield from check_scenes(root, tables)
    yield from check_cameras(root, tables)
    yield from _files(root, tables)
    if tables.digests is not None:
        yield from _fingerprint(root, tables.info, tables.records, tables.digests)


def _checked(info: DatasetInfo, path: Path) -> DatasetInfo:
    """Refuse values that `read_info` accepts and later checks cannot use."""
    texts = [info.id, info.fingerprint, *info.classes]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path}: id, fingerprint and classes must be texts; prepare the data set again")
    if info.size is not None and min(info.size) < 1:
        raise DataError(f"{path}: the size is {info.size}; prepare the data set again")
    if len(set(info.tasks)) != len(info.tasks):
        raise DataError(f"{path}: a task is named twice in {list(info.tasks)}; prepare the data set again")
    return info


def _refuse_bad_names(records: Sequence[FrameRecord], path: Path) -> None:
    for line, record in enumerate(records, start=2):
        parts = Path(record.name).parts
        if not parts or ".." in parts or Path(record.name).is_absolute() or not record.name.isprintable():
            raise DataError(f"{path}: line {line} names a frame {record.name!r}, which is no name; {PREPARE_AGAIN}")


def _counts(root: Path, tables: Tables) -> Iterator[Finding]:
    found, declared = Counter(record.split for record in tables.records), dict(tables.info.counts)
    for split in sorted({*found, *declared}):
        if found[split] != declared.get(split, 0):
            yield problem(
                root / "frames.csv",
                f"lists {found[split]} {split} frames, dataset.json says {declared.get(split, 0)}; {PREPARE_AGAIN}",
            )
    official = next((counts for name, counts in OFFICIAL_COUNTS.items() if tables.info.id.startswith(name)), {})
    for split, count in official.items():
        if found[split] == count:
            continue
        text = f"lists {found[split]} {split} frames, the complete data set has {count}"
        if found[split] > NEARLY * count:
            yield problem(root / "frames.csv", f"{text}; find the missing frames at the source and prepare again")
        else:
            yield warning(root / "frames.csv", f"{text}; numbers on a part do not compare with those on the whole")


def _names(root: Path, tables: Tables) -> Iterator[Finding]:
    splits: dict[str, str] = {}
    for record in tables.records:
        first_split = splits.setdefault(record.name, record.split)
        if first_split != record.split:
            yield problem(
                root / "frames.csv",
                f"frame {record.name!r} is in {first_split} and in {record.split}: a test frame must "
                "not be trained on; take it out of one at the source and prepare again",
            )
            return
    twice = next((name for name, count in Counter(record.name for record in tables.records).items() if count > 1), None)
    if twice is not None:
        yield problem(root / "frames.csv", f"frame {twice!r} is listed twice; {PREPARE_AGAIN}")


def check_scenes(root: Path, tables: Tables) -> Iterator[Finding]:
    """Finding about scenes in more than one split."""
    splits: dict[str, set[str]] = {}
    for record in tables.records:
        if record.scene:
            splits.setdefault(record.scene, set()).add(record.split)
    shared = sorted(scene for scene, names in splits.items() if len(names) > 1)
    if shared:
        yield warning(
            root / "frames.csv",
            f"scene {shared[0]!r} is in more than one split{and_more(len(shared), 'scene')} of {len(splits)}; "
            "test scores will be too good unless the official split is like that",
        )


def check_cameras(root: Path, tables: Tables) -> Iterator[Finding]:
    """Finding about the first line with impossible intrinsics or pose."""
    for line, record in enumerate(tables.records, start=2):
        fx, fy, cx, cy = record.intrinsics
        height, width = record.size or tables.info.size or (np.inf, np.inf)
        given = f"line {line}: intrinsics {fx:g} {fy:g} {cx:g} {cy:g}"
        if not (0 < fx < np.inf and 0 < fy < np.inf and np.isfinite([cx, cy]).all()):
            text = f"{given} have no focal length or are not finite; correct them and prepare again"
            yield problem(root / "frames.csv", text)
            return
        if not (0 <= cx <= width and 0 <= cy <= height):
            text = f"{given} have their axis outside the image of {height} rows and {width} columns; is it a crop?"
            yield warning(root / "frames.csv", text)
            return
        if record.pose is not None and not is_rigid(record.pose):
            yield problem(
                root / "frames.csv",
                f"line {line}: the pose is no rotation and translation; correct it and prepare again",
            )
            return


def _files(root: Path, tables: Tables) -> Iterator[Finding]:
    listed: set[str] = set()
    for modality in (IMAGES, *tables.info.tasks):
        wanted = tables.files(modality)
        listed.update(wanted)
        if not (root / modality).is_dir():
            yield problem(root / modality, f"the folder is missing, with {len(wanted)} files; {PREPARE_AGAIN}")
            continue
        present = set(_below(root, root / modality))
        missing = [path for path in wanted if path not in present]
        if missing:
            finding = problem(root / missing[0], f"the file is missing; {PREPARE_AGAIN}")
            yield Finding(finding.level, finding.where, finding.text, others=len(missing) - 1)
        unknown = sorted(present - set(wanted))
        if unknown:
            more = and_more(len(unknown), "such file")
            text = f"no line of frames.csv belongs to it{more}; it is not used"
            yield warning(root / unknown[0], text)
    if tables.digests is not None:
        differing = sorted(listed ^ set(tables.digests))
        if differing:
            kind = "no line for" if differing[0] in listed else "a line for a file of no frame,"
            text = f"has {kind} {differing[0]} ({len(differing)} in all); {PREPARE_AGAIN}"
            yield problem(root / "checksums.csv", text)


def _below(root: Path, folder: Path) -> Iterator[str]:
    """Paths, relative to `root`, of all files below a folder."""
    for place, _, names in os.walk(folder):
        start = os.path.relpath(place, root).replace(os.sep, "/")
        yield from (f"{start}/{name}" for name in names)


def _fingerprint(
    root: Path, info: DatasetInfo, records: Sequence[FrameRecord], digests: Mapping[str, str]
) -> Iterator[Finding]:
    content = fingerprint(digests, records, info.classes, info.labels)
    if content != info.fingerprint:
        yield problem(
            root / "dataset.json",
            f"the fingerprint is {info.fingerprint[:8]}, the tables give {content[:8]}: "
            f"frames.csv, checksums.csv or the class names were changed; {PREPARE_AGAIN}",
        )
    elif not info.id.endswith(content[:8]):
        yield problem(
            root / "dataset.json", f"the id {info.id} does not end with the fingerprint {content[:8]}; {PREPARE_AGAIN}"
        )
