"""Random numbers of a regularizer, separate from the random numbers of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RandomStream(nn.Module):
    """Separate states of torch's default generators, of the CPU and of every used accelerator.

    The states belong to the state dict, so a resumed run continues with the same numbers.

    Args:
        seed: seed of every generator at its first use.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.states: dict[str, Tensor] = {}

    @contextmanager
    def active(self, device: torch.device) -> Iterator[None]:
        """Use this stream in the default generators of the CPU and of `device` within the block."""
        generators = default_generators(device)
        outside = {kind: generator.get_state() for kind, generator in generators.items()}
        try:
            for kind, generator in generators.items():
                if kind in self.states:
                    generator.set_state(self.states[kind])
                else:
                    generator.manual_seed(self.seed)
            yield
            self.states.update({kind: generator.get_state() for kind, generator in generators.items()})
        finally:
            for kind, generator in generators.items():
                generator.set_state(outside[kind])

    def get_extra_state(self) -> dict[str, Tensor]:
        """Generator states by type of device."""
        return dict(self.states)

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore states from `get_extra_state`. Generators need their states on the CPU."""
        self.states = {kind: tensor.cpu() for kind, tensor in state.items()}


def default_generators(device: torch.device) -> dict[str, torch.Generator]:
    """Default generators by type of device: of the CPU, and of `device` if it is an accelerator."""
    found = {"cpu": torch.default_generator}
    if device.type != "cpu":
        module = torch.get_device_module(device)
        index = module.current_device() if device.index is None else device.index
        found[device.type] = module.default_generators[index]
    return found
