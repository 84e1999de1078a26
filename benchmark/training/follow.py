"""Following a training in TensorBoard, Weights & Biases or MLflow, by mmengine's back-ends.

The back-ends receive the losses, learning rates and gradient ratios of the log, and pictures. Logs are not part of a
cell's identity and do not change its numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from logging import WARNING
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS, VISBACKENDS
from mmengine.runner import Runner
from mmengine.visualization.vis_backend import BaseVisBackend, MLflowVisBackend, WandbVisBackend, force_init_env
from torch import Tensor, nn
from torch.utils.data import default_collate

from benchmark.contracts import Batch
from benchmark.records.atomic import locked
from benchmark.records.result import RunSpec
from benchmark.records.validation import shortened
from benchmark.tasks import suggest
from benchmark.training.checkpoints import random_states, restore_random_states
from benchmark.training.data_parallel import devices_here, unwrapped
from benchmark.training.recipe_keys import ConfigError
from benchmark.visualization.training_picture import training_picture

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""Package of each log, which is also the name of an extra of the suite."""
PROJECT = "dense-mtl-benchmark"
PICTURE_INTERVAL = 500
PICTURES = 4


def chosen_logs(text: str) -> tuple[str, ...]:
    """Parse comma-separated logs.

    Raises:
        ConfigError: for an unknown log, or for logs whose packages are not installed.
    """
    chosen = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in chosen:
        if name not in PACKAGES:
            raise ConfigError(f"no log named {name!r}.{suggest(name, PACKAGES)} Logs: {', '.join(PACKAGES)}")
    missing = [PACKAGES[name] for name in chosen if find_spec(PACKAGES[name]) is None]
    if missing:
        raise ConfigError(f"--log {text}: not installed: {', '.join(missing)}; pip install {' '.join(missing)}")
    return chosen


def follow(config: Config, spec: RunSpec, logs: Sequence[str]) -> None:
    """Add logs and their pictures to the configuration of a cell."""
    if not logs:
        return
    # The folder of a cell is WORK/recipe/run_id.
    work = Path(config.work_dir).parents[1]
    backends = {
        "tensorboard": dict(type="TensorboardVisBackend"),
        "wandb": dict(
            type="WandbLog", init_kwargs=dict(project=PROJECT, name=spec.run_id, id=spec.run_id, resume="allow")
        ),
        "mlflow": dict(
            type="MLflowLog",
            exp_name=PROJECT,
            run_name=spec.run_id,
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or (work / "mlflow").absolute().as_uri(),
            tracked_config_keys={},
        ),
    }
    config.visualizer.vis_backends += [dict(type="OptionalLog", name=name, log=backends[name]) for name in logs]
    config.custom_hooks.append(dict(type="PicturesHook", interval=PICTURE_INTERVAL, count=PICTURES))


@VISBACKENDS.register_module()
class OptionalLog(BaseVisBackend):
    """A log whose errors do not end a training: the first error is a warning, and nothing more is sent.

    Args:
        save_dir: folder of the log.
        log: configuration of the back-end that receives everything.
    """

    def __init__(self, save_dir: str, log: Mapping[str, Any]) -> None:
        super().__init__(save_dir)
        self._log = VISBACKENDS.build({**log, "save_dir": save_dir})
        self._ended = False

    @property
    def experiment(self) -> Any:
        """The client of the back-end."""
        return self._log.experiment

    def add_config(self, config: Config, **options: Any) -> None:
        """Send the configuration."""
        self._send("add_config", config, **options)

    def add_image(self, name: str, image: Any, step: int = 0, **options: Any) -> None:
        """Send a picture of a step."""
        self._send("add_image", name, image, step, **options)

    def add_scalar(self, name: str, value: Any, step: int = 0, **options: Any) -> None:
        """Send a value of a step."""
        self._send("add_scalar", name, value, step, **options)

    def add_scalars(self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **_: Any) -> None:
        """Send values of a step."""
        self._send("add_scalars", scalar_dict, step, file_path)

    def close(self) -> None:
        """End the log."""
        self._send("close")

    def _init_env(self) -> None:
        """Nothing to prepare: the back-end prepares itself."""

    def _send(self, call: str, *values: Any, **options: Any) -> None:
        if self._ended:
            return
        try:
            getattr(self._log, call)(*values, **options)
        except Exception as error:  # noqa: BLE001  (clients raise errors of their servers and networks in many types)
            self._ended = True
            reason = f"{type(error).__name__}: {shortened(error)}"
            print_log(
                f"{type(self._log).__name__} gets nothing more ({reason}); the training goes on", "current", WARNING
            )


