"""Losses by name, data samples, and the training module: terms, diagnostics and random numbers of a regularizer."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Batch, FeatureSpec, Method, MultiTaskOutput, Regularizer
from benchmark.heads import read_out
from benchmark.tasks import BOUNDARY, DEPTH, NORMALS, SEMSEG, Task, TaskSet
from benchmark.training import random_stream
from benchmark.training.builders import in_memory_format
from benchmark.training.gradient_calibration import Calibration
from benchmark.training.model import MultiTaskModel, TrainingModule, data_samples
from benchmark.training.random_stream import RandomStream, default_generators

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


class Diagnosed(Noise):
    """A regularizer with diagnostics."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.found = dict.fromkeys(names, torch.tensor(7.0))

    def diagnostics(self) -> dict[str, torch.Tensor]:
        return self.found


@pytest.mark.parametrize("name", ["opacity", "gradient_ratio_gloss", "loss_ratio"])
def test_diagnostics_of_a_regularizer_are_logged_and_not_added_to_the_loss(name: str) -> None:
    """Diagnostics with "loss" in their name, such as for a task named gloss, are not added either."""
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Diagnosed(name), seed=1)
    terms = module(**batch(), mode="loss")
    total, logged = module.parse_losses(terms)
    assert total.item() == pytest.approx(13.5 + terms["loss_noise"].item())
    assert logged[f"regularizer_{name}"].item() == 7
    assert next(iter(logged)) == "loss"


class WithTerms(Regularizer):
    """Terms and diagnostics of given names."""

    def __init__(self, *names: str, diagnostics: tuple[str, ...] = ()) -> None:
        super().__init__(TASKS, ())
        self.names, self.found = names, diagnostics
        self.task_losses: dict[str, float] = {}

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        self.task_losses = {name: loss.item() for name, loss in output.task_losses.items()}
        return {name: torch.ones(()) for name in self.names}

    def diagnostics(self) -> dict[str, torch.Tensor]:
        return {name: torch.ones(()) for name in self.found}


@pytest.mark.parametrize(
    ("regularizer", "name"),
    [
        (WithTerms("loss_depth"), "loss_depth"),
        (WithTerms("initial_depth"), "loss_initial_depth"),
        (WithTerms("noise", "loss_noise"), "loss_noise"),
        (WithTerms("noise", diagnostics=("seconds",)), "regularizer_seconds"),
    ],
)
def test_two_terms_of_one_name_are_refused(regularizer: WithTerms, name: str) -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), regularizer, seed=1)
    with pytest.raises(ValueError, match=f"two terms are named '{name}'"):
        module(**batch(), mode="loss")


@pytest.mark.parametrize("kind", ["auxiliary", "penalty"])
def test_two_losses_of_a_method_of_one_name_are_refused(kind: str) -> None:
    class Doubled(FixedDepth):
        def forward(self, images: Tensor) -> MultiTaskOutput:
            output = super().forward(images)
            if kind == "auxiliary":
                return replace(output, auxiliary=output.auxiliary * 2)
            return replace(output, penalties={"initial_depth": self.depth})

    with pytest.raises(ValueError, match="two terms are named 'loss_initial_depth'"):
        MultiTaskModel(Doubled(), TASKS)(**batch(), mode="loss")


def test_a_regularizer_receives_the_weighted_loss_of_each_task_with_its_auxiliary_predictions() -> None:
    """9 of the prediction and 4.5 of the auxiliary prediction."""
    regularizer = WithTerms("noise")
    TrainingModule(MultiTaskModel(FixedDepth(), TASKS), regularizer, seed=1)(**batch(), mode="loss")
    assert regularizer.task_losses == {"depth": 13.5}


