"""The clocks of a GPU, on a stand-in for CuPy whose events tell a time that the test sets.

Nothing here says how fast anything is: the GPU's time passes only where the stand-in lets it.
"""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import pytest

import deepcore.device
from deepcore.backend import numpy_backend
from deepcore.benchmarks import device as bench
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.clock import Rotation
from deepcore.benchmarks.suite import LENET


class Array(np.ndarray):
    """Memory of the GPU: NumPy's, with CuPy's two ways over the bus."""

    log: list

    def set(self, source):
        self.log.append(("set", source.nbytes))
        self[...] = source

    def get(self, out):
        self.log.append(("get", out.nbytes))
        out[...] = self


class Gpu(types.ModuleType):
    """What stands for the module ``cupy``. ``now`` is the GPU's time; work adds to it when it is queued."""

    def __init__(self):
        super().__init__("cupy")
        self.now, self.host, self.log, self.busy_cycles = 0.0, 0.0, [], []
        gpu = self
        Array.log = self.log

        class Event:
            def record(self):
                self.at = max(gpu.now, gpu.host)
                gpu.now = self.at

            def synchronize(self):
                pass

        class RawKernel:
            def __init__(self, code, name):
                assert f"void {name}(long long" in code

            def __call__(self, grid, block, arguments):
                gpu.busy_cycles.append(int(arguments[0]))
                gpu.now = max(gpu.now, gpu.host) + int(arguments[0]) / 1e9

        runtime = types.SimpleNamespace(
            getDeviceProperties=lambda index: {"name": b"Stand-In 1", "l2CacheSize": 1 << 16},
            driverGetVersion=lambda: 13000,
            deviceGetAttribute=lambda attribute, index: {13: 1_000_000}[attribute],
        )
        self.cuda = types.SimpleNamespace(
            Event=Event,
            runtime=runtime,
            Device=lambda index=0: types.SimpleNamespace(synchronize=self.synchronize),
            get_elapsed_time=lambda begin, end: (end.at - begin.at) * 1e3,
            alloc_pinned_memory=bytearray,
        )
        self.RawKernel = RawKernel

    def synchronize(self):
        self.host = self.now = max(self.host, self.now)

    def asarray(self, array):
        return np.array(array).view(Array)

    def asnumpy(self, array):
        return np.array(array)


@pytest.fixture
def gpu(monkeypatch):
    module = Gpu()
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    place = types.SimpleNamespace(backend=numpy_backend())
    monkeypatch.setattr(deepcore.device, "as_device", lambda name: place)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: module.host)
    return module


@pytest.fixture
def cuda(gpu):
    return bench.open_device("cuda")


def launching(gpu, host_seconds, gpu_seconds):
    """A call whose launch takes the host some time, and the GPU some."""

    def call(arrays):
        gpu.host += host_seconds
        gpu.now = max(gpu.now, gpu.host) + gpu_seconds
        return arrays[0] + 1

    return call


def test_it_says_which_gpu_it_is(cuda):
    assert (cuda.gpu, cuda.driver, cuda.cache_bytes, cuda.kind) == ("Stand-In 1", "CUDA 13.0", 1 << 16, "cuda")


@pytest.mark.parametrize("launch", [1e-5, 5e-3])
def test_the_kernel_clock_sees_the_gpu_alone(cuda, gpu, launch):
    """Also where the launch takes longer than the GPU is kept busy at first."""
    rotation = Rotation([np.zeros(8, np.float32)], 0, cuda.to_device)
    for _ in range(3):
        assert cuda.seconds("kernel", launching(gpu, launch, 2e-4), rotation) == pytest.approx(2e-4)
    assert len(gpu.busy_cycles) == (3 if launch < 1e-3 else 4)  # one more try, with a longer head start
    assert gpu.busy_cycles[-1] / 1e9 > launch


def test_the_launch_clock_sees_the_host_as_well(cuda, gpu):
    rotation = Rotation([np.zeros(8, np.float32)], 0, cuda.to_device)
    assert cuda.seconds("launch", launching(gpu, 3e-4, 2e-4), rotation) == pytest.approx(5e-4)


def test_the_transfer_clock_moves_everything_there_and_back(cuda, gpu):
    x = np.arange(8, dtype=np.float32)
    rotation = Rotation([x, x[:3]], 4096, cuda.to_device)
    call = launching(gpu, 1e-4, 2e-4)
    for _ in range(2):
        gpu.log.clear()
        assert cuda.seconds("transfer", call, rotation) == pytest.approx(3e-4)
        assert gpu.log == [("set", 32), ("set", 12), ("get", 32)]
    _, sources, targets = cuda._staged
    np.testing.assert_array_equal(sources[0], x)
    np.testing.assert_array_equal(targets[0], x + 1)
    assert cuda.transfer_bytes("transfer", [x, x[:3]], [x]) == 76
    assert cuda.transfer_bytes("kernel", [x], [x]) == cuda.transfer_bytes("launch", [x], [x]) == 0


def test_rows_of_three_clocks(cuda, gpu, monkeypatch):
    from deepcore.benchmarks import run

    monkeypatch.setattr(cuda, "kind", "cpu")  # the stand-in's arrays are NumPy's
    to_stand_in = lambda shape, dtype: cuda.to_device(np.empty(shape, dtype))  # noqa: E731
    for file, plans in (("matmul", "_way"), ("product", "_plan")):
        module = importlib.import_module(f"deepcore.backend.numpy.{file}")
        monkeypatch.setattr(module, "empty", to_stand_in)
        monkeypatch.setattr(module, "LARGE", 0)  # no result is so small that it is made without that
        getattr(module, plans).cache_clear()
    (job,) = run.plan(cases_of(LENET, LENET.layers[-1], ["fprop"], 2), cuda)
    rows = run.measure(job, cuda, run.Setting(repeats=3, seconds=0.0))
    assert [(row.clock, row.correct, row.transfer_bytes > 0) for row in rows] == [
        ("kernel", True, False),
        ("launch", True, False),
        ("transfer", True, True),
    ]
    assert {(row.device, row.gpu, row.driver) for row in rows} == {("cuda", "Stand-In 1", "CUDA 13.0")}


def test_the_emulator_is_not_timed():
    with pytest.raises(ValueError, match="The emulator is not timed: its seconds say nothing about a GPU"):
        bench.open_device("emulator")
