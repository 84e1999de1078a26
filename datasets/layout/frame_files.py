"""The files of one frame: storage, reading and checks of each modality.

| modality      | file                 | content                                                          |
| ------------- | -------------------- | ---------------------------------------------------------------- |
| `images`      | images/NAME.png      | (H, W, 3) uint8 RGB                                              |
| `semseg`      | semseg/NAME.png      | (H, W) uint8, 0 unlabelled, 1..C the classes                     |
| `depth`       | depth/NAME.npy       | (H, W) float32 metres along the optical axis, 0 missing          |
| `normals`     | normals/NAME.npy     | (H, W, 3) float16 unit vectors, zero missing                     |
| `boundary`    | boundary/NAME.png    | (H, W) uint8, 0 no boundary, 255 boundary, 128 unlabelled        |
| `human_parts` | human_parts/NAME.png | as `semseg`; class 1 is the background                           |
| `saliency`    | saliency/NAME.png    | (H, W) uint8, 0 not salient, 255 salient, 128 unlabelled         |

A data set may have modalities of other names; `label_kinds` defines the storage of each kind of label. Normals are in
the camera frame: x right, y down, z towards the camera. PNG files are written without row filters, and images without
compression: any reader opens them, and an image decodes in a fifth of the time of the default filter.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.formats.arrays import read_npy
from benchmark.boundaries.formats.content import DataError, describe_shape, read_bytes
from datasets.layout.label_kinds import CODES, KINDS, STANDARD_KINDS, kind_of

Array = NDArray[Any]

_PNG_END = b"IEND\xaeB`\x82"
_PNG_LEVEL = {"image": 0}
_LABEL_PNG_LEVEL = 6
# Bits of the float16 number 1.05; the sign-free bits of longer components, infinity and NaN are larger.
_LONGEST_NORMAL_BITS = int(np.array(1.05, np.float16).view(np.uint16))


def modality_path(root: Path, modality: str, name: str, kinds: Mapping[str, str] = STANDARD_KINDS) -> Path:
    """Path of one modality of a frame; `kinds` has the kind of each modality that is not standard."""
    return root / modality / f"{name}{KINDS[kind_of(modality, kinds)].suffix}"


def write_modality(
    root: Path, modality: str, name: str, array: Array, kinds: Mapping[str, str] = STANDARD_KINDS
) -> None:
    """Write one modality of a frame into an existing folder."""
    path = modality_path(root, modality, name, kinds)
    if path.suffix == ".npy":
        np.save(path, array)
        return
    level = _PNG_LEVEL.get(kind_of(modality, kinds), _LABEL_PNG_LEVEL)
    path.write_bytes(encode_png(array.astype(np.uint8, copy=False), level))


def encode_png(pixels: NDArray[np.uint8], level: int) -> bytes:
    """PNG file of (H, W) grey or (H, W, 3) RGB pixels without row filters, which OpenCV cannot write.

    Args:
        pixels: 8 bits per channel.
        level: compression level, 0 (none) to 9.
    """
    height, width = pixels.shape[:2]
    colour_type = 2 if pixels.ndim == 3 else 0
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), level)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def read_modality(
    root: Path,
    modality: str,
    name: str,
    size: tuple[int, int],
    num_classes: int,
    kinds: Mapping[str, str] = STANDARD_KINDS,
) -> Array:
    """Read and check one modality of a frame, as stored.

    Args:
        root: folder of the data set.
        modality: the images or a task.
        name: name of the frame.
        size: declared (H, W) of the frame.
        num_classes: C, the largest class number of a class map.
        kinds: kind of each modality that is not standard.

    Raises:
        DataError: if the file is missing, truncated or of another size, or a value is not allowed.
    """
    path = modality_path(root, modality, name, kinds)
    try:
        array = read_npy(path) if path.suffix == ".npy" else _read_png(path)
    except DataError as error:
        raise DataError(f"{error}{_REMEDY}") from None
    check_array(array, modality, size, num_classes, str(path), kinds)
    return array


def _read_png(path: Path) -> Array:
    """Decode a grey or RGB PNG file of `encode_png`.

    `benchmark.boundaries.formats.images` reads foreign PNG files. It decompresses them twice to detect truncation,
    which is too slow for training.
    """
    data = np.frombuffer(read_bytes(path), np.uint8)
    # The decoder fills the missing rest of a truncated file with zeros.
    if data[-8:].tobytes() != _PNG_END:
        raise DataError(f"{path}: truncated image, the PNG ends after {data.size} bytes without its end mark")
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError(f"{path}: not a readable PNG image ({data.size} bytes)")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels


_REMEDY = "; restore it or prepare the data set again"


def check_array(
    array: Array,
    modality: str,
    size: tuple[int, int],
    num_classes: int,
    where: str,
    kinds: Mapping[str, str] = STANDARD_KINDS,
) -> None:
    """Refuse an array that the layout does not allow for its modality.

    Args:
        array: as stored.
        modality: the images or a task.
        size: declared (H, W) of the frame.
        num_classes: C, the largest class number of a class map.
        where: file or frame, for the message.
        kinds: kind of each modality that is not standard.

    Raises:
        DataError: naming the file, the value found and the values allowed.
    """
    name = kind_of(modality, kinds)
    kind = KINDS[name]
    shape = tuple(size) if kind.channels is None else (*size, kind.channels)
    if array.shape != shape or array.dtype != kind.dtype:
        found = f"{describe_shape(array.shape)} {array.dtype}"
        wanted = f"{describe_shape(shape)} {kind.dtype}"
        raise DataError(f"{where}: wrong shape or type, found {found}, the data set declares {wanted} for {modality}")
    problem = _VALUE_CHECKS[name](array, num_classes) if name in _VALUE_CHECKS else ""
    if problem:
        raise DataError(f"{where}: {problem}")


def _check_classes(array: Array, num_classes: int) -> str:
    highest = int(array.max())
    if highest <= num_classes:
        return ""
    return f"label {highest} at {_first(array > num_classes)}, allowed are 0 (unlabelled) to {num_classes}"


def _check_values(array: Array, num_classes: int) -> str:
    # Both comparisons are False if the array has a NaN, since minimum and maximum propagate it.
    if array.min() >= 0 and array.max() < np.inf:
        return ""
    wrong = ~(np.isfinite(array) & (array >= 0))
    row, column = np.argwhere(wrong)[0]
    return (
        f"depth {array[row, column]} m at row {row}, column {column} ({int(wrong.sum())} such pixels); "
        "depth is finite, in metres, and 0 where it is missing"
    )


def _check_directions(array: Array, num_classes: int) -> str:
    magnitude = array.view(np.uint16) & 0x7FFF
    if magnitude.max() <= _LONGEST_NORMAL_BITS:
        return ""
    row, column, _ = np.argwhere(magnitude > _LONGEST_NORMAL_BITS)[0]
    return (
        f"normal {array[row, column].tolist()} at row {row}, column {column}; "
        "normals have unit length and are zero where they are missing"
    )


def _check_codes(array: Array, num_classes: int, name: str) -> str:
    wrong = _WRONG_CODE[array]
    if not wrong.any():
        return ""
    row, column = np.argwhere(wrong)[0]
    return f"{name} code {array[row, column]} at row {row}, column {column}, allowed are {CODES}"


_WRONG_CODE = ~np.isin(np.arange(256), CODES)
_VALUE_CHECKS: dict[str, Callable[[Array, int], str]] = {
    "class": _check_classes,
    "value": _check_values,
    "direction": _check_directions,
    "probability": partial(_check_codes, name="boundary"),
    "mask": partial(_check_codes, name="mask"),
}


def digest(array: Array) -> str:
    """SHA-256 of type, shape and values of an array, independent of the file format."""
    header = f"{array.dtype.str} {array.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()


def write_frame(
    root: Path,
    name: str,
    arrays: Mapping[str, Array],
    size: tuple[int, int],
    num_classes: int | Mapping[str, int],
    kinds: Mapping[str, str] = STANDARD_KINDS,
) -> dict[str, str]:
    """Check and write all modalities of a frame; safe to call from several processes.

    Args:
        root: folder with one folder per modality.
        name: name of the frame.
        arrays: arrays by modality, coded as in the table at the top of this module.
        size: (H, W) of the frame.
        num_classes: C, the largest class number, for all class maps or by modality.
        kinds: kind of each modality that is not standard.

    Returns:
        The digest of the content of each file, by its path relative to `root`.

    Raises:
        DataError: if an array is not allowed.
    """
    digests = {}
    for modality, array in arrays.items():
        highest = num_classes if isinstance(num_classes, int) else num_classes.get(modality, 0)
        check_array(array, modality, size, highest, f"frame {name}, {modality}", kinds)
        write_modality(root, modality, name, array, kinds)
        digests[modality_path(Path(), modality, name, kinds).as_posix()] = digest(array)
    return digests


def _first(mask: Array) -> str:
    row, column = np.argwhere(mask)[0]
    return f"row {row}, column {column} ({int(mask.sum())} such pixels)"
