"""A stand-in for CuPy and its GPUs, over NumPy and the emulator, so that the way to a GPU is tested without one.

It is stricter than CuPy where CuPy is lenient: an array that is used while another GPU is current, a NumPy array that
meets one of a GPU, and a look at values by any other way than a copy to pinned memory, raise. Copies run as late as
the stream's order allows, so that a buffer that is used again too early shows. What NVRTC would compile, the emulator
runs.
"""

from __future__ import annotations

import inspect
import re
import sys
import weakref
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from deepcore import backend
from deepcore.backend import cuda, dispatch
from deepcore.backend.cuda import carrier, cubin, memory, transfer
from deepcore.device import _auto, _from_environment
from deepcore.kernels.emulator import Module


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


class NVRTCError(RuntimeError):
    """As CuPy's."""


class Machine:
    """The GPUs: which is current, what is in their memory, and what their streams have still to do."""

    def __init__(self, count=1, capability=(9, 0), room=1 << 30):
        self.count, self.capability, self.room = count, capability, room
        self.current = [0]
        self.used = [0] * count
        self.kept = [0] * count  # freed, but held by the pool
        self.queue = []
        self.compiled = []
        self.launched = []
        self.copies = []
        self.hooks = []

    def flush(self):
        while self.queue:
            self.queue.pop(0)()


def _aligned(count):
    raw = np.empty(count + 256, np.uint8)
    start = -raw.ctypes.data % 256
    return raw[start : start + count]


