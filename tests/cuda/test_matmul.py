"""Matrix products on CUDA cores, every rung of the ladder, against the naive product."""

import numpy as np
import pytest
from emulated import SCHEDULES, checked, each_cuda, needs_compiler, poison
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import assert_sums_agree, scattered
from oracles import matmul as oracle

from deepcore.backend.cuda import matmul as file
from deepcore.backend.cuda.carrier import emulation
from deepcore.backend.cuda.matmul import batch_axes, matmul
from deepcore.backend.cuda.tile import TILES, divisor, plan
from deepcore.backend.dispatch import Call, choose, implementations, use_implementation
from deepcore.backend.geometry import MatmulGeometry
from deepcore.kernels.emulator import Module

pytestmark = needs_compiler
DTYPES = ("float32", "float64")
LADDER = (
    *("cuda-naive", "cuda-tiled", "cuda-register", "cuda-simt", "cuda-split-k"),
    *("cuda-mma", "cuda-mma-3xtf32", "cuda-mma-tf32", "cuda-mma-bf16"),
)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    poison(monkeypatch, "matmul", "tile")


def check(a, b, transpose_a=False, transpose_b=False):
    expected = oracle.matmul(a, b, transpose_a, transpose_b)
    magnitude = oracle.matmul(np.abs(a), np.abs(b), transpose_a, transpose_b)
    geometry = MatmulGeometry.of(a.shape, b.shape, transpose_a, transpose_b)
    for name in each_cuda("matmul", a.dtype, geometry):
        y = matmul(a, b, transpose_a, transpose_b)
        assert_sums_agree(y, expected, magnitude, geometry.k, a.dtype, f"{name} {geometry}")


def operands(rng, m, n, k, transpose_a, transpose_b, dtype, a_batch=(), b_batch=()):
    a = rng.standard_normal((*a_batch, *((k, m) if transpose_a else (m, k)))).astype(dtype)
    return a, rng.standard_normal((*b_batch, *((n, k) if transpose_b else (k, n)))).astype(dtype)


def test_these_are_the_rungs():
    assert tuple(record.name for record in implementations("matmul", "cuda")) == LADDER


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("sizes", [(5, 7, 19), (36, 40, 20), (1, 1, 1), (67, 1, 33), (1, 65, 128)])
def test_every_layout(rng, dtype, transpose_a, transpose_b, sizes):
    check(*operands(rng, *sizes, transpose_a, transpose_b, dtype), transpose_a, transpose_b)


@pytest.mark.parametrize(
    ("a_batch", "b_batch"),
    [
        ((3,), ()),
        ((), (3,)),
        ((3,), (3,)),
        ((5, 1), (7,)),
        ((2, 3), (1, 1)),
        ((2, 1, 3, 1), (1, 4, 1, 5)),
        ((2, 1, 3), (2, 4, 1)),
    ],
)
@pytest.mark.parametrize("transpose_a", [False, True])
def test_every_batch(rng, a_batch, b_batch, transpose_a):
    check(*operands(rng, 5, 7, 17, transpose_a, False, "float32", a_batch, b_batch), transpose_a, False)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    a_batch=st.lists(st.sampled_from([1, 2, 3]), max_size=5), b_batch=st.lists(st.sampled_from([1, 2, 3]), max_size=5)
)
def test_merged_batch_axes_name_the_same_matrices(a_batch, b_batch):
    try:
        batch = np.broadcast_shapes(a_batch, b_batch)
    except ValueError:
        return
    axes = batch_axes(tuple(a_batch), tuple(b_batch))
    places = [np.zeros(1, int), np.zeros(1, int)]
    for size, *steps in axes:
        places = [np.add.outer(p, step * np.arange(size)).ravel() for p, step in zip(places, steps, strict=True)]
    for shape, found in zip((a_batch, b_batch), places, strict=True):
        matrices = np.arange(int(np.prod(shape))).reshape(shape)
        np.testing.assert_array_equal(found, np.broadcast_to(matrices, batch).ravel())


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tile(rng, dtype, monkeypatch):
    """Each tile over several blocks with edges, with wide accesses and without, in one part and in three."""
    for tile in TILES[dtype]:
        for m, n, k in ((2 * tile.m + 4, tile.n + 8, 5 * tile.k + 4), (tile.m + 1, 2 * tile.n + 3, 3 * tile.k + 1)):
            for name, parts in (("cuda-simt", 1), ("cuda-split-k", 3)):
                monkeypatch.setattr(file, "plan", lambda *args, **how: file.Plan(tile, parts, 0.0))  # noqa: B023
                a, b = operands(rng, m, n, k, False, True, dtype)
                with use_implementation("matmul", name):
                    y = matmul(a, b, False, True)
                magnitude = oracle.matmul(abs(a), abs(b), False, True)
                assert_sums_agree(y, oracle.matmul(a, b, False, True), magnitude, k, dtype, f"{name} {tile}")


