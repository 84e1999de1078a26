"""Build the canonical layout of NYU-v2 from a folder of its 1449 labelled frames.

The folder holds INDEX.csv (id, path_rgb, path_depth, path_label, depth_max_m, intrinsics, split; paths relative to the
folder above) and classes.csv (id40, name40). Pictures are 480x640: JPEG images, 8-bit depth codes v with
metres = (v + 0.5) / 255 * depth_max_m, and 8-bit labels 0..40, where 255 in a train frame is "unlabelled or otherprop".
"""

from __future__ import annotations

import csv
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from datasets.layout import CanonicalWriter, DataError, DatasetInfo, FrameRecord, exclusive
from datasets.modalities import Array, read_bytes, read_png, write_frame
from datasets.nyuv2.boundaries import boundaries_from_labels
from datasets.nyuv2.normals import normals_from_depth

SOURCE_SIZE = (480, 640)
NUM_CLASSES = 40
MERGED_LABEL = 255
"""In train frames only: unlabelled or class 40, which the source cannot tell apart."""

CROP_TOP, CROP_LEFT = 45, 40
SIZE = (425, 560)
"""The part without the white border: rows 45:470 and columns 40:600, as in the published benchmarks."""

TASKS = ("semseg", "depth", "normals", "boundary")

SOURCES = {
    "images": "NYU-Depth-V2 labelled set (Silberman, Hoiem, Kohli, Fergus, ECCV 2012), JPEG quality 75 copies",
    "semseg": "NYU-40 classes (Gupta, Arbelaez, Malik, CVPR 2013) of the labelled set",
    "depth": "in-painted depth of the labelled set, 8-bit per frame: metres = (v + 0.5) / 255 * the frame's maximum",
    "normals": "plane fits on that depth, datasets/nyuv2/normals.py",
    "boundary": "class boundaries of the label map, datasets/nyuv2/boundaries.py",
}
NOTES = (
    "Depth is quantised to 256 steps per frame (10 to 40 mm). In train frames class 40 (otherprop) is merged with "
    "unlabelled, so it is never a training label, while test frames have it. Research use; cite Silberman et al. 2012."
)

_END_OF_JPEG = b"\xff\xd9"
_COLUMNS = ("id", "path_rgb", "path_depth", "path_label", "depth_max_m", "intrinsics", "split")


Digests = dict[str, str]
"""Of the files of one frame, see `datasets.modalities.write_frame`."""


@dataclass(frozen=True)
class SourceFrame:
    """One line of INDEX.csv.

    Args:
        name: the official number, four digits.
        split: "train" or "test".
        rgb: path of the JPEG image.
        depth: path of the 8-bit depth.
        label: path of the label map.
        depth_max: metres of the code 255, to within half a step.
        intrinsics: fx, fy, cx, cy at 480x640.
    """

    name: str
    split: str
    rgb: Path
    depth: Path
    label: Path
    depth_max: float
    intrinsics: tuple[float, float, float, float]


def prepare(
    folder: Path, out: Path, *, workers: int, limit: int | None,
    track: Callable[[Iterator[Digests], int], Iterator[Digests]],
) -> DatasetInfo:
    """Read every frame, derive normals and boundaries, and write the canonical layout.

    Args:
        folder: the source.
        out: place of the data set; what is there is replaced once the new one is complete.
        workers: processes.
        limit: only the first so many frames of each split, None for all.
        track: passes the finished frames on, given their number, and may show progress.

    Raises:
        DataError: naming the first wrong or missing file.
    """
    frames = read_index(folder)
    if limit is not None:
        by_split = ([frame for frame in frames if frame.split == split] for split in ("train", "test"))
        frames = [frame for chosen in by_split for frame in chosen[:limit]]
    check_presence(frames)
    classes = read_classes(folder)
    with exclusive(Path(out).absolute()):
        writer = CanonicalWriter(
            out, name=f"nyuv2-{NUM_CLASSES}c", size=SIZE, tasks=TASKS, classes=classes, sources=SOURCES, notes=NOTES
        )
        with writer:
            finished = _in_order(partial(_prepare_frame, folder=writer.folder), frames, workers)
            for frame, digests in zip(frames, track(finished, len(frames)), strict=True):
                writer.add(record_of(frame), digests)
    if writer.info is None:
        raise DataError(f"{out}: nothing was written")
    return writer.info


