"""Options of methods and regularizers, compared with the constructor's signature; dotted keys of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from benchmark.training.options import check_options
from benchmark.training.recipe_keys import ConfigError, constructor, literal, override, parse_assignments

if TYPE_CHECKING:
    from collections.abc import Sequence


class Part:
    """A part with options of many types; the first arguments come from the suite."""

    def __init__(
        self,
        tasks: Any,
        backbone: str,
        width: int = 3,
        rate: float = 0.5,
        size: tuple[int, int] = (1, 2),
        kind: Literal["a", "b"] = "a",
        name: str | None = None,
        weight: float = 1.0,
        mixed: int | list[int] = 1,
    ) -> None:
        pass


class Untyped:
    """A part whose annotation is imported for type checkers alone."""

    def __init__(self, tasks: Any, stages: Sequence[int] = ()) -> None:
        pass


def takes_anything(tasks: Any, width: int = 3, **others: Any) -> None:
    """A registered function."""


@pytest.mark.parametrize(
    "options",
    [
        {"width": 4, "rate": 1, "size": [3, 4], "kind": "b", "name": None},
        {"name": "x", "weight": "calibrated:0.1", "mixed": [1, 2]},
        {"weight": "calibrated"},
    ],
)
def test_values_of_the_annotated_types_are_accepted(options: dict[str, Any]) -> None:
    check_options(Part, options, "method part")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": "4"}, "method part: option 'width': found '4', expected a valid integer"),
        ({"width": 4.5}, "option 'width': found 4.5"),
        ({"rate": float("inf")}, "option 'rate': found inf, expected a finite number"),
        ({"size": [3, 4, 5]}, "option 'size': found [3, 4, 5]"),
        ({"kind": "c"}, "option 'kind': found 'c', expected 'a' or 'b'"),
        ({"name": 3}, "option 'name': found 3, expected a valid string"),
        (
            {"wide": 3},
            "method part has no option 'wide'. Did you mean 'width'? Options: width, rate, size, kind, name,",
        ),
        ({"tasks": 3}, "method part has no option 'tasks'."),
        ({"backbone": "resnet18"}, "method part has no option 'backbone'."),
        ({"width": "calibrated"}, "option 'width': found 'calibrated', expected a valid integer"),
        ({"weight": "calibrated:x"}, "a regularizer's weight is a number, 'calibrated' or calibrated:RATIO"),
    ],
)
def test_other_options_and_values_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is compared below)
        check_options(Part, options, "method part")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_functions_of_any_keywords_and_unknown_annotations_are_left_to_the_constructor() -> None:
    check_options(takes_anything, {"more": 1}, "method")
    check_options(Untyped, {"stages": 3}, "method")
    with pytest.raises(ConfigError, match="option 'width': found 'x', expected a valid integer"):
        check_options(takes_anything, {"width": "x"}, "method")
    with pytest.raises(ConfigError, match=r"method has no option 'width'\. Options: none"):
        check_options(lambda tasks, seed: None, {"width": 1}, "method")


def recipe() -> dict[str, Any]:
    """A recipe with a mapping, a list and a class."""
    return {
        "train_cfg": {"max_iters": 4},
        "param_scheduler": [{"type": "PolyLR", "power": 1}, {"type": "PolyLR", "power": 2}],
        "optimizer": {"type": "SGD", "lr": 1},
        "sizes": [1, 2],
    }


def test_an_override_sets_a_key_of_a_mapping_of_a_list_or_of_a_class() -> None:
    found = recipe()
    for key, value in (
        ("train_cfg.max_iters", 9),
        ("optimizer.momentum", 0.9),
        ("sizes.1", 7),
        ("new", 3),
        ("param_scheduler.1.power", 7),
        ("param_scheduler.0.eta_min", 0.1),
    ):
        override(found, key, value)
    assert found == {
        "train_cfg": {"max_iters": 9},
        "param_scheduler": [{"type": "PolyLR", "power": 1, "eta_min": 0.1}, {"type": "PolyLR", "power": 7}],
        "optimizer": {"type": "SGD", "lr": 1, "momentum": 0.9},
        "sizes": [1, 7],
        "new": 3,
    }


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("sizes.2", "'sizes.2': '2' must be a number from 0 to 1"),
        ("sizes.x", "'sizes.x': 'x' must be a number from 0 to 1"),
        ("param_scheduler.2.power", "'param_scheduler.2.power': '2' must be a number from 0 to 1"),
        ("param_scheduler.0.powr", "no setting 'param_scheduler.0.powr' in the recipe."),
        (
            "train_cfg.max_iters.x",
            "no setting 'train_cfg.max_iters.x' in the recipe. Did you mean 'train_cfg.max_iters'?",
        ),
        ("train_cfg.a.b", "no setting 'train_cfg.a.b' in the recipe: 'train_cfg.a' does not exist (found: max_iters)"),
        ("train_cfg.max_iters.a.b", "'train_cfg.max_iters.a' does not exist (found: nothing below it)"),
    ],
)
def test_an_override_of_an_unknown_key_is_refused_with_the_place(key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(recipe(), key, 1)
    assert message in str(caught.value)


def test_a_type_is_the_name_of_a_registered_class_and_never_a_path() -> None:
    assert {name: constructor({"type": name}) is not None for name in ("Adam", "PolyLR", "IterTimerHook")} == {
        "Adam": True,
        "PolyLR": True,
        "IterTimerHook": True,
    }
    assert constructor({"type": "LocalVisBackend"}) is not None
    for other in ("os.system", "torch.optim.Adam", "NoSuchClass", 3, None):
        assert constructor({"type": other}) is None
    assert constructor({}) is None


def test_texts_that_are_no_literals_stay() -> None:
    """Also a text that Python's parser gives up on."""
    for text in ("resnet18", "a-b", "{[1]: 2}", "(" * 300, "a\0b", "1 +"):
        assert literal(text) == text
    assert (literal("[1, 2]"), literal("None"), literal(3)) == ([1, 2], None, 3)
    assert parse_assignments([" a.b = 3 ", "c=d=e"]) == {"a.b": "3", "c": "d=e"}
    with pytest.raises(ConfigError, match="--set takes key=value, found ' =3'"):
        parse_assignments([" =3"])