def test_more_parts_than_steps_leave_some_empty(rng, monkeypatch):
    monkeypatch.setattr(file, "plan", lambda *args, **how: file.Plan(TILES["float32"][-1], 7, 0.0))
    a, b = operands(rng, 5, 6, 33, False, False, "float32")
    with use_implementation("matmul", "cuda-split-k"):
        assert_sums_agree(matmul(a, b), oracle.matmul(a, b), oracle.matmul(abs(a), abs(b)), 33, "float32", "parts")


@pytest.mark.parametrize("dtype", DTYPES)
def test_epilogue(rng, dtype):
    a, b = operands(rng, 6, 11, 17, False, False, dtype, (3,))
    bias = rng.standard_normal(11).astype(dtype)
    z = oracle.matmul(a, b)
    tolerance = 60 * np.finfo(dtype).eps
    for name in each_cuda("matmul", dtype, MatmulGeometry.of(a.shape, b.shape)):
        for with_bias, activation, expected in (
            (bias, "relu", np.maximum(z + bias, 0)),
            (None, "tanh", np.tanh(z)),
            (scattered(rng, (11,), dtype) * 0 + bias, "linear", z + bias),
        ):
            y = matmul(a, b, False, False, with_bias, activation)
            np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance, err_msg=f"{name} {activation}")
    with pytest.raises(ValueError, match="sigmoyd"):
        matmul(a, b, False, False, None, "sigmoyd")


def test_strided_operands(rng):
    check(scattered(rng, (9, 18), "float32"), scattered(rng, (18, 5), "float32"))


def test_empty_sizes():
    for shapes in (((3, 0), (0, 5)), ((0, 4), (4, 5)), ((2, 3, 4), (2, 4, 0))):
        a, b = (np.ones(shape, "float32") for shape in shapes)
        for name in each_cuda("matmul", "float32", MatmulGeometry.of(*shapes)):
            np.testing.assert_array_equal(matmul(a, b), a @ b, err_msg=name)


def test_results_repeat_bit_for_bit(rng):
    a, b = operands(rng, 33, 20, 300, False, False, "float32")
    for name in each_cuda("matmul", "float32", MatmulGeometry.of(a.shape, b.shape)):
        first = matmul(a, b)
        with emulation(schedule="random", seed=3):
            np.testing.assert_array_equal(matmul(a, b), first, err_msg=name)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_findings(rng, schedule):
    with checked(schedule):
        check(*operands(rng, 37, 41, 35, True, False, "float32"), True, False)
        check(*operands(rng, 36, 68, 24, False, True, "float32"), False, True)


@pytest.mark.parametrize("transposes", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("tile", TILES["float32"])
def test_shared_memory_without_bank_conflicts(rng, tile, transposes):
    """The fast kernel reads and writes shared memory in as few wavefronts as the bytes need."""
    m, n, k = tile.m, tile.n, 2 * tile.k
    a, b = operands(rng, m, n, k, *transposes, "float32")
    defines = {"TRANSPOSE_A": transposes[0], "TRANSPOSE_B": transposes[1], "WIDTH_A": 4, "WIDTH_B": 4, "WIDTH_Y": 4}
    source = file.kernel("matmul", "matmul_simt", T="float").file
    module = Module(source, {"T": "float", "ACTIVATION": 0, **tile.defines, **defines, "MIN_BLOCKS": 1}, check=True)
    y = np.empty((m, n), "float32")
    strides = ((1, m) if transposes[0] else (k, 1), (1, k) if transposes[1] else (n, 1))
    sizes = file.structure(file.SIZES, (m, n, k, 1, *strides[0], 0, 0, *strides[1], 0, 0))
    report = module.launch("matmul_simt", 1, tile.threads, [a, b, None, y, sizes, 1], uninitialized=("y",))
    np.testing.assert_allclose(y, oracle.matmul(a, b, *map(bool, transposes)), rtol=1e-4, atol=1e-4)
    assert [str(counter) for counter in report.lint()] == []


@pytest.mark.parametrize("number", [1, 2, 3, 7, 64, 1000, 2**30 + 1, 2**31 - 1])
def test_division_by_multiplication_is_exact(rng, number):
    _, multiplier, shift = divisor(number)
    assert multiplier < 2**32
    near = [number * factor + d for factor in (1, 2, 1000, (2**31 - 1) // number) for d in (-1, 0, 1)]
    for dividend in (0, 2**31 - 1, *near, *rng.integers(0, 2**31, 200).tolist()):
        if 0 <= dividend < 2**31:
            assert dividend * multiplier >> shift == dividend // number


def test_dispatch_climbs_the_ladder():
    def chosen(*sizes):
        return choose("matmul", "float64", MatmulGeometry(*sizes), "cuda").name

    assert chosen(1, 4096, 4096, 4096) == "cuda-simt"
    assert chosen(1, 64, 64, 65536) == "cuda-split-k"
    big, small = (plan(1, size, size, size, "float32", split=False).tile for size in (4096, 64))
    assert (big.m, small.m) == (128, 32)
    (split,) = (record for record in implementations("matmul", "cuda") if record.name == "cuda-split-k")
    ok, reason = split.supports(Call("matmul", "float32", MatmulGeometry(1, 5, 5, 7)))
    assert not ok
    assert "7" in reason
