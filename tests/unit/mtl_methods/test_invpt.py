"""InvPT: attention between all tasks, messages between stages, and the folded convolution of the aggregation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.registry import BACKBONES
from benchmark.tasks import NYUV2_TASKS, TaskSet
from mtl_methods.invpt import InvPT
from mtl_methods.invpt.aggregation import TaskAggregation
from mtl_methods.invpt.decoder import CrossTaskAttention
from mtl_methods.invpt.method import default_width
from mtl_methods.invpt.resizing import tap_matrices

TASKS = NYUV2_TASKS.select(["semseg", "depth", "normals"])


def small_method(backbone: str = "resnet18", tasks: TaskSet = TASKS) -> InvPT:
    torch.manual_seed(0)
    return InvPT(tasks, backbone, width=32, task_width=16)


def random_images(height: int = 64, width: int = 128, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def preliminary_features(method: InvPT) -> dict[str, Tensor]:
    """Filled, by each forward pass, with the features of the preliminary predictions."""
    captured: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        module = method.preliminary[name].features
        module.register_forward_hook(lambda _, inputs, output: captured.update({name: output}))

    for name in method.preliminary:
        keep(name)
    return captured


def test_every_prediction_depends_on_the_features_of_every_task():
    method = small_method().eval()
    captured = preliminary_features(method)
    predictions = method(random_images()).predictions
    for prediction in predictions.values():
        gradients = torch.autograd.grad(prediction.abs().sum(), list(captured.values()), retain_graph=True)
        assert len(gradients) == len(TASKS)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_a_preliminary_prediction_depends_on_its_own_task_only():
    method = small_method().eval()
    captured = preliminary_features(method)
    for auxiliary in method(random_images()).auxiliary:
        gradients = torch.autograd.grad(
            auxiliary.prediction.sum(), list(captured.values()), retain_graph=True, allow_unused=True
        )
        assert [name for name, gradient in zip(captured, gradients, strict=True) if gradient is not None] == [
            auxiliary.task
        ]


def test_preliminary_predictions_have_the_weight_and_the_loss_of_their_task():
    """The public code sums both predictions' losses without a factor."""
    output = small_method()(random_images(batch=2))
    assert [auxiliary.task for auxiliary in output.auxiliary] == list(TASKS)
    assert {(auxiliary.name, auxiliary.weight, auxiliary.loss) for auxiliary in output.auxiliary} == {
        ("preliminary", 1.0, None)
    }
    assert all(auxiliary.prediction.shape[2:] == (64, 128) for auxiliary in output.auxiliary)


@pytest.mark.parametrize(
    "backbone",
    [pytest.param(name, marks=[pytest.mark.slow] if BACKBONES.entry(name).large else []) for name in BACKBONES.names()],
)
def test_every_parameter_gets_a_gradient_on_every_backbone(backbone: str):
    """Large backbones without memory: the graph alone says what is connected."""
    with torch.device("meta" if BACKBONES.entry(backbone).large else "cpu"):
        method = small_method(backbone).train()
        output = method(torch.zeros(2, 3, 72, 104))
    losses = [prediction.sum() for prediction in output.predictions.values()]
    losses += [auxiliary.prediction.sum() for auxiliary in output.auxiliary]
    torch.stack(losses).sum().backward()
    assert not [name for name, parameter in method.named_parameters() if parameter.grad is None]


@torch.no_grad()
def test_images_are_padded_with_the_mean_colour_and_predictions_are_cut():
    method = small_method().eval()
    images = random_images(75, 101)
    output, padded = method(images), method(F.pad(images, (0, 27, 0, 53)))
    for name, prediction in output.predictions.items():
        torch.testing.assert_close(prediction, padded.predictions[name][..., :75, :101])
    assert output.features[0].shape[2:] == (10, 13)


@torch.no_grad()
def test_the_last_map_of_a_transformer_goes_to_the_regularizer():
    """Normalised, at stride 16."""
    method = small_method("vit_tiny").eval()
    images = random_images(64, 64)
    (features,) = method(images).features
    state = method.encoder.stem(images)
    for stage in method.encoder.stages:
        state = stage(state)
    assert torch.equal(features, state)
    assert (method.feature_specs[0].channels, method.feature_specs[0].stride) == (192, 16)


@pytest.mark.parametrize(
    ("backbone", "maps"),
    [("resnet18", [(128, 8), (256, 16), (512, 32)]), ("hrnet_w18_small_v2", [(18, 4), (36, 8), (72, 16), (144, 32)])],
)
def test_the_maps_of_a_pyramid_that_are_read_go_to_the_regularizer(backbone: str, maps: list[tuple[int, int]]):
    """The three that the decoder reads; of parallel branches all."""
    with torch.device("meta"):
        specs = small_method(backbone).feature_specs
    assert [(spec.channels, spec.stride) for spec in specs] == maps
    assert all(spec.task is None for spec in specs)


