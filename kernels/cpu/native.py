"""What tasks need beyond Python: records at an address, calls by address, copies, atomics. Needs Numba.

Tasks are compiled by ``library.task``; nothing here can raise.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import from_dtype, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from deepcore.kernels.cpu.compiler import TYPED_POINTERS

_INT = ir.IntType(64)
_BYTE = ir.IntType(8)

helper = njit(error_model="numpy", inline="always")  # a function that tasks share


def record(dtype: np.dtype):
    """A function that makes of an address the record of ``dtype`` that lies there."""
    kind = from_dtype(dtype)

    @intrinsic
    def at(typing, address):
        def code(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.intp), code

    return at


@intrinsic
def call(typing, address, arguments):
    """Calls the function at ``address``, ``void f(int64, ...)``, with a tuple of integers."""
    count = len(arguments)

    def code(context, builder, signature, values):
        pointer = ir.FunctionType(ir.VoidType(), [_INT] * count).as_pointer()
        unpacked = cgutils.unpack_tuple(builder, values[1], count)
        builder.call(builder.inttoptr(values[0], pointer), unpacked)
        return context.get_dummy_value()

    return types.void(types.intp, types.UniTuple(types.intp, count)), code


@intrinsic
def call_task(typing, address, told, index, worker):
    """Calls a task: as Numba makes it, with room for a result and an exception that never come."""

    def code(context, builder, signature, values):
        room = cgutils.alloca_once(builder, _INT, size=2)
        where = builder.ptrtoint(room, _INT)
        pointer = ir.FunctionType(ir.IntType(32), [_INT] * 5).as_pointer()
        builder.call(builder.inttoptr(values[0], pointer), [where, where, *values[1:]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), code


@intrinsic
def copy(typing, target, source, size):
    """Copies ``size`` bytes."""

    def code(context, builder, signature, values):
        pointers = [builder.inttoptr(value, _BYTE.as_pointer()) for value in values[:2]]
        cgutils.raw_memcpy(builder, *pointers, values[2], 1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), code


@intrinsic
def zero(typing, target, size):
    """Sets ``size`` bytes to zero."""

    def code(context, builder, signature, values):
        cgutils.memset(builder, builder.inttoptr(values[0], _BYTE.as_pointer()), values[1], 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), code


def _memory(kind, typ, atomic):
    @intrinsic
    def load(typing, address):
        def code(context, builder, signature, values):
            pointer = builder.inttoptr(values[0], kind.as_pointer())
            return builder.load_atomic(pointer, "acquire", 8) if atomic else builder.load(pointer)

        return typ(types.intp), code

    @intrinsic
    def store(typing, address, value):
        def code(context, builder, signature, values):
            pointer = builder.inttoptr(values[0], kind.as_pointer())
            if atomic:
                builder.store_atomic(values[1], pointer, "release", 8)
            else:
                builder.store(values[1], pointer)
            return context.get_dummy_value()

        return types.void(types.intp, typ), code

    return load, store


load_float, store_float = _memory(ir.FloatType(), types.float32, atomic=False)
load_int, store_int = _memory(_INT, types.intp, atomic=False)
load_acquire, store_release = _memory(_INT, types.intp, atomic=True)


@intrinsic
def fetch_add(typing, address, value):
    """Adds to the integer at ``address``, at once for all threads, and returns what it was."""

    def code(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], _INT.as_pointer())
        return builder.atomic_rmw("add", pointer, values[1], "seq_cst")

    return types.intp(types.intp, types.intp), code


@intrinsic
def pause(typing):
    """Tells the core that it is waiting, some 50 ns; nothing where there is no such instruction."""

    def code(context, builder, signature, values):
        if builder.module.triple.startswith(("x86_64", "amd64")):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def prefetch(typing, address):
    """Asks for the cache line at ``address``, into the first-level cache."""

    def code(context, builder, signature, values):
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), *[ir.IntType(32)] * 3])
        name = f"llvm.prefetch.p0{'i8' if TYPED_POINTERS else ''}"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        read, keep, data = (ir.Constant(ir.IntType(32), value) for value in (0, 3, 1))
        builder.call(function, [builder.inttoptr(values[0], _BYTE.as_pointer()), read, keep, data])
        return context.get_dummy_value()

    return types.void(types.intp), code
