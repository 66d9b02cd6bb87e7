"""Asynchronous copies and tensor cores: values against NumPy, and planted bugs."""

from __future__ import annotations

import re

import numpy as np
import pytest
from emulator.marks import KERNELS, marks

from deepcore.kernels.emulator import Module, im2col_map, tensor_map

SCHEDULES = [("fifo", 0), ("lifo", 0), ("random", 1), ("random", 2)]
anyhow = pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)


@pytest.fixture(scope="module", params=["fast", "check"])
def tensor(request):
    return Module(KERNELS / "tensor.cu", check=request.param == "check")


@pytest.fixture(scope="module")
def checked():
    return Module(KERNELS / "tensor.cu", check=True)


def to_bfloat16(x):
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def from_bfloat16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def test_ldmatrix(tensor):
    x = np.arange(256, dtype=np.uint16)
    y = np.zeros((11, 32, 2), np.uint16)
    tensor.launch("load_matrices", 1, 32, [x.view(np.float16), y.view(np.uint32).reshape(11, 32)])
    matrices = x.reshape(4, 8, 8)
    for i, matrix in enumerate(matrices):
        np.testing.assert_array_equal(y[i].reshape(8, 8), matrix)
        np.testing.assert_array_equal(y[4 + i].reshape(8, 8), matrix.T)
    np.testing.assert_array_equal(y[8:10].reshape(2, 8, 8), matrices[:2])
    np.testing.assert_array_equal(y[10].reshape(8, 8), matrices[0])


@pytest.mark.parametrize(("kernel", "k"), [("f16", 16), ("f16_k8", 8), ("bf16", 16), ("tf32", 8)])
def test_mma(tensor, rng, kernel, k):
    a, b = rng.standard_normal((16, k)).astype(np.float32), rng.standard_normal((k, 8)).astype(np.float32)
    if kernel == "tf32":
        given = a, b
        a, b = ((x.view(np.uint32) & 0xFFFFE000).view(np.float32) for x in given)
    elif kernel == "bf16":
        given = to_bfloat16(a), to_bfloat16(b)
        a, b = map(from_bfloat16, given)
    else:
        given = a.astype(np.float16), b.astype(np.float16)
        a, b = given
    d = np.zeros((16, 8), np.float32)
    tensor.launch(f"multiply_{kernel}", 1, 32, [*given, d], uninitialized={"d"})
    exact = a.astype(np.float64) @ b.astype(np.float64) + 1
    np.testing.assert_allclose(d, exact, rtol=2**-22)
    assert (np.abs(d) <= np.abs(exact)).all(), "sums are truncated"


def test_rounding_to_tf32(tensor):
    ulp = 2.0**-10
    x = np.array([1, 1 + ulp / 2, 1 + ulp / 2 - 2**-23, -1 - ulp / 2, 1 + 1.5 * ulp, np.inf, -np.inf, 0], np.float32)
    y = np.zeros(8, np.uint32)
    tensor.launch("round_to_tf32", 1, 8, [x, y])
    assert y.view(np.float32).tolist() == [1, 1 + ulp, 1, -1 - ulp, 1 + 2 * ulp, np.inf, -np.inf, 0]


@anyhow
def test_pipeline_of_copies(tensor, rng, schedule, seed):
    x, y = rng.integers(-8, 8, (4, 64, 4)).astype(np.float32), np.zeros(64, np.float32)
    tensor.launch("pipeline", 1, 64, [x, y, 4, 0], schedule=schedule, seed=seed)
    np.testing.assert_array_equal(y, x.sum((0, 2))[::-1])


def test_copies_fill_with_zeros(tensor):
    x, y = np.arange(1, 129, dtype=np.float32), np.zeros(128, np.float32)
    tensor.launch("copy_with_zeros", 1, 32, [x, y, 50])
    np.testing.assert_array_equal(y, np.where(np.arange(128) < 52, x, 0))


