"""A stand-in for CuPy, so that code above the kernels meets arrays that NumPy cannot read, on a machine without a GPU.

Its arrays take only what CuPy's take: their own methods and operators, the functions of their own namespace, and
numbers. NumPy's functions, NumPy arrays beside them, ``float(x)`` and ``bool(x)`` raise. Kernels run on the emulator.
So what runs on the stand-in computes nothing on a GPU's arrays with NumPy and reads none of them unasked. It is
stricter than CuPy, which has NumPy's functions call its own, and waits for the GPU to give a Python number.
"""

from __future__ import annotations

import contextlib
import sys
import types
from unittest import mock

import numpy as np

from deepcore.backend import Backend
from deepcore.backend.cuda import carrier, memory, transfer
from deepcore.backend.cuda.array import empty as aligned
from deepcore.device import Device, use_device

NUMBERS = (bool, int, float, complex, np.generic)

# What CuPy has of these parts of NumPy, and the operations that can be put into equal places of an array.
LINALG = """
cholesky cond cross det eig eigh eigvals eigvalsh inv lstsq matmul matrix_power matrix_rank matrix_transpose norm pinv
qr slogdet solve svd tensordot tensorinv tensorsolve vecdot LinAlgError
"""
FFT = """
fft fft2 fftfreq fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2 rfftfreq rfftn
"""
SCATTERED = ("add", "maximum", "minimum")


class HiddenNumpyError(TypeError):
    """Something was done to an array on a GPU that only an array on the CPU allows."""


def _refused(what):
    def refuse(self, *args, **kwargs):
        raise HiddenNumpyError(f"{what} was asked of an array on the GPU, of {self.dtype} and shape {self.shape}")

    return refuse


class GpuArray:
    """An array that NumPy cannot read; ``get`` copies it to the CPU, as CuPy's does."""

    def __init__(self, host):
        self.host = host

    __array__ = _refused("np.asarray, or another function of NumPy,")
    __array_ufunc__ = _refused("A function of NumPy")
    __array_function__ = _refused("A function of NumPy")
    __float__ = __int__ = __index__ = __bool__ = _refused("a Python number")
    item = tolist = _refused("item() or tolist()")
    __hash__ = None

    def get(self):
        return self.host.copy()

    @property
    def flags(self):
        return self.host.flags

    @property
    def data(self):
        """CuPy's handle on the memory, with its address."""
        return types.SimpleNamespace(ptr=self.host.ctypes.data)

    @property
    def device(self):
        return types.SimpleNamespace(id=0)

    def __getitem__(self, key):
        return wrapped(self.host[unwrapped_index(key)])

    def __setitem__(self, key, value):
        self.host[unwrapped_index(key)] = unwrapped(value)

    def __len__(self):
        return len(self.host)

    def __iter__(self):
        return map(wrapped, self.host)

    def __repr__(self):
        return f"GpuArray({self.dtype}, {self.shape})"


def unwrapped(value):
    """What NumPy can compute with. Raises for an array on the CPU where one on the GPU belongs."""
    if isinstance(value, GpuArray):
        return value.host
    if isinstance(value, np.ndarray):
        raise HiddenNumpyError(f"a NumPy array of {value.dtype} and shape {value.shape} met arrays on the GPU")
    if isinstance(value, list | tuple):
        return type(value)(unwrapped(item) for item in value)
    return value


def unwrapped_index(key):
    """Indices may be NumPy arrays and lists: CuPy copies them to the GPU."""
    if isinstance(key, tuple):
        return tuple(unwrapped_index(part) for part in key)
    return key.host if isinstance(key, GpuArray) else key


