"""The model is independent of its regularizer: exported graph, imports at inference, exact resume."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.contracts import Batch
from benchmark.tasks import NYUV2_TASKS
from benchmark.training.loops import tell_progress
from benchmark.training.model import MultiTaskModel, TrainingModule
from mtl_methods.hard_sharing import HardSharing
from regularizers.three_d_aware.regularizer import ThreeDAware

CHECKOUT = Path(__file__).resolve().parents[4]
TASKS = NYUV2_TASKS.select(["semseg", "depth"])
AT_INFERENCE = """
import sys, torch
from benchmark.training.builders import build_model
from benchmark.tasks import NYUV2_TASKS
model = build_model("hard_sharing", "resnet18", NYUV2_TASKS, {}).eval()
with torch.no_grad():
    model(torch.zeros(1, 3, 32, 32), mode="predict")
print([name for name in sys.modules if name.partition(".")[0] == "regularizers"])
"""


def module(regularized: bool = True, **options: Any) -> TrainingModule:
    torch.manual_seed(0)
    method = HardSharing(TASKS, "resnet18")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        small = {"samples": 8, "channels": 4, "plane_depth": 6, "hidden": 8, **options}
        made = ThreeDAware(TASKS, method.feature_specs, **small) if regularized else None
    return TrainingModule(MultiTaskModel(method, TASKS), made, seed=1).train()


def random_batch(seed: int) -> Batch:
    torch.manual_seed(seed)
    targets = {"semseg": torch.randint(0, 40, (2, 64, 64)), "depth": torch.rand(2, 1, 64, 64) + 1}
    return Batch(images=torch.randn(2, 3, 64, 64), targets=targets, intrinsics=torch.eye(3).expand(2, 3, 3))


def step(trained: TrainingModule, optimizer: torch.optim.Optimizer, seed: int) -> float:
    """One step as mmengine makes it."""
    optimizer.zero_grad()
    loss, _ = trained.parse_losses(trained(**random_batch(seed), mode="loss"))
    loss.backward()
    optimizer.step()
    return float(loss.item())


class Predictions(nn.Module):
    """A model whose output torch.export knows: tensors by name."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        predictions: dict[str, Tensor] = self.model(images).predictions
        return predictions


@pytest.mark.slow
def test_the_exported_graph_is_that_of_the_bare_model() -> None:
    with warnings.catch_warnings():
        # torch.export warns of its own insides.
        warnings.simplefilter("ignore")
        models = [Predictions(module(regularized).eval().model.method) for regularized in (False, True)]
        graphs = [torch.export.export(model, (torch.zeros(1, 3, 64, 64),)).graph for model in models]
    first, second = ([f"{node.name} {node.target}" for node in graph.nodes] for graph in graphs)
    assert first == second


@pytest.mark.slow
def test_inference_imports_nothing_of_the_regularizers() -> None:
    run = subprocess.run([sys.executable, "-c", AT_INFERENCE], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("options", [{}, {"every_k": 2}])
def test_a_resumed_training_has_the_same_losses(options: dict[str, Any]) -> None:
    """Jitter and the count of steps go on where they were."""
    whole = module(**options)
    optimizer = torch.optim.SGD(whole.parameters(), lr=1e-3)
    step(whole, optimizer, 0)
    saved = copy.deepcopy(whole.state_dict())
    expected = [step(whole, optimizer, seed) for seed in (1, 2)]
    resumed = module(**options)
    torch.rand(5)
    resumed.load_state_dict(saved)
    optimizer = torch.optim.SGD(resumed.parameters(), lr=1e-3)
    assert [step(resumed, optimizer, seed) for seed in (1, 2)] == expected


def test_the_first_step_of_the_ramp_is_that_of_no_regularizer() -> None:
    """Weights after the first step are bit-identical."""
    bare, ramped = module(regularized=False), module(ramp=0.5)
    for trained in (bare, ramped):
        tell_progress(trained, 0.0)
        step(trained, torch.optim.SGD(trained.parameters(), lr=1e-3), seed=0)
    pairs = zip(bare.model.state_dict().values(), ramped.model.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def test_diagnostics_are_logged_and_not_summed() -> None:
    trained = module()
    terms = trained(**random_batch(0), mode="loss")
    assert {"regularizer_ray_entropy", "regularizer_ray_opacity", "regularizer_depth_correlation"} <= set(terms)
    total, logged = trained.parse_losses(terms)
    summed = sum(value.item() for name, value in terms.items() if name.startswith("loss_"))
    assert total.item() == pytest.approx(summed)
    assert "regularizer_ray_entropy" in logged
