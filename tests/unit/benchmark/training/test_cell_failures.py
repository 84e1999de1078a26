"""Classes of the errors of cells, steps in parts after a lack of memory, and full disks."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmark.boundaries.formats.content import DataError
from benchmark.records.failures import CODE, DATA, INFRASTRUCTURE, OUT_OF_MEMORY
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunResult, RunSpec
from benchmark.training import cell, checkpoints, interruption
from benchmark.training.checkpoints import PREVIOUS_FILE, STATE_FILE, write_state
from benchmark.training.failures import class_of_error
from benchmark.training.loops import DivergedError
from benchmark.training.splitting import reason_against_parts, split_batch, train_in_parts

SPEC = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
METRICS = {"semseg": {"mIoU": {"value": 1.0, "unit": "%", "higher_is_better": True}}}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DataError("frame 3 is damaged"), DATA),
        (MemoryError(), OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), OUT_OF_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), OUT_OF_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), OUT_OF_MEMORY),
        (OSError(errno.ENOSPC, "No space left on device"), INFRASTRUCTURE),
        (ConnectionResetError("Connection reset by peer"), INFRASTRUCTURE),
        (RuntimeError("NCCL error: unhandled system error"), INFRASTRUCTURE),
        (RuntimeError("Process group watchdog: NCCL watchdog thread terminated"), INFRASTRUCTURE),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), INFRASTRUCTURE),
        (RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), INFRASTRUCTURE),
        (RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable"), INFRASTRUCTURE),
        (RuntimeError("CUDA error: driver shutting down"), INFRASTRUCTURE),
        (RuntimeError("[enforce fail] unexpected end of file: No space left on device"), INFRASTRUCTURE),
        (RuntimeError("[gloo] Read error: Connection reset by peer"), INFRASTRUCTURE),
        (RuntimeError("cuBLAS: Out of memory"), OUT_OF_MEMORY),
        (RuntimeError("DataLoader: Cannot allocate memory (12)"), OUT_OF_MEMORY),
        (ValueError("the column is named out of memory"), CODE),
        (ValueError("no space left on device"), CODE),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), INFRASTRUCTURE),
        (FileNotFoundError(errno.ENOENT, "No such file", "genotype.json"), CODE),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), CODE),
        (KeyError("semseg"), CODE),
    ],
)
def test_errors_have_classes(error, expected):
    assert class_of_error(error) == expected


@pytest.mark.parametrize(("folder", "expected"), [("datasets/nyuv2", DATA), ("mtl_methods", CODE)])
def test_a_file_that_the_code_of_a_data_set_misses_is_a_fault_of_the_data(folder, expected):
    code = compile("open('/no/such/file')", str(CHECKOUT / folder / "part.py"), "exec")
    with pytest.raises(FileNotFoundError) as missing:
        exec(code)
    assert class_of_error(missing.value) == expected


def failing(*errors):
    """A substitute for the measurement of a cell, which fails with each error in turn; then it succeeds."""
    left, parts_seen = list(errors), []

    def measure(spec, folder, origin, logs, parts):
        parts_seen.append(parts)
        if left:
            raise left.pop(0)
        return RunResult(spec, "done", METRICS)

    measure.parts_seen = parts_seen
    return measure


def run(monkeypatch, tmp_path, *errors, obstacle=None):
    measure = failing(*errors)
    monkeypatch.setattr(cell, "_measure", measure)
    monkeypatch.setattr(cell, "reason_against_parts", lambda spec: obstacle)
    return cell.run_cell(SPEC, tmp_path), measure.parts_seen


def test_a_cell_without_memory_is_trained_once_more_in_parts_and_the_result_says_so(monkeypatch, tmp_path, capsys):
    result, parts = run(monkeypatch, tmp_path, torch.OutOfMemoryError("CUDA out of memory"))
    assert (result.status, parts) == ("done", [1, 2])
    assert result.provenance["batch_parts"] == 2
    assert "again with each batch in 2 parts" in capsys.readouterr().out


def test_a_second_lack_of_memory_is_the_result(monkeypatch, tmp_path):
    result, parts = run(monkeypatch, tmp_path, MemoryError("a"), MemoryError("b"))
    assert (result.status, result.error_class, parts) == ("failed", OUT_OF_MEMORY, [1, 2])


def test_a_cell_with_batch_norm_is_not_trained_in_parts(monkeypatch, tmp_path):
    result, parts = run(monkeypatch, tmp_path, MemoryError("full"), obstacle="batch norm would see other batches")
    assert (result.error_class, parts) == (OUT_OF_MEMORY, [1])
    assert "not tried in parts of a batch, since batch norm would see other batches" in result.error


def test_a_diverged_cell_has_its_own_class(monkeypatch, tmp_path):
    result, _ = run(monkeypatch, tmp_path, DivergedError("the loss is NaN"))
    assert (result.status, result.error_class) == ("diverged", "diverged")


def test_networks_with_batch_norm_are_recognised():
    assert "batch norm" in reason_against_parts(SPEC)
    alone = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0, {"train_dataloader.batch_size": 1})
    assert reason_against_parts(alone) == "a batch of one image cannot be split"


def test_a_batch_is_split_with_all_its_entries():
    batch = {"images": torch.arange(5.0), "targets": {"depth": torch.arange(5.0) * 2}, "name": list("abcde"), "x": 3}
    batch["scene"] = tuple("vwxyz")
    parts = list(split_batch(batch, 2))
    assert [part["scene"] for part, _ in parts] == [("v", "w", "x"), ("y", "z")]
    assert [share for _, share in parts] == [0.6, 0.4]
    assert torch.cat([part["targets"]["depth"] for part, _ in parts]).tolist() == [0, 2, 4, 6, 8]
    assert [part["name"] for part, _ in parts] == [["a", "b", "c"], ["d", "e"]]
    assert all(part["x"] == 3 for part, _ in parts)


class Mean(nn.Module):
    """A model whose loss is a mean over the images."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def data_preprocessor(self, data, training):
        return data

    def forward(self, images, mode):
        return {"loss_a": self.layer(images).square().mean()}

    def parse_losses(self, losses):
        return losses["loss_a"], {"loss": losses["loss_a"]}


