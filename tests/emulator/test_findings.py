"""Each planted bug is found, with its kind, line, block and thread, under every schedule; right versions are clean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from emulator.marks import marks

from deepcore.kernels.emulator import EmulatorError, Module

X = np.arange(128, dtype=np.float32)


@dataclass(frozen=True)
class Case:
    """How a planted kernel is called, and what its finding must say besides kind and line."""

    kernel: str
    arguments: tuple = ("x", "y")
    grid: int = 1
    says: str = ""
    block: tuple | None = (0, 0, 0)
    thread: tuple | None = None  # None: it depends on the schedule
    shared: int = 0
    uninitialized: frozenset = frozenset()
    n: int = 64
    arrays: dict = field(default_factory=dict)


ONLY_Y = ("y",)
CASES = [
    Case("missing_barrier", says="of shared 'tile', which thread"),
    Case("missing_second_barrier", says="no barrier orders the two"),
    Case("missing_warp_barrier", says="writes at planted.cu:"),
    Case("shuffle_for_a_barrier", says="of shared 'tile'"),
    Case("two_writers", ONLY_Y, says="byte 0 of shared 'last', which thread"),
    Case("bytes_of_a_word", ONLY_Y, says="byte 2 of shared 'bytes'"),
    Case("plain_and_atomic", ONLY_Y, says="updates at"),
    Case("race_in_global_memory", ONLY_Y, says="reads 'y'["),
    Case("blocks_share_an_element", ONLY_Y, grid=2, says="writes 'y'[0], which block", block=None, thread=(0, 0, 0)),
    Case("block_reads_its_neighbour", grid=2, says="and blocks have no order", block=None),
    Case("last_block_sums", ("partial", "done", "y"), grid=2, says="'partial'[", block=None, thread=(0, 0, 0)),
    Case(
        "writes_behind_the_end", ("y", "n"), n=64, says="write of 4 bytes at 0 bytes behind the end of 'y' (256 bytes)"
    ),
    Case("reads_before_the_start", says="read of 4 bytes at 4 bytes before the start of 'x'", thread=(0, 0, 0)),
    Case("overruns_a_shared_array", ONLY_Y, says="byte 256 of shared 'tile', which has 256", thread=(63, 0, 0)),
    Case("overruns_dynamic_memory", ONLY_Y, shared=256, says="byte 256 of the dynamic shared memory, which has 256"),
    Case("null_pointer", says="null pointer", arrays={"x": None}),
    Case("misaligned_vector", says="read of 16 bytes at 'x'["),
    Case("misaligned_shared_vector", ONLY_Y, says="not a multiple of 8"),
    Case("uninitialized_shared", ONLY_Y, says="byte 20 of shared 'tile', which nobody wrote", thread=(5, 0, 0)),
    Case("written_too_late", ONLY_Y, says="which nobody wrote before"),
    Case("reads_its_output", ONLY_Y, says="reads 'y'[", uninitialized=frozenset("y")),
    Case(
        "forgets_an_element",
        ONLY_Y,
        says="1 of 64 elements of the output 'y' were never written, the first of them [7]",
        block=None,
        uninitialized=frozenset("y"),
    ),
    Case("divergent_shuffle", says="wait at __syncthreads (planted.cu:"),
    Case("different_collectives", says="of the same mask 0xffffffff"),
    Case("lane_not_in_its_mask", says="which is not in its mask 0xfffffffe"),
    Case("reads_a_lane_outside_of_the_mask", says="lane 4 reads lane 20, which is not in the mask", thread=(4, 0, 0)),
    Case(
        "reads_an_exited_lane", ("x", "y", "n"), n=50, says="lane 17 reads lane 18, which has exited", thread=(49, 0, 0)
    ),
    Case("barrier_in_one_branch", ONLY_Y, says="threads 0 to 15 wait at __syncwarp (planted.cu:"),
    Case("exits_before_a_barrier", ONLY_Y, says="at which 60 other threads of its block meet", thread=(60, 0, 0)),
    Case("two_different_barriers", ONLY_Y, says="others wait at planted.cu:"),
    Case("two_kinds_of_barrier", ONLY_Y, says="others of its block wait at __syncthreads_"),
    Case("waits_forever", ("flag", "y"), says="loops of atomicCAS"),
    Case("asserts", says="__trap() was called", thread=(9, 0, 0)),
]
SCHEDULES = [("fifo", 0), ("lifo", 0), ("random", 1), ("random", 2)]


def call(module, case: Case, bug: int, schedule: str, seed: int):
    arrays = {
        "x": X[: 64 * case.grid].copy(),
        "y": np.zeros(64 * case.grid, np.float32),
        "partial": np.zeros(2, np.float32),
        "done": np.zeros(1, np.int32),
        "flag": np.zeros(1, np.int32),
        "n": case.n,
    }
    if bug:
        arrays.update(case.arrays)
    arguments = [arrays[name] for name in case.arguments] + [bug]
    options = {"shared": case.shared, "schedule": schedule, "seed": seed, "uninitialized": case.uninitialized}
    return module.launch(
        case.kernel,
        case.grid,
        64 if not bug or case.kernel != "writes_behind_the_end" else 96,
        arguments,
        strict=False,
        **options,
    )


@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_right_version_is_clean(planted, case, schedule, seed):
    assert call(planted, case, 0, schedule, seed).findings == ()


@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_planted_bug_is_found(planted, case, schedule, seed):
    expected = marks("planted.cu", case.kernel, "FINDING")
    report = call(planted, case, 1, schedule, seed)
    assert report.findings, "nothing was found"
    assert {finding.kind for finding in report.findings} == set(expected.values())
    first = report.findings[0]
    assert first.kernel == case.kernel
    if first.kind == "unwritten":
        assert first.file is None
        assert first.line is None
    else:
        assert {finding.line for finding in report.findings} <= set(expected)
        assert first.file.endswith("planted.cu")
    if case.block is not None:
        assert first.block == case.block
    if case.thread is not None:
        assert first.thread == case.thread
    assert case.says in first.message


def test_every_planted_kernel_is_tested(planted):
    assert set(planted.signatures) == {case.kernel for case in CASES}


def test_error_carries_the_findings(planted):
    y = np.zeros(64, np.float32)
    with pytest.raises(EmulatorError, match=r"race in two_writers at planted.cu:\d+, block \(0,0,0\) thread") as caught:
        planted.launch("two_writers", 1, 64, [y, 1])
    assert [finding.kind for finding in caught.value.findings] == ["race"]
    assert caught.value.report.kernel == "two_writers"


def test_library_works_after_a_failed_launch(planted):
    y = np.zeros(64, np.float32)
    for _ in range(3):
        with pytest.raises(EmulatorError, match="out-of-bounds"):
            planted.launch("overruns_dynamic_memory", 1, 64, [y, 1], shared=256)
        planted.launch("overruns_dynamic_memory", 1, 64, [y, 0], shared=256)
        np.testing.assert_array_equal(y, np.arange(64))


def test_deadlock_says_where_each_group_waits(planted):
    report = planted.launch("divergent_shuffle", 1, 64, [X[:64].copy(), np.zeros(64, np.float32), 1], strict=False)
    (finding,) = report.findings
    (shuffle,) = marks("planted.cu", "divergent_shuffle", "FINDING")
    assert (
        f"threads 0 to 15, 32 to 47 wait at __shfl_down_sync (planted.cu:{shuffle}) for the lanes of mask"
        in finding.message
    )
    assert f"threads 16 to 31, 48 to 63 wait at __syncthreads (planted.cu:{shuffle + 1})" in finding.message


def test_same_schedule_gives_the_same_findings(planted):
    case = next(case for case in CASES if case.kernel == "missing_barrier")
    first, second = (call(planted, case, 1, "random", 7).findings for _ in range(2))
    assert first == second


def test_assert_of_the_language():
    source = '#include <assert.h>\nextern "C" __global__ void f(int n) {\n  assert(int(threadIdx.x) < n);\n}\n'
    module = Module(source)
    assert module.launch("f", 1, 8, [8]).findings == ()
    (finding,) = module.launch("f", 1, 8, [5], strict=False).findings
    assert (finding.kind, finding.line, finding.thread) == ("assertion", 3, (5, 0, 0))
    assert "int(threadIdx.x) < n" in finding.message
