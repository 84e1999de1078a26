"""Typed settings of a recipe: values that a recipe leaves out, ranges with their ends, and the text of a refusal."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmark.training.recipe_keys import ConfigError
from benchmark.training.settings import checked_settings, size

MINIMAL: dict[str, Any] = {
    "dataset": "synthetic",
    "backbone": "resnet18",
    "tasks": {"depth": {}},
    "train_cfg": {"max_iters": 4},
    "train_dataloader": {"batch_size": 2, "dataset": {}},
    "test_dataloader": {"batch_size": 2, "dataset": {}},
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
    "param_scheduler": [{"type": "PolyLR", "by_epoch": False, "end": 4}],
}
ALL = {**MINIMAL, "ema": {"decay": 0.5}, "log_processor": {}}
ALL["train_dataloader"] = {"batch_size": 2, "dataset": {"augmentation": {}, "pairs": {"name": "synthetic"}}}
ALL["optim_wrapper"] = {**MINIMAL["optim_wrapper"], "clip_grad": {"max_norm": 10}}


def changed(key: str, value: Any) -> dict[str, Any]:
    """A recipe with all parts and one other value."""
    recipe: Any = copy.deepcopy(ALL)
    *parents, leaf = key.split(".")
    node = recipe
    for parent in parents:
        node = node[int(parent)] if isinstance(node, list) else node[parent]
    node[leaf] = value
    return dict(recipe)


def test_settings_that_a_recipe_leaves_out_have_the_values_that_keep_all_identities() -> None:
    """An identity names only what differs from these values: another default would change all stored ids."""
    found = checked_settings(ALL).model_dump()
    loader = {"num_workers": 0, "prefetch_factor": None, "pin_memory": False}
    split = {"size": None, "augmentation": None, "cache": False, "share": 1.0, "pairs": None}
    augmentation = {"zoom": None, "scale": None, "crop": None, "cat_max_ratio": 1.0}
    augmentation |= {"flip": 0.0, "photometric": 0.0, "pad": None}
    pairs = {"name": "synthetic", "root": None, "tasks": None, "gap": 1}
    optimizer = {"type": "SGD", "lr": 0.1, "weight_decay": None, "momentum": None, "betas": None, "fused": None}
    schedule = {"type": "PolyLR", "by_epoch": False, "begin": 0, "end": 4, "power": None, "eta_min": None}
    factors = {"regularizer_lr_mult": 1.0, "backbone_lr_mult": 1.0, "norm_and_bias_decay_mult": 1.0}
    assert found == {
        "version": 1,
        "dataset": "synthetic",
        "root": None,
        "backbone": "resnet18",
        "tasks": {"depth": {"channels": None, "loss": None, "loss_weight": None, "loss_options": None}},
        "method": {},
        "regularizer": {},
        "train_cfg": {"type": "ExactIterLoop", "max_iters": 4},
        "test_cfg": {},
        "train_dataloader": {
            **loader,
            "batch_size": 2,
            "dataset": {**split, "augmentation": augmentation, "pairs": pairs},
        },
        "test_dataloader": {**loader, "batch_size": 2, "dataset": split},
        "optim_wrapper": {
            "type": "GroupClipOptimWrapper",
            "constructor": "PartsOptimWrapperConstructor",
            "precision": "fp32",
            "accumulative_counts": 1,
            "clip_grad": {"max_norm": 10, "norm_type": 2.0, "error_if_nonfinite": False},
            "paramwise_cfg": factors,
            "optimizer": optimizer,
        },
        "param_scheduler": [{**schedule, "start_factor": None}],
        "ema": {"decay": 0.5},
        "memory_format": "channels_last",
        "compile": None,
        "accelerate": True,
        "checkpoint_interval": 500,
        "default_hooks": {},
        "log_processor": {"by_epoch": False, "window_size": 50},
        "log_level": "INFO",
        "vis_backends": [],
    }
    assert checked_settings(MINIMAL).ema is None


AUGMENTATION = "train_dataloader.dataset.augmentation"
RANGES = [
    ("version", 1, 0),
    ("train_cfg.max_iters", 1, 0),
    ("train_dataloader.batch_size", 1, 0),
    ("train_dataloader.num_workers", 0, -1),
    ("train_dataloader.prefetch_factor", 1, 0),
    ("train_dataloader.dataset.share", 1, 1.01),
    ("train_dataloader.dataset.share", 0.01, 0),
    ("train_dataloader.dataset.pairs.gap", 1, 0),
    ("train_dataloader.dataset.size", (1, 1), (0, 1)),
    (f"{AUGMENTATION}.flip", 1, 1.01),
    (f"{AUGMENTATION}.flip", 0, -0.01),
    (f"{AUGMENTATION}.photometric", 1, 1.01),
    (f"{AUGMENTATION}.cat_max_ratio", 1, 0),
    (f"{AUGMENTATION}.zoom", (1.5, 1.5), (1.5, 1.4)),
    (f"{AUGMENTATION}.scale", (0.5, 0.5), (0.5, 0.4)),
    (f"{AUGMENTATION}.zoom", (0.1, 1.0), (0.0, 1.0)),
    ("tasks", {"depth": {}}, {}),
    ("tasks.depth.loss_weight", 0, -0.1),
    ("tasks.depth.channels", 1, 0),
    ("test_cfg", {}, {"type": "TestLoop"}),
    ("optim_wrapper.optimizer.lr", 1e-9, 0),
    ("optim_wrapper.optimizer.weight_decay", 0, -1),
    ("optim_wrapper.optimizer.momentum", 0, 1),
    ("optim_wrapper.optimizer.momentum", 0.999, -0.1),
    ("optim_wrapper.optimizer.dampening", 0.5, float("inf")),
    ("optim_wrapper.accumulative_counts", 1, 0),
    ("optim_wrapper.clip_grad.max_norm", 0.1, 0),
    ("optim_wrapper.clip_grad.norm_type", 1, 0),
    ("optim_wrapper.paramwise_cfg", {"backbone_lr_mult": 0}, {"backbone_lr_mult": -1}),
    ("param_scheduler.0.begin", 0, -1),
    ("param_scheduler.0.end", 1, 0),
    ("param_scheduler.0.end", "max_iters", "max_iter"),
    ("param_scheduler.0.power", 0, -1),
    ("param_scheduler.0.eta_min", 0, -1),
    ("param_scheduler.0.by_epoch", False, True),
    ("ema.decay", 0, -0.1),
    ("ema.decay", 0.999, 1),
    ("checkpoint_interval", 0, -1),
    ("log_processor.window_size", 1, 0),
    ("log_level", "DEBUG", "LOUD"),
    ("memory_format", "contiguous_format", "channels_first"),
    ("optim_wrapper.precision", "bf16", "fp16"),
    ("optim_wrapper.optimizer.fused", True, "yes"),
    ("vis_backends", [{"type": "LocalVisBackend"}], [{"type": "os.system"}]),
    ("default_hooks", {"a": {"type": "TimerHook"}}, {"a": [{"type": "os.system"}]}),
]


@pytest.mark.parametrize(("key", "accepted", "refused"), RANGES)
def test_the_ends_of_a_range_are_accepted_or_refused(key: str, accepted: Any, refused: Any) -> None:
    checked_settings(changed(key, accepted))
    with pytest.raises(ConfigError):
        checked_settings(changed(key, refused))


def test_an_optimizer_of_two_moments_takes_decays_of_at_most_one() -> None:
    adam = {"type": "Adam", "lr": 0.1, "betas": (0.0, 1.0)}
    checked_settings(changed("optim_wrapper.optimizer", adam))
    with pytest.raises(ConfigError, match="betas"):
        checked_settings(changed("optim_wrapper.optimizer", {**adam, "betas": (0.0, 1.1)}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dataset", 3, "setting 'dataset': found 3, expected a valid string"),
        ("train_cfg", {}, "the recipe lacks the setting 'train_cfg.max_iters'"),
        ("train_cfg.max_iters", True, "setting 'train_cfg.max_iters': found True, a number is expected"),
        ("train_cfg.max_iters", "many", "setting 'train_cfg.max_iters': found 'many', expected a valid integer"),
        ("tasks", {}, "setting 'tasks': found {}, expected at least one"),
        ("ema.dekay", 3, "no setting 'ema.dekay' in the recipe. Did you mean 'ema.decay'?"),
        ("optim_wrapper.optimizer.nesterow", True, "SGD has no setting 'nesterow'. Did you mean 'nesterov'?"),
        ("optim_wrapper.optimizer.type", "Adamm", "no optimizer named 'Adamm'. Did you mean 'Adam'?"),
        ("param_scheduler.0.powr", 1, "PolyLR has no setting 'powr'. Did you mean 'power'?"),
        ("param_scheduler.0.type", "PolyLr", "no schedule named 'PolyLr'. Did you mean 'PolyLR'?"),
        (f"{AUGMENTATION}.zoom", (2, 1), "zoom must be (lowest, highest), found (2.0, 1.0)"),
        ("train_dataloader.dataset.pairs", {"gap": 2}, "the name of a data set with posed frames"),
        ("train_dataloader.dataset.pairs", {"name": "a", "gap": 0}, "pairs.gap': found 0, expected greater"),
        ("default_hooks", {"a": {"type": "os.system"}}, "type must be a registered name, found 'os.system'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_remedy(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_settings(changed(key, value))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [("64x96", (64, 96)), ("64,96", (64, 96)), (" 64 , 96 ", (64, 96)), ("64x96x3", "64x96x3"), ([64, 96], [64, 96])],
)
def test_a_size_is_height_and_width(text: Any, read: Any) -> None:
    assert size(text) == read
