#!/usr/bin/env python
"""Measure the overhead of the Runner: its training steps compared with a plain loop on the same model and data.

    python tools/measure_runner.py --recipe nyuv2_lite --method hard_sharing

Both run alternately for a few steps in one process, so that other load affects both equally. The tool prints the ratio
of the median step times. The plain loop is: next batch, forward, losses, backward, optimiser step, schedule.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, positive


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("--recipe", default="synthetic_demo", help="recipe (default: synthetic_demo)")
    parser.add_argument("--method", default="hard_sharing", help="method (default: hard_sharing)")
    parser.add_argument("--turns", type=positive, default=10, help="turns of each loop (default: 10)")
    parser.add_argument("--steps", type=positive, default=5, help="steps in a turn (default: 5)")
    return parser.parse_args(arguments)


def prepared_runner(recipe: str, method: str, folder: Path, steps: int) -> Any:
    """A Runner before its first training step."""
    from mmengine.runner import Runner

    from benchmark.records.result import RunSpec
    from benchmark.training.compose import compose
    from benchmark.training.recipe_files import recipe_defaults

    backbone, tasks = recipe_defaults(recipe)
    spec = RunSpec(recipe, method, "none", backbone, tasks, seed=0, overrides={"train_cfg.max_iters": steps})
    runner = Runner.from_cfg(compose(spec, folder))
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    runner.call_hook("before_run")
    runner.optim_wrapper.initialize_count_status(runner.model, 0, steps)
    runner.call_hook("before_train")
    runner.call_hook("before_train_epoch")
    runner.model.train()
    return runner


def runner_step(runner: Any) -> None:
    """One step of the Runner, with all hooks."""
    runner.train_loop.run_iter(next(runner.train_loop.dataloader_iterator))


def plain_step(runner: Any, optimizer: Any, schedule: Any) -> None:
    """One step without the Runner: the same batch order, model, losses and optimizer class."""
    model = runner.model.model
    batch = model.data_preprocessor(next(runner.train_loop.dataloader_iterator), True)
    loss = sum(model(**batch, mode="loss").values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


def timed(step: Callable[[], None], number: int) -> list[float]:
    """Seconds of each of `number` steps."""
    seconds = []
    for _ in range(number):
        before = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - before)
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Print medians and their ratio."""
    options = parse_arguments(arguments)
    import torch
    from mmengine.registry import OPTIMIZERS

    import benchmark.training.cell  # noqa: F401  (registers names of configs)
    from benchmark.training.recipe_files import load_recipe

    steps = options.turns * options.steps + 10
    with tempfile.TemporaryDirectory() as folder:
        runner = prepared_runner(options.recipe, options.method, Path(folder), steps)
        settings = dict(load_recipe(options.recipe).optim_wrapper.optimizer)
        optimizer = OPTIMIZERS.build({**settings, "params": runner.model.parameters()})
        schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps)
        timed(lambda: runner_step(runner), 5)
        timed(lambda: plain_step(runner, optimizer, schedule), 5)
        runner_times: list[float] = []
        plain_times: list[float] = []
        for _ in range(options.turns):
            runner_times += timed(lambda: runner_step(runner), options.steps)
            plain_times += timed(lambda: plain_step(runner, optimizer, schedule), options.steps)
    runner_seconds, plain_seconds = median(runner_times), median(plain_times)
    ratio = runner_seconds / plain_seconds
    print(f"Runner {runner_seconds:.4f} s, plain loop {plain_seconds:.4f} s per step, ratio {ratio:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
