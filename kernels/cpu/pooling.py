"""Pooling on vectors: the channels of a pixel, or where those are few, neighbouring pixels side by side.

What neighbouring pixels read lies a stride apart; it is loaded as it lies and put in order by a shuffle that is known
when the code is made. A gradient is gathered: each pixel of dx is written once, from all the windows that hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import INT32, Emitter, integer
from deepcore.kernels.cpu.host import Host, host
from deepcore.kernels.cpu.window import Block

MAXIMUM, MEAN = "maximum", "mean"
NOWHERE = -1  # a place that no window has

_BYTE = ir.IntType(8)

# For each of the neighbours that are in a vector, the input that it reads next along the row, with which tap, if any.
Slot = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Pool:
    """What a kernel makes.

    Attributes:
        kind: ``MAXIMUM``, with the place in the window of the first, or ``MEAN``.
        block: the outputs; on the way back pixels of the input.
        channels: of a pixel, if they are fewer than a vector has lanes: then a vector holds several pixels. Else 0.
        whole: whether there are whole vectors of channels.
        tail: lanes of the last vector of channels; 0 where that is a whole one.
        divided: for the gradient of a mean: whether what is read was divided already.
    """

    kind: str
    block: Block
    channels: int
    whole: bool
    tail: int
    divided: bool = False

    def __str__(self) -> str:
        lanes = f"{'vectors' * self.whole} {self.tail}" if not self.channels else f"{self.channels} channels"
        return f"{self.kind} {self.block} {lanes}{' divided' if self.divided else ''}"

    @property
    def back(self) -> bool:
        return self.block.rows.phase is not None


def pool(what: Pool) -> int:
    """The address of ``pooling(x, x_row, x_pixel, y, y_row, y_pixel, places, vectors)``.

    Makes a block for all channels. ``x`` is the first input of the block that exists. ``places``, one byte each, lie as
    y does, on the way back as x does. ``vectors`` counts the whole vectors of channels.
    """
    return library.function(f"pooling {what}", lambda: emit_pool(what, host()))


def emit_pool(what: Pool, one: Host) -> str:
    names = ["x", "x_row", "x_pixel", "y", "y_row", "y_pixel", "places", "vectors"]
    e = Emitter("pooling", names, one)
    if what.channels:
        _Body(e, what, integer(0), 0).emit()
        return e.finish()
    size = one.vector_bytes
    if what.whole:
        with e.loop(e.arguments["vectors"], [integer(0)]) as loop:
            (at,) = loop.carried
            _Body(e, what, at, one.lanes).emit()
            loop.carried = [e.add(at, integer(size))]
    if what.tail:
        _Body(e, what, e.times(e.arguments["vectors"], size), what.tail).emit()
    return e.finish()


class _Body:
    """So many lanes of one vector of channels of every output; or all channels, ``lanes`` being 0."""

    def __init__(self, e: Emitter, what: Pool, at: ir.Value, lanes: int) -> None:
        self.e, self.what, self.at, self.lanes = e, what, at, lanes
        self.columns = what.block.columns
        self._loaded: dict[tuple, ir.Value] = {}

    def emit(self) -> None:
        for row in range(self.what.block.rows.outputs):
            for outputs in self._vectors():
                if self.what.kind == MAXIMUM and self.what.back:
                    self._store(row, outputs, self._picked(row, outputs))
                elif self.what.kind == MAXIMUM:
                    best, place = self._largest(row, outputs)
                    self._store(row, outputs, best)
                    self._store_places(row, outputs, place)
                else:
                    self._store(row, outputs, self._mean(row, outputs))

    def _vectors(self) -> list[range]:
        """The neighbours that are in each vector."""
        count = self.columns.outputs
        together = 1 if self.lanes else self.e.host.lanes // self.what.channels
        return [range(q, min(q + together, count)) for q in range(0, count, together)]

    def _reads(self, row: int, outputs: range) -> Iterator[tuple[int, int, Slot]]:
        """(row of the input, row of the window, slot) of all that outputs read, in the order of the window."""
        columns = [self.columns.of(q) for q in outputs]
        slots = [
            tuple(reads[k] if k < len(reads) else None for reads in columns) for k in range(max(map(len, columns)))
        ]
        for i, r in self.what.block.rows.of(row):
            for slot in slots:
                yield i, r, slot

    # What is computed

    def _largest(self, row: int, outputs: range) -> tuple[ir.Value, ir.Value]:
        """Maxima and places. The first thing that a window reads, it always reads."""
        b = self.e.builder
        best = place = None
        for i, r, slot in self._reads(row, outputs):
            value, here = self._values(i, slot, float("-inf")), self._places_of(r, slot)
            if best is None:
                best, place = value, here
                continue
            # NaN is larger than all but another NaN.
            take = b.and_(b.fcmp_unordered(">", value, best), b.fcmp_ordered("==", best, best))
            best, place = b.select(take, value, best), b.select(take, here, place)
        return best, place

    def _picked(self, row: int, outputs: range) -> ir.Value:
        """The sum of what is read where the place is the tap by which it is read."""
        b = self.e.builder
        total = self.e.constant(0.0)
        for number, (i, r, slot) in enumerate(self._reads(row, outputs)):
            hit = b.icmp_signed("==", self._ordered("places", i, slot), self._places_of(r, slot))
            value = self._ordered("x", i, slot)
            total = b.select(hit, b.fadd(total, value) if number else value, total)
        return total

    def _mean(self, row: int, outputs: range) -> ir.Value:
        b = self.e.builder
        total = None
        for i, _, slot in self._reads(row, outputs):
            value = self._values(i, slot, 0.0)
            total = value if total is None else b.fadd(total, value)
        if total is None:
            return self.e.constant(0.0)
        if self.what.divided:
            return total
        rows = len(self.what.block.rows.of(row))
        counts = [rows * len(self.columns.of(q)) for q in outputs]
        if self.what.back:
            counts = [self.what.block.taps] * len(outputs)
        return b.fmul(total, self._spread([1 / count for count in counts], ir.FloatType(), 0.0))

    # Lanes

    def _spread(self, values: list, kind: ir.Type, rest: float) -> ir.Constant:
        """A constant with one value for all channels of each neighbour."""
        channels = self.lanes or self.what.channels
        each = [value for value in values for _ in range(channels)]
        each += [rest] * (self.e.host.lanes - len(each))
        return ir.Constant(ir.VectorType(kind, len(each)), [ir.Constant(kind, value) for value in each])

    def _places_of(self, r: int, slot: Slot) -> ir.Constant:
        taps = [NOWHERE if read is None else r * self.columns.taps + read[1] for read in slot]
        return self._spread(taps, INT32, NOWHERE)

    def _values(self, i: int, slot: Slot, rest: float) -> ir.Value:
        """What a slot reads, with ``rest`` for those that read nothing."""
        value = self._ordered("x", i, slot)
        if None not in slot:
            return value
        exists = self._spread([read is not None for read in slot], ir.IntType(1), True)
        return self.e.builder.select(exists, value, self.e.constant(rest))

    def _ordered(self, array: str, i: int, slot: Slot) -> ir.Value:
        """What a slot reads of row i, each in the lanes of its output."""
        if self.lanes:
            (read,) = slot
            assert read is not None
            return self._load(array, i, read[0], 0, self.lanes)
        lanes, channels = self.e.host.lanes, self.what.channels
        first = next(read[0] for read in slot if read is not None)
        wanted = [(first if read is None else read[0]) * channels + c for read in slot for c in range(channels)]
        every = self.columns.inputs * channels
        key = (array, i, tuple(wanted))
        if key in self._loaded:
            return self._loaded[key]
        if wanted == list(range(wanted[0], wanted[0] + len(wanted))):
            found = self._load(array, i, 0, wanted[0], min(lanes, every - wanted[0]))
        else:
            # Where two vectors from the row's first on hold it, other slots will want the same two.
            start = 0 if max(wanted) < 2 * lanes else min(wanted)
            places = [element - start for element in wanted] + [wanted[0] - start] * (lanes - len(wanted))
            parts = [
                self._load(array, i, 0, start + part, min(lanes, every - start - part))
                for part in range(0, max(places) + 1, lanes)
            ]
            found = self._shuffle(parts[0], parts[min(1, len(parts) - 1)], places)
            for number, part in enumerate(parts[2:], 2):
                into = [place - (number - 1) * lanes for place in places]
                order = [place if lanes <= place < 2 * lanes else lane for lane, place in enumerate(into)]
                found = self._shuffle(found, part, order)
        self._loaded[key] = found
        return found

    def _shuffle(self, low: ir.Value, high: ir.Value, order: list[int]) -> ir.Value:
        inside = [place % (2 * self.e.host.lanes) for place in order]
        return self.e.builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(INT32, len(inside)), inside))

    # Memory

    def _load(self, array: str, i: int, j: int, element: int, lanes: int) -> ir.Value:
        """``lanes`` elements of row i from so many on; places as integers of 32 bits."""
        key = (array, i, j, element, lanes)
        if key not in self._loaded:
            e, a = self.e, self.e.arguments
            offset = e.add(self.at, e.times(a["x_row"], i), e.times(a["x_pixel"], j), integer(4 * element))
            if array == "x":
                mask = None if lanes == e.host.lanes else self._first(lanes)
                self._loaded[key] = e.load(e.add(a["x"], offset), mask)
            else:
                self._loaded[key] = self._load_places(self._place_address(offset), lanes)
        return self._loaded[key]

    def _first(self, lanes: int) -> ir.Constant:
        every = self.e.host.lanes
        return ir.Constant(ir.VectorType(ir.IntType(1), every), [lane < lanes for lane in range(every)])

    def _place_address(self, offset: ir.Value) -> ir.Value:
        return self.e.add(self.e.arguments["places"], self.e.builder.ashr(offset, integer(2)))

    def _load_places(self, address: ir.Value, lanes: int) -> ir.Value:
        b, every = self.e.builder, self.e.host.lanes
        bytes_ = b.load(b.inttoptr(address, ir.VectorType(_BYTE, lanes).as_pointer()))
        bytes_.align = 1
        if lanes < every:
            order = ir.Constant(ir.VectorType(INT32, every), [min(lane, lanes - 1) for lane in range(every)])
            bytes_ = b.shuffle_vector(bytes_, bytes_, order)
        return b.zext(bytes_, ir.VectorType(INT32, every))

    def _target(self, row: int, outputs: range) -> tuple[ir.Value, int]:
        """Where outputs lie from y on, and how many lanes they have."""
        e, a = self.e, self.e.arguments
        target = e.add(self.at, e.times(a["y_row"], row), e.times(a["y_pixel"], outputs[0]))
        return target, self.lanes or len(outputs) * self.what.channels

    def _store(self, row: int, outputs: range, value: ir.Value) -> None:
        target, lanes = self._target(row, outputs)
        mask = None if lanes == self.e.host.lanes else self._first(lanes)
        self.e.store(value, self.e.add(self.e.arguments["y"], target), mask)

    def _store_places(self, row: int, outputs: range, places: ir.Value) -> None:
        b, (target, lanes) = self.e.builder, self._target(row, outputs)
        bytes_ = b.trunc(places, ir.VectorType(_BYTE, self.e.host.lanes))
        if lanes < self.e.host.lanes:
            bytes_ = b.shuffle_vector(bytes_, bytes_, ir.Constant(ir.VectorType(INT32, lanes), list(range(lanes))))
        pointer = b.inttoptr(self._place_address(target), bytes_.type.as_pointer())
        b.store(bytes_, pointer).align = 1