def read_index(folder: Path) -> list[SourceFrame]:
    """Read INDEX.csv.

    Raises:
        DataError: if the folder, the file or a column is missing, or a line is wrong.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds INDEX.csv, rgb/, depth8/ and label40/")
    path = folder / "INDEX.csv"
    rows = _read_csv(path)
    frames = [_parse_row(row, folder, f"{path}, line {line}") for line, row in enumerate(rows, start=2)]
    if not frames:
        raise DataError(f"{path}: lists no frames")
    return frames


def _read_csv(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable table ({error})") from None


def _parse_row(row: dict[str, str], folder: Path, where: str) -> SourceFrame:
    missing = [column for column in _COLUMNS if not row.get(column)]
    if missing:
        raise DataError(f"{where}: the column {missing[0]!r} is missing or empty")
    if row["split"] not in ("train", "test"):
        raise DataError(f"{where}: split {row['split']!r}, allowed are train and test")
    try:
        fx, fy, cx, cy = map(float, row["intrinsics"].split())
        depth_max = float(row["depth_max_m"])
    except ValueError as error:
        raise DataError(f"{where}: intrinsics are four numbers and depth_max_m is one ({error})") from None
    if not 0 < depth_max < np.inf:
        raise DataError(f"{where}: depth_max_m is {depth_max}, it must be a positive number of metres")
    rgb, depth, label = (folder.joinpath(*Path(row[key]).parts[1:]) for key in ("path_rgb", "path_depth", "path_label"))
    return SourceFrame(row["id"].rpartition("/")[2], row["split"], rgb, depth, label, depth_max, (fx, fy, cx, cy))


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of classes 1..40, from classes.csv.

    Raises:
        DataError: if the file is missing or names other classes than 1..40.
    """
    path = folder / "classes.csv"
    names = {row.get("id40"): row.get("name40") or "" for row in _read_csv(path)}
    missing = [number for number in range(1, NUM_CLASSES + 1) if not names.get(str(number))]
    if missing:
        raise DataError(f"{path}: no name for class {missing[0]}")
    return tuple(names[str(number)] for number in range(1, NUM_CLASSES + 1))


def check_presence(frames: Sequence[SourceFrame]) -> None:
    """Refuse to begin while a file is missing; naming it after minutes of work would be too late.

    Raises:
        DataError: naming the first missing file and how many there are.
    """
    missing = [path for frame in frames for path in (frame.rgb, frame.depth, frame.label) if not path.is_file()]
    if missing:
        others = f", and {len(missing) - 1} other files too" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]}: the file is missing{others}")


def record_of(frame: SourceFrame) -> FrameRecord:
    """The line of frames.csv; the crop moves the principal point."""
    fx, fy, cx, cy = frame.intrinsics
    return FrameRecord(frame.name, frame.split, (fx, fy, cx - CROP_LEFT, cy - CROP_TOP))


def build_arrays(frame: SourceFrame) -> dict[str, Array]:
    """All modalities of a frame, cropped, as the canonical layout codes them.

    Normals and boundaries are made before the crop, so that they know what lies beyond its border.

    Raises:
        DataError: if a file is truncated, of another size, or has a value that is not allowed.
    """
    step = frame.depth_max / 255
    depth = ((_read_gray(frame.depth).astype(np.float32) + 0.5) * np.float32(step)).astype(np.float32)
    labels = read_labels(frame)
    fx, fy, cx, cy = frame.intrinsics
    matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    arrays = {
        "images": _read_jpeg(frame.rgb),
        "semseg": labels,
        "depth": depth,
        "normals": normals_from_depth(depth, matrix, quantisation=step).astype(np.float16),
        "boundary": boundaries_from_labels(labels),
    }
    window = (slice(CROP_TOP, CROP_TOP + SIZE[0]), slice(CROP_LEFT, CROP_LEFT + SIZE[1]))
    return {modality: np.ascontiguousarray(array[window]) for modality, array in arrays.items()}


def read_labels(frame: SourceFrame) -> Array:
    """(480, 640) uint8 labels 0..40; in train frames 255 has become 0.

    Raises:
        DataError: for any other label.
    """
    labels = _read_gray(frame.label)
    if frame.split == "train":
        labels[labels == MERGED_LABEL] = 0
    wrong = labels > NUM_CLASSES
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        allowed = f"0..{NUM_CLASSES}" + (f" and {MERGED_LABEL}" if frame.split == "train" else "")
        raise DataError(
            f"{frame.label}: label {labels[row, column]} at row {row}, column {column} ({int(wrong.sum())} such "
            f"pixels), allowed in a {frame.split} frame are {allowed}"
        )
    return labels


def _read_gray(path: Path) -> Array:
    picture = read_png(path)
    if picture.shape != SOURCE_SIZE or picture.dtype != np.uint8:
        raise DataError(f"{path}: found {'x'.join(map(str, picture.shape))} {picture.dtype}, expected 480x640 uint8")
    return picture


def _read_jpeg(path: Path) -> Array:
    data = read_bytes(path)
    # The decoder paints the missing rest of a truncated file grey.
    if not data.tobytes().rstrip(b"\0").endswith(_END_OF_JPEG):
        raise DataError(f"{path}: truncated image, the JPEG ends after {data.size} bytes without its end mark")
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise DataError(f"{path}: not a readable JPEG image ({data.size} bytes)")
    if picture.shape != (*SOURCE_SIZE, 3):
        raise DataError(f"{path}: found {'x'.join(map(str, picture.shape))}, expected 480x640x3")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _in_order(
    work: Callable[[SourceFrame], Digests], frames: Sequence[SourceFrame], workers: int,
) -> Iterator[Digests]:
    """The work on every frame, in processes of their own where there are several."""
    if workers == 1:
        yield from map(work, frames)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_single_threaded) as pool:
        try:
            yield from pool.map(work, frames, chunksize=4)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _prepare_frame(frame: SourceFrame, folder: Path) -> Digests:
    return write_frame(folder, frame.name, build_arrays(frame), SIZE, NUM_CLASSES)


def _single_threaded() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
