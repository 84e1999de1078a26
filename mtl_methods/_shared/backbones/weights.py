"""Initial weights of backbones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import timm
import torch
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import Tensor, nn

from benchmark.records.validation import shortened
from benchmark.registry import IMAGENET, SCRATCH

logger = logging.getLogger(__name__)


class WeightsError(RuntimeError):
    """Weights that are not available, or that do not fit the network."""


def timm_trunk(model: str, weights: str, tag: str, **options: object) -> Any:
    """A timm model, from scratch or with its ImageNet weights.

    Args:
        model: architecture name in timm.
        weights: "scratch", "imagenet" or the path of a file.
        tag: name of one of timm's sets of ImageNet weights.
        options: keywords of the architecture; they may leave parts of the classifier out.

    Raises:
        WeightsError: if timm cannot get the weights, or they lack a tensor of the network.
    """
    trunk = timm.create_model(model, pretrained=False, **options)
    if weights == IMAGENET:
        load_full_match(trunk, downloaded_state(f"{model}.{tag}"), source=f"timm {model}.{tag}")
    elif weights != SCRATCH:
        load_full_match(trunk, load_file(weights), source=weights)
    return trunk


def downloaded_state(model: str) -> Mapping[str, Tensor]:
    """The weights that timm downloads (or has cached) for a model, under the names of the complete classifier.

    Raises:
        WeightsError: if they are not in the cache and cannot be downloaded.
    """
    try:
        file = hub_file(f"timm/{model}", "model.safetensors")
    except Exception as error:
        # The client of the hub raises the errors of its HTTP library; all mean that there are no weights.
        raise WeightsError(
            f"no ImageNet weights for {model}: they are not in the cache and cannot be downloaded "
            f"({type(error).__name__}); run once with access to huggingface.co, or set HF_HOME to a copy of a cache "
            f"that has them, or start from :{SCRATCH}; efficientnet_lite0:{IMAGENET} needs no download"
        ) from error
    state: Mapping[str, Tensor] = timm.create_model(
        model, pretrained=True, pretrained_cfg_overlay={"file": file}
    ).state_dict()
    return state


def hub_file(repository: str, name: str) -> str:
    """Path of a file of a Hugging Face repository, from the cache or downloaded into it."""
    try:
        return hf_hub_download(repository, name, local_files_only=True)
    except LocalEntryNotFoundError:
        # Without a network, a download would retry for most of a minute; this request fails at once.
        HfApi().model_info(repository, timeout=20)
        return hf_hub_download(repository, name)


def in_order(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a state dict under the names that the network gives them, matched by their order.

    Raises:
        WeightsError: if the numbers of tensors differ.
    """
    names = list(network.state_dict())
    if len(names) != len(state):
        raise WeightsError(
            f"matching by order needs equal numbers of tensors: {len(state)} given, {len(names)} in the network"
        )
    return dict(zip(names, state.values(), strict=True))


def load_full_match(network: nn.Module, state: Mapping[str, Tensor], source: str) -> int:
    """Load every tensor of a network, and return their number.

    Tensors of the source that the network lacks (its classifier) are left out.

    Args:
        network: the network to fill.
        state: tensors by name.
        source: name of the source in messages.

    Returns:
        the number of tensors of the network.

    Raises:
        WeightsError: if the source lacks one of the network's tensors, or it has another shape.
    """
    wanted = network.state_dict()
    fits = {name: name in state and state[name].shape == tensor.shape for name, tensor in wanted.items()}
    matched = {name: state[name] for name, fit in fits.items() if fit}
    if len(matched) != len(wanted):
        unmatched = [name for name, fit in fits.items() if not fit]
        raise WeightsError(
            f"{source}: {len(matched)} of {len(wanted)} tensors match by name and shape; "
            f"without a match: {', '.join(unmatched[:3])}{', ...' if len(unmatched) > 3 else ''}"
        )
    network.load_state_dict(matched, strict=True)
    logger.info("%s: %d of %d tensors loaded, %d unused", source, len(matched), len(wanted), len(state) - len(matched))
    return len(matched)


def load_file(path: str) -> Mapping[str, Tensor]:
    """A state dict from a .safetensors file, or from a file of torch, without running code in it.

    Raises:
        WeightsError: if the file is missing or holds anything else.
    """
    try:
        if path.endswith(".safetensors"):
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = f"{type(error).__name__}: {shortened(error, 120)}"
        raise WeightsError(f"{path}: no readable weights ({reason})") from error
    for key in ("state_dict", "model"):
        # Training code often wraps the weights.
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a state dict")
    return state