@VISBACKENDS.register_module()
class WandbLog(WandbVisBackend):
    """mmengine's back-end with the step of each value, and without an upload of the code in the current folder."""

    @force_init_env
    def add_config(self, config: Config, **_: Any) -> None:
        """Send the configuration."""
        self._wandb.config.update(config.to_dict(), allow_val_change=True)

    @force_init_env
    def add_scalars(self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **_: Any) -> None:
        """Send values of a step."""
        self._wandb.log(scalar_dict, step=step)

    @force_init_env
    def add_image(self, name: str, image: Any, step: int = 0, **_: Any) -> None:
        """Send a picture of a step."""
        self._wandb.log({name: self._wandb.Image(image)}, step=step)

    def close(self) -> None:
        """End the run."""
        if hasattr(self, "_wandb"):
            self._wandb.finish()


@VISBACKENDS.register_module()
class MLflowLog(MLflowVisBackend):
    """mmengine's back-end with one store for all cells, and a file for each picture."""

    def _init_env(self) -> None:
        """Open the store. Cells that start at the same time create its experiment once."""
        # MLflow stores runs in files only with this variable; its databases need further packages.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        place = urlparse(self._tracking_uri)
        with locked(Path(f"{place.path}.lock")) if place.scheme == "file" else nullcontext():
            super()._init_env()

    @force_init_env
    def add_image(self, name: str, image: Any, step: int = 0, **_: Any) -> None:
        """Send a picture of a step."""
        self._mlflow.log_image(image, f"{name}/{step:06d}.png")


@HOOKS.register_module()
class PicturesHook(Hook):
    """Sends pictures of images of the evaluated split at intervals and at the last step.

    Args:
        interval: steps between two pictures of an image.
        count: number of images, at equal distances in the split.
    """

    # After the step's values are logged and its state is saved.
    priority = "LOWEST"

    def __init__(self, interval: int, count: int) -> None:
        self.interval, self.count = interval, count

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Send the pictures of a step."""
        step = batch_idx + 1
        if not devices_here().writes or (step % self.interval and step != runner.train_loop.max_iters):
            return
        module, states = unwrapped(runner.model), random_states()
        try:
            with in_evaluation(module), torch.no_grad():
                for place, item in enumerate(self._items(runner)):
                    runner.visualizer.add_image(f"predictions/{place}", picture(module, item), step)
        finally:
            restore_random_states(states)

    def _items(self, runner: Runner) -> Iterator[Any]:
        split = runner.test_dataloader.dataset
        for place in range(min(self.count, len(split))):
            yield split[place * len(split) // self.count if len(split) >= self.count else place]


def picture(module: Any, item: Any) -> Any:
    """Picture of one item of a data set, with the predictions of a training module in evaluation mode."""
    batch: Batch = module.data_preprocessor(default_collate([item]))
    output = module.model.method(batch["images"])
    rendered = {} if module.regularizer is None else module.regularizer.predictions(batch, output)

    def first(values: Any) -> dict[str, Tensor]:
        return {name: value[0].float() for name, value in values.items()}

    targets = {name: value[0].cpu() for name, value in batch["targets"].items()}
    return training_picture(
        batch["images"][0].float(), targets, first(output.predictions), first(rendered), module.model.tasks
    )


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Set a module to evaluation mode within the block; afterwards every part has its former mode."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
