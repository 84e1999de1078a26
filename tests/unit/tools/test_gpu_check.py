"""The check of a GPU: its table, errors of single checks, and a run on a CPU at a tiny size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmark.cost.device_check.findings import Finding, finding, findings_of, markdown
from benchmark.cost.device_check.steps import Size, does_not_wait, training_step
from tools.gpu_check import chosen_recipes, main


def passing() -> Iterator[Finding]:
    yield finding("speed", "a|b", True, "fast")


def broken() -> Iterator[Finding]:
    yield finding("memory", "first", True, "little")
    raise RuntimeError("CUDA out of\nmemory")


def test_an_error_of_one_check_is_a_finding_and_the_next_check_runs() -> None:
    found = list(findings_of([("memory", broken), ("speed", passing)], seconds=60))
    assert [(row.check, row.verdict) for row in found] == [
        ("memory", "passed"),
        ("memory", "FAILED"),
        ("speed", "passed"),
    ]
    assert found[1].found == "RuntimeError: CUDA out of memory"


def test_no_check_begins_after_the_time_is_over() -> None:
    (row,) = findings_of([("speed", passing)], seconds=-1)
    assert (row.check, row.verdict) == ("speed", "not run")


def test_the_table_names_command_and_commit_and_escapes_its_cells() -> None:
    page = markdown(list(passing()), "cpu", "python tools/gpu_check.py", 90)
    assert "* command: `python tools/gpu_check.py`" in page
    assert "* minutes: 1.5" in page
    assert "| speed | a\\|b | passed | fast |" in page


def test_every_published_recipe_is_checked_and_no_other() -> None:
    assert len(chosen_recipes(None)) == 8
    assert chosen_recipes("pascal_vit_l") == ["pascal_vit_l"]
    with pytest.raises(ValueError, match="no published recipe named 'nyuv2_lite'"):
        chosen_recipes("nyuv2_lite")


def test_a_missing_gpu_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    assert capsys.readouterr().err == (
        "gpu_check.py: torch finds no GPU; --device cpu checks the same at a tiny size\n"
    )


def test_an_operation_that_waits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that reads its loss, as `float(loss)` does."""
    import benchmark.cost.device_check.steps as steps

    size = Size("cpu", tiny=True)

    def reads_its_loss(target: object, batch: object) -> object:
        module, step = training_step(target, batch)  # type: ignore[arg-type]
        return module, lambda: step()["loss"].detach().item()

    assert next(does_not_wait(size)).verdict == "passed"
    monkeypatch.setattr(steps, "training_step", reads_its_loss)
    row = next(does_not_wait(size))
    assert (row.verdict, row.found) == ("FAILED", "1 aten::_local_scalar_dense")


@pytest.mark.slow
def test_all_checks_run_to_their_end_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--device", "cpu", "--steps", "4", "--minutes", "60", "--store", str(tmp_path)])
    (page,) = (tmp_path / "gpu_check").iterdir()
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")][2:]
    # The speed of loading depends on the load of the machine.
    assert [row for row in rows if "| FAILED |" in row and "keeps up" not in row] == []
    assert not any("| not run |" in row for row in rows)
    assert sum("recipe in" in row for row in rows) == 16
    assert str(page) in capsys.readouterr().out
