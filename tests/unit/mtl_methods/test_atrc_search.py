"""The search for a genotype: schedules, decisions, and that its outcome is the network that it evaluated."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from benchmark.tasks import NYUV2_TASKS
from benchmark.training.optim import PartsOptimWrapperConstructor
from mtl_methods.atrc.genotypes import CONTEXTS
from mtl_methods.atrc.method import ATRC
from mtl_methods.atrc.search import ATRCSearch

TASKS = NYUV2_TASKS.select(["semseg", "depth"])


def build(**options: int) -> ATRCSearch:
    torch.manual_seed(0)
    return ATRCSearch(TASKS, "efficientnet_lite0", **options)


def forward(method: ATRCSearch):
    return method(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))


def test_the_entropy_of_the_choices_is_rewarded_at_first_and_penalised_at_the_end():
    """Equal logits: ln 5 off the diagonal, ln 4 on it; weights -0.02 at the first step, 0.06 from the last one on."""
    method = build(total_steps=2)
    entropy = (math.log(5) + math.log(4)) / 2
    found = [forward(method).penalties["choice_entropy"].item() for _ in range(4)]
    assert found == pytest.approx([weight * entropy for weight in (-0.02, 0.02, 0.06, 0.06)])
    assert not forward(method.eval()).penalties


def test_steps_are_counted_in_training_and_saved():
    method = build()
    forward(method), forward(method.eval()), forward(method.train())
    assert method.state_dict()["step"].item() == 2


def test_an_edge_with_a_clear_leader_is_decided_for_good():
    """Softmax of (ln 4, 0, 0, 0, 0): 4/8 against 1/8; of (ln 1.5, 0, ...): 1.5/5.5 against 1/5.5, too close."""
    method = build()
    with torch.no_grad():
        method.architecture[0, 1, CONTEXTS.index("local")] = math.log(4)
        method.architecture[1, 0, CONTEXTS.index("global")] = math.log(1.5)
    forward(method)
    assert method.decided.tolist() == [[-1, CONTEXTS.index("local")], [-1, -1]]
    with torch.no_grad():
        method.architecture[0, 1, CONTEXTS.index("global")] = 9.0
    forward(method)
    assert method.genotype()["semseg"]["depth"] == "local"


def test_a_decided_edge_computes_its_context_alone():
    method = build()
    with torch.no_grad():
        method.architecture[0, 1, CONTEXTS.index("t_label")] = 3.0
    sum(maps.square().mean() for maps in forward(method).predictions.values()).backward()
    blocks = method.contexts["semseg"]["depth"]
    assert [name for name, block in blocks.items() if block.value.conv.weight.grad is not None] == ["t_label"]


def test_the_diagonal_never_gets_s_label():
    method = build()
    with torch.no_grad():
        method.architecture[..., CONTEXTS.index("s_label")] = 5.0
    assert method.genotype()["semseg"] == {"semseg": "none", "depth": "s_label"}
    forward(method)
    assert method.genotype()["depth"]["semseg"] == "s_label"
    assert all("s_label" not in method.contexts[name][name] for name in TASKS)


@pytest.mark.parametrize("context", ["global", "local", "t_label"])
@torch.no_grad()
def test_in_eval_mode_it_is_atrc_with_the_genotype_that_it_found(context: str):
    """The same weights in both; a normalisation without scale and shift is one with 1 and 0."""
    search = build().eval()
    search.architecture[..., CONTEXTS.index(context)] = 1.0
    for distillation in search.distillation.values():
        nn.init.ones_(distillation.project.bn.weight)
    torch.manual_seed(1)
    method = ATRC(TASKS, "efficientnet_lite0", genotype=search.genotype()).eval()
    state = search.state_dict()
    own = method.state_dict()
    for name in own:
        parts = name.split(".")
        theirs = ".".join([*parts[:3], context, *parts[3:]]) if parts[0] == "contexts" else name
        if theirs in state:
            own[name] = state[theirs]
    method.load_state_dict(own)
    for name, prediction in forward(method).predictions.items():
        torch.testing.assert_close(prediction, forward(search).predictions[name])


def test_the_choices_are_trained_by_adam_and_everything_else_by_the_recipe():
    method = build(total_steps=3)
    recipe = dict(optimizer=dict(type="SGD", lr=0.01, weight_decay=5e-4))
    wrapper = PartsOptimWrapperConstructor(recipe)(nn.ModuleDict({"model": nn.ModuleDict({"method": method})}))
    (extra,) = wrapper.extra_optimizers
    assert isinstance(extra, torch.optim.Adam)
    (group,) = extra.param_groups
    assert (group["lr"], group["weight_decay"], group["params"][0] is method.architecture) == (5e-4, 0.0, True)
    others = [parameter for group in wrapper.optimizer.param_groups for parameter in group["params"]]
    assert len(others) == sum(1 for _ in method.parameters()) - 1


def test_no_steps_at_all_are_refused():
    with pytest.raises(ValueError, match="total_steps must be at least 1, found 0"):
        build(total_steps=0)
