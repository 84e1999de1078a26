"""RunSpec and RunResult: identity, round trips, and one-line errors for wrong entries."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from benchmark.records.overrides import Overrides
from benchmark.records.result import RunResult, RunSpec, failure, safe_name
from benchmark.records.validation import RecordError

SPEC = RunSpec("nyuv2_lite", "hard_sharing", "aux_heads", "efficientnet_lite0:imagenet", ("semseg", "depth"), 0)
METRICS = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}


def result_json(**changes: Any) -> dict[str, Any]:
    """A valid result file's content, with changes."""
    return {**RunResult(SPEC, "done", METRICS, {"train_seconds": 3.5}).to_json(), **changes}


def test_run_id_is_readable_and_ends_in_the_hash_of_the_canonical_json():
    """The text is written out by hand: sorted keys, no spaces."""
    canonical = (
        '{"backbone":"efficientnet_lite0:imagenet","method":"hard_sharing","overrides":{},"recipe":"nyuv2_lite",'
        '"regularizer":"aux_heads","seed":0,"tasks":["semseg","depth"]}'
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
    assert SPEC.run_id == f"hard_sharing+aux_heads-efficientnet_lite0.imagenet-s0-{digest}"


def test_equal_requests_are_one_cell_whatever_the_order_of_their_overrides():
    first = RunSpec("r", "m", "none", "b", ["semseg"], 1, {"a.lr": 1e-3, "b": (1, 2)})
    second = RunSpec("r", "m", "none", "b", ("semseg",), 1, {"b": [1, 2], "a.lr": 0.001})
    assert first == second
    assert hash(first) == hash(second)
    assert first.run_id == second.run_id
    assert dict(first.overrides) == {"a.lr": 0.001, "b": [1, 2]}


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "x"},
        {"method": "x"},
        {"regularizer": "none"},
        {"backbone": "x"},
        {"tasks": ("depth", "semseg")},
        {"seed": 1},
        {"overrides": {"a": 1}},
        {"overrides": {"a": True}},
        {"overrides": {"a": None}},
    ],
)
def test_every_field_is_part_of_the_identity(change):
    fields = {name: getattr(SPEC, name) for name in SPEC.__dataclass_fields__}
    assert RunSpec(**{**fields, **change}).run_id != SPEC.run_id


def test_overrides_of_equal_value_but_different_type_differ():
    assert Overrides({"a": 1}) != Overrides({"a": True})
    assert len({Overrides({"a": 1}), Overrides({"a": 1.0}), Overrides({"a": True})}) == 3


def test_a_nested_override_cannot_be_changed_through_the_spec():
    spec = RunSpec("r", "m", "none", "b", ("semseg",), 0, {"list": [1]})
    spec.overrides["list"].append(2)
    assert spec.overrides["list"] == [1]


def test_spec_and_result_survive_the_round_trip():
    assert RunSpec.from_text(SPEC.to_text()) == SPEC
    result = RunResult(SPEC, "done", METRICS, {"train_seconds": 1, "peak_memory_mb": None}, {"commit": None})
    assert RunResult.from_text(result.to_text()) == result


def test_hostile_names_become_safe_file_names():
    spec = RunSpec("/home/me/../my recipe.py", "a/../b", "none", "x:y z", ("semseg",), 0)
    assert "/" not in spec.run_id
    assert spec.folder == "my.recipe"
    assert safe_name("../..") == "unnamed"
    assert len(RunSpec("r", "m" * 400, "none", "b", ("semseg",), 0).run_id) < 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version: found 2, expected 1"),
        ({"schema_version": None}, "schema_version: found None"),
        ({"run_id": 7}, "run_id: found 7, expected"),
        ({"status": "ok"}, "status: found 'ok', expected one of done, failed, diverged"),
        ({"metrics": []}, "metrics: found [], expected a mapping"),
        ({"metrics": {"semseg": {"mIoU": 3.0}}}, "metrics.semseg.mIoU: found 3.0, expected a mapping"),
        ({"metrics": {"semseg": {"mIoU": {"value": 3.0}}}}, "metrics.semseg.mIoU.unit: missing"),
        ({"metrics": {"normals": {}}}, "metrics: found {'normals': {}}, expected tasks of the spec: semseg, depth"),
        ({"cost": {"train_seconds": "3"}}, "cost.train_seconds: found '3', expected a finite number"),
        ({"cost": {"train_seconds": 10**400}}, "cost.train_seconds: found 1000"),
        ({"provenance": None}, "provenance: found None, expected a mapping"),
        ({"error": "late"}, "error: found 'late', expected null, since the status is done"),
        ({"status": "failed", "metrics": {}}, "error: found None, expected one line of text"),
        (
            {"spec": {**SPEC.to_json(), "seed": -1}},
            "spec.seed: found -1, expected a value that is greater than or equal to 0",
        ),
        ({"spec": {**SPEC.to_json(), "seed": True}}, "spec.seed: found True"),
        ({"spec": {**SPEC.to_json(), "tasks": "semseg"}}, "spec.tasks: found 'semseg', expected a list"),
        ({"spec": {**SPEC.to_json(), "tasks": []}}, "spec.tasks: found [], expected at least one task, each once"),
        ({"spec": {**SPEC.to_json(), "tasks": ["depth", "depth"]}}, "spec.tasks: found ['depth', 'depth']"),
        ({"spec": {**SPEC.to_json(), "overrides": [1]}}, "spec.overrides: found [1], expected a mapping"),
    ],
)
def test_a_wrong_result_is_answered_by_one_line_with_file_key_found_and_expected(change, message):
    with pytest.raises(RecordError) as caught:
        RunResult.from_json(result_json(**change), "some/file.json")
    assert str(caught.value).startswith(f"some/file.json: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", sorted(set(result_json()) - {"error"}))
