"""Values of settings in the identity of a cell."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from benchmark.records.identity import Ingredients, canonical_json, has_effect, normalised, source_digest


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


def test_each_change_of_ingredients_is_one_phrase() -> None:
    old = Ingredients(
        {"lr": 1, "gone": 2}, {"method": 1, "data": 2}, {"a.py": "1", "b.py": "1"}, {"id": "x"}, {"m": "1"}
    )
    new = Ingredients(
        {"lr": 3, "method": "film"}, {"method": 2}, {"b.py": "2", "c.py": "1"}, {"id": "y"}, {"m": "2", "n": "1"}
    )
    assert new.changes_since(old) == [
        "a.py no longer takes part",
        "b.py changed since",
        "c.py takes part now",
        "data version 2 -> 1",
        "method film version 1 -> 2",
        "data id x -> y",
        "the needed cell of m changed since",
        "the needed cell of n changed since",
        "gone 2 -> default",
        "lr 1 -> 3",
        "method default -> film",
    ]
    assert old.changes_since(old) == []


def test_a_part_without_a_version_has_version_1() -> None:
    """A part has version 1 until its numbers change, so older results may lack it."""
    with_versions, without = Ingredients({}, {"method": 1}), Ingredients({}, {})
    assert with_versions.changes_since(without) == without.changes_since(with_versions) == []
    assert Ingredients({}, {"method": 2}).changes_since(without) == ["method version 1 -> 2"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        *((key, False) for key in ("root", "train_dataloader.dataset.root", "version", "log_level", "vis_backends.0")),
        *((key, False) for key in ("checkpoint_interval", "default_hooks.logger.interval", "default_hooks.timer")),
        *((f"train_dataloader.{key}", False) for key in ("num_workers", "persistent_workers", "prefetch_factor")),
        *(
            (key, False)
            for key in ("test_dataloader.pin_memory", "test_dataloader.dataset.cache", "accelerate.convolutions")
        ),
        *(
            (key, True)
            for key in ("lr", "roots", "train_dataloader.batch_size", "versions", "cache", "train_cfg.max_iters")
        ),
    ],
)
def test_settings_of_places_logs_and_speed_have_no_effect(key: str, expected: bool) -> None:
    assert has_effect(key) is expected


def test_comments_and_docstrings_of_a_file_do_not_count_and_code_does(tmp_path: Path) -> None:
    digests = []
    for text in ("def f():\n    return 1\n", '"""Text."""\ndef f():  # comment\n    """More."""\n    return 1\n'):
        (tmp_path / "own.py").write_text(text)
        digests.append(source_digest(tmp_path / "own.py"))
    assert digests[0] == digests[1]
    for text in ("def f():\n    return 2\n", "def f():\n    3\n    return 1\n", "def f("):
        (tmp_path / "own.py").write_text(text)
        digests.append(source_digest(tmp_path / "own.py"))
    assert len(set(digests)) == 4
    (tmp_path / "own.txt").write_text("def f(")
    assert source_digest(tmp_path / "own.txt") == digests[-1] == hashlib.sha256(b"def f(").hexdigest()
