"""Parameter groups, and clipping that keeps model and regularizer apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.contracts import Backbone, Method, MultiTaskOutput
from benchmark.training.builders import build_training_module
from benchmark.training.data_parallel import SummedDataParallel
from benchmark.training.optim import GroupClipOptimWrapper, PartsOptimWrapperConstructor


class Encoder(Backbone):
    """A linear layer as the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Small(Method):
    """A method with an encoder and a head; the head has "backbone" in its name and belongs to no backbone."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.encoder, self.backbone_head = Encoder(), nn.Linear(2, 1)

    def forward(self, images: torch.Tensor) -> MultiTaskOutput:
        return MultiTaskOutput({})


class Pair(nn.Module):
    """A model and a regularizer."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Small()
        self.regularizer = nn.Linear(2, 1)


class Searching(Method):
    """A method whose choice is trained by another optimiser than its weights."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.weight, self.choice = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

    def forward(self, images: torch.Tensor) -> MultiTaskOutput:
        return MultiTaskOutput({})

    def separate_optimizers(self) -> dict[str, dict[str, object]]:
        return {"choice": {"type": "Adam", "lr": 0.5}}


def searching() -> nn.ModuleDict:
    """A method at its place in a training module."""
    return nn.ModuleDict({"model": nn.ModuleDict({"method": Searching()})})


def wrapper(
    module: nn.Module, clip: float | None = None, momentum: float = 0.0, **factors: float
) -> GroupClipOptimWrapper:
    """SGD with lr 0.1 and weight decay 0.01."""
    config = dict(
        type="GroupClipOptimWrapper",
        optimizer=dict(type="SGD", lr=0.1, weight_decay=0.01, momentum=momentum),
        clip_grad=dict(max_norm=clip) if clip else None,
    )
    built: GroupClipOptimWrapper = PartsOptimWrapperConstructor(config, factors)(module)
    return built


def test_every_parameter_is_in_one_group_with_its_factors() -> None:
    module = Pair()
    groups = wrapper(
        module, regularizer_lr_mult=10.0, backbone_lr_mult=0.5, norm_and_bias_decay_mult=0.0
    ).optimizer.param_groups
    rates = {id(p): (g["param_group"], g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(rates) == sum(1 for _ in module.parameters())
    assert rates[id(module.model.encoder.layer.weight)] == ("model", 0.05, 0.01)
    assert rates[id(module.model.backbone_head.weight)] == ("model", 0.1, 0.01)
    assert rates[id(module.model.backbone_head.bias)] == ("model", 0.1, 0.0)
    assert rates[id(module.regularizer.weight)] == ("regularizer", 1.0, 0.01)


def test_without_factors_every_part_has_the_rate_and_the_decay_of_the_recipe() -> None:
    module = Pair()
    module.model.encoder.layer.bias.requires_grad_(False)
    groups = wrapper(module).optimizer.param_groups
    assert [(g["param_group"], g["lr"], g["weight_decay"], len(g["params"])) for g in groups] == [
        ("model", 0.1, 0.01, 3),
        ("regularizer", 0.1, 0.01, 2),
    ], "three of the four trained parameters of the model, since one is frozen"


def test_an_optimizer_without_weight_decay_stays_without() -> None:
    config = dict(type="GroupClipOptimWrapper", optimizer=dict(type="SGD", lr=0.1))
    built = PartsOptimWrapperConstructor(config)(Pair())
    assert [group["weight_decay"] for group in built.optimizer.param_groups] == [0.0, 0.0]


def test_a_backbone_that_is_taken_apart_keeps_its_rate() -> None:
    """InvPT takes a Vision Transformer apart and calls what it keeps `encoder`."""
    module = build_training_module("invpt", {}, "none", {}, "synthetic", {"depth": {}}, "vit_tiny", 0, "channels_last")
    groups = wrapper(module, backbone_lr_mult=0.5).optimizer.param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    of_method = {name: rates[id(parameter)] for name, parameter in module.model.method.named_parameters()}
    assert of_method["encoder.stem.project.weight"] == of_method["encoder.stages.3.blocks.2.mlp.fc1.weight"] == 0.05
    assert of_method["encoder.skips.0.weight"] == of_method["heads.depth.weight"] == 0.1


def test_a_factor_of_the_backbone_without_a_backbone_is_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"backbone_lr_mult=0\.5 has no effect: Searching reports no backbone"):
        wrapper(searching(), backbone_lr_mult=0.5)


def test_clipping_the_model_does_not_depend_on_the_regularizer() -> None:
    """Model gradient (3, 4) has norm 5 and is clipped to 1: (0.6, 0.8), for any gradient of the regularizer."""
    for gradient in (0.0, 1e6):
        module = Pair()
        optimizer = wrapper(module, clip=1.0)
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        module.model.backbone_head.weight.grad = torch.tensor([[3.0, 4.0]])
        module.regularizer.weight.grad = torch.full((1, 2), gradient)
        optimizer._clip_grad()
        torch.testing.assert_close(
            module.model.backbone_head.weight.grad, torch.tensor([[0.6, 0.8]]), rtol=1e-4, atol=1e-5
        )


def test_one_norm_covers_all_groups_of_the_model_and_is_logged_by_part() -> None:
    """Without decay, norms and biases are a group of their own: 3 in it and 4 in the weights have the norm 5."""
    module = Pair()
    optimizer = wrapper(module, clip=1.0, norm_and_bias_decay_mult=0.0)
    module.model.backbone_head.weight.grad = torch.tensor([[0.0, 4.0]])
    module.model.backbone_head.bias.grad = torch.tensor([3.0])
    module.regularizer.bias.grad = torch.tensor([7.0])
    optimizer.step()
    assert module.model.backbone_head.bias.grad.item() == pytest.approx(0.6)
    logged = optimizer.message_hub.log_scalars
    norms = {name: logged[f"train/grad_norm_{name}"].current() for name in ("model", "regularizer")}
    assert norms == pytest.approx({"model": 5.0, "regularizer": 7.0})


def test_gradients_are_completed_before_they_are_clipped_and_used() -> None:
    """On several devices, the sum over them is 4: clipped to 1, and SGD with the rate 0.1 moves by 0.1."""
    module = nn.ModuleDict({"model": nn.ModuleDict({"layer": nn.Linear(1, 1, bias=False)})})
    weight = module["model"]["layer"].weight
    optimizer, before = wrapper(module, clip=1.0), weight.item()
    optimizer.optimizer.param_groups[0]["weight_decay"] = 0.0

    def complete() -> None:
        weight.grad = torch.full((1, 1), 4.0)

    optimizer.complete_gradients = complete
    optimizer.step()
    assert weight.item() == pytest.approx(before - 0.1, rel=1e-4)


def test_a_wrapper_of_several_devices_completes_the_gradients_of_the_regularizer() -> None:
    parallel = SummedDataParallel.__new__(SummedDataParallel)
    nn.Module.__init__(parallel)
    parallel.module = Pair()
    built = PartsOptimWrapperConstructor(dict(optimizer=dict(type="SGD", lr=0.1)))(parallel)
    assert built.complete_gradients == parallel.complete_gradients
    assert sum(len(group["params"]) for group in built.optimizer.param_groups) == 6


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="fp32, bf16, found 'fp8'"):
        GroupClipOptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), precision="fp8")


def test_bf16_runs_the_forward_pass_in_half_precision() -> None:
    module = Pair()
    optimizer = GroupClipOptimWrapper(torch.optim.SGD(module.parameters(), lr=0.1), precision="bf16")
    with optimizer.optim_context(module):
        assert module.regularizer(torch.ones(1, 2)).dtype == torch.bfloat16
    with wrapper(module).optim_context(module):
        assert module.regularizer(torch.ones(1, 2)).dtype == torch.float32


def test_a_separate_optimizer_steps_its_parameters_and_the_recipes_all_others() -> None:
    """SGD moves by rate times gradient; the first step of Adam is its rate, for any gradient."""
    module = searching()
    optimizer, method = wrapper(module), module["model"]["method"]
    method.weight.grad, method.choice.grad = torch.tensor([2.0, 4.0]), torch.tensor([2.0, -7.0])
    optimizer.step()
    assert method.weight.tolist() == pytest.approx([-0.2, -0.4])
    assert method.choice.tolist() == pytest.approx([-0.5, 0.5])
    optimizer.zero_grad()
    assert method.choice.grad is None
    assert method.weight.grad is None
    assert {group["param_group"] for group in optimizer.extra_optimizers[0].param_groups} == {"choice"}


def test_a_schedule_leaves_a_separate_optimizer_alone() -> None:
    optimizer = wrapper(searching())
    assert [group["lr"] for group in optimizer.param_groups] == [0.1]


def test_a_separate_optimizers_gradients_are_clipped_by_themselves() -> None:
    module = searching()
    optimizer, method = wrapper(module, clip=1.0), module["model"]["method"]
    method.weight.grad, method.choice.grad = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 1e6])
    optimizer._clip_grad()
    torch.testing.assert_close(method.weight.grad, torch.tensor([0.6, 0.8]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(method.choice.grad, torch.tensor([0.0, 1.0]), rtol=1e-4, atol=1e-5)


def test_both_optimizers_are_resumed() -> None:
    """Two steps in one go, and one step, saved and restored, and another one."""
    ends = []
    for interrupted in (False, True):
        module = searching()
        optimizer, method = wrapper(module, momentum=0.9), module["model"]["method"]
        for step in range(2):
            if interrupted and step:
                saved, optimizer = optimizer.state_dict(), wrapper(module, momentum=0.9)
                optimizer.load_state_dict(saved)
            method.choice.grad = torch.tensor([1.0, 3.0]) * (step + 1)
            method.weight.grad = torch.tensor([1.0, 3.0]) * (step + 1)
            optimizer.step()
        ends.append([*method.choice.tolist(), *method.weight.tolist()])
    assert ends[0] == ends[1]


def test_a_separate_optimizer_without_parameters_is_refused() -> None:
    class Misnamed(Searching):
        def separate_optimizers(self) -> dict[str, dict[str, object]]:
            return {"chioce": {"type": "Adam", "lr": 0.5}}

    with pytest.raises(ValueError, match="'model.method.chioce', but no parameter name begins with it"):
        wrapper(nn.ModuleDict({"model": nn.ModuleDict({"method": Misnamed()})}))
