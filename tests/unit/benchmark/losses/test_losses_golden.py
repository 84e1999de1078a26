"""Losses and their gradients against the public code, which was run unedited on the same inputs.

Expected values: tests/reference/golden/functions.npz, made by SimonVandenhende/Multi-Task-Learning-PyTorch, InvPT,
ATRC, lorenmt/mtan and LibMTL. Those repositories mark missing depth and normals by 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from benchmark.losses import LOSSES, task_loss
from benchmark.tasks import NYUV2_TASKS

Golden = Mapping[str, Any]

CASES = {
    "simon.semseg_ce": ("cross_entropy", {}, "semseg"),
    "invpt.semseg_ce": ("cross_entropy", {}, "semseg"),
    "atrc.semseg_ce": ("cross_entropy", {}, "semseg"),
    "lorenmt.semantic": ("cross_entropy", {}, "semseg13"),
    "libmtl.segmentation": ("cross_entropy", {}, "semseg13"),
    "simon.depth_l1": ("l1", {}, "depth"),
    "invpt.depth_l1": ("l1", {}, "depth"),
    "atrc.depth_l1": ("l1", {}, "depth"),
    "lorenmt.depth": ("l1", {}, "depth"),
    "libmtl.depth": ("l1", {}, "depth"),
    "simon.normals_l1": ("normals_l1", {"divisor": "components"}, "normals"),
    "invpt.normals_l1": ("normals_l1", {"divisor": "pixels"}, "normals"),
    "atrc.normals_l1": ("normals_l1", {"divisor": "pixels"}, "normals"),
    "simon.normals_l2": ("normals_l2", {"divisor": "components"}, "normals"),
    "simon.normals_l1_nonorm": ("l1", {"divisor": "components"}, "normals"),
    "lorenmt.normal": ("normals_cosine", {}, "normals"),
    "libmtl.normal": ("normals_cosine", {}, "normals"),
    "simon.edge_bce_w0.95": ("balanced_bce", {"positive_weight": 0.95}, "edge"),
    "simon.edge_bce_w0.95_batchavg": ("balanced_bce", {"positive_weight": 0.95, "divisor": "images"}, "edge"),
    "simon.edge_bce_hed": ("balanced_bce", {"positive_weight": None, "divisor": "pixels"}, "edge"),
    "simon.edge_bce_unbalanced": ("bce", {}, "edge"),
    **{
        f"{code}.edge_bce_w{weight}{holes}": ("balanced_bce", {"positive_weight": weight}, "edge" + holes)
        for code in ("invpt", "atrc")
        for weight in (0.8, 0.95, None)
        for holes in ("", "_gt255")
    },
    "atrc.aux_depth_bin_ce": ("depth_bin_cross_entropy", {}, "depth_bins"),
    "atrc.aux_normals_cluster_ce_synthetic_centroids": ("normals_cluster_cross_entropy", {}, "normals_clusters"),
    "atrc.aux_edge_ce_w0.8": ("boundary_cross_entropy", {"positive_weight": 0.8}, "edge_classes"),
    "atrc.aux_edge_ce_w0.95": ("boundary_cross_entropy", {"positive_weight": 0.95}, "edge_classes"),
}


def inputs(golden: Golden, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and valid pixels, in our conventions."""

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(np.array(golden["in." + name]))

    if kind == "semseg":
        target = tensor("semseg_gt")[:, 0].long()
        return tensor("semseg_logits"), target, target != 255
    if kind == "semseg13":
        # Thirteen logits, of which the class that never occurs is suppressed.
        logits, target = tensor("semseg_logits")[:, :13], tensor("lorenmt.seg13_gt")
        logits[:, 12] = -50
        return logits, target, target != -1
    if kind.startswith("depth"):
        target = tensor("depth_gt")
        return tensor("depth_pred" if kind == "depth" else "aux40_logits"), target, target[:, 0] != 255
    if kind.startswith("normals"):
        target = tensor("normals_gt")
        return tensor("normals_pred" if kind == "normals" else "aux40_logits"), target, target[:, 0] != 255
    target = tensor("edge_gt" if kind == "edge" else "edge_gt_ign255")
    return tensor("aux2_logits" if kind == "edge_classes" else "edge_logits"), target, target[:, 0] != 255


