"""Result files are data: composing a stored cell never runs foreign code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.training.compose import compose
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.trust import trusted_spec
from tools import evaluate, render_triplane

TRAP = "trap_of_a_result_file"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that creates a file when it is imported or called; yields the path of the file."""
    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\ndef spring(*args, **kwargs): pass\n"
    (tmp_path / f"{TRAP}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield mark
    sys.modules.pop(TRAP, None)


def result_file(folder: Path, overrides: dict[str, Any], recipe: str = "smoke") -> Path:
    """A result file of a cell of the 3D-aware regularizer."""
    spec = RunSpec(recipe, "hard_sharing", "three_d_aware", "resnet18", ("semseg", "depth"), 0, overrides)
    path = folder / "results" / "runs" / "smoke" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(RunResult(spec, "done").to_text())
    return path


SPRING = f"{TRAP}.spring"
HOSTILE: list[dict[str, Any]] = [
    {"train_cfg.type": SPRING},
    {"train_cfg": {"type": SPRING, "max_iters": 1}},
    {"test_cfg.type": TRAP},
    {"optim_wrapper.type": SPRING},
    {"optim_wrapper.constructor": SPRING},
    {"optim_wrapper.optimizer.type": SPRING},
    {"optim_wrapper": {"optimizer": {"type": SPRING}}},
    {"optim_wrapper.optimizer": f"{{'type': '{SPRING}', 'lr': 1}}"},
    {"optim_wrapper.optimizer.type": f"'{SPRING}'"},
    {"param_scheduler": [{"type": SPRING}]},
    {"param_scheduler.0.type": SPRING},
    {"default_hooks.timer": {"type": SPRING}},
    {"default_hooks.timer.type": TRAP},
    {"vis_backends": [{"type": SPRING}]},
    {"vis_backends": [{"type": "WandbVisBackend"}]},
    {"log_processor.type": SPRING},
    {"train_dataloader.worker_init_fn": {"type": SPRING}},
    {"test_dataloader.batch_sampler": {"type": SPRING}},
    {"train_cfg.type": ["a list"]},
    {"compile": {"options": {"cpp.cxx": ["/bin/false"]}}},
]


@pytest.mark.parametrize("overrides", HOSTILE, ids=str)
@pytest.mark.parametrize("tool", [evaluate, render_triplane], ids=["evaluate", "render_triplane"])
def test_no_override_of_a_result_file_runs_code(tool, overrides, trap, tmp_path, capsys):
    assert tool.main([str(result_file(tmp_path, overrides))]) == 2
    err = capsys.readouterr().err
    assert "expected a registered name" in err
    assert err.count("\n") == 1
    assert not trap.exists()


@pytest.mark.parametrize("name", [f"{TRAP}.py", f"../{TRAP}", "../recipes/smoke", "smoke.py", "/nowhere/recipe.py"])
@pytest.mark.parametrize("tool", [evaluate, render_triplane], ids=["evaluate", "render_triplane"])
def test_no_recipe_of_a_result_file_is_run(tool, name, trap, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert tool.main([str(result_file(tmp_path, {}, recipe=name))]) == 2
    err = capsys.readouterr().err
    assert "name it with --recipe" in err
    assert err.count("\n") == 1
    assert not trap.exists()


def test_the_trap_works(trap, tmp_path):
    """The same override runs the code when it is composed and built without the check."""
    from mmengine.registry import OPTIMIZERS

    assert OPTIMIZERS.get(SPRING) is not None
    assert trap.exists()


def test_a_recipe_that_the_user_names_replaces_that_of_the_result(tmp_path):
    spec = RunSpec("my_recipe.py", "hard_sharing", "none", "resnet18", ("semseg",), 0)
    trusted = trusted_spec(RunResult(spec, "done"), str(tmp_path / "mine.py"))
    assert trusted.recipe == str(tmp_path / "mine.py")
    with pytest.raises(ConfigError, match="--recipe"):
        trusted_spec(RunResult(spec, "done"))


@pytest.mark.parametrize(
    "overrides",
    [
        {"optim_wrapper.optimizer.type": "AdamW"},
        {"optim_wrapper.type": "AmpOptimWrapper"},
        {"optim_wrapper.optimizer": {"type": "SGD", "lr": 0.1}},
        {"param_scheduler": [{"type": "PolyLR", "end": 3}]},
        {"vis_backends": [{"type": "TensorboardVisBackend"}]},
        {"regularizer.weight": "calibrated", "train_cfg.max_iters": 7, "compile": True},
    ],
    ids=str,
)
def test_registered_names_and_ordinary_settings_are_accepted(overrides, tmp_path):
    spec = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0, overrides)
    assert trusted_spec(RunResult(spec, "done")) == spec


def test_every_stored_result_of_the_project_is_trusted():
    results = Path(evaluate.__file__).resolve().parents[1] / "results"
    specs = [trusted_spec(RunResult.from_json(json.loads(path.read_text()))) for path in results.glob("*/*/*.json")]
    assert len(specs) > 100


def test_registered_types_still_compose(small_rooms, tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    spec = RunSpec(
        "smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0, {"optim_wrapper.optimizer.type": "AdamW"}
    )
    assert compose(trusted_spec(RunResult(spec, "done")), tmp_path).optim_wrapper.optimizer.type == "AdamW"
