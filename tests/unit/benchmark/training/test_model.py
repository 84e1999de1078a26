"""Losses by name, data samples, and what the training module adds to the model."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Batch, FeatureSpec, Method, MultiTaskOutput, Regularizer
from benchmark.heads import read_out
from benchmark.tasks import BOUNDARY, DEPTH, NORMALS, SEMSEG, TaskSet
from benchmark.training.model import MultiTaskModel, TrainingModule, data_samples

TASKS = TaskSet([DEPTH.adjusted(loss_weight=3.0)])


class FixedDepth(Method):
    """Predicts a learned constant, supervised once more by an auxiliary prediction of half weight."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.depth = nn.Parameter(torch.tensor(2.0))
        self.feature_specs = (FeatureSpec(1, 1),)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        prediction = self.depth.expand(len(images), 1, *images.shape[-2:])
        again = Auxiliary("initial", "depth", prediction[..., ::2, ::2], weight=0.5)
        return MultiTaskOutput({"depth": prediction}, (prediction,), (again,))


class Noise(Regularizer):
    """A random number, to see where it comes from."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(TASKS, (), weight)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        return {"noise": self.weight * torch.rand(())}


def batch() -> dict[str, Tensor]:
    return {"images": torch.zeros(1, 3, 4, 4), "targets": {"depth": torch.full((1, 1, 4, 4), 5.0)}}


def test_losses_are_weighted_and_named_after_task_and_auxiliary() -> None:
    """|2 - 5| = 3 m, times the task's weight 3; the auxiliary prediction counts half."""
    terms = MultiTaskModel(FixedDepth(), TASKS)(**batch(), mode="loss")
    assert {name: value.item() for name, value in terms.items()} == {"loss_depth": 9.0, "loss_initial_depth": 4.5}


def test_penalties_of_a_method_are_terms_of_the_loss() -> None:
    class Penalised(FixedDepth):
        def forward(self, images: Tensor) -> MultiTaskOutput:
            return MultiTaskOutput(super().forward(images).predictions, penalties={"entropy": self.depth * -0.25})

    module = TrainingModule(MultiTaskModel(Penalised(), TASKS), None, seed=1)
    terms = module(**batch(), mode="loss")
    assert {name: value.item() for name, value in terms.items()} == {"loss_depth": 9.0, "loss_entropy": -0.5}
    assert module.parse_losses(terms)[0].item() == 8.5


def test_a_regularizers_terms_are_summed_by_mmengine() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Noise(), seed=1)
    terms = module(**batch(), mode="loss")
    assert [name for name in terms if "loss" in name] == ["loss_depth", "loss_initial_depth", "loss_noise"]
    total, _ = module.parse_losses(terms)
    assert total.item() == pytest.approx(13.5 + terms["loss_noise"].item())


class Watched(Noise):
    """Says more of itself than its term."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.found = dict.fromkeys(names, torch.tensor(7.0))

    def diagnostics(self) -> dict[str, torch.Tensor]:
        return self.found


def test_diagnostics_of_a_regularizer_are_logged_beside_the_loss_and_not_added() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Watched("opacity"), seed=1)
    terms = module(**batch(), mode="loss")
    total, logged = module.parse_losses(terms)
    assert total.item() == pytest.approx(13.5 + terms["loss_noise"].item())
    assert logged["regularizer_opacity"].item() == 7


def test_a_diagnostic_that_would_be_added_to_the_loss_is_refused() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Watched("loss_ratio"), seed=1)
    with pytest.raises(ValueError, match="regularizer_loss_ratio"):
        module(**batch(), mode="loss")


def test_a_regularizers_random_numbers_go_on_after_a_resume() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Noise(), seed=1)
    module(**batch(), mode="loss")
    saved = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    expected = module(**batch(), mode="loss")["loss_noise"].item()
    resumed = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Noise(), seed=9)
    resumed.load_state_dict(saved)
    assert resumed(**batch(), mode="loss")["loss_noise"].item() == expected


def test_a_regularizer_of_weight_zero_is_not_run() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Noise(weight=0.0), seed=1)
    assert "loss_noise" not in module(**batch(), mode="loss")


def test_initialising_weights_leaves_pretrained_ones_alone() -> None:
    """mmengine's Runner calls init_weights before training, and timm's networks have a method of that name."""

    class WithVit(FixedDepth):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=1)

    module = TrainingModule(MultiTaskModel(WithVit(), TASKS), None, seed=0)
    before = module.model.method.backbone.patch_embed.proj.weight.clone()
    module.init_weights()
    assert torch.equal(before, module.model.method.backbone.patch_embed.proj.weight)


def test_predictions_are_read_out_by_what_they_are() -> None:
    logits = torch.tensor([0.0, 3.0, 1.0]).reshape(1, 3, 1, 1)
    assert read_out(SEMSEG, logits).flatten().tolist() == [1]
    assert read_out(DEPTH, torch.full((1, 1, 1, 1), -2.0)).item() == -2.0
    direction = read_out(NORMALS, torch.tensor([0.0, 3.0, 4.0]).reshape(1, 3, 1, 1))
    assert direction.flatten().tolist() == pytest.approx([0, 0.6, 0.8])
    assert read_out(BOUNDARY, torch.zeros(1, 1, 1, 1)).item() == 0.5


def test_data_samples_carry_prediction_target_and_name() -> None:
    targets = {"depth": torch.full((2, 1, 4, 4), 5.0)}
    samples = data_samples(TASKS, {"depth": torch.zeros(2, 1, 4, 4)}, targets, ["a", "b"])
    assert [sample.name for sample in samples] == ["a", "b"]
    assert torch.equal(samples[1].gt_depth.data, targets["depth"][1])
    assert samples[1].pred_depth.data.shape == (1, 4, 4)
