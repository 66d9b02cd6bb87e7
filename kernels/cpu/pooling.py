"""Pooling on vectors: the channels of a pixel, or where those are few, neighbouring pixels side by side.

Forth, what neighbouring pixels read lies a stride apart; it is loaded as it lies, and put in order by shuffles that are
known when the code is made. Back, a gradient is gathered: each pixel of dx is written once, from all the windows that
hold it. Pixels a stride apart are in neighbouring windows: they share a vector, and are shuffled to their places last.
Without AVX-512 shuffles are dearer: where windows do not overlap, what they give is shuffled to its places first, once
for all rows of a window; where they do, pixels that fill more than half a vector are not shuffled at all, but written
as whole vectors, each of which corrects what the one before wrote beyond its pixel.

A last vector that would be partly empty begins earlier instead, and what it shares with the one before is made twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import INT32, Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.window import Block

MAXIMUM, MEAN = "maximum", "mean"
READ_AHEAD, WRITE_AHEAD = 512, 1024
FEW_AHEAD = 2048  # elements: of few channels rows are short, and without AVX-512 many of them are asked for ahead
NOWHERE = 255  # a place that no window has

_BIT, _BYTE, _FLOAT = ir.IntType(1), ir.IntType(8), ir.FloatType()

Lane = tuple[int, int]  # an output and a channel
Slot = list["int | None"]  # for each lane the element of a row that it reads, if any


@dataclass(frozen=True)
class Pool:
    """What a kernel makes.

    Attributes:
        kind: ``MAXIMUM``, with the place in the window of the first, or ``MEAN``.
        block: the outputs; on the way back pixels of the input.
        channels: of a pixel, if they are fewer than a vector has lanes: then a vector holds several pixels. Else 0.
        tail: whether the channels of a pixel end with a part of a vector.
        divided: for the gradient of a mean: whether what is read was divided already.
        streamed: whether y is written past the caches; then all vectors of it are whole, at multiples of their size.
        cached: whether y is so small that the caches have it already: what is to be written is not asked for.
        vectors: neighbouring vectors of channels that are made together, where ``channels`` is 0.
        ahead: whether pixels are so large that the next block is asked for while this one is made, in the order in
            which it lies in memory: of each page the processor then reads one run, and goes on with it by itself.
    """

    kind: str
    block: Block
    channels: int
    tail: bool
    divided: bool = False
    streamed: bool = False
    cached: bool = False
    vectors: int = 1
    ahead: bool = False

    def __str__(self) -> str:
        together = f"{self.vectors} " if self.vectors > 1 else ""
        lanes = f"{self.channels} channels" if self.channels else f"{together}vectors{' tail' if self.tail else ''}"
        how = "".join(f" {name}" for name in ("divided", "streamed", "cached", "ahead") if getattr(self, name))
        return f"{self.kind} {self.block} {lanes}{how}"

    @property
    def back(self) -> bool:
        return self.block.rows.phase is not None


def pool(what: Pool) -> int:
    """The address of ``pooling(x, x_row, x_pixel, y, y_row, y_pixel, places, count)``.

    Of few channels, makes ``count`` blocks below each other; else one block, of so many times ``vectors`` whole vectors
    of channels and the rest. ``x`` is the first input of the block that exists. ``places``, one byte each, lie as y
    does, on the way back as x does.
    """
    return library.function(f"pooling {what}", lambda: emit_pool(what, host()))


def emit_pool(what: Pool, one: Host) -> str:
    e = Emitter("pooling", ["x", "x_row", "x_pixel", "y", "y_row", "y_pixel", "places", "count"], one)
    x, y, places, count = (e.arguments[name] for name in ("x", "y", "places", "count"))
    rows = what.block.rows
    if what.channels:
        x_step, y_step = e.times(e.arguments["x_row"], rows.step), e.times(e.arguments["y_row"], rows.outputs)
        places_step = e.builder.ashr(x_step if what.back else y_step, integer(2))
        with e.loop(count, [x, y, places]) as loop:
            if one.is_narrow:
                _ask_ahead(e, what, loop.carried[0], loop.carried[2])
            _Body(e, what, *loop.carried).emit()
            stepped = zip(loop.carried, (x_step, y_step, places_step), strict=True)
            loop.carried = [e.add(at, step) for at, step in stepped]
        return e.finish()
    carried, sizes = [x, y, places], [one.vector_bytes, one.vector_bytes, one.lanes]
    if what.ahead:  # also the pixels that the next block reads and this one does not
        carried.append(e.add(x, e.times(e.arguments["x_pixel"], what.block.columns.inputs)))
        sizes.append(what.block.columns.step * one.vector_bytes)
    steps = [what.vectors * size for size in sizes]
    with e.loop(count, carried) as loop:
        for start in loop.carried[3:]:  # the first rows were read by the blocks above, if windows overlap
            new_rows = range(max(0, rows.taps - rows.stride), rows.inputs)
            for row, line in itertools.product(new_rows, range(0, steps[3], LINE)):
                e.prefetch(e.add(start, e.times(e.arguments["x_row"], row), integer(line)))
        _Body(e, what, *loop.carried[:3]).emit()
        loop.carried = [e.add(at, integer(step)) for at, step in zip(loop.carried, steps, strict=True)]
    if what.tail:
        last = e.builder.sub(e.arguments["x_pixel"], integer(what.vectors * one.vector_bytes))
        _Body(e, what, e.add(x, last), e.add(y, last), e.add(places, e.builder.ashr(last, integer(2)))).emit()
    return e.finish()


def _ask_ahead(e: Emitter, what: Pool, x: ir.Value, places: ir.Value) -> None:
    """Asks for what a later block of few channels reads: as many elements as a block moves on."""
    elements = what.block.rows.step * what.block.columns.inputs * what.channels
    arrays = [(x, ITEM), (places, 1)] if what.back and what.kind == MAXIMUM else [(x, ITEM)]
    for array, item in arrays:
        for line in range(0, elements * item, LINE):
            e.prefetch(e.add(array, integer(FEW_AHEAD * item + line)))


def _starts(count: int, each: int) -> list[int]:
    """Where pieces of ``each`` begin that cover ``count``: side by side, but for the last, which ends where all end."""
    return [max(0, min(start, count - each)) for start in range(0, count, each)]


class _Body:
    """A block of outputs, for all channels or some vectors of them, where x, y and places begin at these addresses."""

    def __init__(self, e: Emitter, what: Pool, x: ir.Value, y: ir.Value, places: ir.Value) -> None:
        self.e, self.what, self.x, self.y, self.places = e, what, x, y, places
        self.rows, self.columns = what.block.rows, what.block.columns
        self.channels = what.channels or what.vectors * e.host.lanes
        # AVX-512 puts the lanes of two vectors in order by one instruction, and compares bytes of as many lanes as a
        # vector has; without it either takes three.
        narrow = e.host.is_narrow
        self._place = INT32 if narrow and what.back else _BYTE
        self._side_by_side = narrow and what.back and what.channels > 0 and self.columns.taps <= self.columns.stride
        # Where windows overlap, parts of pixels at the ends of vectors are cheaper than lanes that stay empty; but one
        # pixel in a vector, if it fills more than half of it, takes no shuffles at all.
        self._overlapping = narrow and what.back and what.channels > 0 and 1 < self.columns.stride < self.columns.taps
        self._by_pixel = self._overlapping and self.channels > e.host.lanes // 2
        self._reads_of = [{tap: j for j, tap in self.columns.of(q)} for q in range(self.columns.outputs)]
        self._vectors = list(self._all_vectors())
        self._loaded: dict[tuple, ir.Value] = {}
        self._computed: dict[tuple[int, int], tuple[ir.Value, ...]] = {}

    def emit(self) -> None:
        """All rows of a part before the next part: what they read alike is then still in registers.

        Vectors that are made together are stored one after the other: a cache line that is written past the caches must
        be whole before the next is begun, or each of its parts is a write to memory that reads what it leaves.
        """
        where: dict[Lane, tuple[int, int]] = {}
        for number, vector in enumerate(self._vectors):
            for k, lane in enumerate(vector):
                where.setdefault(lane, (number, k))
        every = sorted(where)
        lanes = self.e.host.lanes
        last = max(0, len(every) - lanes)
        starts = [*range(0, last, self.channels), last] if self._by_pixel else _starts(len(every), lanes)
        for first in range(0, len(starts), self.what.vectors):
            for row in range(self.rows.outputs):
                for start in starts[first : first + self.what.vectors]:
                    part = every[start : start + lanes]
                    picks = [where[lane] for lane in part]
                    if part in self._vectors:
                        picks = [(self._vectors.index(part), k) for k in range(len(part))]
                    elif self._by_pixel and start < last:  # what is beyond the pixel is written again by the next
                        picks = [(picks[0][0], k) for k in range(lanes)]
                    self._store(row, part, picks)

    def _all_vectors(self) -> Iterator[list[Lane]]:
        """The lanes of all vectors of a row of outputs.

        A vector has neighbouring elements, but on the way back whole pixels, of one phase of the stride. Where windows
        do not overlap, neighbours are side by side there, too, if that takes fewer instructions; where they do, either
        a vector has one pixel, or all its lanes are filled, with parts of pixels at its ends.
        """
        lanes, count = self.e.host.lanes, self.columns.outputs * self.channels
        apart = self.columns.stride if self.what.back and self.what.channels and not self._side_by_side else 1
        if self._overlapping:
            pixels = range(self.columns.outputs)
            for those in [[q] for q in pixels] if self._by_pixel else [pixels[phase::apart] for phase in range(apart)]:
                run = [(q, c) for q in those for c in range(self.channels)]
                yield from (run[first : first + lanes] for first in _starts(len(run), lanes))
            return
        each = lanes if apart == 1 else apart * (lanes - lanes % self.channels)
        for first in _starts(count, each):
            run = [divmod(element, self.channels) for element in range(first, min(first + each, count))]
            for phase in range(apart):
                lanes_of_phase = [lane for lane in run if (lane[0] - run[0][0]) % apart == phase]
                if lanes_of_phase:
                    yield lanes_of_phase

    def _reads(self, row: int, lanes: list[Lane]) -> Iterator[tuple[int, list[int], Slot]]:
        """(row of the input, places in the window, slot) of all that is read, in the order of the window."""
        every = sorted({tap for q, _ in lanes for tap in self._reads_of[q]})
        taps = [dict.fromkeys(range(self.columns.outputs), tap) for tap in every]
        if self._side_by_side:  # each has one tap, or none
            taps = [{q: next(iter(self._reads_of[q]), 0) for q, _ in lanes}] if every else []
        for i, r in self.rows.of(row):
            for tap in taps:
                columns = [(self._reads_of[q].get(tap[q]), c) for q, c in lanes]
                slot = [None if j is None else j * self.channels + c for j, c in columns]
                yield i, [r * self.columns.taps + tap[q] for q, _ in lanes], slot

    # What is computed: values, and forth of maxima their places, in bytes

    def _made(self, row: int, number: int) -> tuple[ir.Value, ...]:
        """Of the vector of that number."""
        if (row, number) not in self._computed:
            self._computed[row, number] = self._compute(row, self._vectors[number])
        return self._computed[row, number]

    def _compute(self, row: int, lanes: list[Lane]) -> tuple[ir.Value, ...]:
        if self.what.kind == MEAN:
            return (self._mean(row, lanes),)
        return (self._picked(row, lanes),) if self.what.back else self._largest(row, lanes)

    def _largest(self, row: int, lanes: list[Lane]) -> tuple[ir.Value, ir.Value]:
        b, best = self.e.builder, None
        # Of a window of nothing but -inf the first place counts that is inside the input.
        top = self.rows.of(row)[0][1] * self.columns.taps
        place = self._spread([top + min(self._reads_of[q]) for q, _ in lanes], INT32)
        for i, here, slot in self._reads(row, lanes):
            value = self._values(i, slot, float("-inf"))
            if best is None:
                best = value
                continue
            # NaN is larger than all but another NaN.
            take = b.and_(b.fcmp_unordered(">", value, best), b.fcmp_ordered("==", best, best))
            best, place = b.select(take, value, best), b.select(take, self._spread(here, INT32), place)
        return best, b.trunc(place, ir.VectorType(_BYTE, self.e.host.lanes))

    def _picked(self, row: int, lanes: list[Lane]) -> ir.Value:
        """The sum of what is read where the place is the tap by which it is read."""
        b = self.e.builder
        total = zero = self.e.constant(0.0)
        for i, here, slot in self._reads(row, lanes):
            taps = [NOWHERE if element is None else place for place, element in zip(here, slot, strict=True)]
            hit = b.icmp_unsigned("==", self._ordered("places", i, slot), self._spread(taps, self._place))
            value = self._ordered("x", i, slot)
            if self.e.host.is_narrow:  # a mask is a vector there, to which it is an and
                picked = b.select(hit, value, zero)
                total = picked if total is zero else b.fadd(total, picked)
            else:
                total = b.select(hit, value if total is zero else b.fadd(total, value), total)
        return total

    def _mean(self, row: int, lanes: list[Lane]) -> ir.Value:
        b, total = self.e.builder, None
        for i, _, slot in self._reads(row, lanes):
            value = self._values(i, slot, 0.0)
            total = value if total is None else b.fadd(total, value)
        if total is None:
            return self.e.constant(0.0)
        if self.what.divided:
            return total
        rows = len(self.rows.of(row))
        counts = [self.what.block.taps if self.what.back else rows * len(self._reads_of[q]) for q, _ in lanes]
        return b.fmul(total, self._spread([1 / count for count in counts], _FLOAT))

    # Lanes

    def _spread(self, values: list, kind: ir.Type) -> ir.Constant:
        """A constant with a value for each lane; what has no value has the last."""
        every = values + values[-1:] * (self.e.host.lanes - len(values))
        return ir.Constant(ir.VectorType(kind, len(every)), [ir.Constant(kind, value) for value in every])

    def _values(self, i: int, slot: Slot, rest: float) -> ir.Value:
        """What a slot reads, with ``rest`` in the lanes that read nothing."""
        value = self._ordered("x", i, slot)
        if None not in slot:
            return value
        exists = self._spread([element is not None for element in slot], _BIT)
        return self.e.builder.select(exists, value, self.e.constant(rest))

    def _ordered(self, array: str, i: int, slot: Slot) -> ir.Value:
        """What a slot reads of row i, and anything in the lanes that read nothing."""
        lanes, every = self.e.host.lanes, self.columns.inputs * self.channels
        lane, anything = next((lane, element) for lane, element in enumerate(slot) if element is not None)
        start = anything - lane
        if 0 <= start <= every - lanes and all(e in (None, start + lane) for lane, e in enumerate(slot)):
            return self._load(array, i, start)
        wanted = [anything if element is None else element for element in slot]
        low = min(wanted) // lanes * lanes  # other slots will want the same vectors
        if self._side_by_side or max(wanted) >= low + 2 * lanes:
            low = min(wanted)
        starts = [low + start for start in range(0, max(wanted) + 1 - low, lanes)]
        begins = [max(0, min(start, every - lanes)) for start in starts]
        parts = {n: self._load(array, i, begin) for n, begin in enumerate(begins)}
        numbers = [(element - low) // lanes for element in wanted]
        return self._select(parts, [(n, e - begins[n]) for n, e in zip(numbers, wanted, strict=True)])

    def _select(self, sources: Mapping[int, ir.Value], picks: Sequence[tuple[int, int]]) -> ir.Value:
        """A vector of lanes of others: ``picks`` says for each the number of its source, and which lane of that."""
        lanes = self.e.host.lanes
        first, *others = sorted({number for number, _ in picks})
        found = sources[first]
        if not others and all(pick == (first, lane) for lane, pick in enumerate(picks)):
            return found
        own = [lane if number == first else 0 for number, lane in picks]  # of ``found``, which is not in order yet
        for number in others or [first]:
            order = [lanes + lane if at == number else k for k, (at, lane) in zip(own, picks, strict=True)]
            order += order[-1:] * (lanes - len(order))
            found = self.e.shuffle(found, sources[number], order)
            own = list(range(len(picks)))
        return found

    # Memory

    def _offset(self, array: str, row: int, pixel: int, channel: int, item: int = ITEM) -> ir.Value:
        """Bytes from the first pixel of x or y; of places, whose items are bytes, from that which lies as it does."""
        e = self.e
        known = self.what.channels
        strides = e.arguments[f"{array}_row"], integer(known * ITEM) if known else e.arguments[f"{array}_pixel"]
        row_bytes, pixel_bytes = (e.builder.sdiv(stride, integer(ITEM // item), flags=("exact",)) for stride in strides)
        return e.add(e.times(row_bytes, row), e.times(pixel_bytes, pixel), integer(item * channel))

    def _load(self, array: str, i: int, element: int) -> ir.Value:
        """A vector of row i from an element on, or as much of it as the row has."""
        key = (array, i, element)
        if key not in self._loaded:
            e = self.e
            lanes = min(e.host.lanes, self.columns.inputs * self.channels)
            j, c = divmod(element, self.channels)
            if array == "x":
                address = e.add(self.x, self._offset("x", i, j, c))
                self._loaded[key] = e.load(address, self._first(lanes))
                unread = j >= self.columns.inputs - self.columns.step and not self.what.ahead
                if not self.what.channels and unread and c * ITEM % LINE == 0:  # not asked for by the vector before
                    e.prefetch(e.add(address, integer(READ_AHEAD)))
            else:
                self._loaded[key] = self._load_places(e.add(self.places, self._offset("x", i, j, c, 1)), lanes)
        return self._loaded[key]

    def _first(self, lanes: int) -> ir.Constant | None:
        """The mask of the first lanes; None for all of them."""
        return None if lanes == self.e.host.lanes else self._spread([True] * lanes + [False], _BIT)

    def _load_places(self, address: ir.Value, lanes: int) -> ir.Value:
        b, every = self.e.builder, self.e.host.lanes
        places = b.load(b.inttoptr(address, ir.VectorType(_BYTE, lanes).as_pointer()))
        places.align = 1
        if lanes < every:
            places = self.e.shuffle(places, places, [min(k, lanes - 1) for k in range(every)])
        return places if self._place is _BYTE else b.zext(places, ir.VectorType(self._place, every))

    def _store(self, row: int, part: list[Lane], picks: list[tuple[int, int]]) -> None:
        """Writes neighbouring elements of a row of outputs: ``picks`` says where each is made."""
        e, (q, c) = self.e, part[0]
        made = {number: self._made(row, number) for number in sorted({number for number, _ in picks})}
        values, *places = (
            self._select(dict(zip(made, each, strict=True)), picks) for each in zip(*made.values(), strict=True)
        )
        target = e.add(self.y, self._offset("y", row, q, c))
        if self.what.streamed:
            e.stream(values, target)
        else:
            e.store(values, target, self._first(len(part)))
            if not self.what.cached:
                e.prefetch(e.add(target, integer(WRITE_AHEAD)), write=True)
        for each in places:
            kept = each if len(part) == e.host.lanes else e.shuffle(each, each, range(len(part)))
            at = e.add(self.places, self._offset("y", row, q, c, 1))
            e.builder.store(kept, e.builder.inttoptr(at, kept.type.as_pointer())).align = 1
