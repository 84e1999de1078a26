"""The files of one frame: read, checked and measured. Runs in a process of its own, and never fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.content import DataError
from datasets.doctor.axes import Agreement, agreement
from datasets.doctor.hints import hint
from datasets.doctor.report import PREPARE_AGAIN, Finding, problem, warning
from datasets.layout.frame_files import Array, digest, modality_path
from datasets.layout.label_kinds import CODES, IMAGES
from datasets.layout.layout import DatasetInfo, FrameRecord, read_label

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TokenError,
    cv2.error,
)
"""Exceptions of the readers for damaged files. `DataError` is a ValueError."""

NEAREST, FARTHEST = 0.3, 20.0
"""Metres between which the median depth of a frame of a room lies."""

LONGEST_DEVIATION = 0.01
"""Of a unit vector's length; float16 is off by 0.0005."""

MOST_BOUNDARY = 0.5
"""A larger share of boundary pixels in a frame means that 0 and 255 are exchanged."""


@dataclass(frozen=True)
class Labels:
    """Measures of the labels of one task in one frame.

    Args:
        pixels: of the frame.
        valid: pixels with a label.
        counts: (C,) pixels of each class 1..C of a class map; empty for other kinds.
        positive: boundary or foreground pixels.
        median: of the depth in metres, over the valid pixels; None for other kinds, and without any.
        deviation: largest difference of a normal's length from 1.
    """

    pixels: int
    valid: int
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    positive: int = 0
    median: float | None = None
    deviation: float = 0.0


@dataclass(frozen=True)
class FrameFacts:
    """Measures of one frame.

    Args:
        name: of the frame.
        split: of the frame.
        findings: with the modality that each belongs to.
        digests: of the content of every file that could be read, by path relative to the root.
        labels: measures of the readable labels, by task.
        agreement: of normals and depth, None where one is missing or unreadable.
    """

    name: str
    split: str
    findings: list[tuple[str, Finding]]
    digests: dict[str, str]
    labels: dict[str, Labels]
    agreement: Agreement | None = None


def examine_frame(root: Path, info: DatasetInfo, record: FrameRecord, expected: Mapping[str, str]) -> FrameFacts:
    """Read and check all files of a frame.

    Args:
        root: folder of the data set.
        info: dataset.json.
        record: the frame's line of frames.csv.
        expected: digests of checksums.csv by path relative to the root; files that it does not list are not compared.
    """
    facts = FrameFacts(record.name, record.split, [], {}, {})
    arrays: dict[str, Array] = {}
    for modality in (IMAGES, *info.tasks):
        path = modality_path(root, modality, record.name, info.kinds)
        if not path.is_file():
            # `tables` names the files that are missing, of all frames.
            continue
        try:
            _refuse_other_format(path)
            array = read_label(root, info, record, modality)
        except UNREADABLE as error:
            facts.findings.append((modality, _refused(root, info, record, modality, error)))
            continue
        arrays[modality] = array
        key = path.relative_to(root).as_posix()
        facts.digests[key] = digest(array)
        found = measure(array, modality, info.kinds[modality], len(info.classes_of(modality)), facts, path)
        known = any(finding.level == "problem" for finding in found)
        if not known and facts.digests[key] != expected.get(key, facts.digests[key]):
            found.append(problem(path, f"the content is not what was prepared, checksums.csv tells; {PREPARE_AGAIN}"))
        facts.findings.extend((modality, finding) for finding in found)
    return with_agreement(facts, arrays, info.kinds, record)


