"""Compiling ahead: what is compiled, and what is told of it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
from emulated import lend_what_all_builds_share

from deepcore.backend import FILES, numpy_backend
from deepcore.benchmarks import warmup
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.suite import LENET
from deepcore.kernels.emulator import has_compiler

CASES = [case for layer in LENET.layers for case in cases_of(LENET, layer)]


def test_every_operation_of_the_contract_is_called():
    contract = {
        name for file in FILES for name in importlib.import_module(f"deepcore.backend.numpy.{file}").__all__
    } - {"ACTIVATIONS"}
    called = {name for name, _ in warmup.others(numpy_backend(), "float32", 4, 8)}
    # Layers of the suites call the others.
    assert contract - called == {
        *("conv2d_dgrad", "conv2d_wgrad", "matmul", "max_pool2d_fprop", "max_pool2d_dgrad"),
        *("avg_pool2d_fprop", "avg_pool2d_dgrad"),
    }
    for name, call in warmup.others(numpy_backend(), "float64", 4, 8):
        assert name in contract
        call()


@pytest.mark.skipif(not has_compiler(), reason="NO C++ COMPILER: the CUDA backend is not available here at all")
def test_what_a_suite_needs_is_what_its_layers_launch():
    from deepcore.backend import emulated_backend
    from deepcore.backend.cuda.carrier import dry

    needed = warmup.builds(CASES)
    assert len(needed) == len(set(needed))
    assert {file.stem for file, _ in needed} >= {"conv", "matmul_mma", "pool", "softmax", "optimizer", "norm", "philox"}
    with dry() as kernels:
        for case in CASES:
            case.run(emulated_backend(), case.zeros())
    launched = {(kernel.file, tuple(sorted(kernel.defines.items()))) for kernel in kernels}
    assert launched
    assert launched <= set(needed)
    assert all(dict(macros)["T"] == "double" for file, macros in warmup.builds((), "float64") if file.stem == "norm")


@pytest.mark.skipif(not has_compiler(), reason="NO C++ COMPILER: nothing can be compiled for the emulator")
def test_misses_are_compiled_and_then_hit(run, monkeypatch, tmp_path):
    lend_what_all_builds_share(tmp_path / "kernels")
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path))
    builds = warmup.builds(CASES)
    few = [build for build in builds if build[0].stem == "embedding"]
    assert len(few) == 1
    monkeypatch.setattr(warmup, "builds", lambda cases, dtype: few)
    first = run("warmup", "--device", "emulator", "--suite", "lenet")
    assert first.exit_code == 0, first.stderr
    assert "emulator: 0 hits, 1 misses" in first.stdout
    assert f"MiB in {tmp_path / 'kernels'}" in " ".join(first.stdout.split())
    assert "embedding.cu" in first.stdout.split()
    assert len(list((tmp_path / "kernels").glob("*.so"))) == 1
    assert "emulator: 1 hits, 0 misses" in run("warmup", "--device", "emulator", "--suite", "lenet").stdout


def test_ctrl_c_ends_with_a_sentence(run, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(warmup, "warmup", interrupted)
    ended = run("warmup", "--suite", "lenet")
    assert ended.exit_code == 130
    assert ended.stdout == ""
    assert ended.stderr == ("Interrupted: what was compiled so far is kept; the same command compiles the rest.\n")


def in_a_process(program, **settings):
    """What a program prints, in a process of its own: what this one has compiled is neither a hit nor a miss."""
    environment = {**os.environ, "DEEPCORE_DISABLE_JIT": "0", **{name: str(value) for name, value in settings.items()}}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_loops_of_numba(tmp_path):
    program = (
        "from deepcore.benchmarks import warmup\n"
        "few = [work for work in warmup._cpu_works(['lenet'], 'float32') if work[0] == 'dropout']\n"
        "warmup._cpu_works = lambda suites, dtype: few\n"
        "done = warmup.warmup('cpu', ['lenet'])\n"
        "print(done.hits, done.misses, sorted({each.name for each in done.compiled}), done.bytes > 1000)"
    )
    hits, misses, *first = in_a_process(program, NUMBA_CACHE_DIR=tmp_path, DEEPCORE_HOME=tmp_path)
    hits_again, misses_again, *again = in_a_process(program, NUMBA_CACHE_DIR=tmp_path, DEEPCORE_HOME=tmp_path)
    assert (hits, misses_again) == ("0", "0")
    assert misses == hits_again != "0"
    assert first == again
    assert any("dropout" in name for name in first)
    assert first[-1] == "True"


def test_pieces_of_the_cpu_kernels(tmp_path):
    program = (
        "from deepcore.benchmarks import warmup\n"
        "few = [work for work in warmup._cpu_works(['lenet'], 'float32') if work[0] == 'kernels/cpu'][::25]\n"
        "warmup._cpu_works = lambda suites, dtype: few\n"
        "done = warmup.warmup('cpu', ['lenet'])\n"
        "print(done.hits, done.misses, len(few), done.bytes > 1000, done.folder)"
    )
    hits, misses, count, *rest = in_a_process(program, DEEPCORE_HOME=tmp_path)
    hits_again, misses_again, *_ = in_a_process(program, DEEPCORE_HOME=tmp_path)
    assert (hits, misses) == ("0", count)
    assert (hits_again, misses_again) == (count, "0")
    assert rest == ["True", str(tmp_path / "kernels")]


def test_a_first_step_asks_for_nothing_that_was_not_compiled_ahead():
    """Of a network like those of the suite, on batches of other sizes; nothing that follows a warmup says so."""
    program = """
