"""Feature dropout, and reaching the features inside a method."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec, Method, MultiTaskOutput
from benchmark.registry import METHODS
from benchmark.tasks import NYUV2_TASKS
from benchmark.training.feature_hooks import changed, sources
from benchmark.training.model import MultiTaskModel, TrainingModule
from regularizers.feature_dropout import FeatureDropout

TASKS = NYUV2_TASKS.select(["depth"])
SPECS = (FeatureSpec(64, 1),)


class Doubling(Method):
    """Its features are twice the image, three channels of them; its prediction is their sum."""

    def __init__(self, inline: bool = False) -> None:
        super().__init__(TASKS, "none")
        self.encoder = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.encoder.weight)
        self.inline = inline
        self.feature_specs = (FeatureSpec(3, 1),)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        features = self.encoder(images)
        features = features * 2 if self.inline else features
        return MultiTaskOutput({"depth": features.sum(1, keepdim=True)}, (features,))


def test_heads_see_the_changed_features_and_only_meanwhile():
    method, images = Doubling(), torch.rand(2, 3, 4, 4)
    with changed(sources(method, images), lambda position, features: features * (position + 5)):
        torch.testing.assert_close(method(images).predictions["depth"], 5 * images.sum(1, keepdim=True))
    torch.testing.assert_close(method(images).predictions["depth"], images.sum(1, keepdim=True))
    assert not method.encoder._forward_hooks


def test_looking_for_the_sources_leaves_the_method_as_it_is():
    torch.manual_seed(0)
    method = METHODS.create("hard_sharing", NYUV2_TASKS, "resnet18").train()
    method.backbone.eval()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    found = sources(method, torch.rand(1, 3, 64, 64))
    assert len(found) == len(method.feature_specs)
    assert method.training
    assert not method.backbone.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())


def test_features_that_no_module_gives_are_refused():
    with pytest.raises(ValueError, match="Doubling computes its feature map 0"):
        sources(Doubling(inline=True), torch.rand(1, 3, 4, 4))


def test_whole_channels_are_dropped_and_the_mean_is_kept():
    torch.manual_seed(0)
    regularizer = FeatureDropout(TASKS, SPECS, probability=0.25)
    found = regularizer.change(0, torch.ones(200, 64, 2, 3))
    assert found.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert torch.equal(found.amin((2, 3)), found.amax((2, 3)))
    # 12800 channels: the share has a standard deviation of 0.0038.
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_training_drops_evaluation_does_not_and_the_numbers_are_its_own():
    model = MultiTaskModel(Doubling(), TASKS)
    module = TrainingModule(model, FeatureDropout(TASKS, SPECS, probability=0.5), seed=3)
    images, targets = torch.rand(8, 3, 4, 4), {"depth": torch.ones(8, 1, 4, 4)}
    state = torch.get_rng_state()
    losses = [module.train()(images, mode="loss", targets=targets)["loss_depth"].item() for _ in range(3)]
    assert torch.equal(state, torch.get_rng_state())
    assert len(set(losses)) == 3, "every step drops other channels"
    again = TrainingModule(model, FeatureDropout(TASKS, SPECS, probability=0.5), seed=3)
    assert again.train()(images, mode="loss", targets=targets)["loss_depth"].item() == losses[0]
    evaluated = module.eval()(images).predictions["depth"]
    torch.testing.assert_close(evaluated, images.sum(1, keepdim=True))


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_a_probability_that_is_none_is_refused(probability):
    with pytest.raises(ValueError, match="must lie in"):
        FeatureDropout(TASKS, SPECS, probability=probability)
