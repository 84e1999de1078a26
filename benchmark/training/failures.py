"""Class of an error of a cell, see `benchmark.records.failures`."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from benchmark.boundaries.formats.content import DataError
from benchmark.records.failures import CODE, DATA, INFRASTRUCTURE, OUT_OF_MEMORY, class_of_os_error
from benchmark.records.provenance import CHECKOUT

SIGNS_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
SIGNS_OF_THE_MACHINE = (
    "uncorrectable ecc",
    "nccl error",
    "nccl watchdog",
    "busy or unavailable",
    "driver shutting down",
    "no space left on device",
    "connection reset",
    "is killed by signal",
)
"""Parts of messages, in lower case, of errors that carry no type of their own."""
DATA_FOLDER = CHECKOUT / "datasets"


def class_of_error(error: BaseException) -> str:
    """The class of an error: out of memory, data, infrastructure, or code for every other error."""
    message = str(error).lower()
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return OUT_OF_MEMORY
    if isinstance(error, DataError):
        return DATA
    if isinstance(error, OSError):
        found = class_of_os_error(error)
        return DATA if found == CODE and _is_from_data(error) else found
    if isinstance(error, RuntimeError) and any(sign in message for sign in SIGNS_OF_MEMORY):
        return OUT_OF_MEMORY
    if isinstance(error, RuntimeError) and any(sign in message for sign in SIGNS_OF_THE_MACHINE):
        return INFRASTRUCTURE
    return CODE


def _is_from_data(error: BaseException) -> bool:
    """True if the code of a data set was running, so that the missing file is a file of the data."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).is_relative_to(DATA_FOLDER) for frame in frames)