import numpy as np
import deepcore
from deepcore import layers, naming
from deepcore.benchmarks import warmup
from deepcore.kernels.cpu import library, warm

ahead, function = set(), library.function
library.function = lambda name, make: len(ahead) if ahead.add(name) is None else 0  # by name: they are many
for make in warm.kernels():
    make()
library.function = function
deepcore.random.set_seed(3)
drawn, named = deepcore.random.default_generator().offset, dict(naming._used)
for name, run in warmup._cpu_works(["lenet"], "float32"):
    if name.startswith(("lenet", "random")):
        run()
assert deepcore.random.default_generator().offset == drawn and naming._used == named
before = warmup._asked_for()
ahead |= set(library.asked_for())
assert any(name.startswith("row ") for name in ahead) and any(name.startswith("pooling ") for name in ahead)

model = deepcore.Sequential([
    layers.Input((28, 28, 1)),
    layers.Conv2D(6, 5, padding="same", activation="relu"),
    layers.MaxPooling2D(),
    layers.Conv2D(16, 5, activation="relu"),
    layers.AveragePooling2D(2),
    layers.Flatten(),
    layers.Dense(120, activation="relu"),
    layers.Dense(84, activation="relu"),
    layers.Dense(10),
])
model.compile("adam", deepcore.losses.SparseCategoricalCrossentropy(from_logits=True))
x, y = np.zeros((96, 28, 28, 1), np.float32), np.zeros(96, np.int32)
for batch in (1, 32):
    model.fit(x[:2 * batch], y[:2 * batch], batch, verbose=0)
    model.predict(x, batch, verbose=0)
print(*sorted(set(library.asked_for()) - ahead), sep="; ")
after = warmup._asked_for()
print(*sorted(file for file, what in after if not what and after[file, what] != before.get((file, what))), sep="; ")
"""
    assert in_a_process(program) == []


def test_without_numba_there_is_nothing_to_compile(run, monkeypatch):
    monkeypatch.setenv("DEEPCORE_DISABLE_JIT", "1")
    result = run("warmup", "--device", "cpu", "--suite", "lenet")
    assert (result.exit_code, result.stdout) == (0, "cpu: nothing to compile\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "lanet"], "Unknown suite 'lanet'. Did you mean 'lenet'"),
        (["--dtype", "int8"], "float32 or float64; got 'int8'"),
        (["--device", "gpu"], "Unknown device 'gpu'"),
    ],
)
def test_what_cannot_be_compiled_is_said(arguments, words, run):
    result = run("warmup", *(arguments if "--device" in arguments else ["--device", "cpu", *arguments]))
    assert result.exit_code == 2
    assert words in result.stderr
