"""Matrix products on register tiles: every way that an operand is read, on every vector unit and number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import use_implementation
from deepcore.backend.numpy.plans import TASKS_OF_A_THREAD
from deepcore.backend.numpy.product import Cut, Matrices
from deepcore.kernels.cpu import threads
from deepcore.kernels.cpu.host import host, hosts
from deepcore.kernels.cpu.sweep import sweep

# m, n, k: what comes side by side before it is read depends on them, and so does how sums and results are cut.
SIZES = (
    (130, 300, 70),  # blocks of columns, one after the other: b is copied or transposed
    (900, 260, 401),  # more rows than the caches hold: chunks of them, of which threads take some in turn
    (400, 260, 601),  # parts of the sum
    (540, 530, 160),  # many blocks of columns: neighbouring rows of a are packed
    (3, 300, 50),  # few rows: b in place, a few steps at a time
    (11, 1024, 77),  # more of them than a tile has, and rows of b that meet in a set of the cache
    (5, 171, 530),  # ... and dot products of them, where b is transposed
    (150, 300, 4),  # few steps: the same for many rows
    (45, 40, 150),  # one block of columns
    (200, 10, 90),  # columns that do not fill a vector, which are the rows of the transposed product
    (20, 17, 5000),  # a sum in pieces
    (1, 200, 130),  # a matrix and a vector, in both orders
    (200, 1, 130),
    (1, 1, 37),
    (7, 5, 3),  # less than a vector of everything
)


def operands(sizes, transpose_a, transpose_b):
    m, n, k = sizes
    rng = np.random.default_rng(1)
    shapes = ((k, m) if transpose_a else (m, k)), ((n, k) if transpose_b else (k, n)), n
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def multiply(*arguments):
    matmul = numpy_backend().matmul  # lists its implementations
    with use_implementation("matmul", "tiles"):
        return matmul(*arguments)


def products():
    """Every size in every layout, with a bias and a clamp."""
    found = {}
    for sizes in SIZES:
        for flags in ((False, False), (False, True), (True, False), (True, True)):
            a, b, bias = operands(sizes, *flags)
            found[sizes, flags] = multiply(a, b, *flags, bias, "relu")
    return found


def check():
    for (sizes, flags), got in products().items():
        a, b, bias = (each.astype(np.float64) for each in operands(sizes, *flags))
        a, b = (a.T if flags[0] else a), (b.T if flags[1] else b)
        # Rounding errors of a sum of k products: at most k eps of the sum of their magnitudes.
        bound = (sizes[2] + 2) * np.finfo(np.float32).eps * (np.abs(a) @ np.abs(b) + np.abs(bias))
        assert (np.abs(got - np.maximum(a @ b + bias, 0)) <= bound).all(), (sizes, flags)


def test_every_way_of_reading():
    check()


@pytest.mark.parametrize("vector", [host.vector for host in hosts()[:-1]])
def test_narrower_vectors(vector):
    environment = {**os.environ, "DEEPCORE_VECTOR": vector, "PYTHONPATH": "tests/cpu"}
    script = "import test_product; test_product.check()"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(threads, "_pool", threads.Pool(1))
    alone = products()
    for count in (2, 5):
        monkeypatch.setattr(threads, "_pool", threads.Pool(count))
        for key, value in products().items():
            np.testing.assert_array_equal(value, alone[key], err_msg=str(key))


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize(
    ("sizes", "transpose_a"), [((784, 512, 1024), False), ((784, 1024, 256), False), ((128, 512, 3136), True)]
)
def test_each_thread_has_as_many_tasks(sizes, transpose_a, count):
    m, n, k = sizes
    start = np.zeros(1, np.int64)
    a = Matrices(start, 4, 4 * m) if transpose_a else Matrices(start, 4 * k, 4)
    cut = Cut.of(a, Matrices(start, 4 * n, 4), m, n, k)
    rows, columns, blocks = cut.tasks(m, 1, count * TASKS_OF_A_THREAD)
    assert (columns - 1) * blocks < cut.columns.blocks <= columns * blocks
    assert cut.pieces * rows * columns % count == 0


@pytest.mark.parametrize("transpose_a", [False, True])
def test_blocks_behind_the_first_ask_for_no_rows_where_vectors_are_narrow(transpose_a):
    m, n, k = 128, 512, 784
    start = np.zeros(1, np.int64)
    a = Matrices(start, 4, 4 * m) if transpose_a else Matrices(start, 4 * k, 4)
    tiles = Cut.of(a, Matrices(start, 4 * n, 4), m, n, k).kernels(1, 4 * n)
    assert (tiles["later_wide_tall"] != tiles["wide_tall"]) == host().is_narrow


@pytest.mark.parametrize(("n", "asks"), [(1000, True), (1024, False)])
def test_a_sweep_asks_for_rows_that_do_not_meet_in_a_set_of_the_cache(n, asks):
    start = np.zeros(1, np.int64)
    cut = Cut.of(Matrices(start, 4 * 96, 4), Matrices(start, 4 * n, 4), 4, n, 96)
    assert bool(cut.sweeps) == host().is_narrow
    expected = sweep(4, cut.columns.vectors, asks=asks) if cut.sweeps else 0
    assert cut.kernels(1, 4 * n)["sweep_tall"] == expected


@pytest.mark.parametrize(("m", "n"), [(40, 300), (300, 40), (200, 9), (1, 64), (64, 1)])
def test_what_is_not_a_number_stays_where_it_belongs(m, n, rng):
    """Nothing of what is read beyond an operand, or of a row's neighbours, comes into a result."""
    a, b = rng.standard_normal((m, 33)).astype(np.float32), rng.standard_normal((33, n)).astype(np.float32)
    a[m // 2, 5], b[7, n // 2] = np.nan, np.inf
    for left, transpose_a in ((a, False), (np.ascontiguousarray(a.T), True)):
        for right, transpose_b in ((b, False), (np.ascontiguousarray(b.T), True)):
            got = multiply(left, right, transpose_a, transpose_b)
            with np.errstate(invalid="ignore"):
                expected = np.isfinite(a.astype(np.float64) @ b)
            np.testing.assert_array_equal(np.isfinite(got), expected)


@pytest.mark.parametrize("activation", ["linear", "relu6", "tanh"])
def test_what_follows_a_product(activation, rng):
    """Done in the tile, after it, or after the pieces of a sum were added."""
    for sizes in ((130, 300, 70), (20, 17, 5000), (200, 10, 90), (1, 200, 130)):
        for transpose_a in (False, True):
            a, b, bias = operands(sizes, transpose_a, True)
            expected = (a.T if transpose_a else a).astype(np.float64) @ b.T + bias
            expected = {"linear": lambda z: z, "relu6": lambda z: np.clip(z, 0, 6), "tanh": np.tanh}[activation](
                expected
            )
            got = multiply(a, b, transpose_a, True, bias, activation)
            np.testing.assert_allclose(got, expected, atol=2e-6 * sizes[2])


@pytest.mark.parametrize(
    ("rows", "columns", "steps"),
    [
        (30, 90, 50),  # tiles
        (5, 140, 530),  # few rows: dot products, or sweeps where b is not transposed
        (20, 300, 6),  # few steps
    ],
)
def test_batches_of_every_kind(rows, columns, steps, rng):
    """Matrices that repeat, that lie backwards and that lie apart."""
    a = rng.standard_normal((4, 1, rows, steps)).astype(np.float32)[::-1]
    b = rng.standard_normal((3, columns, steps)).astype(np.float32)[:, ::2]
    expected = a.astype(np.float64) @ b.swapaxes(1, 2)
    np.testing.assert_allclose(multiply(a, b, False, True), expected, atol=2e-6 * steps)
    np.testing.assert_allclose(multiply(a, np.ascontiguousarray(b.swapaxes(1, 2))), expected, atol=2e-6 * steps)


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        ((3, 9, 41, 30), 70),  # all rows stay in the cache
        ((2, 25, 30, 600), 200),  # chunks of them, in parts of the sum
        ((2, 3, 3, 45), 150),  # few of them
        ((5, 3, 3, 40), 7),  # less than a vector of columns
        ((5, 3, 3, 40), 1),
    ],
)
def test_rows_in_runs(shape, columns, rng):
    """The pixels that a 1 x 1 convolution with a stride reads: equally far apart within a row of the image alone."""
    pixels = rng.standard_normal(shape).astype(np.float32)[:, ::2, ::2]
    b, bias = (rng.standard_normal(size).astype(np.float32) for size in ((shape[-1], columns), columns))
    expected = np.maximum(pixels.astype(np.float64) @ b + bias, 0)
    np.testing.assert_allclose(multiply(pixels, b, False, False, bias, "relu"), expected, atol=2e-6 * shape[-1])