def test_blocks_are_dropped_more_often_towards_the_end():
    """From 0 to the paper's 0.15 over twelve blocks, in training only."""
    with torch.device("meta"):
        method = small_method("vit_tiny")
    blocks = [block for stage in method.encoder.stages for block in stage.blocks if hasattr(block, "mlp")]
    rates = [block.drop_path1.drop_prob for block in blocks]
    assert rates == pytest.approx([0.15 * position / 11 for position in range(12)])


@pytest.mark.parametrize(
    ("channels", "width"), [(1024, 576), (768, 576), (512, 256), (320, 160), (270, 128), (192, 96)]
)
def test_narrow_backbones_have_a_narrower_decoder(channels: int, width: int):
    """Half of the channels, in steps of 16."""
    assert default_width(channels) == width


def attention(receives: bool) -> CrossTaskAttention:
    torch.manual_seed(0)
    return CrossTaskAttention(TASKS, channels=8, num_heads=2, cell=4, receives=receives).eval().double()


@torch.no_grad()
def test_scores_are_mixed_with_the_upsampled_scores_of_the_stage_before():
    """Against the definition: upsample the message, concatenate it behind the own scores, convolve 1x1."""
    module, generator = attention(receives=True), torch.Generator().manual_seed(1)
    maps = torch.randn(3, 2, 8, 12, 8, generator=generator, dtype=torch.float64)
    keys = 3 * 2 * 3
    message = torch.randn(2, 2, 3, 2, 3, keys, generator=generator, dtype=torch.float64)
    _, mixed = module(maps, message)
    fuse = module.fuse
    del module.fuse
    _, own = module(maps, None)
    coarse = message.flatten(0, 2).permute(0, 3, 1, 2)
    fine = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    fine = fine.permute(0, 2, 3, 1).reshape(own.shape)
    both = torch.cat([own, fine], dim=1).flatten(2, 4)
    torch.testing.assert_close(mixed.flatten(2, 4), fuse(both))


@torch.no_grad()
def test_attention_is_the_textbook_one_over_the_cells_of_all_tasks():
    """Every second pixel asks the means of 4x4 cells; the scores are divided by the root of the full width."""
    module = attention(receives=False)
    maps = torch.randn(3, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    output, _ = module(maps, None)
    queries, cells = [], []
    for convolve, own in zip(module.query_maps.values(), maps, strict=True):
        queries += module.query(convolve(own)[0].reshape(16, 8)).unbind()
        cells += [own[0, row : row + 4, column : column + 4].mean((0, 1)) for row in (0, 4) for column in (0, 4)]
    query, cells = torch.stack(queries), torch.stack(cells)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = query[:, head] @ module.key(cells)[:, head].t() / 8**0.5
        heads.append(scores.softmax(1) @ module.value(cells)[:, head])
    coarse = module.project(torch.cat(heads, 1)).view(3, 4, 4, 8).permute(0, 3, 1, 2)
    expected = F.interpolate(coarse, size=(8, 8), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    torch.testing.assert_close(output[:, 0], expected)


def plain_aggregation(module: TaskAggregation, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
    """As the network is defined: one width, upsample, add, convolve, normalise."""
    channels_first = [level.permute(0, 3, 1, 2) for level in maps]
    reduced = (reduce(level) for reduce, level in zip(module.reduce, channels_first[1:], strict=True))
    wide = [channels_first[0], *reduced]
    total = sum(F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in wide)
    return F.relu(module.norm(module.convolution(total)))


@pytest.mark.parametrize("training", [True, False])
def test_the_folded_convolution_is_the_plain_one(training: bool):
    """Also its gradients, and at the borders, where the biases before the convolution do not reach beyond the image."""
    torch.manual_seed(0)
    module = TaskAggregation((12, 6, 3)).double().train(training)
    maps = [torch.randn(2, 2 << stage, 4 << stage, 12 >> stage, dtype=torch.float64) for stage in range(3)]
    maps = [level.requires_grad_() for level in maps]
    upstream = torch.randn(2, 12, 16, 32, dtype=torch.float64)
    results = []
    for aggregate in (module, lambda maps, size: plain_aggregation(module, maps, size)):
        output = aggregate(maps, (16, 32))
        results.append([output, *torch.autograd.grad(output, [*maps, *module.parameters()], upstream)])
    for folded, plain in zip(*results, strict=True):
        torch.testing.assert_close(folded, plain)


def test_taps_are_bilinear_weights_shifted_with_zeros():
    """Two pixels to four: 1, 3/4, 1/4, 0 of the first; the row before the first and after the last are zero."""
    first = torch.tensor([1.0, 0.75, 0.25, 0.0])
    upsampled = torch.stack([first, first.flip(0)], 1)
    zero = torch.zeros(1, 2)
    before, here, after = tap_matrices(2, 4, upsampled)
    assert torch.equal(before, torch.cat([zero, upsampled[:3]]))
    assert torch.equal(here, upsampled)
    assert torch.equal(after, torch.cat([upsampled[1:], zero]))
