"""Differences between a stored result and its reproduction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.records.identity import Ingredients
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunResult, RunSpec
from benchmark.training import present as present_checks
from benchmark.training import reproduction
from benchmark.training.present import changes_now, scored_differently
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.reproduction import Checks, checks_of, code_files, data_of_runs


def scored_on(**data: object) -> RunResult:
    """A result on some data."""
    spec = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
    return RunResult(spec, "done", {}, provenance={"data": data})


def test_data_of_two_runs_differ_by_name_content_and_number_of_frames() -> None:
    stored = scored_on(id="rooms-1", fingerprint="ab", frames=654)
    assert data_of_runs(stored, scored_on(id="rooms-1", fingerprint="ab", frames=654)) == []
    assert data_of_runs(stored, scored_on(id="rooms-2", fingerprint="ab", frames=10)) == [
        "data id rooms-1 -> rooms-2",
        "data frames 654 -> 10",
    ]
    assert data_of_runs(stored, scored_on(id="rooms-1", frames=654)) == ["data fingerprint ab -> none"]


ORIGIN = {
    "versions": {"torch": "2.8"},
    "hardware": {"cpu": "A", "system": "Linux", "memory_gib": 8},
    "commit": "c" * 40,
}
INGREDIENTS = Ingredients({"method": "hard_sharing"}, {"method": 1}, {}, {"id": "rooms-1", "fingerprint": "ab"}, {})


def cell(ingredients: Ingredients | None = INGREDIENTS) -> RunSpec:
    """A cell with these ingredients."""
    return RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0, ingredients=ingredients)


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The machine and the checkout that `ORIGIN` describes."""
    monkeypatch.setattr(reproduction, "versions", lambda: {"torch": "2.8"})
    monkeypatch.setattr(reproduction, "hardware", lambda: {"cpu": "A", "system": "Linux", "memory_gib": 8})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(reproduction, "changed_files", lambda commit: [])
    monkeypatch.setattr(reproduction, "commit", lambda: "d" * 40)
    return monkeypatch


def test_nothing_differs_in_the_same_checkout_on_the_same_machine(present: pytest.MonkeyPatch) -> None:
    assert checks_of(RunResult(cell(), "done", provenance=ORIGIN), cell()) == Checks((), (), ())


def test_processor_graphics_processor_and_packages_are_compared_and_the_memory_is_not(
    present: pytest.MonkeyPatch,
) -> None:
    present.setattr(reproduction, "versions", lambda: {"torch": "2.9", "numpy": "2.0"})
    present.setattr(reproduction, "hardware", lambda: {"cpu": "B", "system": "Linux", "memory_gib": 16})
    present.setattr(torch.cuda, "is_available", lambda: True)
    present.setattr(torch.cuda, "get_device_name", lambda: "H200")
    found = checks_of(RunResult(cell(), "done", provenance=ORIGIN), cell())
    assert found.environment == ("torch 2.8 -> 2.9", "numpy none -> 2.0", "cpu A -> B", "gpu none -> H200")


def test_data_and_code_are_told_apart(present: pytest.MonkeyPatch) -> None:
    """The stored ingredients are those before."""
    old = replace(INGREDIENTS, versions={"method": 3}, data={"id": "rooms-0", "fingerprint": "ab"})
    found = checks_of(RunResult(cell(old), "done", provenance=ORIGIN), cell())
    assert found.data == ("data id rooms-0 -> rooms-1",)
    assert found.code == ("method hard_sharing version 3 -> 1",)


def test_a_result_without_ingredients_is_compared_by_the_data_of_its_origin(present: pytest.MonkeyPatch) -> None:
    origin = {**ORIGIN, "dirty": True, "data": {"id": "rooms-0", "fingerprint": "ab", "frames": 3}}
    found = checks_of(RunResult(cell(None), "done", provenance=origin), cell())
    assert (found.data, found.code) == (("data id rooms-0 -> rooms-1",), ())
    assert found.unknown == (
        "commit cccccccccccc of the result had uncommitted changes",
        "the result does not record its ingredients, such as the versions of recipe and method",
    )