@pytest.mark.parametrize("key", CASES)
def test_loss_and_gradient_are_those_of_the_public_code(golden: Golden, key: str) -> None:
    name, options, kind = CASES[key]
    if name == "normals_cluster_cross_entropy":
        options = {"centroids": golden["in.synthetic_centroids"]}
    prediction, target, valid = inputs(golden, kind)
    prediction.requires_grad_()
    loss = LOSSES[name](prediction, target, valid, **options)
    loss.backward()
    assert_allclose(loss.item(), golden[f"loss.{key}"], rtol=1e-5)
    expected = golden[f"grad.{key}"]
    step = prediction.shape[-1] // expected.shape[-1]
    assert prediction.grad is not None
    found = prediction.grad[:, :, ::step, ::step].numpy()
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


UNLABELLED = {"semseg": "semseg_ce", "depth": "depth_l1", "normals": "normals_l1"}
"""Losses that the public codes computed for a batch without labels, by kind."""


@pytest.mark.parametrize("kind", [*UNLABELLED, "edge_gt255"])
def test_a_batch_without_labels_has_a_loss_of_zero(golden: Golden, kind: str) -> None:
    """loss.atrc.*_allignored and loss.invpt.*_allignored are 0; for boundaries the public codes have no such case."""
    name, options, _ = next(case for key, case in CASES.items() if case[2] == kind and key.startswith("atrc"))
    prediction, target, valid = inputs(golden, kind)
    loss = LOSSES[name](prediction.requires_grad_(), target, valid & False, **options)
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None
    assert not prediction.grad.any()
    for code in ("atrc", "invpt") if kind in UNLABELLED else ():
        assert golden[f"loss.{code}.{UNLABELLED[kind]}_allignored"] == 0


NAMES = {"semseg": "semseg", "depth": "depth", "normals": "normals", "boundary": "edge"}


def scheme_inputs(golden: Golden, task: str, boundary: str) -> tuple[Tensor, Tensor]:
    prediction, target, valid = inputs(golden, boundary if task == "boundary" else task)
    if task in {"depth", "normals"}:
        target = torch.where(valid.unsqueeze(1), target, 0.0)
    return prediction, target


@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("task", NAMES)
def test_deep_supervision_upsamples_as_mti_net(golden: Golden, task: str, stride: int) -> None:
    """scheme.simon.mtinet.scale_{0,1,2}: maps of stride 2, 4, 8, upsampled bilinearly, corners not aligned."""
    options = {"normals": {"divisor": "components"}, "boundary": {"positive_weight": 0.95}}.get(task)
    prediction, target = scheme_inputs(golden, task, "edge")
    loss = task_loss(NYUV2_TASKS[task], prediction[:, :, ::stride, ::stride], target, loss_options=options)
    scale = {2: 0, 4: 1, 8: 2}[stride]
    assert_allclose(loss, golden[f"scheme.simon.mtinet.scale_{scale}_{NAMES[task]}"], rtol=1e-5)


def test_total_is_that_of_the_survey_and_of_invpt(golden: Golden) -> None:
    """scheme.*.total: weights 1, 1, 10, 50; InvPT adds its initial predictions (stride 4) with the same weights."""
    survey = invpt = 0.0
    for name, task in NYUV2_TASKS.items():
        full = {"boundary": {"positive_weight": 0.95}}.get(name)
        components = {"normals": {"divisor": "components"}}.get(name, full)
        prediction, target = scheme_inputs(golden, name, "edge")
        survey += task.loss_weight * task_loss(task, prediction, target, loss_options=components).item()
        prediction, target = scheme_inputs(golden, name, "edge_gt255")
        for part in (prediction, prediction[:, :, ::4, ::4]):
            invpt += task.loss_weight * task_loss(task, part, target, loss_options=full).item()
    assert_allclose(survey, golden["scheme.simon.mtl.total"], rtol=1e-5)
    assert_allclose(invpt, golden["scheme.invpt.total"], rtol=1e-5)
