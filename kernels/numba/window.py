"""What the taps of a window come to, for many neighbouring outputs at a time, with the results in registers.

It serves runs of outputs whose windows read equally long runs: the channels of a pixel, or a whole row where windows
move by one. A compiler makes no vectors of such loops, since the loop over the taps is the inner one, so they are
written in its own language: vectors of ``LANES`` elements, which it lays out for the processor at hand, four together
as long as there are so many, and fewer lanes where a run is shorter. The last vector ends where the run ends and may
overlap the one before it, whose numbers it then computes again.

All arrays are flat. Tap (i, j) of the first output is element ``first + i * row_step + j * column_step``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["add_shares", "largest", "picked", "put_picked", "put_tiles", "scatter", "total"]

LANES = 16
TOGETHER = 4

SHORTER = {LANES: 4, 4: 2, 2: 1}  # lanes of the vectors of runs that are shorter than one

Step = Callable[[Any, int, int], None]

_INT64 = ir.IntType(64)
_INT32 = ir.IntType(32)


def _integer(value: int) -> Any:
    return ir.Constant(_INT64, value)


def _is_index(kind: Any) -> bool:
    return isinstance(kind, types.Integer)


class _Run:
    """Emits one call: its arguments as attributes, its arrays as vectors."""

    def __init__(self, context: Any, builder: Any, names: str, signature: Any, args: Any) -> None:
        self.builder = builder
        self.pointers, self.bytes = {}, {}
        for name, kind, value in zip(names.split(), signature.args, args, strict=True):
            if isinstance(kind, types.Array):
                self.pointers[name] = context.make_array(kind)(context, builder, value).data
                self.bytes[name] = kind.dtype.bitwidth // 8
            else:
                # Counts and indices are of 64 bits, whatever a constant or an unsigned one came as.
                setattr(self, name, context.cast(builder, value, kind, types.int64) if _is_index(kind) else value)

    def address(self, array: str, index: Any, lanes: int) -> Any:
        pointer = self.builder.gep(self.pointers[array], [index])
        return self.builder.bitcast(pointer, ir.VectorType(self.element(array), lanes).as_pointer())

    def element(self, array: str) -> Any:
        return self.pointers[array].type.pointee

    def scalar(self, array: str, index: Any) -> Any:
        return self.builder.gep(self.pointers[array], [index])

    def load(self, array: str, index: Any, lanes: int) -> Any:
        return self.builder.load(self.address(array, index, lanes), align=self.bytes[array])

    def store(self, value: Any, array: str, index: Any) -> None:
        self.builder.store(value, self.address(array, index, value.type.count), align=self.bytes[array])

    def spread(self, scalar: Any, lanes: int) -> Any:
        undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))

    def narrow(self, integer: Any, array: str) -> Any:
        return self.builder.trunc(integer, self.element(array))

    @contextlib.contextmanager
    def count(self, start: Any, stop: Any, step: int) -> Iterator[Any]:
        """A loop over ``range(start, stop, step)``."""
        b = self.builder
        test, body, end = (b.append_basic_block(f"window.{name}") for name in ("test", "body", "end"))
        before = b.block
        b.branch(test)
        with b.goto_block(test):
            place = b.phi(_INT64)
            place.add_incoming(start, before)
            b.cbranch(b.icmp_signed("<", place, stop), body, end)
        b.position_at_end(body)
        yield place
        following = b.add(place, _integer(step))
        place.add_incoming(following, b.block)
        b.branch(test)
        b.position_at_end(end)

    def taps(self, visit: Callable[[Any, Any, Any], None]) -> None:
        """``visit(element, i, j)`` for every tap in row-major order."""
        b = self.builder
        zero = _integer(0)
        with self.count(zero, self.rows, 1) as i:
            row = b.add(self.first, b.mul(i, self.row_step))
            with self.count(zero, self.columns, 1) as j:
                visit(b.add(row, b.mul(j, self.column_step)), i, j)

    def over_the_run(self, step: Step) -> None:
        """``step(place, lanes, vectors)`` until the run is covered, in vectors that may overlap."""
        b, zero = self.builder, _integer(0)

        def overlapping(start: Any, lanes: int) -> None:
            last = b.sub(self.length, _integer(lanes))
            with self.count(start, self.length, lanes) as place:
                step(b.select(b.icmp_signed("<", place, last), place, last), lanes, 1)

        def at_most(lanes: int) -> None:
            if lanes == 1:
                overlapping(zero, 1)
                return
            with b.if_else(b.icmp_signed(">=", self.length, _integer(lanes))) as (enough, fewer):
                with enough:
                    whole = b.and_(self.length, _integer(-lanes * TOGETHER)) if lanes == LANES else zero
                    with self.count(zero, whole, lanes * TOGETHER) as place:
                        step(place, lanes, TOGETHER)
                    overlapping(whole, lanes)
                with fewer:
                    at_most(SHORTER[lanes])

        at_most(LANES)

    def once_over_the_run(self, step: Step) -> None:
        """The same in vectors that do not overlap, for a step that may not be repeated."""
        b, start = self.builder, _integer(0)
        for lanes, vectors in ((LANES, TOGETHER), (LANES, 1), (4, 1), (1, 1)):
            width = lanes * vectors
            end = b.and_(self.length, _integer(-width))
            with self.count(start, end, width) as place:
                step(place, lanes, vectors)
            start = end


def _variables(builder: Any, count: int, value: Any) -> list[Any]:
    return [cgutils.alloca_once_value(builder, value) for _ in range(count)]


@intrinsic
def total(typing, x, first, rows, row_step, columns, column_step, y, target, length, scale):  # type: ignore[no-untyped-def]
    """y[target : target + length] = scale times the sum over the taps of x."""
    signature = types.void(x, first, rows, row_step, columns, column_step, y, target, length, scale)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        names = "x first rows row_step columns column_step y target length scale"
        b, run = builder, _Run(context, builder, names, signature, args)

        def step(place, lanes, vectors):  # type: ignore[no-untyped-def]
            sums = _variables(b, vectors, ir.Constant(ir.VectorType(run.element("x"), lanes), None))

            def add(element, i, j):  # type: ignore[no-untyped-def]
                for v, variable in enumerate(sums):
                    value = run.load("x", b.add(b.add(element, place), _integer(v * lanes)), lanes)
                    b.store(b.fadd(b.load(variable), value), variable)

            run.taps(add)
            for v, variable in enumerate(sums):
                result = b.fmul(b.load(variable), run.spread(run.scale, lanes))
                run.store(result, "y", b.add(b.add(run.target, place), _integer(v * lanes)))

        run.over_the_run(step)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def largest(typing, x, first, rows, row_step, columns, column_step, y, argmax, target, length, place, place_step):  # type: ignore[no-untyped-def]
    """The maxima over the taps of x into y, and the place of each one's first occurrence into argmax.

    Both are [target : target + length]. The place of tap (i, j) is ``place + i * place_step + j``. NaN is larger than
    everything.
    """
    signature = types.void(x, first, rows, row_step, columns, column_step, y, argmax, target, length, place, place_step)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        names = "x first rows row_step columns column_step y argmax target length place place_step"
        b, run = builder, _Run(context, builder, names, signature, args)

        def step(start, lanes, vectors):  # type: ignore[no-untyped-def]
            lowest = ir.Constant(run.element("x"), float("-inf"))
            bests = _variables(b, vectors, run.spread(lowest, lanes))
            places = _variables(b, vectors, run.spread(run.narrow(run.place, "argmax"), lanes))

            def compare(element, i, j):  # type: ignore[no-untyped-def]
                here = b.add(run.place, b.add(b.mul(i, run.place_step), j))
                here = run.spread(run.narrow(here, "argmax"), lanes)
                for v, (best, best_place) in enumerate(zip(bests, places, strict=True)):
                    value = run.load("x", b.add(b.add(element, start), _integer(v * lanes)), lanes)
                    old = b.load(best)
                    take = b.and_(b.fcmp_unordered(">", value, old), b.fcmp_ordered("==", old, old))
                    b.store(b.select(take, value, old), best)
                    b.store(b.select(take, here, b.load(best_place)), best_place)

            run.taps(compare)
            for v, (best, best_place) in enumerate(zip(bests, places, strict=True)):
                index = b.add(b.add(run.target, start), _integer(v * lanes))
                run.store(b.load(best), "y", index)
                run.store(b.load(best_place), "argmax", index)

        run.over_the_run(step)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def picked(
    typing, dy, argmax, first, rows, row_step, columns, column_step, dx, target, length, place, row_place, column_place
):  # type: ignore[no-untyped-def]
    """dx[target : target + length] = the sum of dy over those taps whose argmax is the place wanted there.

    That of tap (i, j) is ``place - i * row_place - j * column_place``.
    """
    signature = types.void(
        dy, argmax, first, rows, row_step, columns, column_step, dx, target, length, place, row_place, column_place
    )

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        names = "dy argmax first rows row_step columns column_step dx target length place row_place column_place"
        b, run = builder, _Run(context, builder, names, signature, args)

        def step(start, lanes, vectors):  # type: ignore[no-untyped-def]
            sums = _variables(b, vectors, ir.Constant(ir.VectorType(run.element("dy"), lanes), None))

            def add(element, i, j):  # type: ignore[no-untyped-def]
                wanted = b.sub(run.place, b.add(b.mul(i, run.row_place), b.mul(j, run.column_place)))
                wanted = run.spread(run.narrow(wanted, "argmax"), lanes)
                for v, variable in enumerate(sums):
                    index = b.add(b.add(element, start), _integer(v * lanes))
                    old = b.load(variable)
                    more = b.fadd(old, run.load("dy", index, lanes))
                    b.store(
                        b.select(b.icmp_unsigned("==", run.load("argmax", index, lanes), wanted), more, old), variable
                    )

            run.taps(add)
            for v, variable in enumerate(sums):
                run.store(b.load(variable), "dx", b.add(b.add(run.target, start), _integer(v * lanes)))

        run.over_the_run(step)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def put_picked(
    typing, dy, argmax, source, length, dx, first, rows, row_step, columns, column_step, place, place_step, add
):  # type: ignore[no-untyped-def]
    """Puts dy[source : source + length] into dx, each element at that one of the taps whose place its argmax is.

    The place of tap (i, j) is ``place + i * place_step + j``; here the taps are elements of dx. What was at any of the
    taps is added to, or without ``add`` overwritten, with zero where nothing is put.
    """
    signature = types.void(
        dy, argmax, source, length, dx, first, rows, row_step, columns, column_step, place, place_step, add
    )

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        names = "dy argmax source length dx first rows row_step columns column_step place place_step add"
        b, run = builder, _Run(context, builder, names, signature, args)

        def step(start, lanes, vectors):  # type: ignore[no-untyped-def]
            origins = [b.add(b.add(run.source, start), _integer(v * lanes)) for v in range(vectors)]
            gradients = [run.load("dy", origin, lanes) for origin in origins]
            places = [run.load("argmax", origin, lanes) for origin in origins]

            nothing = ir.Constant(gradients[0].type, None)

            def put(element, i, j):  # type: ignore[no-untyped-def]
                here = b.add(run.place, b.add(b.mul(i, run.place_step), j))
                here = run.spread(run.narrow(here, "argmax"), lanes)
                for v in range(vectors):
                    pixel = b.add(b.add(element, start), _integer(v * lanes))
                    old = b.select(run.add, run.load("dx", pixel, lanes), nothing)
                    more = b.fadd(old, gradients[v])
                    run.store(b.select(b.icmp_unsigned("==", places[v], here), more, old), "dx", pixel)

            run.taps(put)

        run.once_over_the_run(step)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_shares(typing, dy, source, length, scale, dx, first, rows, row_step, columns, column_step):  # type: ignore[no-untyped-def]
    """Adds scale * dy[source : source + length] to every tap, which here are elements of dx."""
    signature = types.void(dy, source, length, scale, dx, first, rows, row_step, columns, column_step)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        names = "dy source length scale dx first rows row_step columns column_step"
        b, run = builder, _Run(context, builder, names, signature, args)

        def step(start, lanes, vectors):  # type: ignore[no-untyped-def]
            scale = run.spread(run.scale, lanes)
            shares = [
                b.fmul(run.load("dy", b.add(b.add(run.source, start), _integer(v * lanes)), lanes), scale)
                for v in range(vectors)
            ]

            def add(element, i, j):  # type: ignore[no-untyped-def]
                for v, share in enumerate(shares):
                    pixel = b.add(b.add(element, start), _integer(v * lanes))
                    run.store(b.fadd(run.load("dx", pixel, lanes), share), "dx", pixel)

            run.taps(add)

        run.once_over_the_run(step)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def scatter(typing, dy, argmax, source, length, dx, top, corners, offsets):  # type: ignore[no-untyped-def]
    """Adds dy[source : source + length] to dx, element by element, where argmax says.

    That is ``top + corners[element] + offsets[argmax]``: the first pixel of the element's window, and the place in it.
    """
    signature = types.void(dy, argmax, source, length, dx, top, corners, offsets)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        b, run = builder, _Run(context, builder, "dy argmax source length dx top corners offsets", signature, args)
        with run.count(_integer(0), run.length, 1) as place:
            element = b.add(run.source, place)
            offset = run.scalar("offsets", b.zext(b.load(run.scalar("argmax", element)), _INT64))
            pixel = b.add(b.add(run.top, b.load(run.scalar("corners", place))), b.load(offset))
            target = run.scalar("dx", pixel)
            b.store(b.fadd(b.load(target), b.load(run.scalar("dy", element))), target)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def put_tiles(typing, dy, argmax, source, tiles, channels, dx, top, bottom):  # type: ignore[no-untyped-def]
    """A row of windows of 2 by 2 that do not overlap: dx is dy where argmax says, and zero in the rest of a window.

    Window q has its channels at ``source + q * channels``, and its pixels at ``2 * q * channels`` from ``top`` and from
    ``bottom`` on.
    """
    signature = types.void(dy, argmax, source, tiles, channels, dx, top, bottom)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        names = "dy argmax source tiles channels dx top bottom"
        b, run = builder, _Run(context, builder, names, signature, args)
        zero, one = _integer(0), _integer(1)

        def picked_of(element, lanes):  # type: ignore[no-untyped-def]
            gradient, where = run.load("dy", element, lanes), run.load("argmax", element, lanes)
            nothing = ir.Constant(gradient.type, None)
            return [
                b.select(b.icmp_unsigned("==", where, ir.Constant(where.type, [place] * lanes)), gradient, nothing)
                for place in range(4)
            ]

        def pixels(window, channel, lanes):  # type: ignore[no-untyped-def]
            values = picked_of(b.add(b.add(run.source, b.mul(window, run.channels)), channel), lanes)
            left = b.add(b.mul(b.shl(window, one), run.channels), channel)
            for place, value in enumerate(values):
                column = left if place % 2 == 0 else b.add(left, run.channels)
                run.store(value, "dx", b.add(run.top if place < 2 else run.bottom, column))

        def exactly(first, last):  # type: ignore[no-untyped-def]
            with run.count(first, last, 1) as window:
                whole = b.and_(run.channels, _integer(-LANES))
                with run.count(zero, whole, LANES) as channel:
                    pixels(window, channel, LANES)
                with run.count(whole, run.channels, 1) as channel:
                    pixels(window, channel, 1)

        def rounded_up(lanes):  # type: ignore[no-untyped-def]
            # What is stored beyond the channels is the next pixel's, which is stored after it; the last has none, and
            # gets two vectors that overlap.
            last = b.sub(run.tiles, one)
            with run.count(zero, last, 1) as window:
                pixels(window, zero, lanes)
            pixels(last, zero, lanes // 2)
            pixels(last, b.sub(run.channels, _integer(lanes // 2)), lanes // 2)

        def pairs(window, lanes):  # type: ignore[no-untyped-def]
            places = [half * lanes + place for place in range(lanes) for half in (0, 1)]
            order = ir.Constant(ir.VectorType(_INT32, 2 * lanes), places)
            values = picked_of(b.add(run.source, window), lanes)
            for row, (left, right) in ((run.top, values[:2]), (run.bottom, values[2:])):
                run.store(b.shuffle_vector(left, right, order), "dx", b.add(row, b.shl(window, one)))

        def neighbours():  # type: ignore[no-untyped-def]
            whole = b.and_(run.tiles, _integer(-LANES))
            with run.count(zero, whole, LANES) as window:
                pairs(window, LANES)
            with b.if_else(b.icmp_signed(">=", run.tiles, _integer(4))) as (several, hardly):
                with several:
                    last = b.sub(run.tiles, _integer(4))
                    with run.count(whole, run.tiles, 4) as window:
                        pairs(b.select(b.icmp_signed("<", window, last), window, last), 4)
                with hardly:
                    exactly(zero, run.tiles)

        def at_most(channels):  # type: ignore[no-untyped-def]
            return b.icmp_signed("<=", run.channels, _integer(channels))

        with b.if_else(at_most(1)) as (single, more):
            with single:
                neighbours()
            with more, b.if_else(at_most(4)) as (few, many):
                with few:
                    rounded_up(4)
                with many, b.if_else(at_most(8)) as (some, full):
                    with some:
                        rounded_up(8)
                    with full:
                        exactly(zero, run.tiles)
        return context.get_dummy_value()

    return signature, generate