def wrapped(value):
    """NumPy's results as arrays on the GPU; results without axes stay arrays there, as CuPy's do."""
    if isinstance(value, np.ndarray):
        return GpuArray(value)
    if isinstance(value, np.generic):
        return GpuArray(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(map(wrapped, value))
    return value


def _method(name):
    def method(self, *args, **kwargs):
        return wrapped(getattr(self.host, name)(*map(unwrapped, args), **kwargs))

    return method


def _attribute(name):
    return property(lambda self: getattr(self.host, name))


def _operator(name):
    def operate(self, other):
        if not isinstance(other, (GpuArray, *NUMBERS)):
            if isinstance(other, np.ndarray):
                unwrapped(other)
            return NotImplemented
        return wrapped(getattr(self.host, name)(unwrapped(other)))

    return operate


def _in_place(name):
    def operate(self, other):
        getattr(self.host, name)(unwrapped(other))
        return self

    return operate


for _name in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides"):
    setattr(GpuArray, _name, _attribute(_name))
for _name in (
    "reshape",
    "astype",
    "copy",
    "fill",
    "transpose",
    "ravel",
    "squeeze",
    "view",
    "swapaxes",
    "sum",
    "take",
    "argmax",
):
    setattr(GpuArray, _name, _method(_name))
GpuArray.real = property(lambda self: GpuArray(self.host.real))
GpuArray.imag = property(lambda self: GpuArray(self.host.imag))
GpuArray.T = property(lambda self: GpuArray(self.host.T))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    setattr(GpuArray, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(GpuArray, f"__r{_name}__", _operator(f"__r{_name}__"))
    setattr(GpuArray, f"__i{_name}__", _in_place(f"__i{_name}__"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(GpuArray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("neg", "abs", "invert"):
    setattr(GpuArray, f"__{_name}__", _method(f"__{_name}__"))


class _OnlyGpu(contextlib.nullcontext):
    """The GPU that is always the current one."""

    compute_capability = "90"


class Part(types.ModuleType):
    """What stands for a module of CuPy: the functions of NumPy's, on arrays on the GPU, that CuPy's has too."""

    def __init__(self, name, numpys, names):
        super().__init__(f"cupy.{name}")
        self.numpys, self.names = numpys, names.split()

    def __getattr__(self, name):
        if name not in self.names:
            raise AttributeError(f"{self.__name__} has no {name}")
        function = getattr(self.numpys, name)
        if isinstance(function, type):
            return function
        return lambda *args, **kwargs: wrapped(function(*map(unwrapped, args), **kwargs))


class Namespace(types.ModuleType):
    """What stands for the module ``cupy``: NumPy's functions on arrays on the GPU, and which were used."""

    ndarray = GpuArray
    index = 0  # of the GPU, where a backend's namespace says it
    cuda = types.SimpleNamespace(Device=_OnlyGpu, memory=types.SimpleNamespace(OutOfMemoryError=MemoryError))

    def __init__(self):
        super().__init__("cupy")
        self.used = set()
        self.linalg = Part("linalg", np.linalg, LINALG)
        self.fft = Part("fft", np.fft, FFT)

    def __getattr__(self, name):
        function = getattr(np, name)
        if name.startswith("_") or isinstance(function, type) or not callable(function):
            return function

        def call(*args, **kwargs):
            self.used.add(name)
            return wrapped(function(*map(unwrapped, args), **{key: unwrapped(v) for key, v in kwargs.items()}))

        if name in SCATTERED:
            call.at = lambda array, index, values: function.at(
                unwrapped(array), unwrapped_index(index), unwrapped(values)
            )
        return call

    def asarray(self, value, dtype=None):
        """As ``array``: what is on the CPU is copied to the GPU, where it was asked for by this name."""
        self.used.add("asarray")
        host = value.host if isinstance(value, GpuArray) else np.array(value)
        return GpuArray(host if dtype is None else host.astype(dtype))

    array = asarray

    def empty(self, shape, dtype=float):
        new = aligned(shape, dtype, like=np.empty(0))
        new.reshape(-1).view(np.uint8).fill(0xFF)
        return GpuArray(new)

    def zeros(self, shape, dtype=float):
        return GpuArray(np.zeros(shape, dtype))

    def ones(self, shape, dtype=float):
        return GpuArray(np.ones(shape, dtype))


def _memory(value):
    """What the emulator takes: an array's memory; numbers and structures as they are."""
    return value.host if isinstance(value, GpuArray) else value


class StandInCarrier(carrier.CupyCarrier):
    """Runs kernels on such arrays on the emulator."""

    def owns(self, array):
        return isinstance(array, GpuArray)

    def address(self, array):
        return 0

    def launch(self, kernel, grid, block, values, shared, memory=()):
        carrier.EMULATOR.launch(
            kernel, grid, block, [_memory(value) for value in values], shared, [_memory(array) for array in memory]
        )


@contextlib.contextmanager
def stand_in():
    """Within the block new tensors live on a GPU that is not there; gives its namespace."""
    xp, before = Namespace(), sys.modules.get("cupy")
    device = Device("cuda")
    # Only this one: patch.dict would also forget the modules that are imported meanwhile.
    sys.modules["cupy"] = xp
    try:
        with contextlib.ExitStack() as patches:
            for module, name, value in (
                (carrier, "CUPY", StandInCarrier()),
                (memory, "note_allocation", lambda index: None),
                (transfer, "to_device", lambda host, index: GpuArray(np.array(host))),
                (transfer, "to_host", lambda array: array.host.copy()),
            ):
                patches.enter_context(mock.patch.object(module, name, value))
            device.__dict__["backend"] = Backend("cuda", xp, 0)  # where the property keeps what it found
            with use_device(device):
                yield xp
    finally:
        del sys.modules["cupy"]
        if before is not None:
            sys.modules["cupy"] = before
