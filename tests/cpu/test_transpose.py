"""Transposition in registers against NumPy, for every vector unit that this machine has."""

from __future__ import annotations

import numpy as np
import pytest
from microkernels import compiled

from deepcore.kernels.cpu.host import hosts
from deepcore.kernels.cpu.record import address
from deepcore.kernels.cpu.transpose import emit_transpose

GUARD = 123.5  # what lies around the result and must stay there


@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
@pytest.mark.parametrize("squares", [1, 3])
@pytest.mark.parametrize("missing", [0, 1, 3])
def test_rows_become_columns(host, squares, missing, rng):
    rows, columns = host.lanes - missing, squares * host.lanes
    check(host, False, rows, columns, squares, rng)


@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
@pytest.mark.parametrize("missing", [0, 1])
def test_a_tail_has_fewer_columns(host, missing, rng):
    for columns in (1, host.lanes - 1, host.lanes):
        check(host, True, host.lanes - missing, columns, columns, rng)


def check(host, tail, rows, columns, last, rng):
    transpose = compiled(emit_transpose(tail, host), "transpose", host)
    source = rng.standard_normal((rows, columns + 3)).astype(np.float32)
    target = np.full((max(columns, host.lanes) + 1, host.lanes + 2), GUARD, np.float32)
    transpose(address(source), source.strides[0], rows, address(target), target.strides[0], last)
    np.testing.assert_array_equal(target[:columns, :rows], source[:, :columns].T)
    assert (target[:, host.lanes :] == GUARD).all()
    assert (target[max(columns, host.lanes) :] == GUARD).all()
