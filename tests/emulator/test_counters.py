"""Sectors and wavefronts of known accesses, and the lint that tests of kernels go by."""

from __future__ import annotations

import numpy as np
import pytest
from emulator.marks import marks

KERNELS = {
    "coalesced": (np.float32, np.float32),
    "strided": (np.float32, np.float32),
    "shifted": (np.float32, np.float32),
    "wide": (np.float32, np.float32),
    "same_word": (np.float32, np.float32),
    "halves": (np.float16, np.float16),
    "column_of_a_tile": (np.float32,),
    "column_of_a_padded_tile": (np.float32,),
    "every_second_word": (np.float32,),
    "vectors_in_shared": (np.float32,),
    "atomics_on_one_word": (np.int32,),
}


def launch(module, kernel, *more, schedule="fifo"):
    dtypes = KERNELS.get(kernel, (np.float32, np.float32))
    arrays = [np.zeros(1024, dtype) for dtype in dtypes]
    return module.launch(kernel, 1, 32, [*arrays, *more], schedule=schedule)


@pytest.mark.parametrize("schedule", ["fifo", "lifo", "random"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_costs_of_one_warp(counted, kernel, schedule):
    report = launch(counted, kernel, schedule=schedule)
    lines = marks("counters.cu", kernel, "COST")
    assert {counter.line for counter in report.counters} == set(lines)
    for line, text in lines.items():
        if text == "both":
            continue
        space, operation, cost, ideal = text.split()
        counter = report.line(line)
        assert (counter.space, counter.operation) == (space, operation)
        assert (counter.requests, counter.cost, counter.ideal) == (1, int(cost), int(ideal))


def test_padding_removes_the_conflict_that_lint_finds(counted):
    (worst, *others) = launch(counted, "column_of_a_tile").lint()
    assert (worst.cost, worst.ratio, worst.unit, others) == (32, 32.0, "wavefronts", [])
    assert "32 wavefronts in 1 requests, 32.00 times the ideal 1" in str(worst)
    assert launch(counted, "column_of_a_padded_tile").lint() == []


def test_lint_has_thresholds_and_begins_with_the_worst(counted):
    strided = launch(counted, "strided")
    assert [counter.ratio for counter in strided.lint()] == [8.0]
    assert strided.lint(sectors=8.0) == []
    shifted = launch(counted, "shifted")
    assert [counter.ratio for counter in shifted.lint()] == [1.25]
    assert shifted.lint(sectors=1.25) == []


def test_lanes_that_take_no_part_cost_nothing(counted):
    report = launch(counted, "only_some_lanes", 10)
    (line,) = marks("counters.cu", "only_some_lanes", "COST")
    load, store = report.line(line, operation="load"), report.line(line, operation="store")
    assert (load.threads, load.cost, load.ideal) == (10, 10, 2)
    assert (store.threads, store.cost, store.ideal) == (10, 2, 2)


@pytest.mark.parametrize("schedule", ["fifo", "lifo", "random"])
def test_turns_of_a_loop_are_requests(counted, schedule):
    report = launch(counted, "loop_of_rows", 100, schedule=schedule)
    line = min(marks("counters.cu", "loop_of_rows", "COST"))
    load = report.line(line)
    assert (load.requests, load.threads, load.cost, load.ideal) == (4, 100, 13, 13)


def test_a_line_with_two_counters_must_be_narrowed(counted):
    report = launch(counted, "only_some_lanes", 10)
    (line,) = marks("counters.cu", "only_some_lanes", "COST")
    with pytest.raises(LookupError, match="has 2 counters, not one"):
        report.line(line)
    with pytest.raises(LookupError, match="has 0 counters, not one"):
        report.line(1)
