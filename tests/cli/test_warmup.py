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


def test_loops_of_numba(tmp_path):
    """In a process of its own, because a loop that this one has compiled is neither a hit nor a miss."""
    program = (
        "from deepcore.benchmarks import warmup\n"
        "every, warmup._smallest = warmup.others, lambda cases: []\n"
        "warmup.others = lambda *args: [call for call in every(*args) if call[0] == 'dropout']\n"
        "warmup._pieces = lambda: []\n"
        "done = warmup.warmup('cpu', ['lenet'])\n"
        "print(done.hits, done.misses, sorted({each.name for each in done.compiled}), done.bytes > 1000)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "DEEPCORE_DISABLE_JIT": "0"}
    told = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
        for _ in range(2)
    ]
    (hits, misses, *first), (hits_again, misses_again, *again) = (done.stdout.split() for done in told)
    assert (hits, misses_again) == ("0", "0")
    assert misses == hits_again != "0"
    assert first == again
    assert any("dropout" in name for name in first)
    assert first[-1] == "True"


def test_pieces_of_the_cpu_kernels(tmp_path):
    program = (
        "from deepcore.benchmarks import warmup\n"
        "from deepcore.kernels.cpu import warm\n"
        "every = list(warm.kernels())\n"
        "warmup._pieces = lambda: every[::25]\n"
        "warmup.others, warmup._smallest = lambda *args: [], lambda cases: []\n"
        "done = warmup.warmup('cpu', ['lenet'])\n"
        "print(done.hits, done.misses, len(every[::25]), done.bytes > 1000, done.folder)"
    )
    environment = {**os.environ, "DEEPCORE_HOME": str(tmp_path), "DEEPCORE_DISABLE_JIT": "0"}
    told = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
        for _ in range(2)
    ]
    (hits, misses, count, *rest), (hits_again, misses_again, *_) = (done.stdout.split() for done in told)
    assert (hits, misses) == ("0", count)
    assert (hits_again, misses_again) == (count, "0")
    assert rest == ["True", str(tmp_path / "kernels")]


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
