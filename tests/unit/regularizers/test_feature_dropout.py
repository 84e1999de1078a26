"""Feature dropout, and the change of the features that a method shares."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec, Method, MultiTaskOutput
from benchmark.tasks import NYUV2_TASKS
from benchmark.training.model import MultiTaskModel, TrainingModule
from regularizers.feature_dropout import FeatureDropout

TASKS = NYUV2_TASKS.select(["depth"])
SPECS = (FeatureSpec(64, 1),)


class Summing(Method):
    """Its feature map is the image; its prediction is the sum of the channels."""

    def __init__(self) -> None:
        super().__init__(TASKS, "none")
        self.encoder = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.encoder.weight)
        self.feature_specs = (FeatureSpec(3, 1),)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        (features,) = self.share(self.encoder(images))
        return MultiTaskOutput({"depth": features.sum(1, keepdim=True)}, (features,))


def test_predictions_are_computed_from_changed_features_within_the_block_only():
    method, images = Summing(), torch.rand(2, 3, 4, 4)
    with method.changing_features(lambda position, features: features * (position + 5)):
        output = copy.deepcopy(method)(images)
    torch.testing.assert_close(output.predictions["depth"], 5 * images.sum(1, keepdim=True))
    torch.testing.assert_close(output.features[0], 5 * images)
    torch.testing.assert_close(method(images).predictions["depth"], images.sum(1, keepdim=True))


def test_an_error_within_the_block_ends_the_change():
    method = Summing()
    with pytest.raises(RuntimeError), method.changing_features(lambda position, features: features * 5):
        method(torch.rand(1, 4, 4, 4))
    assert method.feature_change is None


def test_maps_shared_one_after_another_have_the_positions_of_their_specs():
    method, maps = Summing(), [torch.ones(1, 1, 2, 2) for _ in range(3)]
    with method.changing_features(lambda position, features: features * position):
        changed = [*method.share(maps[0]), *method.share(*maps[1:], first=1)]
    assert [float(level.mean()) for level in changed] == [0.0, 1.0, 2.0]


# torch.compile itself looks at the gradient of an intermediate map when it resumes after the change.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_method_is_compiled_once_for_all_steps():
    """The numbers of compiled graphs after two and after six steps are the same; the dropout differs in each step."""
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    method = Summing()
    method.compile(backend=backend)
    module = TrainingModule(MultiTaskModel(method, TASKS), FeatureDropout(TASKS, SPECS, probability=0.5), seed=3)
    batch = {"images": torch.rand(8, 3, 4, 4), "targets": {"depth": torch.ones(8, 1, 4, 4)}}
    losses, counts = [], []
    for _ in range(6):
        losses.append(module.train()(**batch, mode="loss")["loss_depth"].item())
        counts.append(len(graphs))
    assert counts[1] == counts[5] > 0
    assert len(set(losses)) == 6


def test_whole_channels_are_dropped_and_the_mean_is_kept():
    torch.manual_seed(0)
    regularizer = FeatureDropout(TASKS, SPECS, probability=0.25)
    found = regularizer.change(0, torch.ones(200, 64, 2, 3))
    assert found.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert torch.equal(found.amin((2, 3)), found.amax((2, 3)))
    # 12800 channels: the share has a standard deviation of 0.0038.
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_training_drops_evaluation_does_not_and_the_numbers_are_its_own():
    model = MultiTaskModel(Summing(), TASKS)
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
