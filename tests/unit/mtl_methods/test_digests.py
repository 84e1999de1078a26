"""Outputs of every method under filled weights; see `digests`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from digests import CASES, DIGESTS, Case, digest

STORED = json.loads(DIGESTS.read_text(encoding="utf-8"))
TOLERANCES = {False: 2e-4, True: 2e-3}
"""Share of the standard deviation of an output, by training mode, which divides by the deviations of few positions."""


def cases() -> list[Any]:
    """All cases. Those in training mode are slow; the first steps of every method are in the contract tests."""
    return [pytest.param(case, id=str(case), marks=[pytest.mark.slow] if case.training else []) for case in CASES]


@pytest.mark.parametrize("case", cases())
def test_outputs_are_the_stored_ones(case: Case) -> None:
    found, stored = digest(case), STORED[str(case)]
    assert list(found) == list(stored)
    for name, values in found.items():
        tolerance = TOLERANCES[case.training] * stored[name][0]
        np.testing.assert_allclose(values, stored[name], rtol=1e-5, atol=tolerance, err_msg=name)


def test_every_digest_has_a_case() -> None:
    assert list(STORED) == [str(case) for case in CASES]
