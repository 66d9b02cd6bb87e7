"""What the parts of an implementation cost, in seconds on the reference machine, for dispatch to compare.

The reference machine has two cores with AVX-512 and 20 GB/s of memory. Another machine changes all the numbers, but
hardly their order, and the order is all that dispatch asks for. What does change it is the width of vectors: narrower
ones multiply less in the time in which memory, or a cache, gives as much, and leave less of the last one empty.
"""

from __future__ import annotations

from deepcore.backend.dispatch import Call
from deepcore.kernels.cpu.host import ITEM, host

GEMM_FLOPS = {"float32": 2.0e11, "float64": 1.0e11}  # a large product, BLAS on all cores
GEMM_HALF = 16  # a product with an inner or output size this small runs at half that rate: tiles stay partly empty
GEMM_CALL = 1.5e-6  # checks and dispatch of one np.matmul
GEMV_BYTES = 1.0e10  # of the matrix that is multiplied with a vector, by the BLAS
GEMM_BYTES = 1.0e10  # of the right operand, which is put in order before it is multiplied
NUMPY_CALL = 2.0e-6  # one elementwise call, with the views it works on
NUMPY_BYTES = 8.0e9  # read or written by an elementwise call on one core, out of the cache
NUMPY_RUN = 4.0e-9  # the start of one contiguous run within such a call
NUMBA_CALL = 5.0e-5  # handing a loop to all cores and waiting for the last
SERIAL_CALL = 2.0e-6  # starting one on the calling thread alone, which is what small arrays get
SERIAL_BYTES = 1.0e10  # read or written by such a loop
NUMBA_BYTES = 1.2e10  # read or written by a compiled loop on all cores
NUMBA_RUN = 3.0e-9  # the start of one contiguous run within such a loop
PRODUCT_FLOPS = 2.4e11  # of products on register tiles, on all cores
PRODUCT_BYTES = 2.0e10  # what GEMV_BYTES is to the BLAS
PRODUCT_HALF = 8  # what GEMM_HALF is to the BLAS
PRODUCT_CALL = 6.0e-6  # more than that of the BLAS for one product, far less for a batch
TILE_FLOPS = 2.6e11  # of register tiles, on all cores
REFERENCE_LANES = 16  # elements of a vector of the reference machine
TILE_CALL = 2.0e-5  # one plan: its records and its launch
TILE_BYTES = 2.5e10  # inputs and outputs of a tiled convolution, and sums that do not stay in the cache
TILE_START = 8  # steps that a tile's beginning and end take
FUSED_START = 3  # steps that a place of Winograd's tiles takes to be transformed, where its sum stays in registers
COLUMN_SLOW = {1: 2.0, 2: 1.2}  # times as long for so few vectors of channels, which load more for a multiplication
WINDOW_SLOW = {1: 1.25, 2: 1.5}  # the same for windows of several columns, for which there are row tiles
GRADIENT_SLOW = {2: 1.2}  # the same of their gradients at the weights
PLACE_SLOW = {1: 1.6, 2: 1.2}  # the same of the products of Winograd's places
DEEP_SLOW = 1.65  # times as long where the weights of a block of channels do not stay in the second-level cache
SHARED_SLOW = 1.2  # times as long as their share of it for pixels that share a vector
THROUGH_MEMORY = 1.6, 2.5  # times as long for products and transforms of Winograd's gradient that do not stay in cache
DEPTHWISE_BYTES = 1.5e10  # of a depthwise one
DEPTHWISE_FLOPS = 8.0e10  # of a depthwise convolution on all cores
TRANSFORM_BYTES = 4.0e10  # read or written by Winograd's transforms, most of it in the cache
TRANSFORMED_BYTES = 6.0e10  # of weights that Winograd's transform makes, in the cache
TRANSPOSED_BYTES = 3.4e10  # of weights that are transposed before it
WEIGHT_BYTES = 1.5e10  # of weights that are read for it
PACKED_BYTES = 1.0e10  # of weights that are packed
PACKED_BACK_BYTES = 1.3e10  # of those that are transposed on the way, a square at a time
FOLD_BYTES = 1.2e11  # of runs that are added where they overlap, in the first-level cache
VECTOR_MATH = 1.5e-9  # one exp or tanh of a float32 in a compiled loop, where it is vectorised
SCALAR_MATH = 8.0e-9  # one that is not: float64, and rows too short for a vector
SHORT_ROW = 32  # columns: shorter than this, a loop's body does not fill its vectors