def make(machine):
    """The module ``cupy`` of ``machine``."""

    class Pointer:
        def __init__(self, bytes_):
            self.bytes = bytes_

        @property
        def ptr(self):
            return self.bytes.ctypes.data

        def __add__(self, offset):
            return Pointer(self.bytes[offset:])

        def _later(self, what, target, source):
            machine.copies.append((what, target.nbytes))
            machine.queue.append(lambda: target.__setitem__(slice(None), source))

        def copy_from_host_async(self, host, count):
            self._later("to device", self.bytes[:count], _at(host, count))

        def copy_to_host_async(self, host, count):
            self._later("to host", _at(host, count), self.bytes[:count])

    def _at(address, count):
        import ctypes

        return np.frombuffer((ctypes.c_uint8 * count).from_address(address), np.uint8)

    class Device:
        def __init__(self, index=None):
            self.id = machine.current[-1] if index is None else index
            if not 0 <= self.id < machine.count:
                raise CUDARuntimeError("cudaErrorInvalidDevice")

        def __enter__(self):
            machine.current.append(self.id)
            return self

        def __exit__(self, *_):
            machine.current.pop()

        @property
        def compute_capability(self):
            return "{}{}".format(*machine.capability)

        @property
        def mem_info(self):
            taken = machine.used[self.id] + machine.kept[self.id]
            return machine.room - taken, machine.room

    class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801
        __module__ = "cupy"

        def __init__(self, values, index):
            self.values, self.index = values, index
            self.device = Device(index)

        def read(self):
            """The values, to whoever runs on this GPU."""
            assert machine.current[-1] == self.index, (
                f"an array of GPU {self.index} was used while {machine.current[-1]} is current"
            )
            machine.flush()
            return self.values

        @property
        def data(self):
            flat = self.values.reshape(-1)
            assert np.shares_memory(flat, self.values) or not flat.size
            return Pointer(flat.view(np.uint8))

        shape = property(lambda self: self.values.shape)
        dtype = property(lambda self: self.values.dtype)
        ndim = property(lambda self: self.values.ndim)
        size = property(lambda self: self.values.size)
        nbytes = property(lambda self: self.values.nbytes)
        strides = property(lambda self: self.values.strides)
        flags = property(lambda self: self.values.flags)
        T = property(lambda self: wrapped(self.values.T, self.index))

        @property
        def __cuda_array_interface__(self):
            return {"data": (self.data.ptr, False)}

        def __dlpack_device__(self):
            return 2, self.index

        def __len__(self):
            return len(self.values)

        def __array__(self, *_, **__):
            raise TypeError("Implicit conversion to a NumPy array is not allowed.")

        def __bool__(self):
            raise AssertionError("a hidden wait: the truth of an array on a GPU was asked for")

        __float__ = __int__ = __index__ = __bool__

        def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
            options = bare(kwargs) if out is None else {**bare(kwargs), "out": bare(out)}
            result = getattr(ufunc, method)(*bare(inputs), **options)
            return out[0] if out is not None else wrapped(result, self.index)

        def __getitem__(self, index):
            return wrapped(self.read()[bare(index)], self.index)

        def __setitem__(self, index, value):
            self.read()[bare(index)] = bare(value)

        def copy(self):
            machine.flush()
            return allocated(self.values, machine.current[-1])

    def _method(name):
        def method(self, *args, **kwargs):
            return wrapped(getattr(self.read(), name)(*bare(args), **bare(kwargs)), self.index)

        return method

    for name in ("astype", "reshape", "sum", "mean", "max", "min", "argmax", "argmin", "transpose", "fill", "squeeze"):
        setattr(ndarray, name, _method(name))
    for name in ("any", "all", "view"):
        setattr(ndarray, name, _method(name))

    def bare(value):
        if isinstance(value, ndarray):
            return value.read()
        if isinstance(value, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>: it would have to be copied to the GPU")
        if isinstance(value, (tuple, list)):
            return type(value)(bare(part) for part in value)
        if isinstance(value, dict):
            return {key: bare(part) for key, part in value.items()}
        return value

    def wrapped(value, index):
        if isinstance(value, np.ndarray):
            owner = value if value.base is None else None
            return ndarray(value, index) if owner is None else allocated(value, index)
        if isinstance(value, np.generic):
            return ndarray(np.asarray(value), index)
        if isinstance(value, (tuple, list)):
            return type(value)(wrapped(part, index) for part in value)
        return value

    def allocated(values, index):
        """A new array of the pool."""
        count = max(512, values.nbytes)
        if machine.used[index] + machine.kept[index] + count > machine.room:
            raise OutOfMemoryError(f"Out of memory allocating {count} bytes")
        memory_ = _aligned(values.nbytes)
        new = memory_.view(values.dtype).reshape(values.shape)
        new[...] = values
        machine.used[index] += count

        def free():
            machine.used[index] -= count
            machine.kept[index] += count

        weakref.finalize(new.base if new.base is not None else new, free)
        for hook in machine.hooks:
            hook.malloc_postprocess(device_id=index, size=count)
        return ndarray(new, index)

    class Event:
        def __init__(self, disable_timing=False):
            self.done = True

        def record(self):
            self.done = False
            machine.queue.append(lambda: setattr(self, "done", True))

        def synchronize(self):
            machine.flush()

    class MemoryHook:
        def __enter__(self):
            machine.hooks.append(self)

    class Pool:
        def used_bytes(self):
            return machine.used[machine.current[-1]]

        def total_bytes(self):
            return machine.used[machine.current[-1]] + machine.kept[machine.current[-1]]

        def free_all_blocks(self):
            machine.kept[machine.current[-1]] = 0

    class Program:
        def __init__(self, text, name):
            self.text, self.name, self.log = text, name, ""

    def compile_program(program, options):
        assert any(re.fullmatch(r"-arch=sm_\d+a?", option) for option in options)
        if "#error" in program.text:
            program.log = f"{program.name}(1): error: #error was found"
            raise NVRTCError("NVRTC_ERROR_COMPILATION")
        machine.compiled.append(program.name)

    class RawModule:
        def __init__(self, path):
            text = Path(path).read_text(encoding="utf-8")
            self.index = machine.current[-1]
            head, _, rest = text.partition("#line 1 ")
            macros = dict(re.findall(r"^#define (\w+) (.*)$", head, re.MULTILINE))
            file = re.match(r'"([^"]+)"', rest)[1]
            source = Path(carrier.__file__).parents[3] / "kernels" / "cuda" / file
            self.module = Module(source, defines=macros)

        def get_function(self, name):
            return Function(self.module, name, self.index)

    class Function:
        def __init__(self, module, name, index):
            self.module, self.name, self.index = module, name, index
            self.max_dynamic_shared_size_bytes = 48 << 10

        def __call__(self, grid, block, args, shared_mem=0):
            assert machine.current[-1] == self.index
            assert shared_mem <= self.max_dynamic_shared_size_bytes
            values = []
            for parameter, value in zip(self.module.signatures[self.name].parameters, args, strict=True):
                if parameter.is_pointer:
                    assert isinstance(value, ndarray) or value == np.uint64(0)
                    values.append(value.read() if isinstance(value, ndarray) else None)
                else:
                    assert isinstance(value, (np.generic, np.ndarray)), "a number whose size is not that declared"
                    values.append(value)
            machine.flush()
            self.module.launch(self.name, grid, block, values, shared=shared_mem)
            machine.launched.append((self.name, self.index))

    module = ModuleType("cupy")
    module.__version__ = "0 (stand-in)"
    module.ndarray = ndarray

    def here(function):
        def run(*args, **kwargs):
            return allocated(function(*args, **kwargs), machine.current[-1])

        return run

    for name in ("empty", "zeros", "ones", "full", "arange"):
        setattr(module, name, here(getattr(np, name)))

    def asarray(value):
        assert isinstance(value, ndarray)
        return value

    module.asarray = asarray

    def module_getattr(name):
        known = getattr(np, name)
        if isinstance(known, np.ufunc) or not inspect.isroutine(known):
            return Ufunc(known) if isinstance(known, np.ufunc) else known
        return lambda *args, **kwargs: wrapped(known(*bare(args), **bare(kwargs)), machine.current[-1])

    class Ufunc:
        def __init__(self, known):
            self.known = known

        def __call__(self, *args, **kwargs):
            return wrapped(self.known(*bare(args), **bare(kwargs)), machine.current[-1])

        def at(self, array, index, values):
            self.known.at(array.read(), bare(index), bare(values))

    module.__getattr__ = module_getattr
    module.RawModule = RawModule
    pool = Pool()
    module.get_default_memory_pool = lambda: pool
    module.cuda = SimpleNamespace(
        Device=Device,
        Event=Event,
        MemoryHook=MemoryHook,
        alloc_pinned_memory=bytearray,
        get_cuda_path=lambda: None,
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceCount=lambda: machine.count,
            getDevice=lambda: machine.current[-1],
            getDeviceProperties=lambda index: {
                "name": b"Stand-in",
                "major": machine.capability[0],
                "minor": machine.capability[1],
            },
        ),
        nvrtc=SimpleNamespace(
            NVRTCError=NVRTCError,
            getVersion=lambda: (13, 0),
            createProgram=lambda text, name, headers, names: Program(text, name),
            compileProgram=compile_program,
            getProgramLog=lambda program: program.log,
            getCUBIN=lambda program: program.text.encode(),
            destroyProgram=lambda program: None,
        ),
    )
    return module


def _forget():
    """Everything that is remembered of GPUs."""
    for cached in (
        cuda.probe,
        cuda._judge,
        _auto,
        _from_environment,
        backend.gpu_backend,
        carrier._loaded,
        carrier._module,
        cubin._cuda_headers,
    ):
        cached.cache_clear()
    dispatch._choices.clear()
    transfer._staging.clear()
    memory._peaks.clear()
    memory._gpu_allocations.clear()


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """``gpus(count, capability, room)`` makes this machine one with GPUs, until the test ends."""
    if "cupy" in sys.modules:
        pytest.skip("NOT TESTED WITH A STAND-IN: the real CuPy is loaded already")

    def install(count=1, capability=(9, 0), room=1 << 30):
        machine = Machine(count, capability, room)
        module = make(machine)
        monkeypatch.setitem(sys.modules, "cupy", module)
        monkeypatch.setitem(sys.modules, "cupy.cuda", module.cuda)
        monkeypatch.setattr(cuda, "driver_version", lambda: (13, 0))
        _forget()
        return machine

    yield install
    _forget()
