"""Small predictions and their labels: subsampled labels, ramp of the weight, steps without terms, options."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.contracts import Batch, MultiTaskOutput
from benchmark.losses import task_loss
from benchmark.tasks import BOUNDARY, DEPTH, NYUV2_TASKS, PASCAL_TASKS, SEMSEG, Task, TaskSet
from regularizers.three_d_aware.options import LossSchedule, SamplingOptions
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.supervision import SmallPredictions, depth_task, subsample_labels


class Fixed(SmallPredictions):
    """Predictions that are given."""

    label = "fixed"

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> dict[str, Tensor]:
        return dict(zip(self.task_factors, features, strict=True))


def loss(task: Task, prediction: Tensor, target: Tensor, label_stride: int = 1) -> Tensor:
    """Term of one task with weight 1."""
    made = Fixed(TaskSet([task]), (), weight=1.0, label_stride=label_stride)
    (term,) = made.weighted("fixed", {task.name: prediction}, {task.name: target}, 1.0).values()
    return term


def test_all_labels_count_by_default() -> None:
    torch.manual_seed(0)
    small, target = torch.randn(2, 40, 4, 6), torch.randint(0, 40, (2, 32, 48))
    assert torch.equal(loss(SEMSEG, small, target), task_loss(SEMSEG, small, target))


def test_subsampled_labels_are_those_in_the_middle_of_cells() -> None:
    target = torch.arange(64).reshape(1, 8, 8)
    assert subsample_labels(SEMSEG, target, 4).tolist() == [[[18, 22], [50, 54]]]
    assert subsample_labels(DEPTH, target[None].float(), 8).tolist() == [[[[36.0]]]]


def test_sizes_that_do_not_divide_keep_their_last_labels() -> None:
    target = torch.arange(25).reshape(1, 5, 5)
    assert subsample_labels(SEMSEG, target, 4).tolist() == [[[12, 14], [22, 24]]]


def test_a_boundary_of_one_pixel_is_not_missed() -> None:
    """Two cells: the left one crossed by a boundary and partly unlabelled, the right one without any label."""
    target = torch.zeros(1, 1, 4, 8)
    target[..., 1] = 1
    target[..., :2, 0] = 255
    target[..., 4:] = 255
    assert subsample_labels(BOUNDARY, target, 4).tolist() == [[[[1.0, 255.0]]]]
    target[..., 1] = 0
    assert subsample_labels(BOUNDARY, target, 4).tolist() == [[[[0.0, 255.0]]]]


@pytest.mark.parametrize("label_stride", [1, 4])
def test_labels_that_are_missing_count_nothing(label_stride: int) -> None:
    """Predictions of unlabelled pixels do not change the loss; without any label, the loss is 0 with a graph."""
    torch.manual_seed(0)
    target = torch.full((1, 1, 32, 32), 2.0)
    target[..., :16] = 0
    first = torch.randn(1, 1, 4, 4)
    second = first.clone()
    second[..., 0] += 100
    losses = [loss(DEPTH, prediction, target, label_stride) for prediction in (first, second)]
    assert torch.equal(*losses)
    empty = first.requires_grad_()
    term = loss(DEPTH, empty, torch.zeros_like(target), label_stride)
    term.backward()
    assert term.item() == 0
    assert empty.grad is not None
    assert (empty.grad == 0).all()


def test_depth_is_known_by_its_unit() -> None:
    assert depth_task(NYUV2_TASKS) == "depth"
    assert depth_task(PASCAL_TASKS) is None


def test_the_weight_grows_over_the_first_share_of_the_training() -> None:
    """5 % of the training: half of the weight after 2.5 %, none in the first step."""
    schedule = LossSchedule(ramp=0.05)
    assert [schedule.ramp_factor(done) for done in (0.0, 0.025, 0.05, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert LossSchedule(ramp=0.0).ramp_factor(0.0) == 1


def steps_of(made: Fixed, count: int) -> list[float]:
    """Terms of some steps, in units of a full step."""
    batch: Any = {"images": torch.zeros(1, 3, 8, 8), "targets": {"depth": torch.full((1, 1, 8, 8), 2.0)}}
    output = MultiTaskOutput({}, features=(torch.zeros(1, 1, 1, 1),))
    return [made(batch, output)["loss_fixed_depth"].item() / 2.0 for _ in range(count)]


def test_every_third_step_counts_three_times_and_counting_continues_after_a_resume() -> None:
    made, resumed = (Fixed(TaskSet([DEPTH]), (), weight=1.0, ramp=0.0, every_k=3) for _ in range(2))
    assert steps_of(made, 5) == [3, 0, 0, 3, 0]
    resumed.load_state_dict(made.state_dict())
    assert steps_of(resumed, 3) == [0, 3, 0]
    assert steps_of(resumed.eval(), 2) == [1, 1]


def test_factors_combine_the_weights_of_tasks_and_of_the_user() -> None:
    factors = LossSchedule({"normals": 0.5, "semseg": 0.0}).task_factors(NYUV2_TASKS)
    assert factors == {"depth": 1, "normals": 5, "boundary": 50}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_weights": {"deph": 1.0}}, "'deph'"),
        ({"task_weights": {"depth": -1.0}}, "no task weight may be negative"),
        ({"ramp": 1.5}, r"\[0, 1\]"),
        ({"every_k": 0}, "every_k"),
        ({"task_weights": dict.fromkeys(NYUV2_TASKS, 0.0)}, "nothing is rendered"),
    ],
)
def test_a_schedule_outside_of_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossSchedule(**options).task_factors(NYUV2_TASKS)


@pytest.mark.parametrize(
    "name", ["every_k", "label_stride", "render_stride", "samples", "channels", "plane_depth", "hidden", "row_chunk"]
)
def test_a_number_or_size_is_at_least_one(name: str) -> None:
    (group,) = (group for group in ThreeDAware.groups if name in {field.name for field in fields(group)})
    assert getattr(group(**{name: 1}), name) == 1
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"^{name} must be at least 1, found {value}$"):
            group(**{name: value})


def test_options_are_flat_keywords_of_the_constructor() -> None:
    """Recipes see the fields of the groups with their defaults, not the groups."""
    parameters = inspect.signature(ThreeDAware).parameters
    assert list(parameters)[:3] == ["tasks", "feature_specs", "weight"]
    names = [field.name for group in ThreeDAware.groups for field in fields(group)]
    assert list(parameters)[3:] == names
    assert len(names) == len(set(names))
    assert parameters["samples"].default == SamplingOptions().samples
    assert parameters["samples"].annotation is int


def test_a_control_does_not_accept_the_options_that_it_fixes() -> None:
    class Narrow(Fixed, fixed={"ramp": 0.5}):
        label = "narrow"

    assert "ramp" not in inspect.signature(Narrow).parameters
    assert Narrow(NYUV2_TASKS, ()).schedule == LossSchedule(ramp=0.5)
    with pytest.raises(TypeError, match="narrow fixes ramp=0.5"):
        Narrow(NYUV2_TASKS, (), ramp=0.1)
    with pytest.raises(TypeError, match="no option named 'rampe'"):
        Fixed(NYUV2_TASKS, (), rampe=0.1)
