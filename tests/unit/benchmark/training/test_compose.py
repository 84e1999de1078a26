"""Recipes, overrides, and requests that are refused before anything runs."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.records.result import RunSpec
from benchmark.registry import METHODS, REGULARIZERS
from benchmark.training.compose import check_devices, check_spec, compose
from benchmark.training.data_parallel import Devices
from benchmark.training.recipe_files import RECIPES, load_recipe, recipe_names
from benchmark.training.recipe_keys import ConfigError, parse_overrides


def spec(**changes: Any) -> RunSpec:
    """A cell of the smoke recipe."""
    values: dict[str, Any] = dict(
        recipe="smoke",
        method="hard_sharing",
        regularizer="none",
        backbone="resnet18",
        tasks=("semseg", "depth"),
        seed=3,
    )
    return RunSpec(**{**values, **changes})


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_composes_for_every_task_it_names(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    cell = spec(recipe=name, backbone=recipe.backbone, tasks=tuple(recipe.tasks))
    config = compose(cell, tmp_path)
    assert config.train_cfg.max_iters > 0
    assert [metric.task for metric in config.test_evaluator] == list(recipe.tasks)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_composes_for_every_method_and_regularizer(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    for method in METHODS.names():
        cell = spec(recipe=name, method=method, backbone=recipe.backbone, tasks=tuple(recipe.tasks))
        assert compose(cell, tmp_path).model.method == method
    for regularizer in REGULARIZERS.names():
        check_spec(spec(recipe=name, regularizer=regularizer, backbone=recipe.backbone, tasks=tuple(recipe.tasks)))


@pytest.mark.parametrize("name", recipe_names())
def test_the_docstring_of_a_recipe_has_its_name_and_the_published_numbers(name: str) -> None:
    text = ast.get_docstring(ast.parse((RECIPES / f"{name}.py").read_text())) or ""
    assert text.startswith(f"{name}: ")
    if name.startswith(("nyuv2_", "pascal_")) and name != "nyuv2_lite":
        assert "Published, not measured here" in text
        assert "batch" in text


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nyuv2_hrnet48", ("hrnet_w48:imagenet", 40000, 8, "SGD", 0.01, (425, 560), 0.8, "pixels")),
        ("nyuv2_resnet50", ("resnet50_dilated:imagenet", 9900, 8, "Adam", 1e-4, (480, 640), 0.95, "components")),
        ("nyuv2_vit_l", ("vit_large:imagenet", 40000, 6, "Adam", 2e-5, (448, 576), 0.95, "pixels")),
        ("pascal_hrnet48", ("hrnet_w48:imagenet", 40000, 8, "SGD", 0.005, (512, 512), 0.95, "pixels")),
        ("pascal_resnet50", ("resnet50_dilated:imagenet", 83300, 6, "Adam", 1e-4, (512, 512), 0.95, "components")),
        ("pascal_vit_l", ("vit_large:imagenet", 40000, 6, "Adam", 2e-5, (512, 512), 0.95, "pixels")),
    ],
)
def test_recipes_of_the_papers_have_their_settings(name: str, settings: tuple[Any, ...]) -> None:
    """From the papers' configurations; 9,900 is 100 epochs of 99 batches, 83,300 is 100 of 833."""
    recipe = load_recipe(name)
    data, optimizer = recipe.train_dataloader, recipe.optim_wrapper.optimizer
    found = (
        recipe.backbone,
        recipe.train_cfg.max_iters,
        data.batch_size,
        optimizer.type,
        optimizer.lr,
        tuple(data.dataset.augmentation.get("crop") or data.dataset.size),
        recipe.tasks.boundary.loss_options.positive_weight,
        recipe.tasks.normals.loss_options.divisor,
    )
    assert found == settings
    assert [recipe.tasks[task].loss_weight for task in ("normals", "boundary")] == [10, 50]
    assert ("momentum" in optimizer) == (optimizer.type == "SGD")


@pytest.mark.parametrize(
    ("value", "options"), [(None, None), (False, None), (True, {}), ("{'backend': 'eager'}", {"backend": "eager"})]
)
def test_compiling_is_a_setting_of_any_recipe(value: Any, options: dict[str, Any] | None, tmp_path: Path) -> None:
    config = compose(spec(overrides={} if value is None else {"compile": value}), tmp_path)
    assert config.model.compile_options == options


def test_the_names_of_recipes_are_sorted_and_parts_of_recipes_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.py", "a.py", "_part.py", "c.txt"):
        (tmp_path / name).touch()
    monkeypatch.setattr("benchmark.training.recipe_files.RECIPES", tmp_path)
    assert recipe_names() == ["a", "b"]


def test_an_override_reaches_the_runner(tmp_path: Path) -> None:
    cell = spec(overrides={"optim_wrapper.optimizer.lr": 0.5, "train_cfg.max_iters": 7, "tasks.depth.loss_weight": 2.0})
    config = compose(cell, tmp_path)
    assert config.optim_wrapper.optimizer.lr == 0.5
    assert config.train_cfg.max_iters == 7
    assert config.param_scheduler[-1].end == 7
    assert config.model.tasks.depth.loss_weight == 2.0