def test_losses_of_auxiliary_predictions_belong_to_their_task_and_have_the_loss_that_they_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights 3 and 1 of two tasks of loss 1; the auxiliary predictions have the weights 0.5 and 0.25."""
    asked: list[tuple[str, str | None, object]] = []

    def loss_of(
        task: Task, prediction: Tensor, target: Tensor, loss: str | None = None, loss_options: object = None
    ) -> Tensor:
        asked.append((task.name, loss, loss_options))
        return torch.ones(())

    maps = torch.zeros(1, 3, 4, 4)
    auxiliary = (
        Auxiliary("initial", "depth", maps[:, :1], weight=0.5),
        Auxiliary("scale_2", "normals", maps, weight=0.25, loss="normals_cosine", loss_options={"divisor": "pixels"}),
    )
    output = MultiTaskOutput({"depth": maps[:, :1], "normals": maps}, auxiliary=auxiliary)
    monkeypatch.setattr("benchmark.training.model.task_loss", loss_of)
    two = MultiTaskModel(FixedDepth(), TaskSet([DEPTH.adjusted(loss_weight=3.0), NORMALS.adjusted(loss_weight=1.0)]))
    losses = two.losses(output, {"depth": maps[:, :1], "normals": maps})
    assert asked[2:] == [("depth", None, None), ("normals", "normals_cosine", {"divisor": "pixels"})]
    assert {name: loss.item() for name, loss in losses.items()} == {
        "loss_depth": 3.0,
        "loss_normals": 1.0,
        "loss_initial_depth": 1.5,
        "loss_scale_2_normals": 0.25,
    }
    assert {name: loss.item() for name, loss in two.task_losses(output, losses).items()} == {
        "depth": 4.5,
        "normals": 1.25,
    }


def test_of_a_penalty_each_part_of_a_batch_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.model.share", lambda penalty: penalty / 4)
    maps = torch.zeros(1, 1, 4, 4)
    output = MultiTaskOutput({"depth": maps}, penalties={"entropy": torch.tensor(8.0)})
    losses = MultiTaskModel(FixedDepth(), TASKS).losses(output, {"depth": maps + 1})
    assert {name: loss.item() for name, loss in losses.items()} == {"loss_depth": 3.0, "loss_entropy": 2.0}


def test_a_weight_is_calibrated_in_training_mode_alone() -> None:
    class Pull(Noise):
        def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
            return {"pull": output.features[0].mean()}

    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Pull(), seed=1, calibration=Calibration(0.3))
    for mode, steps in ((False, 0), (True, 1)):
        module.train(mode)(**batch(), mode="loss")
        assert module.calibration is not None
        assert module.calibration.tried == steps


def test_random_numbers_of_a_regularizer_continue_after_a_resume() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Noise(), seed=1)
    module(**batch(), mode="loss")
    saved = copy.deepcopy(module.state_dict())
    expected = module(**batch(), mode="loss")["loss_noise"].item()
    resumed = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), Noise(), seed=9)
    resumed.load_state_dict(saved)
    assert resumed(**batch(), mode="loss")["loss_noise"].item() == expected


def test_every_device_has_a_random_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second generator in place of a GPU's: the model's numbers are not drawn from, and a resume continues."""
    device = torch.Generator().manual_seed(77)
    generators = {"cpu": torch.default_generator, "cuda": device}
    monkeypatch.setattr(random_stream, "default_generators", lambda _: generators)
    stream, outside = RandomStream(seed=3), device.get_state()

    def draw(stream: RandomStream) -> list[float]:
        with stream.active(torch.device("cuda")):
            return [torch.rand(()).item(), torch.rand((), generator=device).item()]

    first, second = draw(stream), draw(stream)
    assert torch.equal(device.get_state(), outside)
    expected = torch.Generator().manual_seed(3)
    assert first == [torch.rand((), generator=expected).item()] * 2, "both begin with the seed"
    assert second != first
    resumed = RandomStream(seed=4)
    resumed.load_state_dict(copy.deepcopy(stream.state_dict()))
    assert draw(resumed) == draw(stream)


def test_generators_are_those_of_the_device_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two GPUs the second is current; a device with a number is that one."""
    gpus = (torch.Generator(), torch.Generator())
    module = SimpleNamespace(current_device=lambda: 1, default_generators=gpus)
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    assert default_generators(torch.device("cpu")) == {"cpu": torch.default_generator}
    for device, place in (("cuda", 1), ("cuda:0", 0)):
        found = default_generators(torch.device(device))
        assert found == {"cpu": torch.default_generator, "cuda": gpus[place]}


def test_images_of_a_batch_are_stored_as_channels_last_and_other_modes_are_refused() -> None:
    module = TrainingModule(MultiTaskModel(FixedDepth(), TASKS), None, seed=1)
    for part in (module, module.model):
        images = part.data_preprocessor({"images": torch.zeros(2, 3, 4, 5)})["images"]
        assert images.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="mode must be tensor, loss or predict, found 'train'"):
        module(**batch(), mode="train")


def test_an_error_within_the_random_stream_restores_the_global_one() -> None:
    before = torch.get_rng_state()

    def fail() -> None:
        with RandomStream(seed=1).active(torch.device("cpu")):
            torch.rand(5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_of_five_dimensions_keep_their_layout() -> None:
    """Only tensors of four dimensions have the layout channels-last."""
    module: nn.Module = nn.Sequential(nn.Conv3d(2, 3, 3), nn.Conv2d(3, 4, 3))
    module.register_buffer("table", torch.zeros(2, 3, 4, 5))
    in_memory_format(module, torch.channels_last)
    assert module.table.is_contiguous(memory_format=torch.channels_last)
    assert module[0].weight.is_contiguous()
    assert module[1].weight.is_contiguous(memory_format=torch.channels_last)


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


def test_a_class_map_gets_an_axis_of_one_channel() -> None:
    labels = torch.arange(12).reshape(2, 2, 3)
    samples = data_samples(TaskSet([SEMSEG]), {"semseg": torch.zeros(2, 40, 2, 3)}, {"semseg": labels})
    assert torch.equal(samples[1].gt_semseg.data, labels[1:])
    assert samples[1].pred_semseg.data.shape == (1, 2, 3)


def test_the_padding_of_each_image_is_removed_before_it_is_scored() -> None:
    """Images of 2x3 and 3x2 pixels in a padding of 4x5: predictions and labels, and with the model itself."""
    values = torch.arange(40.0).view(2, 1, 4, 5) + 1
    window = torch.tensor([[1, 2, 2, 3], [0, 1, 3, 2]])
    expected = [values[0, :, 1:3, 2:5], values[1, :, 0:3, 1:3]]
    for sample, inside in zip(
        data_samples(TASKS, {"depth": values}, {"depth": values + 1}, window=window), expected, strict=True
    ):
        assert torch.equal(sample.pred_depth.data, inside)
        assert torch.equal(sample.gt_depth.data, inside + 1)
    model = MultiTaskModel(FixedDepth(), TASKS)
    found = model(images=torch.zeros(2, 3, 4, 5), targets={"depth": values}, window=window, mode="predict")
    assert [tuple(sample.pred_depth.data.shape) for sample in found] == [(1, 2, 3), (1, 3, 2)]
    whole = model(images=torch.zeros(2, 3, 4, 5), targets={"depth": values}, mode="predict")
    assert [tuple(sample.pred_depth.data.shape) for sample in whole] == 2 * [(1, 4, 5)]
