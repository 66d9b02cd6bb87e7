"""The GPU: what it needs, whether this machine has it, and the exact reason if not.

Nothing here imports CuPy before a GPU is first asked for.
"""

from __future__ import annotations

import ctypes
import functools

from deepcore.backend.dispatch import Answer
from deepcore.errors import DeviceUnavailableError

LOWEST_CAPABILITY = (7, 5)


@functools.cache
def driver_version() -> tuple[int, int] | None:
    """The CUDA version that the installed NVIDIA driver supports, as (major, minor); None without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


def install_line() -> str:
    """The command that installs what deepcore needs for this machine's driver."""
    version = driver_version()
    extra = "cuda12" if version is not None and version[0] == 12 else "cuda13"
    return f"pip install 'deepcore[{extra}]'"


@functools.cache
def probe() -> Answer:
    """Whether a GPU can be used here, and why not: asked once, the reason kept."""
    if driver_version() is None:
        return False, (
            f"no NVIDIA driver answers on this machine (libcuda.so.1); a GPU needs the driver and then {install_line()}"
        )
    try:
        import cupy
    except Exception as error:  # a broken CUDA installation raises more than ImportError
        return False, f"CuPy cannot be imported ({type(error).__name__}: {error}); {install_line()}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return False, f"the driver answers, but offers no GPU ({error}); see nvidia-smi"
    if count == 0:
        return False, "the driver answers, but this machine has no GPU; see nvidia-smi"
    return _judge(0)


@functools.cache
def _judge(index: int) -> Answer:
    """Whether GPU ``index``, which is there, can run the kernels."""
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(index)
    name, capability = properties["name"].decode(), (properties["major"], properties["minor"])
    described = f"{name}, compute capability {capability[0]}.{capability[1]}"
    if capability < LOWEST_CAPABILITY:
        return False, (
            f"{described}, is older than the kernels are written for; they need "
            f"{LOWEST_CAPABILITY[0]}.{LOWEST_CAPABILITY[1]} (Turing, 2018) or later"
        )
    count = cupy.cuda.runtime.getDeviceCount()
    more = f", one of {count} GPUs" if count > 1 else ""
    major, minor = driver_version() or (0, 0)
    return True, f"{described}{more}; driver for CUDA {major}.{minor}, CuPy {cupy.__version__}"


def _probe_other(index: int) -> Answer:
    ok, reason = probe()
    if driver_version() is None or (not ok and "compute capability" not in reason):
        return False, reason
    import cupy

    count = cupy.cuda.runtime.getDeviceCount()
    if index >= count:
        there = "only cuda" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        return False, f"this machine has {count} GPU{'s' if count > 1 else ''}: {there}"
    return _judge(index)


def emulator_probe() -> Answer:
    """Whether the kernels can be emulated here, which takes a C++ compiler, and what to install if not."""
    from deepcore.kernels.emulator import CompilerNotFoundError, compiler

    try:
        tool = compiler()
    except CompilerNotFoundError as error:
        return False, str(error)
    return True, f"CUDA kernels on NumPy arrays, built by {tool.version.split(' -m')[0]}"


def require(name: str, index: int = 0) -> None:
    """Raises ``DeviceUnavailableError`` with the reason unless GPU ``index``, called ``name``, can be used."""
    ok, reason = probe() if index == 0 else _probe_other(index)
    if not ok:
        raise DeviceUnavailableError(f"device {name!r} was asked for, but {reason}. device='cpu' works everywhere.")