def _refuse_other_format(path: Path) -> None:
    """numpy would open an archive or a pickle of the same name, and leave the file open where that fails."""
    if path.suffix != ".npy":
        return
    with open(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if start != np.lib.format.MAGIC_PREFIX:
        raise DataError(f"{path}: truncated or not a .npy array, it begins with {start!r}")


def _refused(root: Path, info: DatasetInfo, record: FrameRecord, modality: str, error: BaseException) -> Finding:
    """The finding about a file that cannot be read or whose values are not allowed."""
    path = modality_path(root, modality, record.name, info.kinds)
    text = str(error).removeprefix(f"{path}: ") if isinstance(error, DataError) else f"cannot be read ({error})"
    try:
        _refuse_other_format(path)
        advice = hint(path, info.kinds[modality], info.size_of(record), len(info.classes_of(modality)))
    except UNREADABLE:
        advice = ""
    return problem(path, text if not advice and PREPARE_AGAIN in text else f"{text}; {advice or PREPARE_AGAIN}")


def measure(array: Array, modality: str, kind: str, num_classes: int, facts: FrameFacts, path: Path) -> list[Finding]:
    """Measure the labels of a task into `facts`.

    Args:
        array: the labels as stored.
        modality: the task.
        kind: see `datasets.layout.label_kinds`.
        num_classes: C of a class map.
        facts: of the frame; its `labels` are extended.
        path: file of the labels, for the findings.

    Returns:
        findings about values that are not plausible.
    """
    found: list[Finding] = []
    if kind == "class":
        labels = _classes(array, num_classes)
    elif kind == "value":
        labels, found = _depth(array, path)
    elif kind == "direction":
        labels, found = _normals(array, path)
    elif kind in ("probability", "mask"):
        labels, found = _two_valued(array, kind, path)
    else:
        return []
    facts.labels[modality] = labels
    if not labels.valid:
        found = [warning(path, f"no pixel has a label of {modality}; is that so at the source?")]
    return found


def _classes(array: Array, num_classes: int) -> Labels:
    counts = np.bincount(array.ravel(), minlength=num_classes + 1)
    return Labels(array.size, array.size - int(counts[0]), counts=counts[1:])


def _depth(array: Array, path: Path) -> tuple[Labels, list[Finding]]:
    valid = array[array > 0]
    if not valid.size:
        return Labels(array.size, 0), []
    median = float(np.median(valid))
    labels = Labels(array.size, valid.size, median=median)
    if NEAREST <= median <= FARTHEST:
        return labels, []
    return labels, [problem(path, f"the median depth is {median:.4g} m; {unit_guess(median)}")]


def unit_guess(median: float) -> str:
    """Remedy for a median depth that no room has."""
    for unit, factor in (("millimetres", 1000), ("centimetres", 100)):
        if NEAREST <= median / factor <= FARTHEST:
            return f"{unit}? Divide by {factor} and prepare again"
    if median < NEAREST:
        return "kilometres, inverse or normalised depth? The layout wants metres; prepare again"
    return f"the layout wants metres, and a room has {NEAREST:g} to {FARTHEST:g} m; prepare again"


def _normals(array: Array, path: Path) -> tuple[Labels, list[Finding]]:
    vectors = array.reshape(-1, 3).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    valid = lengths > 0
    deviation = np.where(valid, np.abs(lengths - 1), 0)
    labels = Labels(len(lengths), int(valid.sum()), deviation=float(deviation.max(initial=0)))
    wrong = deviation > LONGEST_DEVIATION
    if not wrong.any():
        return labels, []
    row, column = divmod(int(wrong.argmax()), array.shape[1])
    return labels, [
        problem(
            path,
            f"{int(wrong.sum())} of {labels.valid} normals lack unit length, the first {lengths[wrong][0]:.3f} at "
            f"row {row}, column {column}; divide them by their length, or write zero where there is no label",
        )
    ]


def _two_valued(array: Array, kind: str, path: Path) -> tuple[Labels, list[Finding]]:
    off, _, on = (int(np.count_nonzero(array == code)) for code in CODES)
    labels = Labels(array.size, off + on, positive=on)
    if kind == "mask" or on <= MOST_BOUNDARY * array.size:
        return labels, []
    share = f"{100 * on / array.size:.0f} % of the pixels are boundary"
    return labels, [problem(path, f"{share}; are 0 and 255 exchanged? 255 marks a boundary; prepare again")]


def with_agreement(
    facts: FrameFacts, arrays: Mapping[str, Array], kinds: Mapping[str, str], record: FrameRecord
) -> FrameFacts:
    """Add the agreement of normals and depth, where both are plausible by themselves.

    Args:
        facts: of the frame.
        arrays: its labels by task, as stored.
        kinds: kind of each task.
        record: line of frames.csv.
    """
    wrong = {modality for modality, finding in facts.findings if finding.level == "problem"}
    names = [next((name for name in arrays if kinds[name] == kind), "") for kind in ("value", "direction")]
    depth, normals = (arrays.get(name) for name in names)
    has_camera = np.isfinite(record.intrinsics).all() and min(record.intrinsics[:2]) > 0
    if depth is None or normals is None or names[0] in wrong or not has_camera:
        return facts
    found = agreement(depth, normals, record.matrix())
    return FrameFacts(facts.name, facts.split, facts.findings, facts.digests, facts.labels, found)
