"""Matrix products on tensor cores against the naive product, in every format, on GPUs old and new."""

from unittest import mock

import ml_dtypes
import numpy as np
import pytest
from emulated import SCHEDULES, checked, needs_compiler
from oracles import matmul as oracle

import deepcore
from deepcore.backend.cuda import carrier, tensor_core
from deepcore.backend.cuda.carrier import emulation
from deepcore.backend.cuda.matmul import matmul
from deepcore.backend.dispatch import Call, choose, implementations, judge, use_implementation, use_precision
from deepcore.backend.geometry import MatmulGeometry

pytestmark = needs_compiler

FLOAT16, BFLOAT16, FLOAT32 = np.dtype("float16"), np.dtype(ml_dtypes.bfloat16), np.dtype("float32")
# Name, dtype of the arrays, and the relative error of one product: exact, or of two rounded factors. Of a factor of
# 3xTF32 the last of 24 bits is lost, and with it the product of the two second parts, below 2**-22.
KINDS = {
    "float16": ("cuda-mma", FLOAT16, 0.0),
    "bfloat16": ("cuda-mma", BFLOAT16, 0.0),
    "tf32": ("cuda-mma-tf32", FLOAT32, 2 * 2.0**-11 + 2.0**-22),
    "bf16 products": ("cuda-mma-bf16", FLOAT32, 2 * 2.0**-9 + 2.0**-18),
    "3xtf32": ("cuda-mma-3xtf32", FLOAT32, 4 * 2.0**-23),
}
EPS = 2.0**-23  # of float32: what one cut or rounded addition of a sum may lose
UNIT_ROUNDOFF = {FLOAT16: 2.0**-11, BFLOAT16: 2.0**-8, FLOAT32: 2.0**-24}


def additions(kind, k):
    """How often the sum is cut off to float32: with each instruction of 8 or 16 elements, or within a slice of 16."""
    if kind == "3xtf32":
        return 6 + (k + 15) // 16
    return (k + 7) // 8 + 1


def assert_agrees(kind, y, a, b, transposes=(False, False)):
    name, dtype, product_error = KINDS[kind]
    expected = oracle.matmul(a.astype(np.float64), b.astype(np.float64), *transposes)
    magnitude = oracle.matmul(abs(a.astype(np.float64)), abs(b.astype(np.float64)), *transposes)
    assert (y.dtype, y.shape, y.flags.c_contiguous) == (dtype, expected.shape, True)
    k = a.shape[-2] if transposes[0] else a.shape[-1]
    allowed = (product_error + additions(kind, k) * EPS) * magnitude * (1 + 2.0**-7) + UNIT_ROUNDOFF[dtype] * abs(
        expected
    )
    if dtype == FLOAT16:
        allowed += 2.0**-25  # half of the distance between subnormal numbers
    error = abs(y.astype(np.float64) - expected)
    assert (error <= allowed).all(), f"{kind} {name}: {(error - allowed).max():.2e} too much"


def product(kind, a, b, *options):
    with use_precision("bfloat16"), use_implementation("matmul", KINDS[kind][0]):
        return matmul(a, b, *options)


def operands(rng, kind, m, n, k, transposes=(False, False), a_batch=(), b_batch=()):
    dtype = KINDS[kind][1]
    a = rng.standard_normal((*a_batch, *((k, m) if transposes[0] else (m, k)))).astype(dtype)
    return a, rng.standard_normal((*b_batch, *((n, k) if transposes[1] else (k, n)))).astype(dtype)