def lanes() -> int:
    """Elements of a vector, to which a tile's columns are rounded up."""
    return host().lanes


def relative_width() -> float:
    """Of this machine's vectors, those of the reference machine being 1."""
    return lanes() / REFERENCE_LANES


def flops(reference: float) -> float:
    """Multiplications and additions a second where the reference machine does so many."""
    return reference * relative_width()


def item_bytes(dtype: str) -> int:
    """Bytes of one element."""
    return 4 if dtype == "float32" else 8


def gemm_seconds(batch: int, m: int, n: int, k: int, dtype: str) -> float:
    """``batch`` products of [m, k] and [k, n]."""
    if min(m, n) == 1:
        return batch * (m * n * k * item_bytes(dtype) / GEMV_BYTES + GEMM_CALL)
    padded = (m + GEMM_HALF) * (n + GEMM_HALF) * (k + GEMM_HALF)
    ordered = batch * k * n * item_bytes(dtype) / GEMM_BYTES
    rate = flops(GEMM_FLOPS.get(dtype, GEMM_FLOPS["float64"]))
    return 2.0 * batch * padded / rate + ordered + batch * GEMM_CALL


def product_seconds(batch: int, m: int, n: int, k: int) -> float:
    """The same of float32 on register tiles: whole vectors of columns, or of rows where there are fewer columns."""
    if min(m, n) == 1:
        return batch * m * n * k * ITEM / PRODUCT_BYTES + PRODUCT_CALL
    narrow, wide = min(m, n), max(m, n)
    if narrow >= lanes():
        narrow = -(-narrow // lanes()) * lanes()
    work = (narrow + PRODUCT_HALF) * (wide + PRODUCT_HALF) * (k + PRODUCT_HALF)
    return 2.0 * batch * work / flops(PRODUCT_FLOPS) + PRODUCT_CALL


def numpy_seconds(calls: float, elements: float, run: float, dtype: str) -> float:
    """``calls`` elementwise calls that move ``elements`` elements altogether, in contiguous runs of ``run``."""
    return calls * NUMPY_CALL + elements * (item_bytes(dtype) / NUMPY_BYTES + NUMPY_RUN / run)


def numba_seconds(calls: float, elements: float, run: float, dtype: str) -> float:
    """``calls`` compiled loops that move ``elements`` elements altogether, in contiguous runs of ``run``."""
    parallel = NUMBA_CALL + elements / calls * (item_bytes(dtype) / NUMBA_BYTES + NUMBA_RUN / run)
    serial = SERIAL_CALL + elements / calls * (item_bytes(dtype) / SERIAL_BYTES + 2 * NUMBA_RUN / run)
    return calls * min(parallel, serial)


def numpy_cost(call: Call, passes: float, calls: int) -> float:
    """``calls`` NumPy calls that together read or write a whole array of rows, or a flat one, ``passes`` times."""
    return calls * NUMPY_CALL + passes * _size(call) * item_bytes(call.dtype) / NUMPY_BYTES


def loop_cost(call: Call, passes: float, math_per_element: float = 0.0) -> float:
    """One compiled loop that does, with so many exponentials or the like for each element."""
    size, mathematics = _size(call), 0.0
    if math_per_element:
        vector = call.dtype == "float32" and getattr(call.geometry, "columns", SHORT_ROW) >= SHORT_ROW
        mathematics = math_per_element * size * (VECTOR_MATH if vector else SCALAR_MATH)
    moved = passes * size * item_bytes(call.dtype)
    return mathematics + min(NUMBA_CALL + moved / NUMBA_BYTES, SERIAL_CALL + moved / SERIAL_BYTES)


def _size(call: Call) -> int:
    geometry = call.geometry
    return int(geometry.rows * geometry.columns) if hasattr(geometry, "rows") else int(geometry.size)
