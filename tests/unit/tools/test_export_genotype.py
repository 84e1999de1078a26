"""tools/export_genotype.py as a command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore
from benchmark.training.model_files import MODEL_FILE
from mtl_methods.atrc.genotypes import CONTEXTS, resolve
from tools.export_genotype import main

TASKS = ("semseg", "depth")


def cell(folder: Path, method: str, tensors: dict[str, torch.Tensor]) -> Path:
    """The result file of a cell with these weights."""
    store = ResultStore(folder / "results")
    spec = RunSpec("smoke", method, "none", "timm:test_resnet", TASKS, 0)
    with store.hold(spec) as lease:
        store.publish(RunResult(spec, "done", {}), lease)
    work = store.work_folder(spec)
    work.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(work / MODEL_FILE))
    (result,) = (folder / "results" / "runs" / "smoke").glob("*.json")
    return result


@pytest.fixture
def searched(tmp_path) -> Path:
    """One edge is decided for local; the logits prefer T-label everywhere."""
    architecture = torch.zeros(2, 2, len(CONTEXTS))
    architecture[..., CONTEXTS.index("t_label")] = 1.0
    decided = torch.tensor([[-1, CONTEXTS.index("local")], [-1, -1]])
    tensors = {
        "method.architecture": architecture,
        "method.decided": decided,
        "method.step": torch.tensor(7),
        "method.other": torch.zeros(3),
    }
    return cell(tmp_path, "atrc_search", tensors)


def test_the_genotype_of_a_search_is_one_that_atrc_takes(searched: Path, tmp_path: Path, answer_of):
    out = tmp_path / "found.json"
    answer = answer_of(main, searched, "--out", out)
    assert answer.returncode == 0, answer.stderr
    assert resolve(str(out), TASKS, 64) == {
        "semseg": {"semseg": "t_label", "depth": "local"},
        "depth": {"semseg": "t_label", "depth": "t_label"},
    }
    assert '"steps": 7' in out.read_text()


@pytest.mark.parametrize("case", ["another method", "another ending", "no result"])
def test_what_cannot_be_exported_is_refused_in_one_line(case: str, searched: Path, tmp_path: Path, answer_of):
    result, out, message = searched, "found.json", "no such file"
    if case == "another method":
        result = cell(tmp_path / "other", "hard_sharing", {"method.heads": torch.zeros(1)})
        message = "hard_sharing learns no genotype"
    elif case == "another ending":
        out, message = "found.txt", "must end in .json"
    else:
        result = tmp_path / "nothing.json"
    answer = answer_of(main, result, "--out", tmp_path / out)
    assert answer.returncode == 2
    assert message in answer.stderr.lower()
    assert answer.stderr.count("\n") == 1
    assert not (tmp_path / out).exists()
