"""tools/measure_cost.py as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore, read_result
from tools.measure_cost import main

METRICS = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}
TASKS = ("semseg", "depth", "normals", "boundary")
COUNTED = ("--recipe", "nyuv2_hrnet18", "--methods", "hard_sharing", "--measure", "parameters,macs")


def stored(folder: Path, parameters: float) -> Path:
    """A finished result of the cell that `COUNTED` measures."""
    spec = RunSpec("nyuv2_hrnet18", "hard_sharing", "none", "hrnet_w18_small_v2:imagenet", TASKS, 0)
    store = ResultStore(folder)
    with store.hold(spec) as lease:
        return store.publish(RunResult(spec, "done", METRICS, {"parameters_inference": parameters}), lease)


def test_it_counts_prints_and_stores_without_data_or_weights(tmp_path: Path, answer_of) -> None:
    """Counts of the public code at 480x640: 4,515,556 parameters, 44.644 GFLOPs."""
    result = stored(tmp_path / "results", 4_515_556)
    answer = answer_of(
        main, *COUNTED, "--size", "480x640", "--json", "cost.json", "--store", "results", folder=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    assert "images of 480x640" in answer.stdout
    assert "| 22.322" in answer.stdout
    assert "| 4.516 " in answer.stdout
    (row,) = json.loads((tmp_path / "cost.json").read_text())["rows"]
    assert row["cost"]["parameters_inference"] == 4_515_556
    cost = read_result(result).cost
    assert cost["gmacs"] == pytest.approx(22.322, abs=1e-3)
    assert cost["parameters_backbone"] == 3_860_720


def test_results_of_another_network_are_left_as_they_are(tmp_path: Path, answer_of) -> None:
    result = stored(tmp_path / "results", 12.0)
    before = result.read_text()
    answer = answer_of(main, *COUNTED, "--store", "results", folder=tmp_path)
    assert answer.returncode == 2
    assert "the network has changed since" in answer.stderr
    assert result.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "smoke", "--methods", "mti_ned"), "no method named 'mti_ned'. Did you mean 'mti_net'"),
        (("--recipe", "smoke", "--regularizers", "aux_head"), "Did you mean 'aux_heads'"),
        (("--recipe", "smoek"), "Did you mean 'smoke'"),
        (("--recipe", "smoke", "--backbone", "resnet81"), "Did you mean 'resnet18'"),
        (("--recipe", "smoke", "--size", "480"), "expected HEIGHTxWIDTH of 32 pixels or more, such as 480x640"),
        (("--recipe", "smoke", "--size", "480x16"), "of 32 pixels or more"),
        (("--recipe", "smoke", "--batch", "0"), "expected an integer of 1 or more, found '0'"),
        (("--recipe", "smoke", "--measure", "speed"), "expected some of parameters, macs, inference, step"),
        (("--recipe", "smoke", "--methods", "constant", "--store", "."), "no folder of results, it has no runs/"),
    ],
)
def test_wrong_requests_get_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path, answer_of) -> None:
    answer = answer_of(main, *arguments, folder=tmp_path)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert answer.stderr.count("\n") == 1