def test_a_missing_key_is_named(key):
    content = result_json()
    del content[key]
    with pytest.raises(RecordError, match=f"^f.json: {key}: missing"):
        RunResult.from_json(content, "f.json")


def test_the_error_of_a_done_result_may_be_missing():
    content = result_json()
    del content["error"]
    assert RunResult.from_json(content).error is None


@pytest.mark.parametrize("value", [None, "20.7", True, [1.0]])
def test_metrics_of_a_done_cell_are_numbers(value):
    content = result_json(metrics={"semseg": {"mIoU": {"value": value, "unit": "%", "higher_is_better": True}}})
    with pytest.raises(RecordError, match=r"metrics\.semseg\.mIoU\.value: found"):
        RunResult.from_json(content)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1', "", "[" * 100_000])
def test_text_that_is_not_strict_json_is_named_in_one_line(text):
    with pytest.raises(RecordError, match=r"^f.json: not readable as JSON: ") as caught:
        RunResult.from_text(text, "f.json")
    assert "\n" not in str(caught.value)


def test_a_number_too_large_for_json_readers_is_no_finite_number():
    text = json.dumps(result_json()).replace("20.7", "1e999")
    with pytest.raises(RecordError, match=r"metrics\.semseg\.mIoU\.value: found inf, expected a finite number"):
        RunResult.from_text(text)


def test_nan_never_reaches_a_file():
    with pytest.raises(RecordError, match=r"metrics\.semseg\.mIoU\.value: found nan"):
        RunResult(SPEC, "done", {"semseg": {"mIoU": {"value": float("nan"), "unit": "%", "higher_is_better": True}}})
    with pytest.raises(RecordError, match=r"provenance: found {.*nan"):
        RunResult(SPEC, "done", METRICS, provenance={"hardware": {"loss": float("nan")}})
    with pytest.raises(RecordError, match=r"overrides\.lr: found nan"):
        RunSpec("r", "m", "none", "b", ("semseg",), 0, {"lr": float("nan")})


def test_a_failure_keeps_its_error_in_one_line():
    result = failure(SPEC, "failed", "ValueError:\n  two lines ", {"commit": "abc"})
    assert result.error == "ValueError: two lines"
    assert RunResult.from_text(result.to_text()) == result


def test_the_largest_seed_is_that_of_numpy():
    assert RunSpec("r", "m", "none", "b", ("semseg",), 2**32 - 1).seed == 4294967295


def test_names_of_folders_fit_file_systems_and_weights_are_named_without_their_folder():
    assert RunSpec("r" * 400, "m", "none", "b", ("semseg",), 0).folder == "r" * 150
    spec = RunSpec("r", "m", "none", "resnet18:/home/me/weights.pth", ("semseg",), 0)
    assert spec.run_id.startswith("m+none-resnet18.weights.pth-s0-")


def test_a_failure_without_a_message_says_so():
    assert failure(SPEC, "failed", " \n ", {}).error == "no error message"


@pytest.mark.parametrize("error", ["two\nlines", " ", None])
def test_the_error_of_a_failure_is_one_line(error):
    with pytest.raises(RecordError, match="expected one line of text, since the status is diverged"):
        RunResult(SPEC, "diverged", error=error)


def test_diagnostics_and_the_class_of_an_error_survive_the_round_trip():
    result = RunResult(SPEC, "failed", error="gone", diagnostics={"entropy": 1.5, "none": None}, error_class="data")
    read = RunResult.from_text(result.to_text())
    assert (read.diagnostics, read.error_class) == ({"entropy": 1.5, "none": None}, "data")


def test_settings_of_a_part_are_told_from_settings_that_begin_alike():
    own, others = Overrides({"regularizer.weight": 1, "regularizer": {}, "regularizers.x": 2, "lr": 3}).split(
        "regularizer"
    )
    assert dict(own) == {"regularizer.weight": 1, "regularizer": {}}
    assert dict(others) == {"regularizers.x": 2, "lr": 3}
