"""What the implementations on a GPU cost, in seconds on the reference machine, for dispatch to compare.

The reference machine is an H200 by its data sheet: nothing here was measured. Only the order among implementations of
one call counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepcore.backend.cuda import emulator_probe, probe
from deepcore.backend.cuda.carrier import CUPY, EMULATOR
from deepcore.backend.dispatch import Answer, Call

LAUNCH = 5.0e-6  # one kernel, from Python to the GPU
BYTES = 4.0e12  # of device memory, a second
FLOPS = 5.0e13  # float32 multiply-adds on CUDA cores, counting two
# Multiply-adds on tensor cores, counting two, of 16-bit factors; of TF32 half as many. The data sheet's rate is that of
# wgmma. mma.sync is assumed to reach three fifths of it.
TENSOR_FLOPS = 9.9e14 * 3 / 5
THREADS = 256
PACKED_THREADS = 4 * THREADS  # elements of a block whose threads take 16 bytes each
MOST_BLOCKS = 132 * 16  # enough to fill every multiprocessor several times; loops take the rest


def grid_for(size: int, threads: int = THREADS) -> int:
    """Blocks for a grid-stride loop over ``size`` elements."""
    return max(1, min(-(-size // threads), MOST_BLOCKS))


def item_bytes(dtype: str) -> int:
    """Bytes of one element."""
    return {"float16": 2, "bfloat16": 2, "float64": 8}.get(dtype, 4)


def wide_bytes(dtype: str) -> int:
    """Bytes of one element as it is computed: 16 bits are computed in float32."""
    return max(4, item_bytes(dtype))


def memory_cost(passes: float, launches: int = 1) -> Callable[[Call], float]:
    """The cost of reading or writing the whole array ``passes`` times."""

    def cost(call: Call) -> float:
        return launches * LAUNCH + passes * _size(call.geometry) * item_bytes(call.dtype) / BYTES

    return cost


def _size(geometry: Any) -> int:
    if hasattr(geometry, "rows"):
        return int(geometry.rows * geometry.columns)
    if hasattr(geometry, "size"):
        return int(geometry.size)
    n, h, w, c = geometry.x_shape
    return int(n * h * w * c)


def supports_floating(call: Call) -> Answer:
    """The floating dtypes; what is stored in 16 bits is computed in float32."""
    if call.dtype in ("bfloat16", "float16", "float32", "float64"):
        return True, "float16, bfloat16, float32 or float64, any shape"
    return False, f"built for float16, bfloat16, float32 and float64, not {call.dtype}"


def supports_wide(call: Call) -> Answer:
    """float32 and float64: what is updated in small steps, which 16 bits would round away."""
    if call.dtype in ("float32", "float64"):
        return True, "float32 or float64, any shape"
    return False, f"built for float32 and float64, not {call.dtype}"


def gpu_or_emulator() -> Answer:
    """Whether kernels can run here: on a GPU, or on the emulator, which needs a C++ compiler."""
    ok, reason = probe()
    if ok:
        return True, reason
    emulated, why = emulator_probe()
    return (True, "on the emulator") if emulated else (False, f"{reason}; and no emulator either: {why}")


def needs_capability(least: int, what: str) -> Callable[[], Answer]:
    """The predicate of an implementation for GPUs from the compute capability ``least`` on, which have ``what``."""

    def available() -> Answer:
        ok, reason = gpu_or_emulator()
        if not ok:
            return ok, reason
        found = (CUPY if probe()[0] else EMULATOR).capability()
        if found >= least:
            return True, reason
        return False, (
            f"{what} come with compute capability {least // 10}.{least % 10}; this GPU has {found // 10}.{found % 10}"
        )

    return available