def test_a_step_in_parts_has_the_gradient_of_the_whole_batch():
    """For a loss that is a mean over images, the weighted sum over parts is the mean over the batch."""
    from mmengine.optim import OptimWrapper

    torch.manual_seed(0)
    model, images = Mean().double(), torch.randn(5, 3, dtype=torch.float64)
    expected = torch.autograd.grad(model(images, "loss")["loss_a"], list(model.parameters()))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train_in_parts(model, 2)
    logged = model.train_step({"images": images}, OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0)))
    for start, parameter, gradient in zip(before, model.parameters(), expected, strict=True):
        torch.testing.assert_close(start - parameter, gradient)
    model.load_state_dict(dict(zip(model.state_dict(), before, strict=True)))
    torch.testing.assert_close(logged["loss"], model(images, "loss")["loss_a"].detach())


def test_a_checkpoint_that_would_fill_the_disk_is_not_begun(tmp_path, monkeypatch):
    write_state(tmp_path / STATE_FILE, {"step": torch.zeros(10)}, tmp_path / PREVIOUS_FILE)
    before = (tmp_path / STATE_FILE).read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=checkpoints.RESERVE_BYTES))
    with pytest.raises(OSError, match="64 MiB are free, 64 MiB are wanted"):
        write_state(tmp_path / STATE_FILE, {"step": torch.ones(10)}, tmp_path / PREVIOUS_FILE)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 << 20))
    with pytest.raises(OSError, match="10 MiB are free, 66 MiB are wanted") as refused:
        write_state(tmp_path / STATE_FILE, {"step": torch.ones(1 << 19)}, tmp_path / PREVIOUS_FILE)
    assert refused.value.errno == errno.ENOSPC
    assert (tmp_path / STATE_FILE).read_bytes() == before
    assert os.listdir(tmp_path) == [STATE_FILE]


def hook_and_runner(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "training_state", lambda *arguments: {"iteration": arguments[1]})
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(_accumulative_counts=2), train_loop=SimpleNamespace(max_iters=100)
    )
    return checkpoints.ResumableStateHook(str(tmp_path), "run", interval=10), runner


def test_a_training_goes_on_without_a_checkpoint_on_a_full_disk(tmp_path, monkeypatch, capsys):
    hook, runner = hook_and_runner(tmp_path, monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    hook.after_train_iter(runner, 9)
    assert "checkpoint left out at iteration 10" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_training_that_is_asked_to_end_saves_after_a_whole_accumulation(tmp_path, monkeypatch):
    hook, runner = hook_and_runner(tmp_path, monkeypatch)
    monkeypatch.setattr(interruption._requested, "is_set", lambda: True)
    hook.after_train_iter(runner, 2)
    assert not (tmp_path / STATE_FILE).exists(), "iteration 3 is inside of an accumulation of 2"
    with pytest.raises(interruption.CellInterruptedError, match="iteration 4"):
        hook.after_train_iter(runner, 3)
    assert (tmp_path / STATE_FILE).exists()


def test_a_signal_asks_the_training_to_end_once_it_listens(monkeypatch):
    """An end on request is no `Exception`, so that nothing stores it as a failure of the cell."""
    monkeypatch.setattr(interruption, "_requested", threading.Event())
    before = signal.getsignal(signal.SIGUSR1)
    try:
        interruption.listen()
        assert not interruption.is_requested()
        signal.raise_signal(signal.SIGUSR1)
        assert interruption.is_requested()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not issubclass(interruption.CellInterruptedError, Exception)