@pytest.mark.parametrize("transposes", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_layout(rng, kind, transposes):
    for sizes in ((1, 1, 1), (5, 7, 19), (40, 72, 24), (67, 1, 123), (72, 65, 136)):
        a, b = operands(rng, kind, *sizes, transposes)
        assert_agrees(kind, product(kind, a, b, *transposes), a, b, transposes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_tile(rng, kind):
    """Over several blocks with edges, and so many slices that every stage is used again."""
    format = {"float16": tensor_core.FLOAT16, "tf32": tensor_core.TFLOAT32, "3xtf32": tensor_core.TFLOAT32_3}.get(
        kind, tensor_core.BFLOAT16
    )
    for tile in format.tiles:
        with mock.patch.object(tensor_core, "best_tile", return_value=(tile, 0.0)):
            for m, n, k in ((2 * tile.m + 8, tile.n + 8, 5 * format.depth + 8), (tile.m + 1, 2 * tile.n + 3, 70)):
                a, b = operands(rng, kind, m, n, k)
                assert_agrees(kind, product(kind, a, b), a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("a_batch", "b_batch"), [((3,), ()), ((), (3,)), ((5, 1), (2,)), ((2, 1, 3), (2, 2, 1))])
def test_every_batch(rng, kind, a_batch, b_batch):
    a, b = operands(rng, kind, 5, 8, 16, (False, False), a_batch, b_batch)
    assert_agrees(kind, product(kind, a, b), a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [11, 16])
def test_epilogue(rng, kind, n):
    """Bias and activation are computed in float32 and rounded once: they add no more than their own rounding."""
    dtype = KINDS[kind][1]
    a, b = operands(rng, kind, 6, n, 17)
    bias = rng.standard_normal(n).astype(dtype)
    z = oracle.matmul(a.astype(np.float64), b.astype(np.float64))
    magnitude = oracle.matmul(abs(a.astype(np.float64)), abs(b.astype(np.float64))) + abs(bias.astype(np.float64))
    allowed = (KINDS[kind][2] + 24 * EPS) * magnitude * (1 + 2.0**-7)
    for activation, expected in (
        ("linear", z + bias.astype(np.float64)),
        ("relu", np.maximum(z + bias.astype(np.float64), 0)),
        ("tanh", np.tanh(z + bias.astype(np.float64))),
    ):
        y = product(kind, a, b, False, False, bias, activation)
        error = abs(y.astype(np.float64) - expected)
        assert (error <= allowed + (UNIT_ROUNDOFF[dtype] + 4 * EPS) * abs(expected)).all(), activation
    with pytest.raises(ValueError, match="sigmoyd"):
        product(kind, a, b, False, False, None, "sigmoyd")


@pytest.mark.parametrize("k", [20, 24])
def test_float16_before_sm_80(rng, k):
    with mock.patch.object(carrier, "EMULATED_CAPABILITY", 75):
        for transposes in ((False, False), (True, False), (False, True)):
            a, b = operands(rng, "float16", 72, 40, k, transposes)
            assert_agrees("float16", product("float16", a, b, *transposes), a, b, transposes)


def test_the_gpu_must_have_the_instructions():
    records = {record.name: record for record in implementations("matmul", "cuda")}
    g = MatmulGeometry(1, 64, 64, 64)
    with mock.patch.object(carrier, "EMULATED_CAPABILITY", 75):
        for name, dtype in (
            ("cuda-mma", "bfloat16"),
            ("cuda-mma-tf32", "float32"),
            ("cuda-mma-3xtf32", "float32"),
            ("cuda-mma-bf16", "float32"),
        ):
            ok, reason = records[name].verdict(Call("matmul", dtype, g, "bfloat16"))
            assert not ok
            assert "compute capability 8.0; this GPU has 7.5" in reason
        assert records["cuda-mma"].verdict(Call("matmul", "float16", g))[0]
    with mock.patch.object(carrier, "EMULATED_CAPABILITY", 70):
        assert not records["cuda-mma"].verdict(Call("matmul", "float16", g))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_infinity_and_nan_mean_what_they_mean_in_numpy(rng, kind):
    """An infinite product stays infinite: in 3xTF32 it must not meet the residuals of others, which may be zero."""
    a, b = operands(rng, kind, 24, 16, 40)
    a[a == 0], b[b == 0] = 1, 1
    a[3, 5], a[7, 39], b[11, 2] = np.inf, -np.inf, np.inf
    a[9, 8], b[30, 4] = np.nan, np.nan
    a[:, 6], b[6, :] = 2, 1  # numbers without a residual
    a[12, 5], b[5, :] = 2, 1
    with np.errstate(invalid="ignore"):
        expected = a.astype(np.float64) @ b.astype(np.float64)
    y = product(kind, a, b).astype(np.float64)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    np.testing.assert_array_equal(np.where(np.isinf(y), y, 0), np.where(np.isinf(expected), expected, 0))
    assert np.isinf(expected).sum() > 30


def test_the_largest_numbers_stay_finite_in_3xtf32():
    """Rounding the first part of the largest float32 to TF32 would make it infinite."""
    largest = np.finfo("float32").max
    a, b = np.full((4, 1), largest, "float32"), np.array([[1, -1, 0.5, 0]], "float32")
    np.testing.assert_allclose(product("3xtf32", a, b), a * b, rtol=2.0**-21)
    halves = np.full((4, 4), 2.0**15, "float16")
    assert np.isinf(product("float16", halves, halves)).all(), "sums beyond float16 are infinite"


def test_3xtf32_does_not_lose_more_with_length(rng):
    """What tensor cores cut off always has one sign, which would add up; here sums begin anew with each slice."""
    a, b = (rng.uniform(0.5, 1.5, shape).astype("float32") for shape in ((8, 4096), (4096, 8)))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    assert (abs(product("3xtf32", a, b) - expected) / expected).max() < 2e-6
    with mock.patch.object(tensor_core, "TFLOAT32_3", tensor_core.TFLOAT32):
        assert (abs(product("3xtf32", a, b) - expected) / expected).max() > 1e-5, "this would not notice TF32"


@pytest.mark.parametrize("kind", KINDS)
def test_empty_sizes(kind):
    dtype = KINDS[kind][1]
    for shapes in (((3, 0), (0, 5)), ((0, 4), (4, 5)), ((2, 3, 4), (2, 4, 0))):
        a, b = (np.ones(shape, dtype) for shape in shapes)
        np.testing.assert_array_equal(product(kind, a, b), np.zeros((*shapes[0][:-1], shapes[1][-1]), dtype))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_findings(rng, kind, schedule):
    with checked(schedule):
        for transposes, sizes in (((False, True), (24, 40, 104)), ((True, False), (37, 41, 35))):
            a, b = operands(rng, kind, *sizes, transposes)
            assert_agrees(kind, product(kind, a, b, *transposes), a, b, transposes)


@pytest.mark.parametrize("kind", KINDS)
def test_results_repeat_bit_for_bit(rng, kind):
    a, b = operands(rng, kind, 33, 24, 96)
    first = product(kind, a, b)
    with emulation(schedule="random", seed=3):
        np.testing.assert_array_equal(product(kind, a, b), first)


def test_precision_decides_what_runs():
    big = MatmulGeometry(1, 4096, 4096, 4096)
    assert choose("matmul", "float32", big, "cuda").name == "cuda-mma-3xtf32"
    assert choose("matmul", "float16", big, "cuda").name == "cuda-mma"
    with use_precision("tf32"):
        assert choose("matmul", "float32", big, "cuda").name == "cuda-mma-tf32"
        assert choose("matmul", "float64", big, "cuda").name.startswith(("cuda-simt", "cuda-split"))
    with use_precision("bfloat16"):
        assert choose("matmul", "float32", big, "cuda").name == "cuda-mma-bf16"
    assert choose("matmul", "float32", big, "cuda").name == "cuda-mma-3xtf32"
    lines = {line.implementation.name: line for line in judge(Call("matmul", "float32", big), "cuda")}
    assert lines["cuda-mma-tf32"].reason == "precision is float32; deepcore.set_precision('tf32') allows it"
    assert not lines["cuda-mma-bf16"].ok
    assert lines["cuda-mma-3xtf32"].implementation.precision is None
    assert lines["cuda-mma-tf32"].implementation.precision == "tf32"


def test_explain_says_what_precision_would_allow():
    text = str(deepcore.explain("matmul", (256, 256), (256, 256), device="emulator"))
    assert "precision is float32; deepcore.set_precision('tf32') allows it" in text
    with deepcore.use_precision("tf32"):
        assert "precision tf32 allows tf32 products" in str(
            deepcore.explain("matmul", (256, 256), (256, 256), device="emulator")
        )
