"""Training of one cell on several devices, one process each, with the results of one device except for rounding.

The batch of the recipe is split into equal parts, in the order of its rows. The loss of a part is its share in the loss
of the batch (`benchmark.losses.batch_parts`), so gradients are summed over devices, where DDP alone would average them.
All processes have the same random states.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from benchmark.losses.batch_parts import split_batch
from benchmark.training.recipe_keys import ConfigError

REGULARIZER = "regularizer."
"""Beginning of the names of a regularizer's weights."""
BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in inspect.signature(DistributedDataParallel).parameters
)
"""Option of DDP to send buffers before each step, which is not needed; torch 2.14 has a new name for it."""
TIMEOUT = timedelta(hours=1)
"""Longest wait of one device for another, such as for the first one to save. The launcher notices a death at once."""
NAMED = 8
"""Largest number of parameters that an error names."""


@dataclass(frozen=True)
class Devices:
    """The devices of a training, and the device of this process.

    Args:
        count: number of devices, one process each.
        index: number of this process, 0 for the one that writes files.
    """

    count: int = 1
    index: int = 0

    @property
    def writes(self) -> bool:
        """True for the process that writes results, checkpoints and logs."""
        return self.index == 0

    def rows(self, batch_size: int) -> int:
        """Rows of a batch on each device.

        Raises:
            ConfigError: if the batch cannot be split equally.
        """
        if batch_size % self.count:
            fitting = ", ".join(str(count) for count in range(1, batch_size + 1) if batch_size % count == 0)
            raise ConfigError(
                f"a batch of {batch_size} cannot be split equally over {self.count} devices; devices for it: {fitting}"
            )
        return batch_size // self.count


def devices_here() -> Devices:
    """The devices of the current process group; one device without a group."""
    if not (dist.is_available() and dist.is_initialized()):
        return Devices()
    return Devices(dist.get_world_size(), dist.get_rank())


@contextmanager
def process_group() -> Iterator[Devices]:
    """Join the process group that torchrun describes in the environment: NCCL with GPUs, gloo on CPUs.

    mmengine's own launcher is not used, since it selects a GPU even on a machine without one.
    """
    if not dist.is_torchelastic_launched():
        yield Devices()
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if backend == "nccl" else None
    if device is not None:
        torch.cuda.set_device(device)
    dist.init_process_group(backend, device_id=device, timeout=TIMEOUT)
    try:
        yield devices_here()
    finally:
        dist.destroy_process_group()


@MODEL_WRAPPERS.register_module()
class SummedDataParallel(MMDistributedDataParallel):
    """DDP whose gradients are the sums over devices. Gradients of a regularizer are summed before the optimizer steps.

    A regularizer may have no terms in a step, so its weights may have no gradient. Every other trained parameter must
    have one in every step.

    Args:
        module: a `TrainingModule`.
        device_ids: not used: the process group has chosen the device.
    """

    def __init__(self, module: nn.Module, device_ids: Any = None) -> None:
        del device_ids
        # Imported here, since torch.compiler and timm take seconds that a launcher need not spend.
        from benchmark.training.whole_batch_layers import use_whole_batch

        use_whole_batch(module)
        apart = [name for name, _ in module.named_parameters() if name.startswith(REGULARIZER)]
        self._set_params_and_buffers_to_ignore_for_model(module, apart)
        super().__init__(module, **{BUFFERS: False})
        # A lambda, since DDP refuses hooks whose annotations are text.
        self.register_comm_hook(None, lambda _, bucket: sum_gradients(bucket))

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """A step on the part of this device; returns the values of the whole batch to log."""
        with split_batch():
            logged: dict[str, Tensor] = super().train_step(data, optim_wrapper)
        return logged

    def complete_gradients(self) -> None:
        """Sum the gradients that DDP leaves out, after the backward pass and before the optimizer steps.

        Raises:
            RuntimeError: naming parameters without a gradient, which DDP would wait for.
        """
        trained = [(name, weight) for name, weight in self.module.named_parameters() if weight.requires_grad]
        apart = [weight for name, weight in trained if name.startswith(REGULARIZER)]
        unused = [name for name, weight in trained if weight.grad is None and not name.startswith(REGULARIZER)]
        if unused:
            more = f" and {len(unused) - NAMED} more" if len(unused) > NAMED else ""
            raise RuntimeError(
                f"no gradient reached {', '.join(unused[:NAMED])}{more}; on several devices every trained parameter "
                "needs one in every step: freeze these with requires_grad_(False), or train on one device"
            )
        for weight in apart:
            if weight.grad is not None:
                dist.all_reduce(weight.grad)


def sum_gradients(bucket: Any) -> torch.futures.Future[Tensor]:
    """Communication hook of DDP: sum the gradients of all devices."""
    work: Any = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda future: future.value()[0])
    return summed


def send_from_first(module: nn.Module) -> None:
    """Copy parameters and buffers of the first device to all devices.

    Devices that compute the same, such as a calibration, may still differ in the last bits.
    """
    if devices_here().count > 1:
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.detach(), src=0)


def unwrapped(module: Any) -> Any:
    """The training module of a runner, without its wrapper for several devices."""
    return module.module if isinstance(module, SummedDataParallel) else module
