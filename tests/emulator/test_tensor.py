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


@anyhow
def test_pipeline_of_copies(tensor, rng, schedule, seed):
    x, y = rng.integers(-8, 8, (4, 64, 4)).astype(np.float32), np.zeros(64, np.float32)
    tensor.launch("pipeline", 1, 64, [x, y, 4, 0], schedule=schedule, seed=seed)
    np.testing.assert_array_equal(y, x.sum((0, 2))[::-1])


@anyhow
def test_warpgroup_product(tensor, rng, schedule, seed):
    a, b = to_bfloat16(rng.standard_normal((64, 64))), to_bfloat16(rng.standard_normal((64, 64)))
    d = np.zeros((64, 64), np.float32)
    options = {"shared": 16384, "schedule": schedule, "seed": seed, "uninitialized": {"d"}}
    tensor.launch("warpgroup_product", 1, 128, [a, b, d, 0], **options)
    np.testing.assert_allclose(d, from_bfloat16(a).astype(np.float64) @ from_bfloat16(b).T, rtol=1e-5, atol=1e-5)


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
