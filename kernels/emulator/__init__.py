"""Runs CUDA kernels on NumPy arrays, with no GPU: the ``.cu`` files that a GPU runs, compiled by g++.

Every CUDA thread is a fiber. Fast mode runs a kernel; check mode (``check=True``) also finds races, out-of-bounds,
misaligned and uninitialised accesses, and counts for each source line how well it used memory.

>>> source = '''
... extern "C" __global__ void saxpy(const T* __restrict__ x, T* __restrict__ y, T a, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) y[i] += a * x[i];
... }
... '''
>>> import numpy
>>> x, y = numpy.arange(4, dtype="float32"), numpy.ones(4, "float32")
>>> if has_compiler():
...     module = Module(source, defines={"T": "float"})
...     report = module.launch("saxpy", grid=1, block=32, args=[x, y, 2.0, 4])
... else:
...     y += 2 * x
>>> y
array([1., 3., 5., 7.], dtype=float32)

``source`` may be a path: ``Module("kernels/cuda/pool.cu", check=True)``. A launch whose kernel is at fault raises
:class:`EmulatorError`, whose ``findings`` say kind, source line, block and thread; with ``strict=False`` they are in
the report that ``launch`` returns. ``report.counters`` and ``report.lint()`` tell of memory. See :class:`Module`.

Asynchronous copies, mbarriers, TMA and tensor cores are those of ``kernels/cuda/ptx.cuh``; arrays for TMA are passed as
:func:`tensor_map`. All of them work as late as the program allows, so that a missing wait shows.

Not modelled: time, registers, caches; blocks that run at once and wait for each other; cooperative groups, clusters and
their shared memory, multicast, tensor stores, ``setmaxnreg``; the order in which a tensor core adds. An access that
leaves one ``__shared__`` array for its neighbour is seen if the array was declared by ``DC_SHARED``.
"""

from __future__ import annotations

from deepcore.kernels.emulator.builder import BuildError, Compiler, CompilerNotFoundError, compiler
from deepcore.kernels.emulator.module import Module
from deepcore.kernels.emulator.report import Counter, EmulatorError, Finding, Report
from deepcore.kernels.emulator.tensor_map import TensorMap, im2col_map, tensor_map


def has_compiler() -> bool:
    """Whether kernels can be built here; :func:`compiler` says why not."""
    try:
        compiler()
    except CompilerNotFoundError:
        return False
    return True


__all__ = [
    "BuildError",
    "Compiler",
    "CompilerNotFoundError",
    "Counter",
    "EmulatorError",
    "Finding",
    "Module",
    "Report",
    "TensorMap",
    "compiler",
    "has_compiler",
    "im2col_map",
    "tensor_map",
]
