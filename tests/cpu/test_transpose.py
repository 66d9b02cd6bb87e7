"""Transposition in registers against NumPy, for every vector unit that this machine has."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.host import hosts
from deepcore.kernels.cpu.record import address
from deepcore.kernels.cpu.transpose import emit_transpose

GUARD = 123.5  # what lies around the result and must stay there


@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
@pytest.mark.parametrize("blocks", [1, 3])
def test_rows_become_columns(host, blocks, rng):
    machine = library.target(host)
    code = machine.emit_object(llvm.parse_assembly(emit_transpose(host)))
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    transpose = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5)(engine.get_function_address("transpose"))
    columns = blocks * host.lanes
    a = rng.standard_normal((host.lanes, columns + 3)).astype(np.float32)
    b = np.full((columns, host.lanes + 2), GUARD, np.float32)
    transpose(address(a), a.strides[0], address(b), b.strides[0], blocks)
    np.testing.assert_array_equal(b[:, : host.lanes], a[:, :columns].T)
    assert (b[:, host.lanes :] == GUARD).all()
