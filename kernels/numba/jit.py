"""How the loops are compiled: the decorators of every file of this folder, and how a loop is handed to the cores.

A body is written once and compiled twice. ``inline`` compiles it into the CPU's ``parallel`` loop, which hands whole
rows to the cores. For a GPU, a plain function named ``*_thread(item, ...)`` says which part of the work one thread
does, most often a single element, by the same body; ``gpu.py`` compiles it, and every body it calls, when it is first
launched. Where one element is the unit on both, the body takes ``item`` first and is that function itself.

Numba's own ``prange`` is not used: what it makes of a loop's body runs up to three times slower than the same body by
itself, since it no longer sees what the arrays are, and it wants a pool of threads of its own.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType
from typing import Any

from llvmlite import ir
from numba import njit, types, uintp
from numba.core import cgutils
from numba.extending import intrinsic

from deepcore.kernels.cpu import threads
from deepcore.kernels.cpu.library import FASTMATH

__all__ = ["called", "index", "inline", "parallel", "part_of", "position"]

# index(i) for a computed index that is never negative: Numba lets a signed one count from the end, and the test for
# that keeps a loop from vectorising.
index = uintp

WHOLE = (0, 1)  # the share of a thread that does all of a loop
PARTS = 4  # a thread: whoever comes late, or is slow, leaves little to wait for

_SHARE = types.UniTuple(types.intp, 2)
_INT = ir.IntType(64)


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a body to be called from a ``parallel`` loop, compiled into it."""
    return njit(inline="always", fastmath=FASTMATH, error_model="numpy")(function)


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a body that is compiled by itself, for the types of its arguments: of one that is None, branches that
    need it are left out."""
    return njit(fastmath=FASTMATH, error_model="numpy")(function)


@inline
def part_of(piece, total):
    """The range of indices below ``total`` that ``piece`` is: (which, of how many)."""
    return range(total * piece[0] // piece[1], total * (piece[0] + 1) // piece[1])


@inline
def position(item, shape):
    """The four coordinates of element ``item`` of an array of four axes."""
    pixel = item // shape[3]
    row = pixel // shape[2]
    image = row // shape[1]
    return image, row - image * shape[1], pixel - row * shape[2], item - pixel * shape[3]


def parallel(function: FunctionType) -> Callable[..., Any]:
    """Decorator: compiles a loop for all cores, kept on disk, safe to call from several threads.

    The function's first argument is the share that a thread does of it, for ``part_of``; callers leave it out. Shares
    must not write to the same memory. Its ``serial`` is the same code on the calling thread alone: handing a small loop
    out costs more than it saves.
    """
    body = njit(cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")(function)

    @functools.wraps(function)
    def run(*args: Any) -> None:
        if os.name != "posix":
            _run_in_threads(body, args)
            return
        pool = threads.pool()
        launch(pool.entry, pool.told, PARTS * pool.threads, args)

    def serial(*args: Any) -> None:
        body(WHOLE, *args)

    launch = njit(cache=True, nogil=True)(_launch_of(body))
    run.body = body  # type: ignore[attr-defined]
    run.launch = launch  # type: ignore[attr-defined]
    run.serial = serial  # type: ignore[attr-defined]
    return run


def _launch_of(body: Any) -> FunctionType:
    """``_launch`` with this body, under a name and in a file by which Numba keeps it apart and finds out its age."""
    function = body.py_func
    code = _launch.__code__.replace(
        co_name=f"{function.__name__}_launch",
        co_filename=function.__code__.co_filename,
        co_firstlineno=function.__code__.co_firstlineno,
    )
    made = FunctionType(code, {"hand_out": hand_out, "body": body}, code.co_name)
    made.__qualname__, made.__module__ = code.co_name, function.__module__
    return made


def _launch(entry, pool, parts, args):  # type: ignore[no-untyped-def]
    hand_out(body, entry, pool, parts, args)  # type: ignore[name-defined]  # noqa: F821


@intrinsic
def hand_out(typing, body, entry, pool, parts, args):  # type: ignore[no-untyped-def]
    """Calls ``body`` for each of ``parts`` shares on the pool of ``kernels/cpu``, whose ``entry`` is ``run`` there."""
    made = body.get_call_type(typing, (_SHARE, *args), {})

    def code(context, builder, signature, values):  # type: ignore[no-untyped-def]
        _, entry, pool, parts, args = values
        told = [*cgutils.unpack_tuple(builder, args), parts]
        layout = ir.LiteralStructType([value.type for value in told])
        record = cgutils.alloca_once(builder, layout)
        for number, value in enumerate(told):
            builder.store(value, cgutils.gep_inbounds(builder, record, 0, number))

        task_type = ir.FunctionType(ir.IntType(32), [_INT] * 5)  # as every task of kernels/cpu
        task = ir.Function(builder.module, task_type, builder.module.get_unique_name("task"))
        task.linkage = "internal"
        _fill(context, task, layout, body.dispatcher.get_compile_result(made), made)

        request = cgutils.alloca_once(builder, _INT, size=3)
        fields = builder.ptrtoint(task, _INT), builder.ptrtoint(record, _INT), parts
        for number, value in enumerate(fields):
            builder.store(value, builder.gep(request, [_INT(number)]))
        room = builder.ptrtoint(cgutils.alloca_once(builder, _INT, size=2), _INT)
        run = builder.inttoptr(entry, task_type.as_pointer())
        builder.call(run, [room, room, pool, builder.ptrtoint(request, _INT), _INT(0)])
        return context.get_dummy_value()

    return types.void(body, types.intp, types.intp, types.intp, args), code


def _fill(context: Any, task: Any, layout: Any, compiled: Any, made: Any) -> None:
    """Writes a task: what it was told, out of memory, and the body called with the share that it is."""
    context.active_code_library.add_linking_library(compiled.library)
    builder = ir.IRBuilder(task.append_basic_block())
    _, _, told, which, _ = task.args
    record = builder.inttoptr(told, layout.as_pointer())
    fields = [builder.load(cgutils.gep_inbounds(builder, record, 0, n)) for n in range(len(layout.elements))]
    share = context.make_tuple(builder, _SHARE, [which, fields[-1]])
    context.call_internal_no_propagate(builder, compiled.fndesc, made, [share, *fields[:-1]])
    builder.ret(ir.IntType(32)(0))


@functools.cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads.count(), thread_name_prefix="deepcore")


def _run_in_threads(body: Any, args: tuple[Any, ...]) -> None:
    """Where there are no POSIX threads, and so no pool: a share for each of some threads of Python's."""
    parts = PARTS * threads.count()
    list(_executor().map(lambda part: body((part, parts), *args), range(parts)))
