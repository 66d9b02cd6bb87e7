"""``deepcore bench``: exit codes, files, what is selected, and what is left after Ctrl-C."""

import os
import sys

import numpy as np
import pytest
from benchmark_examples import row

import deepcore
from deepcore.benchmarks import peer
from deepcore.benchmarks.learner import KerasLearner
from deepcore.benchmarks.peer import Known, Peer, Variant
from deepcore.benchmarks.row import read
from deepcore.benchmarks.train import measure as measure_training
from deepcore.cli.bench.ops import select
from deepcore.errors import UnsupportedCallError

QUICK = ("--repeats", 2, "--seconds", 0, "--warm", "--batch", 1)


def test_rows_are_shown_and_kept(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    result = run("bench", "ops", "--suite", "lenet", *QUICK, "--json", path, "--output-dir", tmp_path / "kept")
    assert result.exit_code == 0, result.stderr
    rows = list(read(path))
    assert len(rows) == 5 * 3 + 2 * 2
    assert {row.direction for row in rows} == {"fprop", "dgrad", "wgrad"}
    assert all(row.correct and row.chosen and row.batch == 1 and row.cache == "warm" for row in rows)
    assert "LeNet-5 (LeCun et al. 1998), 28x28x1: batch 1, float32, warm cache, cpu, whole call" in result.stdout
    assert "lenet, batch 1: forward" in result.stdout
    assert "Measured on" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout
    (kept,) = (tmp_path / "kept").glob("ops-*.jsonl")
    assert list(read(kept)) == rows
    assert kept.with_suffix(".txt").read_text(encoding="utf-8") == result.stdout


def test_a_second_run_appends(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    for _ in range(2):
        assert run("bench", "ops", "--suite", "lenet", "--layer", "fc3", *QUICK, "--json", path).exit_code == 0
    assert len(list(read(path))) == 6


def test_a_wrong_implementation_ends_with_status_1_and_no_speed(run, tmp_path, plant, genuine):
    right = genuine("matmul")
    plant("matmul", "planted", lambda *arguments: right(*arguments) * np.float32(1.001))
    path = tmp_path / "rows.jsonl"
    result = run("bench", "ops", "--suite", "lenet", "--layer", "fc1", "-a", *QUICK, "--json", path)
    assert result.exit_code == 1
    lines = [line for line in result.stdout.splitlines() if "▸ planted" in line]
    assert len(lines) == 3
    assert all("WRONG" in line and " us" not in line and " ms" not in line for line in lines)
    rows = list(read(path))
    assert f"3 of {len(rows)} rows are WRONG; a wrong result has no speed." in result.stdout
    assert {"planted", "numpy"} <= {row.implementation for row in rows}
    assert all(row.correct == (row.implementation != "planted") for row in rows)
    assert all((row.p50 is None) == (row.implementation == "planted") for row in rows)


def test_ctrl_c_keeps_and_shows_the_finished_rows(run, tmp_path, plant, genuine):
    right = genuine("matmul")
    seen = []

    def interrupted(a, *others):
        if a.shape not in seen:
            seen.append(a.shape)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return right(a, *others)

    plant("matmul", "planted", interrupted)
    path = tmp_path / "rows.jsonl"
    result = run("bench", "ops", "--suite", "lenet", "--op", "matmul", "--direction", "fprop", *QUICK, "--json", path)
    assert result.exit_code == 130
    assert [row.layer for row in read(path)] == ["fc1", "fc2"]
    assert "fc2" in result.stdout
    assert "fc3" not in result.stdout
    assert "Interrupted: 2 of 3 rows were measured and kept." in result.stdout


def test_what_cannot_run_is_listed_with_its_reason(run, plant):
    plant("matmul", "absent", print, available=lambda: (False, "no such machine"))
    result = run("bench", "ops", "--suite", "lenet", "--op", "matmul", "--direction", "fprop", "-a", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "matmul absent, on lenet fc1 and 2 more: no such machine" in result.stdout


def test_a_named_implementation_is_measured_though_not_chosen(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    result = run(
        "bench", "ops", "--suite", "lenet", "--layer", "conv2", "--implementation", "numpy", *QUICK, "--json", path
    )
    assert result.exit_code == 0, result.stderr
    assert {row.implementation for row in read(path)} == {"numpy"}


def names(cases):
    return {(case.suite, case.layer, case.direction) for case in cases}


def test_selection():
    assert {suite for suite, _, _ in names(select((), (), (), ()))} == {"lenet", "vgg16", "resnet50", "mobilenet"}
    assert {suite for suite, _, _ in names(select(("all",), (), (), ()))} >= {"alexnet", "deepbench", "pooling"}
    twice = select(("cpu", "vgg16"), ("conv*",), (), ("fprop",))
    assert len(names(twice)) == len(twice)
    found = names(select(("vgg16",), ("conv5*", "pool5"), (), ("fprop", "wgrad")))
    assert found == {("vgg16", "conv5_1", "fprop"), ("vgg16", "conv5_1", "wgrad"), ("vgg16", "pool5", "fprop")}
    assert names(select(("lenet",), (), ("avg_pool2d",), ("all",))) == {
        ("lenet", layer, direction) for layer in ("pool1", "pool2") for direction in ("fprop", "dgrad")
    }
    assert {case.op for case in select(("lenet",), (), ("conv2d_dgrad",), ())} == {"conv2d_dgrad"}
    own_batch = {case.batch for case in select(("deepbench",), ("ocr*",), (), ())}
    assert own_batch == {16}
    assert {case.batch for case in select(("deepbench",), ("ocr*",), (), (), batch=3)} == {3}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--suite", "vgg"], "Unknown suite 'vgg'. Did you mean 'vgg16'"),
        (["--suite", "lenet", "--layer", "conv9"], "Unknown layer 'conv9'. Did you mean 'conv"),
        (["--op", "conv"], "Unknown operation 'conv'. Did you mean 'conv2d"),
        (["--direction", "forward"], "Unknown direction 'forward'."),
        (["--dtype", "float46"], "Unknown dtype 'float46'. Did you mean 'float64'"),
        (["--device", "tpu"], "Unknown benchmark device 'tpu'"),
        (["--device", "emulator"], "The emulator is not timed: its seconds say nothing about a GPU."),
        (["--suite", "lenet", "--implementation", "nunpy"], "Unknown implementation 'nunpy'. Did you mean 'numpy'"),
        (["--implementation", "numpy", "-a"], "exclude each other"),
        (["--against", "tensorflow"], "Unknown peer 'tensorflow'. Known: all,"),
        (["--threads", "4096"], "4096 threads were asked for; this process may use"),
        (["--clock", "cpy"], "Unknown clock 'cpy'. Did you mean 'cpu'"),
        (["--suite", "lenet", "--layer", "pool1", "--direction", "wgrad"], "Nothing to measure"),
    ],
)
def test_misuse_ends_with_status_2_and_one_sentence(run, arguments, sentence):
    result = run("bench", "ops", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(run, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("bench", "ops", "--suite", "lenet", *QUICK, "--json", tmp_path / "file" / "rows.jsonl")
    assert result.exit_code == 2
    assert "file" in result.stderr
    assert result.stdout == ""


@pytest.fixture
def other(monkeypatch):
    """A library that multiplies as NumPy does, in the list of those that are known, and one that is not installed."""
    matmul = Variant("plain", "row-major", list, lambda a: a[0] @ a[1], lambda y: y)

    def variants(case):
        if case.op != "matmul" or case.direction != "fprop":
            raise UnsupportedCallError("only multiplies forwards")
        return [matmul]

    def learners(network, training):
        return [KerasLearner(network, deepcore, "by another name")]

    def open_other(threads):
        return Peer("other", "9.1", threads, variants, learners, {"threads": str(threads), "huge": "yes"})

    known = {
        "other": Known("numpy", "pip install other", open_other),
        "absent": Known("no_such_package", "pip install absent", open_other),
    }
    monkeypatch.setattr(peer, "PEERS", known)
    monkeypatch.setattr(peer, "NETWORK_PEERS", known)


@pytest.mark.usefixtures("other", "threads_put_back")
def test_another_library_in_the_same_run(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    only = ("--suite", "lenet", "--op", "matmul", "--direction", "fprop", "--direction", "wgrad")
    result = run("bench", "ops", *only, *QUICK, "--against", "other", "--threads", 1, "--clock", "cpu", "--json", path)
    assert result.exit_code == 0, result.stderr
    rows = list(read(path))
    assert [(row.layer, row.direction, row.peer) for row in rows] == [
        *(
            (layer, *kind)
            for layer in ("fc1", "fc2", "fc3")
            for kind in (("fprop", ""), ("fprop", "other"), ("wgrad", ""))
        )
    ]
    assert all(row.threads == 1 and row.blas_threads == 1 and row.clock == "cpu" for row in rows)
    assert all((row.ratio_p50 is not None) == (row.peer == "other") for row in rows)
    assert "lenet matmul against other 9.1: " in result.stdout
    assert "other 9.1 on 1 thread; huge=yes." in result.stdout
    assert "other 9.1, on lenet fc1 and 2 more: only multiplies forwards" in result.stdout


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("command", ["ops", "train", "predict", "memory"])
def test_a_library_that_is_not_installed_is_named_before_anything_is_measured(command, run):
    result = run("bench", command, "--against", "other,absent")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: absent is not installed. Install with: pip install absent.\n")
    assert result.stdout == ""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="on one core every run has one thread")
def test_processor_time_needs_one_thread(run):
    result = run("bench", "ops", "--clock", "cpu")
    assert result.exit_code == 2
    assert "--clock cpu is the time of a call only on one thread, not on" in result.stderr


def test_dispatchs_choices_are_judged_where_all_are_measured(run):
    result = run("bench", "ops", "--suite", "lenet", "--layer", "conv2", "-a", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "Did dispatch choose the fastest?" in result.stdout
    assert "of 3 cases; together its choices take" in result.stdout
    assert "Did dispatch" not in run("bench", "ops", "--suite", "lenet", "--layer", "conv2", *QUICK).stdout


FEW = ("--batch", 2, "--repeats", 1, "--seconds", 0)


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("train", "--network", "mlp", "--network", "lenet5", "--steps", 1), "Training: a whole step"),
        (("predict", "--network", "mlp", "--network", "lenet5"), "Inference: a whole network"),
    ],
)
def test_whole_networks(command, words, run, tmp_path):
    path = tmp_path / "rows.jsonl"
    kept = tmp_path / "kept"
    result = run("bench", *command, *FEW, "--against", "all", "--json", path, "--output-dir", kept)
    assert result.exit_code == 0, result.stderr
    rows = list(read(path))
    assert [(row.layer, row.peer) for row in rows] == [(n, p) for n in ("mlp", "lenet5") for p in ("", "other")]
    assert all(row.correct and row.batch == 2 and row.repeats == 1 for row in rows)
    assert words in result.stdout
    assert "other 9.1 by another name" in result.stdout
    (lines,) = kept.glob(f"{command[0]}-*.jsonl")
    assert list(read(lines)) == rows
    assert lines.with_suffix(".txt").read_text(encoding="utf-8") == result.stdout


def test_ctrl_c_keeps_the_networks_that_were_measured(run, tmp_path, monkeypatch):
    measured = []

    def interrupted(network, *arguments):
        if measured:
            raise KeyboardInterrupt
        measured.append(network)
        return measure_training(network, *arguments)

    monkeypatch.setattr("deepcore.benchmarks.train.measure", interrupted)
    path = tmp_path / "rows.jsonl"
    result = run("bench", "train", *FEW, "--steps", 1, "--json", path)
    assert result.exit_code == 130
    assert [row.layer for row in read(path)] == ["mlp"]
    assert "Interrupted: 1 of 3 rows were measured and kept." in result.stdout


def test_memory(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    result = run("bench", "memory", "--network", "mlp", "--batch", 2, "--threads", 1, "--json", path)
    assert result.exit_code == 0, result.stderr
    (row,) = read(path)
    assert row.peak_bytes > row.bytes
    assert "Peak memory of a training step" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "--network", "mpl"), "Unknown network 'mpl'. Did you mean 'mlp'"),
        (("predict", "--clock", "wall"), "Unknown clock 'wall'."),
        (("memory", "--against", "tensorflow"), "Unknown peer 'tensorflow'. Known: all,"),
        (("memory", "--network", "mlp", "--threads", "4096"), "4096 threads were asked for"),
    ],
)
def test_misuse_of_networks_ends_with_status_2_and_one_sentence(run, arguments, sentence):
    result = run("bench", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_kept_rows_are_reported(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    theirs = row(peer="torch", ratio_p20=1.0, ratio_p50=1.25, ratio_p80=1.5)
    path.write_text(f"{row().to_json()}\n{theirs.to_json()}\n", encoding="utf-8")
    result = run("bench", "report", path)
    assert result.exit_code == 0, result.stderr
    assert "| lenet conv1 | 32x28x28x1 · 5x5x1x6 | 1.2 | 1.25 |  |  |" in result.stdout

    missing = run("bench", "report", path, "--against", "jax")
    assert missing.exit_code == 2
    assert "No row compares deepcore with jax" in missing.stderr


def test_kept_rows_are_drawn(run, tmp_path, monkeypatch):
    path, picture = tmp_path / "rows.jsonl", tmp_path / "ratios.svg"
    theirs = row(peer="torch", ratio_p20=1.0, ratio_p50=1.25, ratio_p80=1.5)
    path.write_text(f"{row().to_json()}\n{theirs.to_json()}\n", encoding="utf-8")
    result = run("bench", "report", path, "--plot", picture)
    assert result.exit_code == 0, result.stderr
    assert "LeNet's convolutions, fprop" in picture.read_text(encoding="utf-8")

    wrong = run("bench", "report", path, "--plot", tmp_path / "ratios.nothing")
    assert wrong.exit_code == 2
    assert "nothing" in wrong.stderr

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    bare = run("bench", "report", path, "--plot", picture)
    assert bare.exit_code == 2
    assert "pip install 'deepcore[plot]'" in bare.stderr
