"""``make gpu-check`` without a GPU: its rehearsal, and what it does when steps fail, hang or are interrupted."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from deepcore.benchmarks import gpu_check
from deepcore.benchmarks.gpu_check import FAILED, RIGHT, SKIPPED, STOPPED, Runner, Step, check, execute
from deepcore.kernels.emulator import has_compiler

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runner(tmp_path):
    return Runner(sys.executable, dict(os.environ), tmp_path)


def python(name, code, seconds=30):
    return Step(name, seconds, (sys.executable, "-c", code))


@pytest.mark.skipif(not has_compiler(), reason="THE GPU CHECK IS NOT REHEARSED: no C++ compiler for the emulator")
def test_a_rehearsal_runs_every_step_and_keeps_no_times(tmp_path, monkeypatch, capsys):
    # The tests that are a step of it set their folder by this.
    monkeypatch.setenv("DEEPCORE_TEST_HOME", os.environ["DEEPCORE_HOME"])
    monkeypatch.setattr(gpu_check, "__file__", str(ROOT / "benchmarks" / "gpu_check.py"))
    output = tmp_path / "results"
    assert gpu_check.main(["--rehearse", "--output", str(output)]) == 0, (output / "log.txt").read_text()
    assert sorted(path.name for path in output.iterdir()) == ["RESULT.md", "golden.npz", "log.txt", "steps.jsonl"]
    about, *steps = map(json.loads, (output / "steps.jsonl").read_text(encoding="utf-8").splitlines())
    assert about["rehearsal"] is True
    assert [step["status"] for step in steps] == [RIGHT, RIGHT, RIGHT, RIGHT, SKIPPED, RIGHT]
    assert {step["seconds"] for step in steps} == {None}
    assert "cases right, 0 wrong" in steps[1]["said"]
    assert "7 passed" in steps[2]["said"]
    text = (output / "RESULT.md").read_text(encoding="utf-8")
    assert text.startswith("# REHEARSAL")
    assert text.splitlines()[-1] in capsys.readouterr().out
    assert "p50" not in (output / "log.txt").read_text(encoding="utf-8")
    with np.load(output / "golden.npz") as golden:
        assert len(golden.files) > 5


def test_without_a_gpu_it_ends_at_once_and_says_why(monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "__file__", str(ROOT / "benchmarks" / "gpu_check.py"))
    monkeypatch.setattr(gpu_check, "find_gpu", lambda: "there is only a toaster")
    assert gpu_check.main([]) == 2
    assert "needs a GPU, but there is only a toaster. To try the program: --rehearse." in capsys.readouterr().err


def test_an_installed_copy_says_that_it_needs_a_checkout(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu_check, "__file__", str(tmp_path / "benchmarks" / "gpu_check.py"))
    assert gpu_check.main(["--rehearse"]) == 2
    assert "it needs a checkout" in capsys.readouterr().err


def test_a_step_that_fails_says_what_it_said_last(runner):
    result = execute(python("broken", "print('one'); print('two'); raise SystemExit(3)"), runner, 30)
    assert (result.status, result.line, result.log) == (FAILED, "two", "one\ntwo\n")


def test_a_step_out_of_time_is_interrupted_and_keeps_what_it_has(runner, tmp_path):
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what a shell starts behind itself ignores it
        "try:\n"
        "    print('at work', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        f"    open({str(tmp_path / 'kept')!r}, 'w').close()"
    )
    result = execute(python("slow", code), runner, 1.5)
    assert (result.status, result.line) == (STOPPED, "at work")
    assert (tmp_path / "kept").exists()


def test_a_step_that_does_not_listen_is_killed_with_its_children(runner, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "GRACE_SECONDS", 0.3)
    child = f"import time; time.sleep(3); open({str(tmp_path / 'alive')!r}, 'w').close()"
    deaf = "import signal, subprocess, sys; signal.signal(2, signal.SIG_IGN)\n"
    result = execute(python("deaf", f"{deaf}subprocess.run([sys.executable, '-c', {child!r}])"), runner, 1.0)
    assert result.status == STOPPED
    time.sleep(3.5)
    assert not (tmp_path / "alive").exists()


def test_a_command_that_is_not_there_is_a_failure(runner):
    assert execute(Step("absent", 5, ("/nowhere/at-all",)), runner, 5).status == FAILED


def run_check(monkeypatch, runner, output, steps):
    monkeypatch.setattr(gpu_check, "plan", lambda *_: steps)
    return check(ROOT, runner, output, {"gpu": "NVIDIA Test 1"}, False)


def test_it_goes_on_after_a_failure(monkeypatch, runner, tmp_path, capsys):
    steps = [
        python("bad", "raise SystemExit('a reason')"),
        python("good", "print('fine')"),
        Step("no", 1, (), "absent"),
    ]
    assert run_check(monkeypatch, runner, tmp_path / "out", steps) == 1
    about, *records = map(json.loads, (tmp_path / "out" / "steps.jsonl").read_text().splitlines())
    assert about["gpu"] == "NVIDIA Test 1"
    assert [(record["status"], record["said"]) for record in records] == [
        (FAILED, "a reason"),
        (RIGHT, "fine"),
        (SKIPPED, "absent"),
    ]
    assert records[1]["seconds"] >= 0
    assert "| good " in capsys.readouterr().out
    assert "==== good: right\nfine" in (tmp_path / "out" / "log.txt").read_text()


def test_what_has_no_time_left_is_not_begun(monkeypatch, runner, tmp_path):
    monkeypatch.setattr(gpu_check, "TOTAL_SECONDS", 1.0)
    assert run_check(monkeypatch, runner, tmp_path / "out", [python("late", "print(1)")]) == 1
    assert "not begun" in (tmp_path / "out" / "RESULT.md").read_text()


def test_ctrl_c_keeps_the_steps_before(monkeypatch, runner, tmp_path):
    genuine = gpu_check.execute

    def interrupted(step, *rest):
        if step.name == "later":
            raise KeyboardInterrupt
        return genuine(step, *rest)

    monkeypatch.setattr(gpu_check, "execute", interrupted)
    steps = [python("first", "print('done')"), python("later", "print('never')")]
    assert run_check(monkeypatch, runner, tmp_path / "out", steps) == 130
    text = (tmp_path / "out" / "RESULT.md").read_text()
    assert "| first " in text
    assert "Ctrl-C" in text
    assert "later" not in text


def test_the_golden_file_comes_with_the_line_that_puts_it_into_place(tmp_path):
    (tmp_path / "golden.npz").touch()
    gpu_check.write(tmp_path, {"gpu": "NVIDIA Test 1"}, [], False)
    assert "tests/fidelity/golden/nvidia-test-1.npz" in (tmp_path / "RESULT.md").read_text()


def test_the_steps_fit_the_limit_and_the_folder(runner, tmp_path):
    steps = gpu_check.plan(ROOT, runner, tmp_path, {}, False)
    assert sum(step.seconds for step in steps if step.name != "compute-sanitizer") <= gpu_check.TOTAL_SECONDS + 60
    assert gpu_check.TOTAL_SECONDS + gpu_check.GRACE_SECONDS < 480
    for step in steps:
        for word in step.command:
            if word.startswith(str(ROOT)):
                assert Path(word).exists(), word


def test_no_python_with_cupy_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "missing", lambda *_: ["cupy"])
    monkeypatch.setattr(gpu_check, "quiet", lambda *_: "")
    with pytest.raises(RuntimeError, match=r"lacks cupy\. With a network: make"):
        gpu_check.choose_python(tmp_path, tmp_path)


def test_the_machines_own_python_gets_a_copy(tmp_path, monkeypatch):
    """Where there is no .venv that would do: from what is installed already, with no network."""
    root, folder = tmp_path / "root", tmp_path / "scratch"
    folder.mkdir()
    for part in ("deepcore", "kernels", "benchmarks"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, root)
    monkeypatch.setattr(gpu_check, "NEEDED", ("numpy", "pytest"))
    runner = gpu_check.choose_python(root, folder)
    assert runner.python == sys.executable
    assert runner.environment["PYTHONPATH"].split(os.pathsep)[0] == str(folder / "installed")
    said = gpu_check.subprocess.run(
        [runner.python, "-c", "import deepcore.kernels; print(deepcore.kernels.__file__)"],
        env=runner.environment,
        cwd=runner.folder,
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == str(folder / "installed" / "deepcore" / "kernels" / "__init__.py"), said.stderr


def test_missing_packages_are_named(runner):
    assert "no_such_package" in gpu_check.missing(sys.executable, runner.environment, runner.folder, "no_such_package")
    assert gpu_check.missing("/nowhere/python", {}, runner.folder) == ["Python itself"]