def swizzled(tile, swizzle):
    """A tile of rows as its 16-byte pieces lie in shared memory."""
    data = tile.reshape(-1).view(np.uint8).reshape(-1, 16)
    mask = {"none": 0, "32B": 1, "64B": 3, "128B": 7}[swizzle]
    piece = np.arange(len(data))
    out = np.empty_like(data)
    out[piece ^ (piece // 8 & mask)] = data
    return out.reshape(-1).view(tile.dtype)


@pytest.mark.parametrize("corner", [(0, 0), (4, 3), (-4, -2), (36, 17)])
@pytest.mark.parametrize(("swizzle", "columns"), [("none", 12), ("32B", 8), ("64B", 16), ("128B", 32)])
def test_tiles(tensor, rng, swizzle, columns, corner):
    x = rng.standard_normal((20, 40)).astype(np.float32)
    column, row = corner
    padded = np.zeros((100, 140), np.float32)
    padded[32 : 32 + 20, 48 : 48 + 40] = x
    expected = padded[32 + row : 32 + row + 16, 48 + column : 48 + column + columns]
    y = np.zeros(16 * columns, np.float32)
    arguments = [tensor_map(x, (16, columns), swizzle), y, column, row, y.nbytes, 0]
    tensor.launch("tile_2d", 1, 32, arguments, shared=y.nbytes, uninitialized={"y"})
    np.testing.assert_array_equal(y, swizzled(np.ascontiguousarray(expected), swizzle))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("offset", [(0, 0), (2, 1)])
def test_im2col(tensor, rng, stride, offset):
    """Every output pixel of a 3 by 3 convolution with padding 1, for one element of the filter."""
    x = rng.standard_normal((2, 5, 7, 16)).astype(np.float32)
    out_h, out_w = (5 + 2 - 3) // stride + 1, (7 + 2 - 3) // stride + 1
    pixels = 2 * out_h * out_w
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    dx, dy = offset
    rows = padded[:, dy : dy + stride * (out_h - 1) + 1 : stride, dx : dx + stride * (out_w - 1) + 1 : stride, 8:16]
    y = np.zeros(pixels * 8, np.float32)
    which = im2col_map(x, (-1, -1), (-1, -1), channels=8, pixels=pixels, pixel_stride=stride)
    arguments = [which, y, 8, -1, -1, 0, dx, dy, y.nbytes]
    tensor.launch("im2col", 1, 64, arguments, shared=y.nbytes, uninitialized={"y"})
    np.testing.assert_array_equal(y.reshape(rows.shape), rows)


@anyhow
def test_warpgroup_product(tensor, rng, schedule, seed):
    a, b = to_bfloat16(rng.standard_normal((64, 64))), to_bfloat16(rng.standard_normal((64, 64)))
    d = np.zeros((64, 64), np.float32)
    options = {"shared": 16384, "schedule": schedule, "seed": seed, "uninitialized": {"d"}}
    tensor.launch("warpgroup_product", 1, 128, [a, b, d, 0], **options)
    np.testing.assert_allclose(d, from_bfloat16(a).astype(np.float64) @ from_bfloat16(b).T, rtol=1e-5, atol=1e-5)


def test_product_of_transposed_operands(tensor, rng):
    a, b = rng.standard_normal((2, 64, 64)).astype(np.float16)
    d = np.zeros((64, 64), np.float32)
    maps = [tensor_map(x, (64, 64), "128B") for x in (a, b)]
    tensor.launch("transposed_product", 1, 128, [*maps, d], shared=16384, uninitialized={"d"})
    np.testing.assert_allclose(d, a.astype(np.float64).T @ b.astype(np.float64), rtol=1e-5, atol=1e-5)


def test_product_with_an_operand_in_registers(tensor, rng):
    a, b = rng.standard_normal((2, 64, 16)).astype(np.float16)
    d = np.zeros((64, 64), np.float32)
    tensor.launch("product_from_registers", 1, 128, [a, b, d], shared=2048, uninitialized={"d"})
    np.testing.assert_allclose(d, a.astype(np.float64) @ b.astype(np.float64).T, rtol=1e-5, atol=1e-5)


def specialised(module, rng, steps, planted, schedule, seed):
    a, b = (rng.integers(-64, 64, (2, 64, 32 * steps)) / 8).astype(np.float32)
    d = np.zeros((64, 64), np.float32)
    arguments = [tensor_map(a, (64, 32), "128B"), tensor_map(b, (64, 32), "128B"), d, steps, planted]
    options = {"shared": 32768, "schedule": schedule, "seed": seed, "strict": False}
    return module.launch("specialised_product", 1, 160, arguments, **options), d, a @ b.T


@anyhow
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_producer_and_consumer(tensor, rng, steps, schedule, seed):
    report, d, expected = specialised(tensor, rng, steps, 0, schedule, seed)
    assert report.findings == ()
    np.testing.assert_array_equal(d, expected)


def expected_findings(kernel, planted):
    """Lines and kinds for one of the planted bugs, from comments such as ``// FINDING 1: race, 4: missing-wait``."""
    found = {}
    for line, text in marks("tensor.cu", kernel, "FINDING").items():
        for kind in re.findall(rf"\b{planted}: ([\w-]+)", text):
            found[line] = kind
    return found


def check_planted(report, kernel, planted):
    expected = expected_findings(kernel, planted)
    assert report.findings, "nothing was found"
    kinds = {finding.kind for finding in report.findings}
    assert kinds <= set(expected.values())
    for finding in report.findings:
        assert expected.get(finding.line) == finding.kind, str(finding)
        assert finding.block == (0, 0, 0)


@anyhow
@pytest.mark.parametrize("planted", [2, 3, 4])
def test_planted_in_the_pipeline(checked, rng, planted, schedule, seed):
    x, y = rng.standard_normal(1024).astype(np.float32), np.zeros(64, np.float32)
    report = checked.launch("pipeline", 1, 64, [x, y, 4, planted], strict=False, schedule=schedule, seed=seed)
    check_planted(report, "pipeline", planted)


@anyhow
def test_one_wait_too_few(checked, rng, schedule, seed):
    x, y = rng.standard_normal(1024).astype(np.float32), np.zeros(64, np.float32)
    report = checked.launch("pipeline", 1, 64, [x, y, 4, 1], strict=False, schedule=schedule, seed=seed)
    assert {finding.kind for finding in report.findings} == {"race", "missing-wait"}
    race = next(finding for finding in report.findings if finding.kind == "race")
    assert "an asynchronous operation of thread" in race.message
    assert "nothing orders that before it is issued or after it is waited for" in race.message


@anyhow
@pytest.mark.parametrize("planted", [1, 2, 3, 4])
def test_planted_in_the_warpgroup_product(checked, rng, planted, schedule, seed):
    a, b = (to_bfloat16(rng.standard_normal((64, 64))) for _ in range(2))
    arguments = [a, b, np.zeros((64, 64), np.float32), planted]
    options = {"shared": 16384, "strict": False, "schedule": schedule, "seed": seed}
    check_planted(checked.launch("warpgroup_product", 1, 128, arguments, **options), "warpgroup_product", planted)


@anyhow
def test_stage_that_is_freed_too_early(checked, rng, schedule, seed):
    report, _, _ = specialised(checked, rng, 5, 1, schedule, seed)
    check_planted(report, "specialised_product", 1)


@anyhow
def test_stage_that_is_not_waited_for(checked, rng, schedule, seed):
    report, _, _ = specialised(checked, rng, 5, 2, schedule, seed)
    (finding,) = report.findings
    assert (finding.kind, finding.thread) == ("barrier-misuse", (128, 0, 0))
    assert "more arrivals than the mbarrier's count of 1 in one phase" in finding.message


@anyhow
@pytest.mark.parametrize("planted", [1, 2])
def test_planted_in_the_tile_copy(checked, rng, planted, schedule, seed):
    x, y = rng.standard_normal((16, 32)).astype(np.float32), np.zeros(512, np.float32)
    arguments = [tensor_map(x, (16, 32), "128B"), y, 0, 0, y.nbytes, planted]
    report = checked.launch("tile_2d", 1, 32, arguments, shared=y.nbytes, strict=False, schedule=schedule, seed=seed)
    kinds = {finding.kind for finding in report.findings}
    if planted == 1:
        assert kinds
        assert kinds <= {"race", "uninitialized"}
    else:
        assert kinds == {"deadlock"}
        assert "wait at mbarrier.try_wait" in report.findings[0].message


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda x: tensor_map(x, (16, 32), "96B"), "Unknown swizzle '96B'"),
        (lambda x: tensor_map(x, (16, 64), "128B"), "has 256 bytes; with swizzle '128B' it must be a multiple of 16"),
        (lambda x: tensor_map(x, (16,)), "each size must be from 1 to 256"),
        (lambda x: tensor_map(x[:, :39].copy(), (16, 4)), "all but the last must be multiples of 16"),
        (lambda x: tensor_map(x.T, (16, 4)), "C-contiguous"),
        (lambda x: im2col_map(x, (0, 0), (0, 0), 4, 8), r"\[images, height, width, channels\] is expected"),
        (lambda x: im2col_map(x.reshape(2, 5, 5, 16), (0, 0), (0, 200), 4, 8), "from -128 to 127"),
    ],
)
def test_maps_that_the_driver_would_refuse(make, says):
    with pytest.raises(ValueError, match=says):
        make(np.zeros((20, 40), np.float32))
