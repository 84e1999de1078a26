"""GPUs of this machine, handed out to cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.grid.executors.gpus import VISIBLE, GpuShares, cells_at_once, visible_gpus


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("0,1", ("0", "1")),
        (" 2 , 0", ("2", "0")),
        ("GPU-ab12", ("GPU-ab12",)),
        ("", ()),
        ("-1", ()),
        ("3,-1,0", ("3",)),
    ],
)
def test_the_environment_names_the_gpus(
    chosen: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA ends the list at an invalid number."""
    monkeypatch.setenv(VISIBLE, chosen)
    assert visible_gpus() == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [("echo 0; echo 1", ("0", "1")), ("echo no devices were found; exit 6", ()), (None, ())],
    ids=["two GPUs", "a driver without a GPU", "no driver"],
)
def test_without_it_the_driver_is_asked(
    script: str | None, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    assert visible_gpus() == expected


def test_cells_of_two_gpus_share_none() -> None:
    shares = GpuShares(["0", "1", "2", "3"], 2)
    first, second = shares.take(), shares.take()
    assert (first, second) == (("0", "1"), ("2", "3"))
    with pytest.raises(OSError, match="0 GPUs are free, a cell needs 2"):
        shares.take()
    shares.give_back(first)
    assert shares.take() == first


def test_cells_spread_over_the_gpus_before_two_share_one() -> None:
    shares = GpuShares(["0", "1"], 0.5)
    assert [shares.take() for _ in range(4)] == [("0",), ("1",), ("0",), ("1",)]
    with pytest.raises(OSError, match="0 GPUs are free"):
        shares.take()


@pytest.mark.parametrize(("gpus", "per_cell", "cells"), [(2, 0.6, 2), (2, 0.5, 4), (3, 0.3, 9), (5, 2, 2), (4, 1, 4)])
def test_a_cell_with_a_part_of_a_gpu_has_it_on_one_gpu(gpus: int, per_cell: float, cells: int) -> None:
    """Two cells of 0.6 do not fit on one GPU, although three would fit on two GPUs by their sum."""
    assert cells_at_once(gpus, per_cell) == cells
    shares = GpuShares([str(number) for number in range(gpus)], per_cell)
    for _ in range(cells):
        shares.take()
    with pytest.raises(OSError, match="GPUs are free"):
        shares.take()


def test_a_cell_without_a_gpu_takes_none() -> None:
    assert GpuShares(["0"], 0).take() == ()
