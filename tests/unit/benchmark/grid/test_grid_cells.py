"""Cells of a grid and their order."""

from __future__ import annotations

import pytest

from benchmark.grid.cells import cells, dropped_pairs


def triples(**changes):
    request = {
        "recipe": "smoke",
        "methods": ["constant", "hard_sharing", "single_task"],
        "regularizers": ["aux_heads", "none"],
        "seeds": [0, 1],
        "backbone": "b",
        "tasks": ["semseg"],
        "plain_methods": {"constant"},
    }
    return [(spec.method, spec.regularizer, spec.seed) for spec in cells(**{**request, **changes})]


def test_one_seed_of_everything_comes_first_and_single_task_first_in_each():
    assert triples() == [
        (method, regularizer, seed)
        for seed in (0, 1)
        for method, regularizer in [
            ("single_task", "none"),
            ("single_task", "aux_heads"),
            ("constant", "none"),
            ("hard_sharing", "aux_heads"),
            ("hard_sharing", "none"),
        ]
    ]


def test_seeds_keep_the_order_of_the_request_and_no_cell_comes_twice():
    assert [seed for method, _, seed in triples(seeds=[2, 0, 2]) if method == "constant"] == [2, 0]


def test_methods_that_take_no_regularizer_are_told():
    assert dropped_pairs(["constant", "hard_sharing"], ["none", "aux_heads", "x"], {"constant"}) == [
        ("constant", "aux_heads"),
        ("constant", "x"),
    ]
    assert triples(methods=["constant"], regularizers=["aux_heads"]) == []


@pytest.mark.parametrize("changed", [{"regularizer.weight": 0.3}, {"regularizer": {"weight": 0.3}}])
def test_settings_of_the_regularizer_are_no_part_of_cells_without_one(changed):
    """Grids over the weight of a regularizer share the cells of the baseline."""
    overrides = {**changed, "train_cfg.max_iters": 5}
    grid = cells("r", ["m"], ["none", "aux_heads"], [0], "b", ["semseg"], overrides)
    assert {spec.regularizer: dict(spec.overrides) for spec in grid} == {
        "none": {"train_cfg.max_iters": 5},
        "aux_heads": overrides,
    }


def test_overrides_are_part_of_every_cell():
    grid = cells("r", ["m"], ["none"], [0, 1], "b", ["semseg"], {"a": 1})
    assert [dict(spec.overrides) for spec in grid] == [{"a": 1}, {"a": 1}]