def test_devices_share_the_batch_and_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of four devices: the fifth and sixth sample of eight, and two of seven workers, rounded up."""
    monkeypatch.setattr("benchmark.training.compose.devices_here", lambda: Devices(4, 2))
    cell = spec(overrides={"train_dataloader.batch_size": 8, "train_dataloader.num_workers": 7})
    config = compose(cell, tmp_path, start_iteration=3)
    loader = config.train_dataloader
    assert (loader.batch_size, loader.num_workers) == (2, 2)
    assert (loader.sampler.batch_size, loader.sampler.rows, loader.sampler.start) == (8, (4, 2), 24)
    assert (config.launcher, config.model_wrapper_cfg) == ("pytorch", {"type": "SummedDataParallel"})
    assert {metric.collect_device for metric in config.test_evaluator} == {"gpu"}


def test_a_cell_has_its_seed_everywhere_and_scores_each_image_once_in_order(tmp_path: Path) -> None:
    overrides = {
        "ema": {"decay": 0.9},
        "accelerate": False,
        "train_dataloader.num_workers": 2,
        "test_dataloader.num_workers": 2,
        "test_dataloader.batch_size": 3,
    }
    config = compose(spec(seed=7, tasks=("semseg", "depth"), overrides=overrides), tmp_path)
    train, test = config.train_dataloader, config.test_dataloader
    assert (config.model.seed, config.randomness.seed, train.sampler.seed) == (7, 7, 7)
    assert (train.dataset.seed, test.dataset.seed) == (7, 7)
    assert test.sampler == {"type": "DefaultSampler", "shuffle": False, "round_up": False}
    assert (train.persistent_workers, test.persistent_workers) == (True, False)
    assert (train.batch_size, test.batch_size) == (2, 3)
    assert config.model.accelerate is False
    assert config.custom_hooks == [
        {"type": "FiniteLossHook", "interval": 10},
        {"type": "ProgressFileHook", "path": str(tmp_path / "progress.json")},
        {"type": "AveragingHook", "decay": 0.9},
    ]
    assert [(metric.type, metric.task) for metric in config.test_evaluator] == [
        ("MetricOf", "semseg"),
        ("MetricOf", "depth"),
    ]
    assert "launcher" not in config
    plain = compose(spec(), tmp_path)
    assert len(plain.custom_hooks) == 2
    assert plain.train_dataloader.persistent_workers is False


def test_metrics_of_a_user_are_computed_after_those_of_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = SimpleNamespace(of_task=lambda task: ["mine"] if task.name == "depth" else [])
    monkeypatch.setattr("benchmark.training.compose.METRICS", own)
    metrics = compose(spec(), tmp_path).test_evaluator
    assert [(metric.type, metric.task, metric.dataset) for metric in metrics] == [
        ("MetricOf", "semseg", "synthetic"),
        ("MetricOf", "depth", "synthetic"),
        ("OwnMetricsOf", "depth", "synthetic"),
    ]


def test_pairs_and_a_share_of_the_frames_are_for_the_training_alone(tmp_path: Path) -> None:
    """A data set of the user may have neither of the options, so they are left out where they change nothing."""
    pairs = {"train_dataloader.dataset.pairs": "synthetic", "train_dataloader.dataset.share": 0.5}
    config = compose(spec(overrides={**pairs, "test_dataloader.dataset.share": 1.0}), tmp_path)
    train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
    assert (train.pairs.name, train.share) == ("synthetic", 0.5)
    assert not {"pairs", "share"} & set(test)
    assert "pairs" not in compose(spec(), tmp_path).train_dataloader.dataset


@pytest.mark.parametrize(("iterations", "end"), [(1000, 50), (20, 20)])
def test_a_warm_up_is_not_longer_than_the_training(iterations: int, end: int, tmp_path: Path) -> None:
    config = compose(spec(recipe="nyuv2_lite", overrides={"train_cfg.max_iters": iterations}), tmp_path)
    warm_up, decay = config.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, end)
    assert decay.end == iterations


def test_a_setting_that_a_constructor_takes_may_be_added(tmp_path: Path) -> None:
    config = compose(spec(overrides={"optim_wrapper.optimizer.betas": [0.8, 0.9]}), tmp_path)
    assert list(config.optim_wrapper.optimizer.betas) == [0.8, 0.9]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("train_cfg.max_iter", r"no setting 'train_cfg.max_iter'.*Did you mean 'train_cfg.max_iters'"),
        ("optim_wraper.optimizer.lr", r"'optim_wraper' does not exist"),
        ("optim_wrapper.optimizer.learning_rate", "no setting"),
        ("param_scheduler.9.power", "must be a number from 0 to 1"),
        ("train_cfg.max_iters.deeper", "no setting"),
    ],
)
def test_a_misspelt_override_is_refused_with_the_nearest_key(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_spec(spec(overrides={key: 1}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "smok"}, "no recipe named 'smok'. Did you mean 'smoke'"),
        ({"method": "hard_sharin"}, "no method named 'hard_sharin'. Did you mean 'hard_sharing'"),
        ({"regularizer": "aux_head"}, "Did you mean 'aux_heads'"),
        ({"backbone": "resnet81"}, "Did you mean 'resnet18'"),
        (
            {"backbone": "resnet18:imagenett"},
            "asks for weights 'imagenett'; use resnet18:scratch, resnet18:imagenet or",
        ),
        ({"tasks": ("semsg",)}, "has no task 'semsg'. Did you mean 'semseg'"),
        ({"method": "constant", "regularizer": "aux_heads"}, "constant has nothing to train"),
        ({"overrides": {"compile": {"backent": "eager"}}}, "compile has no option 'backent'. Did you mean 'backend'"),
        ({"overrides": {"accelerate": "yes"}}, "setting 'accelerate': found 'yes', expected a valid boolean"),
        ({"overrides": {"compile": 3}}, "compile is True, False or a mapping of backend, .*; found 3"),
        (
            {"overrides": {"default_hooks.timer": {"type": "mmengine.hooks.IterTimerHook"}}},
            "setting 'default_hooks'.*type must be a registered name, found 'mmengine.hooks.IterTimerHook'",
        ),
        ({"overrides": {"vis_backends": [{"type": "os.system"}]}}, "type must be a registered name, found 'os.system'"),
        ({"overrides": {"train_dataloader.dataset.share": 0}}, "found 0, expected greater than 0"),
        ({"overrides": {"method.width": 3}}, "method hard_sharing has no option 'width'"),
        ({"overrides": {"train_dataloader.dataset.sise": 3}}, "data set synthetic has no option 'sise'"),
        ({"overrides": {"train_dataloader.dataset.pairs": "no_such_clip"}}, "no_such_clip"),
        ({"overrides": {"regularizer.weight": "calibrated:0"}, "regularizer": "aux_heads"}, "calibrated:0"),
        ({"overrides": {"regularizer.wieght": 3}, "regularizer": "aux_heads"}, "Did you mean 'weight'"),
        ({"overrides": {"tasks.depth.loss": "l2_of_log"}}, "l2_of_log"),
        ({"overrides": {"tasks.normals.loss_options.diviser": "images"}, "tasks": ("normals",)}, "diviser"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        check_spec(spec(**changes))
    assert "\n" not in str(caught.value)


def test_assignments_are_read_as_python_literals() -> None:
    assert parse_overrides(["a.b=1e-3", "c=(1, 2)", "d=text", "e=None"]) == {
        "a.b": 1e-3,
        "c": (1, 2),
        "d": "text",
        "e": None,
    }


def test_an_assignment_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="key=value, found 'train_cfg'"):
        parse_overrides(["train_cfg"])


def test_a_users_own_recipe_file_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"_base_ = [{str(Path(load_recipe('smoke').filename))!r}]\ntrain_cfg = dict(max_iters=9)\n")
    assert load_recipe(str(file)).train_cfg.max_iters == 9


def test_resuming_starts_the_order_of_samples_behind_those_seen(tmp_path: Path) -> None:
    assert compose(spec(), tmp_path, start_iteration=3).train_dataloader.sampler.start == 6


def test_two_runners_of_a_process_never_have_one_name(tmp_path: Path) -> None:
    """mmengine warns of equal names if the same cell is composed twice within a second."""
    cell = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
    assert compose(cell, tmp_path).experiment_name != compose(cell, tmp_path).experiment_name


@pytest.mark.parametrize(("gpus", "devices"), [(0, 4), (2, 2), (2, 1)])
def test_devices_may_be_all_gpus_or_cores(gpus: int, devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    check_devices(spec(overrides={"train_dataloader.batch_size": 4}), devices)


def test_more_devices_than_gpus_are_refused_unless_the_cell_trains_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cell = spec(overrides={"train_dataloader.batch_size": 4})
    with pytest.raises(ConfigError, match=r"^4 devices: this machine shows 2 GPUs; CUDA_VISIBLE_DEVICES='' trains on"):
        check_devices(cell, 4)
    check_devices(cell, 4, elsewhere=True)
    with pytest.raises(ConfigError, match="cannot be split equally over 3 devices"):
        check_devices(cell, 3, elsewhere=True)


@pytest.mark.parametrize(("split", "trained", "scored"), [("test", "train", "test"), ("val", "fit", "val")])
def test_a_cell_scored_on_val_trains_without_its_frames(split: str, trained: str, scored: str, tmp_path: Path) -> None:
    config = compose(spec(split=split), tmp_path)
    assert config.train_dataloader.dataset.split == trained
    assert config.test_dataloader.dataset.split == scored
