"""Settings with several values on the command line."""

from __future__ import annotations

import pytest

from benchmark.records.overrides import Overrides
from benchmark.training.sweeps import split_at_commas, variants_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0.1,0.3", ["0.1", "0.3"]),
        ("(64, 96),(32, 48)", ["(64, 96)", "(32, 48)"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("{'decay': 0.9, 'x': [1, 2]}", ["{'decay': 0.9, 'x': [1, 2]}"]),
        ("1,", ["1"]),
        ("", []),
    ],
)
def test_commas_outside_of_brackets_and_quotes_separate_values(text, parts):
    assert split_at_commas(text) == parts


def test_all_combinations_are_made():
    found = variants_of("smoke", ["regularizer.weight=0.1,0.3", "train_cfg.max_iters=2,4", "tasks.depth.loss=berhu"])
    assert found == [
        Overrides({"regularizer.weight": weight, "train_cfg.max_iters": steps, "tasks.depth.loss": "berhu"})
        for weight in (0.1, 0.3)
        for steps in (2, 4)
    ]


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("train_dataloader.dataset.size=64,96", (64, 96)),
        ("optim_wrapper.optimizer.betas=0.9,0.99", (0.9, 0.99)),
        ("train_dataloader.dataset.augmentation.zoom=1,2", (1, 2)),
    ],
)
def test_a_setting_that_takes_a_list_gets_the_list(assignment, value):
    (found,) = variants_of("smoke", [assignment])
    assert list(found.values()) == [list(value)]


def test_several_sizes_are_written_with_brackets_or_an_x():
    expected = [{"train_dataloader.dataset.size": size} for size in ("64x96", "32x48")]
    assert [dict(found) for found in variants_of("smoke", ["train_dataloader.dataset.size=64x96,32x48"])] == expected


def test_no_assignment_is_one_variant():
    assert variants_of("smoke", []) == [Overrides()]
