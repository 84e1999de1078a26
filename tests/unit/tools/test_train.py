"""tools/train.py: a wrong request is refused before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.train import main


def test_devices_that_do_not_divide_the_batch_are_refused(answer_of: Callable[..., Any], tmp_path: Path) -> None:
    cell = ["--recipe", "smoke", "--method", "hard_sharing", "--regularizer", "three_d_aware"]
    code, out, err = answer_of(main, *cell, "--out", tmp_path / "out", "--devices", "3")
    assert code == 2
    assert out == ""
    assert err == "train.py: a batch of 2 cannot be split equally over 3 devices; devices for it: 1, 2\n"
    assert not (tmp_path / "out" / "runs").exists()
