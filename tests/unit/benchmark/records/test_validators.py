"""Validators that the records share."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.records.validation import (
    Count,
    Flag,
    Name,
    Number,
    RecordError,
    Text,
    one_of,
    short,
    shortened,
    validated,
)


@pytest.mark.parametrize(
    ("choices", "message"), [((2,), "2"), (("min", "max"), "one of min, max"), ((0.25, 0.5, 1), "one of 0.25, 0.5, 1")]
)
def test_a_value_that_is_no_choice_is_answered_with_the_choices(choices: tuple[object, ...], message: str) -> None:
    assert [one_of(*choices)(value) for value in choices] == list(choices)
    with pytest.raises(ValueError, match=f"^{message}$"):
        one_of(*choices)("other")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Number, 1.1e100, "a finite number of at most 1e+100"),
        (Number, -1.1e100, "a finite number of at most 1e+100"),
        (Number, "1", "a finite number"),
        (Name, " ", "a line of printable text"),
        (Name, "a\nb", "a line of printable text"),
        (Flag, 1, "true or false"),
        (Count, 1.0, "an integer"),
        (Text, 1, "text"),
    ],
)
def test_a_wrong_value_is_answered_with_the_value_expected(kind: Any, value: object, message: str) -> None:
    with pytest.raises(RecordError) as caught:
        validated(dict[str, kind], {"key": value}, "a file")
    assert str(caught.value) == f"a file: key: found {value!r}, expected {message}"


def test_the_largest_number_and_the_longest_name_are_taken() -> None:
    assert validated(dict[str, Number], {"a": 1e100, "b": -1e100}) == {"a": 1e100, "b": -1e100}
    assert validated(dict[str, Name], {"a": "x" * 1000})["a"] == "x" * 1000
    with pytest.raises(RecordError):
        validated(dict[str, Name], {"a": "x" * 1001})


def test_long_values_and_messages_are_cut() -> None:
    assert short("x" * 78) == repr("x" * 78)
    assert short("x" * 79) == "'" + "x" * 76 + "..."
    assert shortened("a\n" * 400) == "a " * 150
    assert shortened("abcdef", 4) == "abcd"
