"""Validators that the records share."""

from __future__ import annotations

import pytest

from benchmark.records.validation import one_of


@pytest.mark.parametrize(
    ("choices", "message"), [((2,), "2"), (("min", "max"), "one of min, max"), ((0.25, 0.5, 1), "one of 0.25, 0.5, 1")]
)
def test_a_value_that_is_no_choice_is_answered_with_the_choices(choices: tuple[object, ...], message: str) -> None:
    assert [one_of(*choices)(value) for value in choices] == list(choices)
    with pytest.raises(ValueError, match=f"^{message}$"):
        one_of(*choices)("other")
