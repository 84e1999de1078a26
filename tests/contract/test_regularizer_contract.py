"""The contract of every registered regularizer, with every registered method."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from scenes import (
    BACKBONE,
    TASK_SETS,
    build_method,
    predict,
    random_batch,
    random_targets,
    short_overrides,
    short_preparation,
    total,
)

from benchmark.contracts import Batch, Regularizer
from benchmark.records.result import RunSpec
from benchmark.registry import METHODS, REGULARIZERS
from benchmark.tasks import NYUV2_TASKS, TaskSet
from benchmark.training.cell import run_cell
from benchmark.training.dependencies import needs_of
from benchmark.training.model import MultiTaskModel, TrainingModule
from benchmark.training.model_files import MODEL_FILE, save_model
from benchmark.training.trial import try_cells

CHECKOUT = Path(__file__).resolve().parents[2]
PAIR_CHECKS: dict[str, Callable[..., None]] = {}
PARTNERS = ("hard_sharing", "mtan")
"""Partners of every regularizer in the quick tests: a method that shares one map, and one that shares several."""
METHODS_THAT_TRAIN = [name for name in METHODS.names() if METHODS.entry(name).accepts_regularizers]


def check(function: Callable[..., None]) -> Callable[..., None]:
    """A check of one regularizer with one method; its name is a key of `expected_failures` of both."""
    PAIR_CHECKS[function.__name__] = function
    return function


@cache
def quick_regularizer() -> str:
    """The first regularizer that needs features: the partner of every method in the quick tests."""
    return next(name for name in REGULARIZERS.names() if REGULARIZERS.entry(name).factory.needs_features)


def is_quick(method: str, name: str, key: str) -> bool:
    """True for a check that the quick tests make of this pair."""
    if key not in ABOUT_THE_PAIR:
        return method == PARTNERS[0]
    return method in PARTNERS or name == quick_regularizer()


def cases() -> list[Any]:
    """Every method that trains, with every regularizer and every check."""
    found = []
    for method in METHODS_THAT_TRAIN:
        for name in REGULARIZERS.names():
            failures = {**METHODS.entry(method).expected_failures, **REGULARIZERS.entry(name).expected_failures}
            for key in PAIR_CHECKS:
                marks = [pytest.mark.xfail(reason=failures[key], strict=True)] if key in failures else []
                if not is_quick(method, name, key):
                    marks.append(pytest.mark.slow)
                found.append(pytest.param(method, name, key, id=f"{method}-{name}-{key}", marks=marks))
    return found


def attach(name: str, model: MultiTaskModel, tasks: TaskSet = NYUV2_TASKS, **options: Any) -> TrainingModule:
    """The training module of a model and a regularizer."""
    options = short_preparation(name) | options
    with torch.random.fork_rng():
        torch.manual_seed(5)
        regularizer = REGULARIZERS.create(name, tasks, model.method.feature_specs, **options)
        regularizer.start_from({needed: build_method(needed, tasks) for needed in regularizer.needs(BACKBONE, options)})
        regularizer.calibrate([random_targets(tasks, 2, (64, 96), seed=7)])
    return TrainingModule(model, regularizer, seed=5)


def train(module: TrainingModule, steps: int, tasks: TaskSet = NYUV2_TASKS) -> TrainingModule:
    """Steps of SGD on model and regularizer, from a fixed state of the global random stream, which dropout uses."""
    torch.manual_seed(11)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    module.train()
    for step in range(steps):
        optimizer.zero_grad()
        total(module(**random_batch(tasks, seed=step), mode="loss")).backward()
        optimizer.step()
    return module


@check
def attaches_to_four_tasks_two_and_one(method: str, name: str) -> None:
    """Finite scalar terms for each set of tasks."""
    for tasks in TASK_SETS.values():
        module = attach(name, MultiTaskModel(build_method(method, tasks), tasks), tasks)
        terms = module.train()(**random_batch(tasks), mode="loss")
        assert all(term.numel() == 1 and torch.isfinite(term) for term in terms.values())


@check
def sends_a_gradient_into_its_inputs(method: str, name: str) -> None:
    """Gradients into all features; or into a prediction, if `needs_features` is False and terms exist."""
    model = MultiTaskModel(build_method(method), NYUV2_TASKS).train()
    regularizer: Regularizer = attach(name, model).regularizer
    batch: Batch = random_batch(NYUV2_TASKS)
    output = model(batch["images"])
    losses = model.task_losses(output, model.losses(output, batch["targets"]))
    terms = regularizer.train()(batch, replace(output, task_losses=losses))
    if not type(regularizer).needs_features:
        predictions = tuple(output.predictions.values())
        gradients = torch.autograd.grad(total(terms), predictions, allow_unused=True) if terms else ()
        assert not terms or any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
        return
    gradients = torch.autograd.grad(total(terms), output.features, allow_unused=True)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


@check
def leaves_the_model_as_it_is_without_it(method: str, name: str) -> None:
    """Same weights, same state dict, same parameter count, bit-identical predictions."""
    images = random_batch(NYUV2_TASKS)["images"]
    bare = MultiTaskModel(build_method(method), NYUV2_TASKS)
    module = attach(name, MultiTaskModel(build_method(method), NYUV2_TASKS))
    assert list(module.model.state_dict()) == list(bare.state_dict())
    pairs = zip(bare.state_dict().values(), module.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert sum(p.numel() for p in module.model.parameters()) == sum(p.numel() for p in bare.parameters())
    before, after = predict(bare, images), predict(module.model, images)
    module.eval()
    with torch.no_grad():
        through = module(images).predictions
    assert all(torch.equal(before[task], after[task]) and torch.equal(before[task], through[task]) for task in before)


@check
def weight_zero_trains_bit_identically(method: str, name: str) -> None:
    """Three steps with weight 0 and three steps without a regularizer give the same weights."""
    bare = TrainingModule(MultiTaskModel(build_method(method), NYUV2_TASKS), None, seed=5)
    module = attach(name, copy.deepcopy(bare.model), weight=0.0)
    train(bare, 3)
    train(module, 3)
    pairs = zip(bare.model.state_dict().values(), module.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@check
def draws_no_number_from_the_global_stream(method: str, name: str) -> None:
    """Random numbers of the regularizer do not change dropout and augmentation of the model."""
    model = MultiTaskModel(build_method(method), NYUV2_TASKS).train()
    module = attach(name, model)
    torch.manual_seed(11)
    model(**random_batch(NYUV2_TASKS), mode="loss")
    without = torch.get_rng_state()
    torch.manual_seed(11)
    module.train()(**random_batch(NYUV2_TASKS), mode="loss")
    assert torch.equal(without, torch.get_rng_state())


ABOUT_THE_PAIR = (attaches_to_four_tasks_two_and_one.__name__, sends_a_gradient_into_its_inputs.__name__)
"""Checks whose outcome depends on method and regularizer; the outcome of the others depends on the regularizer."""


@pytest.mark.parametrize(("method", "name", "key"), cases())
def test_regularizer_keeps_its_contract(method: str, name: str, key: str) -> None:
    PAIR_CHECKS[key](method, name)


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_saved_model_holds_no_weight_of_the_regularizer(name: str, tmp_path: Any) -> None:
    model = MultiTaskModel(build_method("hard_sharing"), NYUV2_TASKS)
    module = train(attach(name, model), 1)
    save_model(module.model, tmp_path / MODEL_FILE, {})
    assert set(load_file(tmp_path / MODEL_FILE)) == set(model.state_dict())


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the cells that regularizers of the smoke recipe need, trained on first use."""
    return tmp_path_factory.mktemp("teachers")


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_it_trains_under_a_recipe(
    name: str, small_rooms: Path, teachers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps of the real Runner, with the memory layout, optimiser and data of the recipe."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    overrides = {"train_cfg.max_iters": 2, "checkpoint_interval": 0, **short_overrides(name)}
    cell = RunSpec("smoke", "hard_sharing", name, BACKBONE, ("semseg", "depth", "normals", "boundary"), 0, overrides)
    for needed in needs_of(cell).cells:
        if not (teachers / needed.run_id / MODEL_FILE).is_file():
            assert run_cell(needed, teachers / needed.run_id).status == "done"
    result = run_cell(cell, teachers / cell.run_id)
    assert result.status == "done", result.error


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_a_grid_tries_it_with_code_of_a_user(name: str, small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of timm is run on a small batch before a grid starts, as a method of a user is."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    try_cells([RunSpec("smoke", "hard_sharing", name, BACKBONE, tuple(NYUV2_TASKS), 0, short_overrides(name))])


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_negative_weight_is_refused(name: str) -> None:
    method = build_method("hard_sharing")
    with pytest.raises(ValueError, match="-1"):
        REGULARIZERS.create(name, NYUV2_TASKS, method.feature_specs, weight=-1.0)


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_its_card_is_complete(name: str) -> None:
    entry = REGULARIZERS.entry(name)
    header = inspect.getmodule(entry.factory).__doc__ or ""
    assert entry.title
    assert entry.paper.startswith("https://") or (CHECKOUT / entry.paper).is_file(), "a paper, or our documentation"
    assert 1950 < entry.year < 2100
    assert "Source:" in header
    assert "Differs" in header