def test_a_result_of_an_unknown_commit_says_so(present: pytest.MonkeyPatch) -> None:
    present.setattr(reproduction, "changed_files", lambda commit: None)
    found = checks_of(RunResult(cell(), "done", provenance=ORIGIN), cell())
    assert found.unknown == ("commit cccccccccccc of the result is not in this checkout (commit dddddddddddd)",)
    found = checks_of(RunResult(cell(), "done", provenance={**ORIGIN, "commit": None}), cell())
    assert found.unknown == ("the result names no commit",)


def test_the_files_of_a_cell_are_its_parts_the_training_the_faster_layers_and_the_recipe() -> None:
    files = {path.relative_to(CHECKOUT).as_posix() for path in code_files(cell())}
    assert {
        "mtl_methods/hard_sharing.py",
        "mtl_methods/accelerate/__init__.py",
        "mtl_methods/accelerate/convolutions.py",
        "benchmark/training/cell.py",
        "benchmark/training/optim.py",
        "benchmark/recipes/smoke.py",
        "benchmark/recipes/_base_/runtime.py",
    } <= files
    assert any(name.startswith("datasets/synthetic/") for name in files)
    assert not files & {"mtl_methods/pap.py", "datasets/loading/pairs.py", "benchmark/leaderboard/rows.py"}
    assert "datasets/loading/pairs.py" in {
        path.relative_to(CHECKOUT).as_posix() for path in code_files(replace(cell(), recipe="synthetic_rooms"))
    }


def scores(value: float) -> dict[str, Any]:
    """One metric."""
    return {"semseg": {"mIoU": {"value": value, "unit": "%", "higher_is_better": True}}}


@pytest.mark.parametrize(
    ("again", "lines"),
    [
        (scores(20.019), []),
        (scores(20.021), ["semseg/mIoU: stored 20.0, the weights score 20.021"]),
        ({"semseg": {}}, ["semseg/mIoU: stored 20.0, the weights score None"]),
    ],
)
def test_weights_score_the_stored_numbers_to_a_thousandth(
    again: dict[str, Any], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data are prepared before."""
    calls: list[str] = []
    monkeypatch.setattr(present_checks, "ensure_data", lambda recipe: calls.append("prepared"))
    monkeypatch.setattr(
        present_checks, "evaluate_cell", lambda *_: calls.append("scored") or (again, {"id": "d", "fingerprint": "f"})
    )
    stored = RunResult(cell(), "done", scores(20.0), provenance={"data": {"id": "d", "fingerprint": "f"}})
    assert list(scored_differently(stored, Path("model.safetensors"))) == lines
    assert calls == ["prepared", "scored"]
    other = replace(stored, provenance={"data": {"id": "e", "fingerprint": "g"}})
    with pytest.raises(ValueError, match="measured on e, the data here are d"):
        list(scored_differently(other, Path("model.safetensors")))


def test_a_result_without_ingredients_cannot_be_compared_with_this_checkout() -> None:
    with pytest.raises(ConfigError, match="the result does not record its ingredients"):
        changes_now(RunResult(cell(None), "done"))


def test_a_result_on_other_data_has_the_ingredients_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reviewer need not have the data; the versions count, with the needed cells that the result names."""
    asked: list[Any] = []

    def present_ingredients(spec: RunSpec, needs: Any) -> Ingredients:
        asked.append(dict(needs))
        return replace(INGREDIENTS, data={"id": "no data here"}, needs=dict(needs))

    monkeypatch.setattr(present_checks, "ingredients_of", present_ingredients)
    stored = replace(INGREDIENTS, needs={"single_task": "ab"})
    assert changes_now(RunResult(cell(stored), "done")) == []
    assert asked == [{"single_task": "ab"}]
    older = replace(stored, versions={"method": 0})
    assert changes_now(RunResult(cell(older), "done")) == ["method hard_sharing version 0 -> 1"]
