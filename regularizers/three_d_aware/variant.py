"""Regularizers that are `three_d_aware` with some options decided: most of its controls."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.contracts import FeatureSpec
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.regularizer import ThreeDAware


class Variant(ThreeDAware):
    """`three_d_aware` with options that are not left to choose: `class XYPlane(Variant, fixed={"rows": "none"})`.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        options: those of `three_d_aware` that are left.
    """

    fixed: ClassVar[Mapping[str, Any]] = {}
    """The decided options; a recipe cannot set them."""
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, fixed: Mapping[str, Any], **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.fixed = fixed
        cls.__signature__ = without_options(*fixed)

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, **self.fixed, **options)


def without_options(*names: str, also: Mapping[str, Any] | None = None) -> inspect.Signature:
    """The signature of `ThreeDAware` without options that a variant decides, and with others and their defaults."""
    signature = inspect.signature(ThreeDAware)
    left = [parameter for name, parameter in signature.parameters.items() if name not in names]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    more = [inspect.Parameter(name, kind, default=value) for name, value in (also or {}).items()]
    return signature.replace(parameters=[*left, *more])
