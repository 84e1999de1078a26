"""Following a training: choice of logs, what they receive, and that nothing changes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmark.records.result import RunSpec
from benchmark.training import follow
from benchmark.training.cell import run_cell
from benchmark.training.follow import chosen_logs
from benchmark.training.model_files import MODEL_FILE
from benchmark.training.recipe_keys import ConfigError

TASKS = ("semseg", "depth", "normals", "boundary")


class Recorder(ModuleType):
    """A package that records what it is sent; `wandb` and `mlflow` are not installed for the tests."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.__spec__ = SimpleNamespace(name=name)  # type: ignore[assignment]
        self.config = SimpleNamespace(update=lambda *_, **__: None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((name, arguments, options))
            return arguments[0] if arguments else None

        return call

    def sent(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Arguments of all calls of a function."""
        return [(arguments, options) for called, arguments, options in self.calls if called == name]


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recorder]:
    """Recorders in place of `wandb` and `mlflow`."""
    found = {name: Recorder(name) for name in ("wandb", "mlflow")}
    for name, module in found.items():
        monkeypatch.setitem(sys.modules, name, module)
    return found


def spec(**changes: Any) -> RunSpec:
    values: dict[str, Any] = dict(
        recipe="smoke",
        method="hard_sharing",
        regularizer="three_d_aware",
        backbone="timm:test_resnet",
        tasks=TASKS,
        seed=0,
        overrides={"train_dataloader.dataset.size": [32, 64], "test_dataloader.dataset.size": [32, 64]},
    )
    return RunSpec(**{**values, **changes})


def test_an_unknown_log_is_refused() -> None:
    with pytest.raises(ConfigError, match="no log named 'tensorbord'. Did you mean 'tensorboard'?"):
        chosen_logs("tensorbord")


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "find_spec", lambda name: None if name in ("wandb", "mlflow") else object())
    with pytest.raises(ConfigError, match="not installed: wandb, mlflow; pip install wandb mlflow"):
        chosen_logs("tensorboard, wandb,mlflow")
    assert chosen_logs("tensorboard") == ("tensorboard",)


def test_logs_receive_losses_rates_ratios_and_pictures_and_change_nothing(
    tmp_path: Path, small_rooms: Path, packages: dict[str, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of four images at the second and at the last of four steps, with all random states restored."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    monkeypatch.setattr(follow, "PICTURE_INTERVAL", 2)
    logged = spec(overrides={**spec().overrides, "default_hooks.logger.interval": 2})
    plain = run_cell(logged, tmp_path / "work" / "smoke" / "plain")
    followed = run_cell(logged, tmp_path / "work" / "smoke" / "followed", logs=("tensorboard", "wandb", "mlflow"))
    assert followed.status == plain.status == "done", followed.error
    assert followed.metrics == plain.metrics
    first, second = (load_file(tmp_path / "work" / "smoke" / name / MODEL_FILE) for name in ("plain", "followed"))
    assert all(first[name].equal(second[name]) for name in first)

    scalars = [
        values for (values,), options in packages["wandb"].sent("log") if options["step"] == 4 and "lr" in values
    ]
    assert {"lr", "loss", "loss_depth", "regularizer_gradient_ratio"} <= scalars[0].keys()
    names = [name for (_, name), _ in packages["mlflow"].sent("log_image")]
    assert names == [f"predictions/{image}/{step:06d}.png" for step in (2, 4) for image in range(4)]
    picture = packages["mlflow"].sent("log_image")[0][0][0]
    # Labels, predictions and predictions rendered from the triplane, of an image and four tasks.
    assert picture.shape == (3 * (32 + 2), 5 * (64 + 2), 3)
    assert picture.dtype == np.uint8
    rendered_depth = picture[2 * 34 : 2 * 34 + 32, 2 * 66 : 2 * 66 + 64]
    assert (rendered_depth != 255).any()
    assert packages["wandb"].sent("finish")
    assert list((tmp_path / "work" / "smoke" / "followed").rglob("events.out.tfevents.*"))


def test_an_error_of_a_log_is_told_once_and_the_training_goes_on(
    tmp_path: Path,
    small_rooms: Path,
    packages: dict[str, Recorder],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The client of MLflow raises at its first values, that of W&B when it opens; TensorBoard gets its values."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    monkeypatch.setattr(follow, "PICTURES", 1)
    attempts = []

    def fail(*_: Any, **__: Any) -> None:
        attempts.append(1)
        raise ConnectionError("no server\nat localhost")

    packages["mlflow"].log_metrics = fail
    packages["wandb"].init = fail
    logged = spec(overrides={**spec().overrides, "default_hooks.logger.interval": 2}, regularizer="none")
    folder = tmp_path / "work" / "smoke" / "cell"
    result = run_cell(logged, folder, logs=("tensorboard", "wandb", "mlflow"))
    assert result.status == "done", result.error
    assert len(attempts) == 2
    output = capfd.readouterr().out
    for name in ("WandbLog", "MLflowLog"):
        assert output.count(f"{name} gets nothing more (ConnectionError: no server at localhost)") == 1
    assert list(folder.rglob("events.out.tfevents.*"))


def test_pictures_are_sent_at_intervals_and_at_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second of five steps and the last one; two images of six, at equal distances."""
    sent: list[tuple[str, str, int]] = []
    monkeypatch.setattr(follow, "picture", lambda module, item: item)
    runner: Any = SimpleNamespace(
        model=torch.nn.Identity(),
        train_loop=SimpleNamespace(max_iters=5),
        test_dataloader=SimpleNamespace(dataset=list("abcdef")),
        visualizer=SimpleNamespace(add_image=lambda name, image, step: sent.append((name, image, step))),
    )
    hook = follow.PicturesHook(interval=2, count=2)
    for step in range(5):
        hook.after_train_iter(runner, step)
    assert [step for name, _, step in sent if name == "predictions/0"] == [2, 4, 5]
    assert {(name, image) for name, image, _ in sent} == {("predictions/0", "a"), ("predictions/1", "d")}
