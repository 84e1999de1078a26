"""A median without keeping the values, the same whatever their order."""

from __future__ import annotations

from math import nan

import numpy as np

from benchmark.metrics.base import Floats, Integers

LOWEST_EXPONENT, HIGHEST_EXPONENT = -20, 8
"""Values below 2^-20 count as 0, a millionth of a degree; they must be below 2^8, which 180 degrees is."""

BIN_BITS, REMAINDER_BITS = 17, 15
"""A bin is told by the exponent and the first bits of the mantissa, a remainder is the bits that follow."""

_UNUSED_BITS = 52 - BIN_BITS - REMAINDER_BITS
_BINS = 1 + ((HIGHEST_EXPONENT - LOWEST_EXPONENT) << BIN_BITS)
_ORIGIN = int(np.float64(2.0**LOWEST_EXPONENT).view(np.int64)) >> _UNUSED_BITS


def encode(values: Floats) -> Integers:
    """Integers that sort as the values do: bin in the high bits, remainder in the low ones.

    Args:
        values: (N,) in [0, 256).
    """
    # The bits of a positive float64, read as an integer, grow with the number.
    codes = (values.view(np.int64) >> _UNUSED_BITS) - _ORIGIN + (1 << REMAINDER_BITS)
    return np.where(values < 2.0**LOWEST_EXPONENT, 0, codes)


class AngleHistogram:
    """Counts of values in [0, 256) in bins of nearly equal relative width, 2^-17 or less.

    Each bin also keeps the sum of the remainders of its values and answers with their mean, so an order statistic is
    off by 8e-6 of itself at the very most, and by 1e-9 where the values of its bin are equal. Counts and sums are
    integers: adding and merging in any order gives the same histogram. 59 MB, however many values.
    """

    def __init__(self) -> None:
        self.counts: Integers = np.zeros(_BINS, np.int64)
        self.remainders: Integers = np.zeros(_BINS, np.int64)

    def __getstate__(self) -> dict[str, Integers]:
        """Only the bins that are not empty travel between processes."""
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
        """Count values, as `encode` gives them."""
        bins = codes >> REMAINDER_BITS
        np.add.at(self.counts, bins, 1)
        np.add.at(self.remainders, bins, codes & ((1 << REMAINDER_BITS) - 1))

    def merge(self, other: AngleHistogram) -> None:
        """Count the values of another histogram."""
        self.counts += other.counts
        self.remainders += other.remainders

    def median(self) -> float:
        """The middle value, or the mean of the two middle ones; NaN of nothing."""
        size = self.size
        if not size:
            return nan
        ends = np.cumsum(self.counts)
        middle = [int(np.searchsorted(ends, rank, side="right")) for rank in ((size - 1) // 2, size // 2)]
        return (self._value(middle[0]) + self._value(middle[1])) / 2

    def _value(self, position: int) -> float:
        """Mean of the values of a bin."""
        if position == 0:
            return 0.0
        octave, step = divmod(position - 1, 1 << BIN_BITS)
        remainder = int(self.remainders[position]) / int(self.counts[position]) / (1 << REMAINDER_BITS)
        return float(2.0 ** (octave + LOWEST_EXPONENT) * (1 + (step + remainder) / (1 << BIN_BITS)))
