"""Renaming of the tensors of public code by rules. Every tensor needs a rule and a counterpart in our model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor


class ImportRefusedError(ValueError):
    """Published state dict that does not fit; the message names the tensor."""


Rules = Sequence[tuple[str, str]]
"""(regular expression, replacement) as in `re.sub`. The first rule whose expression matches the beginning of a name is
applied, once."""


def renamed(name: str, rules: Rules) -> str:
    """Our name of a published tensor.

    Raises:
        ImportRefusedError: if no rule matches.
    """
    for pattern, replacement in rules:
        changed, times = re.subn(rf"\A(?:{pattern})", replacement, name, count=1)
        if times:
            return changed
    raise ImportRefusedError(f"tensor {name!r}: no rule of this format matches it; it is one tensor too many")


def translate(published: Mapping[str, Tensor], rules: Rules, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our names.

    Args:
        published: the state dict.
        rules: see `Rules`.
        ours: state dict of our model, with the required names, shapes and dtypes.

    Raises:
        ImportRefusedError: with the first tensor that matches no rule, that our model does not have, that two published
            tensors become, that has another shape, or that is missing.
    """
    found: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for name, tensor in published.items():
        target = renamed(name, rules)
        _check(name, tensor, target, ours, origin)
        found[target], origin[target] = tensor.to(ours[target].dtype), name
    missing = [name for name in ours if name not in found]
    if missing:
        first = _published_name(missing[0], rules, origin)
        raise ImportRefusedError(
            f"{len(missing)} tensors are missing from the file, the first is {first} of shape "
            f"{tuple(ours[missing[0]].shape)}"
        )
    return {name: found[name] for name in ours}


def _published_name(target: str, rules: Rules, origin: Mapping[str, str]) -> str:
    """The published name of one of our tensors, from a rule or another tensor of its module; else our name."""
    module, _, leaf = target.rpartition(".")
    siblings = [published for ours, published in origin.items() if ours.rpartition(".")[0] == module]
    guesses = [f"{published.rpartition('.')[0]}.{leaf}" for published in siblings]
    # A rule without alternatives can be read backwards.
    guesses += [
        pattern.replace("\\", "") + target.removeprefix(replacement)
        for pattern, replacement in rules
        if target.startswith(replacement)
    ]
    for guess in guesses:
        try:
            if renamed(guess, rules) == target:
                return repr(guess)
        except ImportRefusedError:
            continue
    return f"the one that becomes {target!r}"


def _check(name: str, tensor: Tensor, target: str, ours: Mapping[str, Tensor], origin: Mapping[str, str]) -> None:
    if target not in ours:
        raise ImportRefusedError(f"tensor {name!r} would become {target!r}, which the model does not have")
    if target in origin:
        raise ImportRefusedError(f"tensors {origin[target]!r} and {name!r} would both become {target!r}")
    if tensor.shape != ours[target].shape:
        raise ImportRefusedError(
            f"tensor {name!r} has shape {tuple(tensor.shape)}, the model's {target!r} {tuple(ours[target].shape)}"
        )
