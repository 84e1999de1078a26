"""Values of settings in the identity of a cell."""

from __future__ import annotations

import pytest

from benchmark.records.identity import canonical_json, normalised


def test_equal_numbers_are_one_value_wherever_they_stand() -> None:
    written = {"b": [1.0, (2, {"lr": 3.0})], "a": {"decay": 4.0, "name": "x", 5: None, "flag": True}}
    same = {"a": {"decay": 4, "name": "x", "5": None, "flag": True}, "b": [1, [2.0, {"lr": 3}]]}
    assert canonical_json(normalised(written)) == canonical_json(normalised(same))
    assert (
        canonical_json(normalised(written)) == '{"a":{"5":null,"decay":4,"flag":true,"name":"x"},"b":[1,[2,{"lr":3}]]}'
    )
    assert normalised(0.5) == 0.5


def test_a_value_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="is no JSON value"):
        normalised({"size": {1, 2}})
