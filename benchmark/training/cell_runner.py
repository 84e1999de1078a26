"""mmengine's runner for the training of one cell."""

from __future__ import annotations

from typing import Any

from mmengine.device import get_device
from mmengine.runner import Runner
from torch import nn


class CellRunner(Runner):
    """mmengine's runner with a short list of hooks in the log, and with initial weights that it leaves as they are."""

    def get_hooks_info(self) -> str:
        """Names of the hooks in the order of their priority."""
        return ", ".join(type(hook).__name__ for hook in self.hooks)

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Move the model to its device, and wrap it for several devices if it is trained."""
        if not any(parameter.requires_grad for parameter in model.parameters()):
            return model.to(get_device())
        wrapped: nn.Module = super().wrap_model(model_wrapper_cfg, model)
        return wrapped

    def _init_model_weights(self) -> None:
        """Do nothing, see `MultiTaskModel.init_weights`; every device builds the same weights from the same seed."""
