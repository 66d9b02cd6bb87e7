"""Numba's siblings of the CUDA kernels: their values in Numba's simulator, their compilation for a GPU, their listing.

Numba reads at its import whether to simulate, so that the values come from a process of their own. They are held
against the NumPy implementation and against the kernel that the emulator runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import siblings
from matrix import check

import deepcore
from deepcore.backend import dispatch
from deepcore.backend.cuda import pool, sibling
from deepcore.backend.dispatch import Call, choose, implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry, FlatGeometry, Pool2DGeometry, RowsGeometry
from deepcore.errors import DeviceMismatchError, UnsupportedCallError

DIRECTORY = Path(__file__).parent
NAMES = siblings.siblings()
EXACT = ("max_pool2d_fprop", "max_pool2d_gather", "embedding_gather", "random_bits", "random_uniform", "dropout")

needs_numba_cuda = pytest.mark.skipif(
    not sibling._numba_cuda_installed(),
    reason="NUMBA'S SIBLINGS ARE NOT TESTED: neither numba-cuda nor a Numba with numba.cuda is installed",
)


def _run(mode, file, **environment):
    paths = (str(DIRECTORY.parent), os.environ.get("PYTHONPATH", ""))
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    # Philox wraps around, of which NumPy's scalars warn, in the simulator only.
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:overflow", str(DIRECTORY / "siblings.py"), mode, str(file)],
        env={**inherited, "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True,
        text=True,
    )


@contextmanager
def _held_to_the_first(backend):
    """Every operation that has a sibling runs as NumPy, or as the ``.cu`` kernel beside the sibling."""
    with ExitStack() as held:
        for op, name in NAMES:
            known = {record.name for record in implementations(op)}
            other = name.replace("-numba", "") if backend == "cuda" else name.replace("cuda-numba", "numpy")
            assert other in known
            held.enter_context(use_implementation(op, other))
        yield


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    file = tmp_path_factory.mktemp("siblings") / "values.npz"
    done = _run("values", file, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stdout + done.stderr
    return np.load(file)


@needs_numba_cuda
@pytest.mark.parametrize("dtype", siblings.DTYPES)
@pytest.mark.parametrize("backend", ["numpy", "cuda"])
def test_values(simulated, backend, dtype):
    reached = set()
    for op, label, run in siblings.calls(backend, dtype):
        with _held_to_the_first(backend):
            expected = run()
        reached.add(op)
        for place, value in enumerate(expected):
            actual = simulated[f"{dtype}/{op}/{label}/{place}"]
            if op in EXACT:
                assert actual.dtype == value.dtype, (op, label)
                np.testing.assert_array_equal(actual, value, err_msg=f"{op} {label}")
            else:
                check(actual, value, dtype, length=9)
    assert reached == {op for op, _ in NAMES}, "a sibling without a call in siblings.py, or a call without a sibling"


@needs_numba_cuda
def test_each_compiles_for_a_gpu(tmp_path):
    file = tmp_path / "ptx.json"
    done = _run("ptx", file)
    if done.returncode == siblings.NO_COMPILER:
        pytest.skip(f"THE SIBLINGS ARE NOT COMPILED FOR A GPU: {done.stdout.splitlines()[0]}")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    assert {tuple(pair) for pair in found["launched"]} == {(t, op) for t in siblings.DTYPES for op, _ in NAMES}
    for signature, kernel in found["compiled"].items():
        assert kernel["entry"], signature
        assert kernel["float64"] == ("float64" in signature), f"{signature}: float64 instructions are {kernel}"


def test_what_is_listed():
    ops = {op for op, _ in NAMES}
    assert ops == {
        *(
            "activation_dgrad",
            "avg_pool2d_dgrad",
            "avg_pool2d_fprop",
            "bias_activation",
            "conv2d_dgrad",
            "conv2d_fprop",
        ),
        *("dropout", "embedding_gather", "max_pool2d_dgrad", "max_pool2d_fprop", "max_pool2d_gather", "random_bits"),
        "random_uniform",
        *(f"{rule}_update" for rule in ("adadelta", "adagrad", "adam", "adamax", "blend", "ftrl", "lion", "momentum")),
        *(f"{rule}_update" for rule in ("nadam", "rmsprop", "sgd")),
    }


def test_explained_on_the_emulator():
    text = str(deepcore.explain("max_pool2d", (2, 8, 8, 3), pool_size=2, device="emulator"))
    (line,) = (line for line in text.split("max_pool2d_dgrad")[0].splitlines() if " cuda-numba " in line)
    assert "the emulator cannot run Numba's kernels" in line
    assert "→" not in line


GEOMETRIES = {
    "pool": (Pool2DGeometry.of((2, 8, 8, 3), 2, 2), Pool2DGeometry.of((256, 112, 112, 64), 3, 2)),
    "conv": (
        Conv2DGeometry.of((2, 8, 8, 3), (3, 3, 1, 3), groups=3),
        Conv2DGeometry.of((64, 56, 56, 256), (3, 3, 1, 256), groups=256),
    ),
    "rows": (RowsGeometry(3, 5), RowsGeometry(4096, 4096)),
    "flat": (FlatGeometry(7), FlatGeometry(10**8)),
}


def _geometries(op):
    kind = "pool" if "pool" in op else "conv" if "conv" in op else "flat" if _is_flat(op) else "rows"
    return GEOMETRIES[kind]


def _is_flat(op):
    return op.endswith("_update") or op in ("dropout", "random_bits", "random_uniform")


@pytest.fixture
def gpu(monkeypatch):
    """Dispatch believes that this machine has a GPU."""
    monkeypatch.setattr(sibling, "probe", lambda: (True, "a GPU"))
    monkeypatch.setattr(sibling, "_numba_cuda_installed", lambda: True)
    monkeypatch.setattr(sibling, "simulated", lambda: False)
    dispatch._choices.clear()
    yield
    dispatch._choices.clear()


@pytest.mark.parametrize(("op", "name"), NAMES)
def test_never_before_the_cuda_kernel(gpu, op, name):
    dtype = "uint32" if op == "random_bits" else "float32"
    for geometry in _geometries(op):
        (record,) = (record for record in implementations(op) if record.name == name)
        assert record.verdict(Call(op, dtype, geometry))[0]
        assert choose(op, dtype, geometry, "cuda").name != name


def test_only_float32_and_float64(gpu):
    (record,) = (record for record in implementations("dropout") if record.name == "cuda-numba")
    assert record.verdict(Call("dropout", "int32", FlatGeometry(7))) == (
        False,
        "compiled for float32 and float64, not int32",
    )


def test_what_is_missing_is_named(gpu, monkeypatch):
    monkeypatch.setattr(sibling, "_numba_cuda_installed", lambda: False)
    ok, reason = sibling.numba_on_gpu()
    assert not ok
    assert "numba-cuda is not installed; pip install 'deepcore[cuda1" in reason
    monkeypatch.setenv("DEEPCORE_DISABLE_JIT", "1")
    assert "DEEPCORE_DISABLE_JIT" in sibling.numba_on_gpu()[1]


def test_the_emulators_arrays_are_refused(gpu):
    x = np.ones((1, 4, 4, 1), np.float32)
    with (
        use_implementation("max_pool2d_fprop", "cuda-numba"),
        pytest.raises(UnsupportedCallError, match=r"max_fprop_thread runs on a GPU and was given NumPy arrays"),
    ):
        pool.max_pool2d_fprop(x, Pool2DGeometry.of(x.shape, 2, 2))


class _OnGpu:
    """What the launch asks of a CuPy array."""

    def __init__(self, device):
        self.device = SimpleNamespace(id=device)


_OnGpu.__module__ = "cupy"


@pytest.fixture
def recorded(monkeypatch, gpu):
    """A CuPy and a numba.cuda that only write down what they are told."""
    cuda = SimpleNamespace(
        get_current_device=lambda: SimpleNamespace(id=0),
        as_cuda_array=lambda value, sync=True: ("view", value, sync),
        external_stream=lambda pointer: ("stream", pointer),
    )
    cupy = SimpleNamespace(cuda=SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=1234)))
    launches = []
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "numba.cuda", cuda)
    fake = SimpleNamespace(launch=lambda *args: launches.append(args))
    monkeypatch.setitem(sys.modules, "deepcore.kernels.numba.gpu", fake)
    return launches


def test_launched_on_the_stream_of_the_arrays_without_waiting(recorded):
    p, g = _OnGpu(0), _OnGpu(0)
    sibling.numba_launch("optimizer", "sgd_element", 1000, p, g, np.float32(0.5))
    ((element, blocks, threads, stream, count, args),) = recorded
    assert element.py_func.__name__ == "sgd_element"
    assert (blocks, threads, stream, count) == (4, 256, ("stream", 1234), 1000)
    assert args == (("view", p, False), ("view", g, False), np.float32(0.5))


def test_arrays_of_another_gpu_are_refused(recorded):
    with pytest.raises(DeviceMismatchError, match="Numba is at work on cuda:0"):
        sibling.numba_launch("optimizer", "sgd_element", 5, _OnGpu(1), _OnGpu(1), np.float32(0.5))
    assert not recorded


def test_nothing_is_launched_for_nothing(recorded):
    sibling.numba_launch("optimizer", "sgd_element", 0, _OnGpu(0), _OnGpu(0), np.float32(0.5))
    assert not recorded


def test_the_cpu_imports_none_of_it():
    code = """
import sys
import numpy as np
import deepcore
from deepcore.backend.dispatch import use_implementation
from deepcore.backend.numpy import pool
from deepcore.backend.geometry import Pool2DGeometry
with use_implementation("max_pool2d_fprop", "numba"):
    pool.max_pool2d_fprop(np.ones((1, 4, 4, 1), np.float32), Pool2DGeometry.of((1, 4, 4, 1), 2, 2))
deepcore.explain("max_pool2d", (1, 4, 4, 1), device="emulator")
assert "numba" in sys.modules
found = [name for name in sys.modules if name.startswith(("numba.cuda", "numba_cuda", "cupy"))]
assert not found, found
"""
    environment = {name: value for name, value in os.environ.items() if name != "DEEPCORE_DISABLE_JIT"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
