"""tools/run_grid.py as a command: checks before anything runs, exit codes, and what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from registrations import forget

CHECKOUT = Path(__file__).resolve().parents[3]
TOOL = CHECKOUT / "tools" / "run_grid.py"
HEAVY = ("torch", "mmengine", "numpy", "rich")


def test_help_imports_no_torch():
    code = (
        f"import sys, runpy; sys.argv = ['run_grid.py', '--help']\n"
        f"try: runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
        f"except SystemExit: print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--dry-run" in answer.stdout
    assert "HEAVY []" in answer.stdout


def test_the_checkout_comes_first_on_the_path(run_grid):
    assert str(CHECKOUT) in sys.path
    assert run_grid.CHECKOUT == CHECKOUT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "hard_sharin"], "no method named 'hard_sharin'. Did you mean 'hard_sharing'"),
        (["--methods", ","], "--methods names nothing"),
        (["--methods", "zzz*"], "no method named 'zzz*'"),
        (["--regularizers", "aux_head"], "no regularizer named 'aux_head'. Did you mean 'aux_heads'?"),
        (["--recipe", "smok"], "no recipe named 'smok'"),
        (["--set", "train_cfg.max_iter=3"], "train_cfg.max_iter"),
        (["--set", "train_cfg.max_iters"], "train_cfg.max_iters"),
        (["--tasks", "semsg"], "semsg"),
        (["--backbone", "resnet81"], "resnet81"),
        (["--import", "no_such_file.py"], "no_such_file.py"),
        (["--seeds", "-1"], "--seeds"),
        (["--seeds", "a"], "a seed is an integer of 0 or more, found 'a'"),
        (["--workers", "0"], "expected an integer of 1 or more, found '0'"),
        (["--retry", "done"], "expected failed, diverged or none, found 'done'"),
        (["--methods", "constant", "--regularizers", "aux_heads"], "no cell to run"),
    ],
)
def test_a_wrong_request_is_answered_by_one_line_before_anything_runs(call, tmp_path, arguments, message):
    code, out, err = call(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if not line.startswith("left out")]) == 1
    assert out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "train_cfg.max_iters=abc"], "setting 'train_cfg.max_iters': found 'abc', expected a valid integer"),
        (["--set", "train_cfg.max_iters=-5"], "found -5, expected greater than or equal to 1"),
        (["--set", "train_dataloader.batch_size=2.5"], "setting 'train_dataloader.batch_size': found 2.5"),
        (["--set", "train_dataloader.batch_size=True"], "setting 'train_dataloader.batch_size': found True"),
        (["--set", "optim_wrapper.optimizer.lr=fast"], "setting 'optim_wrapper.optimizer.lr': found 'fast'"),
        (["--set", "optim_wrapper.optimizer.lr=-1"], "setting 'optim_wrapper.optimizer.lr': found -1"),
        (["--set", "optim_wrapper.optimizer.type=AdamWW"], "no optimizer named 'AdamWW'. Did you mean 'AdamW'?"),
        (["--set", "optim_wrapper.optimizer.type=os.system"], "no optimizer named 'os.system'"),
        (["--set", "optim_wrapper.precision=fp16"], "found 'fp16', expected 'fp32' or 'bf16'"),
        (["--set", "train_dataloader.dataset.share=2"], "share': found 2, expected less than or equal to 1"),
        (["--set", "train_dataloader.dataset.size=64"], "setting 'train_dataloader.dataset.size': found 64"),
        (["--set", "train_dataloader.dataset.augmentation.flip=1.5"], "flip': found 1.5"),
        (["--set", "train_dataloader.dataset.augmentation.zom=2"], "Did you mean"),
        (["--set", "tasks.depth.loss_weight=-1"], "setting 'tasks.depth.loss_weight': found -1"),
        (["--set", "tasks.depth.loss_weight=1e999"], "tasks.depth.loss_weight: found inf"),
        (["--set", "tasks.depth.loss=l3"], "no loss named 'l3'"),
        (["--set", "param_scheduler.1.end=x"], "setting 'param_scheduler.1.end': found 'x'"),
        (["--set", "ema={'decay': 1}"], "setting 'ema.decay': found 1, expected less than 1"),
        (["--set", "method.head=fnc"], "fnc"),
        (["--set", "method.head=3"], "method hard_sharing: option 'head': found 3, expected a valid string"),
        (["--set", "dataset=folder", "--set", "root=/no/such/folder"], "/no/such/folder"),
        (["--recipe", "nyuv2_lite", "--set", "root=/no/such/folder"], "/no/such/folder"),
        (["--regularizers", "aux_heads", "--set", "regularizer.weight=heavy"], "heavy"),
    ],
)
def test_a_dry_run_refuses_a_wrong_value_in_one_line(call, arguments, message):
    code, out, err = call("--methods", "hard_sharing", *arguments, "--dry-run")
    assert code == 2, out
    assert message in err
    assert err.count("\n") == 1


def test_missing_weights_are_refused_before_anything_runs(call, monkeypatch):
    from mtl_methods._shared.backbones import weights

    monkeypatch.setattr(weights, "hub_file", lambda *names: (_ for _ in ()).throw(OSError("no network")))
    code, _, err = call("--methods", "hard_sharing", "--backbone", "hrnet_w18_small_v2:imagenet", "--dry-run")
    assert code == 2
    assert "no ImageNet weights for" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return super().forward(images[..., ::2])", "the prediction of semseg must have shape (2, 40, 64, 96)"),
        ("return super().forward(images).predictions", "forward must return MultiTaskOutput, found dict"),
        (
            "output = super().forward(images); del output.predictions['semseg']; return output",
            "no prediction of task 'semseg'; predictions: none",
        ),
        ("return super().forward(images, 3)", "TypeError: "),
        ("return super().forward(images + self.missing)", "has no attribute 'missing' (mine.py, line 6)"),
    ],
)
def test_a_faulty_method_of_a_user_is_told_before_anything_runs(call, tmp_path, body, message):
    from benchmark.registry import METHODS as REGISTRY

    file = tmp_path / "mine.py"
    lines = [
        "from benchmark.registry import METHODS",
        "from mtl_methods.hard_sharing import HardSharing",
        '@METHODS.register("mine", title="Mine", paper="none", year=2026)',
        "class Mine(HardSharing):",
        "    def forward(self, images):",
        f"        {body}",
    ]
    file.write_text("\n".join(lines))
    try:
        code, _, err = call("--import", str(file), "--methods", "mine", "--tasks", "semseg", "--dry-run")
    finally:
        forget(REGISTRY, "mine")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_a_faulty_loss_of_a_user_is_named_with_file_and_line_before_anything_runs(call, tmp_path):
    from benchmark.losses import LOSSES

    file = tmp_path / "my_loss.py"
    lines = [
        "from benchmark.losses import LOSSES",
        '@LOSSES.register("wrong_loss")',
        "def wrong_loss(prediction, target, valid):",
        "    return (prediction - target).sums()",
    ]
    file.write_text("\n".join(lines))
    setting = "tasks.depth.loss=wrong_loss"
    try:
        code, _, err = call("--import", str(file), "--methods", "hard_sharing", "--set", setting, "--dry-run")
    finally:
        LOSSES.pop("wrong_loss", None)
    assert code == 2
    assert err.endswith("has no attribute 'sums' (my_loss.py, line 4)\n"), err
    assert err.count("\n") == 1


def test_a_size_is_written_in_any_common_form(call):
    answers = {
        call("--methods", "hard_sharing", "--set", f"train_dataloader.dataset.size={text}", "--dry-run")
        for text in ("64x96", "64,96", "(64, 96)", "[64, 96]")
    }
    assert len(answers) == 1
    assert answers.pop() == call("--methods", "hard_sharing", "--dry-run")


def test_a_users_recipe_names_a_shipped_one_as_its_base_and_unknown_names_are_refused(call, tmp_path):
    recipe = tmp_path / "mine.py"
    for base in ('["smoke"]', '"smoke.py"'):
        recipe.write_text(f"_base_ = {base}\ntrain_cfg = dict(max_iters=9)\n")
        assert call("--recipe", str(recipe), "--methods", "hard_sharing", "--dry-run")[0] == 0
    recipe.write_text('_base_ = ["smoke"]\ntrain_cgf = dict(max_iters=9)\n')
    code, _, err = call("--recipe", str(recipe), "--methods", "hard_sharing", "--dry-run")
    assert code == 2
    assert "no setting 'train_cgf' in the recipe. Did you mean 'train_cfg'?" in err
    recipe.write_text('_base_ = ["smok"]\n')
    assert "_base_ names no recipe 'smok'. Did you mean 'smoke'?" in call("--recipe", str(recipe), "--dry-run")[2]


def test_a_dry_run_lists_the_cells_in_their_order_and_runs_none(call, tmp_path):
    code, out, err = call("--methods", "all", "--regularizers", "none,aux_heads", "--seeds", "0", "1", "--dry-run")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("to run   single_task+none-")
    assert "left out constant+aux_heads: constant takes no regularizer" in err
    assert lines[-1] == f"{len(lines) - 1} cells, {len(lines) - 1} not done"
    assert not (tmp_path / "out").exists()


def test_tasks_in_any_order_are_the_same_cells(call):
    first = call("--methods", "hard_sharing", "--tasks", "semseg,depth", "--dry-run")
    assert first == call("--methods", "hard_sharing", "--tasks", "depth,semseg", "--dry-run")


def test_a_grid_prints_its_leaderboard_and_failures_and_continues(call, fakes, tmp_path):
    arguments = [*fakes, "--methods", "quick,flaky,crashes", "--seeds", "0", "1", "--workers", "2", "--tasks", "semseg"]
    code, out, err = call(*arguments)
    assert code == 1
    assert "| quick " in out
    assert "LEADERBOARD.md" in out
    failed = [line for line in err.splitlines() if line.startswith("failed ")]
    assert len(failed) == 4
    assert sum("crashes+none seed" in line for line in failed) == 2
    assert all("exit code 3; last line of its log: last words" in line for line in failed)
    assert "not done: 4 failed" in err
    first_starts = (tmp_path / "out/work/started.txt").read_text().splitlines()
    assert len(first_starts) == 6

    code, out, err = call(*arguments)
    again = (tmp_path / "out/work/started.txt").read_text().splitlines()[6:]
    assert code == 1
    assert not [line for line in again if line.startswith("quick")], "a finished cell was run again"
    assert len(again) == 4
    assert len([line for line in err.splitlines() if line.startswith("failed ")]) == 2
    assert "| flaky " in out

    code, _, _ = call(*arguments, "--retry", "none")
    assert code == 1
    assert len((tmp_path / "out/work/started.txt").read_text().splitlines()) == 10
    code, _, _ = call(*fakes, "--methods", "quick,flaky", "--seeds", "0", "1", "--tasks", "semseg")
    assert code == 0


def test_an_edited_method_makes_its_cells_stale_and_a_comment_does_not(call, fakes, tmp_path):
    arguments = [*fakes, "--methods", "quick", "--seeds", "0,1", "--tasks", "semseg"]
    file = tmp_path / "fakes.py"
    assert call(*arguments)[0] == 0
    text = file.read_text()
    file.write_text(f"# A comment.\n{text}")
    assert call(*arguments, "--dry-run")[1].splitlines()[-1] == "2 cells, 0 not done"
    file.write_text(text.replace("2026", "2025"))
    _, out, err = call(*arguments, "--dry-run")
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["stale", "stale"]
    assert "2 cells replace older results: fakes.py changed since" in err
    _, out, _ = call(*arguments, "--status")
    assert "2 cells: 0 done, 0 missing, 2 stale, 0 failed" in out
    assert out.count("fakes.py changed since") == 2
    assert call(*arguments)[0] == 0
    assert len(list(tmp_path.glob("out/runs/smoke/*.json"))) == 4
    assert "2 cells: 2 done, 0 missing, 0 stale, 0 failed" in call(*arguments, "--status")[1]
    assert "4 results" in call(*arguments, "--forget", "all", "--yes")[1]
    assert not list(tmp_path.glob("out/runs/smoke/*")), "results of the older version too"


def test_results_are_removed_after_confirmation(call, fakes, tmp_path):
    arguments = [*fakes, "--methods", "quick,crashes", "--tasks", "semseg"]
    call(*arguments)
    (failed,) = tmp_path.glob("out/work/smoke/crashes*")
    (result,) = tmp_path.glob("out/runs/smoke/crashes*.json")
    details = result.with_suffix(".details.jsonl.gz")
    details.write_bytes(b"")
    _, out, _ = call(*arguments, "--forget", "failed")
    assert failed.exists()
    assert len([line for line in out.splitlines() if line.startswith("would remove")]) == 1
    assert len(list(tmp_path.glob("out/runs/smoke/*.json"))) == 2
    _, out, _ = call(*arguments, "--forget", "failed", "--yes")
    assert "removed" in out
    assert out.splitlines()[-1] == "1 result"
    assert [path.name[:5] for path in tmp_path.glob("out/runs/smoke/*")] == ["quick"]
    assert not failed.exists(), "its log and its checkpoints"
    call(*arguments, "--forget", "all", "--yes")
    assert not list(tmp_path.glob("out/runs/smoke/*.json"))


def test_a_board_runs_its_cells_in_its_order(call, fakes, tmp_path):
    board = tmp_path / "out" / "boards" / "mine.toml"
    board.parent.mkdir(parents=True)
    text = 'title = "T"\nrecipe = "smoke"\nversion = 1\n' + "".join(
        f'[[cells]]\nmethods = ["{method}"]\nseeds = {seeds}\n'
        for method, seeds in (("quick", [1]), ("flaky", [0]), ("quick", [0, 1]))
    )
    board.write_text(text)
    code, out, _ = call(*fakes, "--board", "mine", "--dry-run")
    assert code == 0
    assert [line.split("-")[0] + line.split("-")[2] for line in out.splitlines()[:-1]] == [
        "to run   quick+nones1",
        "to run   flaky+nones0",
        "to run   quick+nones0",
    ]
    assert "3 cells: 0 done, 3 missing" in call(*fakes, "--board", "mine", "--status")[1]
    board.write_text(text.replace("version = 1", "version = 2"))
    code, _, err = call(*fakes, "--board", "mine", "--status")
    assert code == 2
    assert "board mine holds version 2 of recipe smoke, which has version 1 here" in err


@pytest.mark.parametrize("option", [["--seeds", "0"], ["--set", "compile=True"], ["--split", "val"]])
def test_a_board_takes_no_other_choice_of_cells(call, option):
    code, _, err = call("--board", "nyuv2_lite", *option)
    assert code == 2
    assert f"leave out {option[0]}" in err


def test_seeds_are_separated_by_commas_or_blanks(call):
    first = call("--methods", "hard_sharing", "--seeds", "0,1", "2", "--dry-run")
    assert first == call("--methods", "hard_sharing", "--seeds", "0", "1", "2", "--dry-run")
    assert first[1].splitlines()[-1] == "3 cells, 3 not done"


def test_missing_data_gets_one_line_before_anything_runs(run_grid, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MTL_DATA", str(tmp_path))
    assert run_grid.main(["--recipe", "nyuv2_lite", "--methods", "constant", "--out", str(tmp_path / "out")]) == 2
    err = capfd.readouterr().err
    assert "tools/prepare_nyuv2.py" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_gets_one_line(call, fakes, tmp_path):
    (tmp_path / "out").write_text("a file")
    code, _, err = call(*fakes, "--methods", "quick", "--tasks", "semseg")
    assert code == 2
    assert err.count("\n") == 1
    assert str(tmp_path / "out") in err
