"""Median from a histogram, independent of the order of the values."""

from __future__ import annotations

from math import nan

import numpy as np

from benchmark.metrics.base import Floats, Integers

LOWEST_EXPONENT, HIGHEST_EXPONENT = -20, 8
"""Range of the histogram: values below 2^-20, a millionth of a degree, count as 0; all values must be below 2^8."""

BIN_BITS, REMAINDER_BITS = 17, 15
"""The exponent and the first bits of the mantissa give the bin, the following bits give the remainder."""

_UNUSED_BITS = 52 - BIN_BITS - REMAINDER_BITS
_BINS = 1 + ((HIGHEST_EXPONENT - LOWEST_EXPONENT) << BIN_BITS)
_ORIGIN = int(np.float64(2.0**LOWEST_EXPONENT).view(np.int64)) >> _UNUSED_BITS


def encode(values: Floats) -> Integers:
    """Integers in the order of the values: bin in the high bits, remainder in the low bits.

    Args:
        values: (N,) in [0, 256).
    """
    # The bits of a positive float64, read as an integer, have the order of the numbers.
    codes = (values.view(np.int64) >> _UNUSED_BITS) - _ORIGIN + (1 << REMAINDER_BITS)
    return np.where(values < 2.0**LOWEST_EXPONENT, 0, codes)


class AngleHistogram:
    """Counts of values in [0, 256) in bins of nearly equal relative width, 2^-17 or less.

    Each bin also keeps the sum of the remainders of its values, and returns their mean. So an order statistic has a
    relative error of at most 8e-6, and of 1e-9 if the values of its bin are equal. Counts and sums are integers: adding
    and merging in any order gives the same histogram. The size is 59 MB for any number of values.
    """

    def __init__(self) -> None:
        self.counts: Integers = np.zeros(_BINS, np.int64)
        self.remainders: Integers = np.zeros(_BINS, np.int64)

    def __getstate__(self) -> dict[str, Integers]:
        """Non-empty bins, to keep the pickle small."""
        bins = np.flatnonzero(self.counts)
        return {"bins": bins, "counts": self.counts[bins], "remainders": self.remainders[bins]}

    def __setstate__(self, state: dict[str, Integers]) -> None:
        AngleHistogram.__init__(self)
        self.counts[state["bins"]] = state["counts"]
        self.remainders[state["bins"]] = state["remainders"]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    def add(self, codes: Integers) -> None:
        """Add values from `encode`."""
        bins = codes >> REMAINDER_BITS
        np.add.at(self.counts, bins, 1)
        np.add.at(self.remainders, bins, codes & ((1 << REMAINDER_BITS) - 1))

    def merge(self, other: AngleHistogram) -> None:
        """Add the values of another histogram."""
        self.counts += other.counts
        self.remainders += other.remainders

    def median(self) -> float:
        """The middle value, or the mean of the two middle values; NaN without values."""
        size = self.size
        if not size:
            return nan
        ends = np.cumsum(self.counts)
        middle = [int(np.searchsorted(ends, rank, side="right")) for rank in ((size - 1) // 2, size // 2)]
        return (self._value(middle[0]) + self._value(middle[1])) / 2

    def _value(self, position: int) -> float:
        """Mean of the values in the bin `position`; 0 for the bin of values that count as 0."""
        if position == 0:
            return 0.0
        octave, step = divmod(position - 1, 1 << BIN_BITS)
        remainder = int(self.remainders[position]) / int(self.counts[position]) / (1 << REMAINDER_BITS)
        return float(2.0 ** (octave + LOWEST_EXPONENT) * (1 + (step + remainder) / (1 << BIN_BITS)))
