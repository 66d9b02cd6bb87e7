"""``deepcore emulate``."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import runner
from emulator.marks import KERNELS, marks

from deepcore.cli import app


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "140")
    return lambda *words: runner().invoke(app, ["emulate", *map(str, words)], catch_exceptions=False)


def saxpy(*more):
    return (KERNELS / "values.cu", "saxpy", "--arg", "x=float32:8:arange", "--arg", "a=2", "--arg", "n=8", *more)


def test_right_kernel(run):
    result = run(*saxpy("--arg", "y=float32:8:ones"))
    assert result.exit_code == 0
    assert "No findings" in result.stdout
    assert "y = [ 1.,  3.,  5.,  7.,  9., 11., 13., 15.]" in result.stdout


def test_counters(run):
    line = min(marks("counters.cu", "strided", "COST"))
    words = (KERNELS / "counters.cu", "strided", "--arg", "x=float32:16x16:random", "--arg", "y=float32:32:empty")
    result = run(*words, "--check")
    assert result.exit_code == 0
    (row,) = [row for row in result.stdout.splitlines() if f"counters.cu:{line}" in row]
    assert row.split()[1:] == ["global", "load", "4", "B", "1", "32", "32", "sectors", "4", "8.00"]


def test_findings_end_with_status_1(run):
    words = (KERNELS / "planted.cu", "missing_barrier", "--block", "64", "--arg", "x=float32:64:random")
    result = run(*words, "--arg", "y=float32:64:empty", "--arg", "planted=1", "--check", "--schedule", "random")
    assert result.exit_code == 1
    (line,) = marks("planted.cu", "missing_barrier", "FINDING")
    assert f"race in missing_barrier at planted.cu:{line}, block (0,0,0) thread (" in result.stdout


def test_files_macros_and_shared_memory(run, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4, dtype=np.float32))
    file = tmp_path / "flip.cu"
    file.write_text(
        'extern "C" __global__ void flip(const T* x, T* y) {\n'
        "  extern __shared__ T kept[];\n  kept[threadIdx.x] = x[threadIdx.x] * SCALE;\n  __syncthreads();\n"
        "  y[threadIdx.x] = kept[3 - threadIdx.x];\n}\n"
    )
    words = (file, "flip", "--define", "T=float", "--define", "SCALE=2", "--shared", "16", "--block", "4")
    result = run(*words, "--arg", f"x={tmp_path / 'x.npy'}", "--arg", "y=float32:4:empty", "--check")
    assert result.exit_code == 0
    assert "y = [6., 4., 2., 0.]" in result.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (saxpy(), "missing: y"),
        (saxpy("--arg", "y"), "--arg 'y' has no value"),
        (saxpy("--arg", "y=float33:8:ones"), "NumPy knows no dtype 'float33'"),
        (saxpy("--arg", "y=float32:8:twos"), "Unknown fill 'twos'"),
        (saxpy("--arg", "y=what"), "is no number, no .npy file and no DTYPE:SHAPE:FILL"),
        (saxpy("--arg", "y=float64:8:ones"), "an array of float64 was passed; float32 is expected"),
        (saxpy("--arg", "y=float32:8:ones", "--block", "2048"), "from 1 to"),
    ],
)
def test_misuse_ends_with_status_2_and_a_sentence(run, words, says):
    result = run(*words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_missing_compiler(run, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    result = run(*saxpy("--arg", "y=float32:8:ones"))
    assert result.exit_code == 2
    assert "The emulator needs a C++ compiler" in result.stderr
