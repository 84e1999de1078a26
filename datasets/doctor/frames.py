"""Reading, checks and measures of the files of one frame; faults become findings, never exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
"""Exceptions of the readers for damaged files; `DataError` is a ValueError."""

NEAREST, FARTHEST = 0.3, 20.0
"""Range in metres of the median depth of a frame of a room."""

LONGEST_DEVIATION = 0.01
"""Largest deviation of the length of a unit vector; float16 rounding causes 0.0005."""

MOST_BOUNDARY = 0.5
"""Share of boundary pixels in a frame above which the codes 0 and 255 are taken to be exchanged."""


@dataclass(frozen=True)
class Labels:
    """Measures of the labels of one task in one frame.

    Args:
        pixels: number of pixels of the frame.
        valid: number of labelled pixels.
        counts: (C,) number of pixels of each class 1..C of a class map; empty for other kinds.
        positive: number of boundary or foreground pixels.
        median: median depth of the valid pixels in metres; None for other kinds, or without a valid pixel.
        deviation: largest deviation of the length of a normal from 1.
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
        name: name of the frame.
        split: split of the frame.
        findings: findings, each with its modality.
        digests: digest of the content of every readable file, by path relative to the root.
        labels: measures of the readable labels, by task.
        agreement: comparison of normals and depth; None if one is missing or unreadable.
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
            # `tables` reports the missing files of all frames.
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
        findings = measure(array, modality, info.kinds[modality], len(info.classes_of(modality)), facts, path)
        has_problem = any(finding.level == "problem" for finding in findings)
        if not has_problem and facts.digests[key] != expected.get(key, facts.digests[key]):
            findings.append(problem(path, f"the content differs from its digest in checksums.csv; {PREPARE_AGAIN}"))
        facts.findings.extend((modality, finding) for finding in findings)
    return with_agreement(facts, arrays, info.kinds, record)


def _refuse_other_format(path: Path) -> None:
    """Refuse a .npy file of another format, since numpy would open an archive or a pickle."""
    if path.suffix != ".npy":
        return
    with open(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if start != np.lib.format.MAGIC_PREFIX:
        raise DataError(f"{path}: truncated or not a .npy array, it begins with {start!r}")


def _refused(root: Path, info: DatasetInfo, record: FrameRecord, modality: str, error: BaseException) -> Finding:
    """Finding about a file that cannot be read or whose values are not allowed."""
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
        facts: measures of the frame; its `labels` are extended.
        path: file of the labels, for the findings.

    Returns:
        Findings about implausible values.
    """
    findings: list[Finding] = []
    if kind == "class":
        labels = _classes(array, num_classes)
    elif kind == "value":
        labels, findings = _depth(array, path)
    elif kind == "direction":
        labels, findings = _normals(array, path)
    elif kind in ("probability", "mask"):
        labels, findings = _two_valued(array, kind, path)
    else:
        return []
    facts.labels[modality] = labels
    if not labels.valid:
        findings = [warning(path, f"no pixel has a label of {modality}; is that so at the source?")]
    return findings


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
    """Remedy for a median depth outside the range of rooms."""
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
    """Add the agreement of normals and depth if the depth is plausible.

    Args:
        facts: measures of the frame.
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
    return replace(facts, agreement=agreement(depth, normals, record.matrix()))
