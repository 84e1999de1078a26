"""`pip install -e .` in an environment that holds packages of the names `datasets`, `transformers` and `lightning`."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHECKOUT = Path(__file__).resolve().parents[2]
NOTEBOOK = """
import datasets, lightning, transformers
import benchmark
model = benchmark.load({run!r})
prediction = model.predict({picture!r})
prediction.save("arrays.npz")
prediction.panel().savefig("panel.png")
import datasets.load
assert datasets.OTHER and datasets.load.OTHER
print(prediction["depth"].shape, benchmark.__file__)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment with the suite installed, which sees the packages of this environment too."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name in ("datasets", "transformers", "lightning"):
        (site / name).mkdir()
        (site / name / "__init__.py").write_text("OTHER = True\n")
        (site / name / "load.py").write_text("OTHER = True\n")
    command = [python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", CHECKOUT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named pip" in done.stderr:
        pytest.skip("needs pip in the environment of the tests")
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.slow
def test_six_lines_in_another_folder_predict_beside_other_packages(python: Path, trained_cell: Path, tmp_path: Path):
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "picture.png")
    code = NOTEBOOK.format(run=str(trained_cell), picture="picture.png")
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == f"(40, 50) {CHECKOUT / 'benchmark' / '__init__.py'}"
    assert (tmp_path / "panel.png").stat().st_size > 1000


def test_the_checkout_does_not_hide_another_package_named_datasets(python: Path, tmp_path: Path):
    code = "import benchmark, datasets; print(datasets.OTHER); import tools"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n"
    assert "No module named 'tools'" in done.stderr


def test_a_data_set_asked_for_beside_another_package_of_the_name_is_refused_in_one_line(python: Path, tmp_path: Path):
    code = "from benchmark.registry import DATASETS; DATASETS.names()"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "the folder 'datasets' of the suite is needed, but" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_tool_predicts_beside_a_package_named_datasets(trained_cell: Path, tmp_path: Path):
    """A package of the name on the path, and imported before the tool starts."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("OTHER = True\n")
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "picture.png")
    code = (
        "import datasets, runpy, sys; assert datasets.OTHER\n"
        f"sys.argv = ['predict.py', '--run', {str(trained_cell)!r}, 'picture.png']\n"
        f"runpy.run_path({str(CHECKOUT / 'tools' / 'predict.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "predictions" / "picture.npz").is_file()
