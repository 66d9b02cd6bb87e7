"""Numba's siblings of the CUDA kernels: the loops of ``kernels/numba/``, whose bodies the GPU runs as well.

Each is listed as ``cuda-numba`` beside the kernel from a ``.cu`` file, so that the two can be read and timed side by
side. They take CuPy arrays on CuPy's current stream, without waiting for it, and NumPy arrays in Numba's simulator. The
emulator cannot run them: it runs C++.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.backend.cuda import install_line, probe
from deepcore.backend.cuda.carrier import CUPY
from deepcore.backend.cuda.cost import LAUNCH, THREADS, grid_for
from deepcore.backend.dispatch import Answer, Call
from deepcore.errors import DeviceMismatchError, UnsupportedCallError

# Estimates, like all of cost.py. Numba's launch examines every argument anew, and takes an array apart into its sizes.
NUMBA_LAUNCH = 4.0e-5
# One element a thread, located by 64-bit divisions: no vectors of 16 bytes, no divisors prepared before the launch.
SLOWER = 1.5

SIMULATED_BLOCKS, SIMULATED_THREADS = 2, 3  # each a Python thread; a loop takes the items that are left


def simulated() -> bool:
    """Whether Numba's CUDA simulator is on. Numba reads the variable when it is imported."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def numba_on_gpu() -> Answer:
    """Whether Numba can run CUDA kernels here, and what that takes; imports nothing where there is no driver."""
    if os.environ.get("DEEPCORE_DISABLE_JIT", "0") not in ("", "0"):
        return False, "DEEPCORE_DISABLE_JIT is set; unset it to compile loops with Numba"
    if not simulated():
        ok, reason = probe()
        if not ok:
            return (
                False,
                f"{reason}; the emulator cannot run Numba's kernels, but with NUMBA_ENABLE_CUDASIM=1 Numba can",
            )
    if not _numba_cuda_installed():
        return False, f"numba-cuda is not installed; {install_line()}"
    return True, "in Numba's simulator" if simulated() else "compiled by Numba"


def numba_supports(call: Call) -> Answer:
    """float32 and float64 of any size: Numba counts in 64 bits."""
    if call.dtype in ("float32", "float64"):
        return True, "float32 or float64, any shape"
    return False, f"compiled for float32 and float64, not {call.dtype}"


def numba_cost(sibling: Callable[[Call], float], launches: int = 1) -> Callable[[Call], float]:
    """The cost of doing with Numba what ``sibling`` is the cost of: always more than that."""

    def cost(call: Call) -> float:
        return SLOWER * sibling(call) + launches * (NUMBA_LAUNCH - LAUNCH)

    return cost


def numba_launch(file: str, thread: str, count: int, *args: Any) -> None:
    """Runs ``thread(item, *args)`` of ``kernels/numba/<file>.py`` for every item below ``count``.

    Args:
        args: C-contiguous arrays, NumPy scalars and tuples of ints.

    Raises ``UnsupportedCallError`` for NumPy arrays outside of the simulator, and ``DeviceMismatchError`` for arrays of
    another GPU than Numba's current one.
    """
    if count == 0:
        return
    function = getattr(importlib.import_module(f"deepcore.kernels.numba.{file}"), thread)
    arrays = [value for value in args if isinstance(value, np.ndarray)]
    if arrays and not simulated():
        raise UnsupportedCallError(
            f"cuda-numba: {thread} runs on a GPU and was given NumPy arrays, which are the emulator's; that runs .cu "
            "files only. Set NUMBA_ENABLE_CUDASIM=1 before the start to run it in Numba's simulator."
        )
    gpu = importlib.import_module("deepcore.kernels.numba.gpu")
    if simulated():
        gpu.launch(function, SIMULATED_BLOCKS, SIMULATED_THREADS, 0, count, args)
        return
    import cupy

    cuda: Any = importlib.import_module("numba.cuda")
    here = cuda.get_current_device().id
    owned = [value for value in args if CUPY.owns(value)]
    if any(value.device.id != here for value in owned):
        raise DeviceMismatchError(f"cuda-numba: Numba is at work on cuda:{here}; the arrays of {thread} must be there.")
    # sync=False: the arrays are used on the very stream that they came from.
    views = tuple(cuda.as_cuda_array(value, sync=False) if CUPY.owns(value) else value for value in args)
    stream = cuda.external_stream(cupy.cuda.get_current_stream().ptr)
    gpu.launch(function, grid_for(count), THREADS, stream, count, views)


@functools.cache
def _numba_cuda_installed() -> bool:
    if importlib.util.find_spec("numba") is None:
        return False
    # Numba's own numba.cuda serves as well, but is gone from its later versions.
    return any(importlib.util.find_spec(name) is not None for name in ("numba_cuda", "numba.cuda"))
