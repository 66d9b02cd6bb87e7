"""What every microkernel says in LLVM IR: vectors, loads and stores at byte addresses, loops.

Addresses are 64-bit integers, as they come from NumPy; strides are bytes.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from deepcore.kernels.cpu.host import ITEM, Host, has_slow_masks
from deepcore.kernels.cpu.record import offset

INT = ir.IntType(64)
INT32 = ir.IntType(32)
FLOAT = ir.FloatType()
BYTE_POINTER = ir.IntType(8).as_pointer()


def integer(value: int) -> ir.Constant:
    return ir.Constant(INT, value)


@functools.cache
def _pointer(kind: str) -> str:
    """How the names of intrinsics spell a pointer to ``kind``."""
    from deepcore.kernels.cpu.compiler import TYPED_POINTERS

    return f"p0{kind if TYPED_POINTERS else ''}"


class Emitter:
    """An IR builder that knows the host's vectors.

    Args:
        name: of the function to emit.
        arguments: names of its 64-bit integer arguments.
        host: the vector unit to emit for.
    """

    def __init__(self, name: str, arguments: Sequence[str], host: Host) -> None:
        self.host = host
        self.vector = ir.VectorType(FLOAT, host.lanes)
        self._name = f"v{host.lanes}f32"
        self.module = ir.Module(name)
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [INT] * len(arguments)), name)
        for argument, label in zip(function.args, arguments, strict=True):
            argument.name = label
        self.arguments = dict(zip(arguments, function.args, strict=True))
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self._counts: dict[ir.Value, ir.Value] = {}  # of the lanes of masks

    def finish(self) -> str:
        """The module's text, with the function ended."""
        self.builder.ret_void()
        return str(self.module)

    # integers

    def add(self, *terms: ir.Value) -> ir.Value:
        total = terms[0]
        for term in terms[1:]:
            total = self.builder.add(total, term)
        return total

    def times(self, value: ir.Value, factor: int) -> ir.Value:
        return self.builder.mul(value, integer(factor))

    def opaque(self, value: ir.Value) -> ir.Value:
        """The same integer, of which the compiler does not know where it came from.

        Of addresses that all move with a loop it makes a chain, each from the one before: an addition, on the ports
        that the multiplications want, for what an address can say for nothing.
        """
        kept: ir.Value = self.builder.asm(ir.FunctionType(INT, [INT]), "", "=r,0", [value], False)
        return kept

    def below(self, left: ir.Value, right: ir.Value) -> ir.Value:
        return self.builder.icmp_signed("<", left, right)

    # memory

    def _load(self, address: ir.Value, kind: ir.Type) -> ir.Value:
        loaded = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        loaded.align = ITEM
        return loaded

    def load_integer(self, address: ir.Value) -> ir.Value:
        return self._load(address, INT)

    def field(self, record: np.dtype, name: str) -> ir.Value:
        """An integer of the record that lies at the argument ``told``."""
        return self.load_integer(self.add(self.arguments["told"], integer(offset(record, name))))

    def load_scalar(self, address: ir.Value) -> ir.Value:
        return self._load(address, FLOAT)

    def store_scalar(self, value: ir.Value, address: ir.Value) -> None:
        self.builder.store(value, self.builder.inttoptr(address, FLOAT.as_pointer())).align = ITEM

    def load(self, address: ir.Value, mask: ir.Value | int | None = None) -> ir.Value:
        """A vector; where ``mask`` is false, zeros, and the memory is not touched. A number: so many lanes are read."""
        if mask is None:
            return self._load(address, self.vector)
        if isinstance(mask, int):
            return self._load_parts(address, mask)
        kind = self.vector.as_pointer()
        declared = ir.FunctionType(self.vector, [kind, INT32, mask.type, self.vector])
        load = self.declare(f"llvm.masked.load.{self._name}.{_pointer(self._name)}", declared)
        pointer = self.builder.inttoptr(address, kind)
        return self.builder.call(load, [pointer, ir.Constant(INT32, ITEM), mask, self.constant(0.0)])

    def store(self, value: ir.Value, address: ir.Value, mask: ir.Value | int | None = None) -> None:
        """Stores a vector; where ``mask`` is false, the memory is not touched. A number: so many lanes are stored."""
        kind = self.vector.as_pointer()
        pointer = self.builder.inttoptr(address, kind)
        if mask is None:
            self.builder.store(value, pointer).align = ITEM
            return
        if isinstance(mask, int):
            self._store_parts(value, address, mask)
            return
        if has_slow_masks(self.host) and mask in self._counts:
            self._store_counted(value, address, self._counts[mask])
            return
        declared = ir.FunctionType(ir.VoidType(), [self.vector, kind, INT32, mask.type])
        store = self.declare(f"llvm.masked.store.{self._name}.{_pointer(self._name)}", declared)
        self.builder.call(store, [value, pointer, ir.Constant(INT32, ITEM), mask])

    # A part of a vector, without a mask: a half of it, a quarter, an element, those of which its lanes are the sum.

    def _parts(self, count: int) -> list[tuple[int, int]]:
        """(first lane, lanes) of what ``count`` lanes, fewer than all, are made of."""
        sizes = [
            size for size in (self.host.lanes >> k for k in range(1, self.host.lanes.bit_length())) if count & size
        ]
        return [(sum(sizes[:number]), size) for number, size in enumerate(sizes)]

    def _load_parts(self, address: ir.Value, count: int) -> ir.Value:
        value = self.constant(0.0)
        for first, size in self._parts(count):
            part = self._load(self.add(address, integer(ITEM * first)), ir.VectorType(FLOAT, size))
            whole = self.shuffle(part, part, [min(k, size - 1) for k in range(self.host.lanes)])
            order = [self.host.lanes + k - first if first <= k < first + size else k for k in range(self.host.lanes)]
            value = self.shuffle(value, whole, order)
        return value

    def _store_parts(self, value: ir.Value, address: ir.Value, count: int) -> None:
        for first, size in self._parts(count):
            part = self.shuffle(value, value, range(first, first + size))
            pointer = self.builder.inttoptr(self.add(address, integer(ITEM * first)), part.type.as_pointer())
            self.builder.store(part, pointer).align = ITEM

    def _store_counted(self, value: ir.Value, address: ir.Value, count: ir.Value) -> None:
        """The same for a number of lanes, at most all, that is known when the code runs."""
        lanes, size = self.host.lanes, self.host.lanes
        while size:
            has = self.builder.icmp_signed("!=", self.builder.and_(count, integer(size)), integer(0))
            with self.builder.if_then(has):
                part = self.shuffle(value, value, range(size))
                self.builder.store(part, self.builder.inttoptr(address, part.type.as_pointer())).align = ITEM
            if size > 1:
                following = self.shuffle(value, value, [min(size + k, lanes - 1) for k in range(lanes)])
                value = self.builder.select(has, following, value)
                address = self.builder.select(has, self.add(address, integer(ITEM * size)), address)
            size //= 2

    def stream(self, value: ir.Value, address: ir.Value) -> None:
        """Stores a vector past the caches, at a multiple of its size."""
        stored = self.builder.store(value, self.builder.inttoptr(address, self.vector.as_pointer()))
        stored.align = self.host.vector_bytes
        stored.set_metadata("nontemporal", self.module.add_metadata([ir.Constant(INT32, 1)]))

    def prefetch(self, address: ir.Value, level: int = 1, write: bool = False) -> None:
        """Asks for the cache line at ``address``, into the cache of that level."""
        declared = ir.FunctionType(ir.VoidType(), [BYTE_POINTER, INT32, INT32, INT32])
        purpose, keep, data = (ir.Constant(INT32, value) for value in (int(write), 4 - level, 1))
        function = self.declare(f"llvm.prefetch.{_pointer('i8')}", declared)
        self.builder.call(function, [self.builder.inttoptr(address, BYTE_POINTER), purpose, keep, data])

    # vectors

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(self.vector, [value] * self.host.lanes)

    def broadcast(self, scalar: ir.Value) -> ir.Value:
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), scalar, ir.Constant(INT32, 0))
        every = ir.Constant(ir.VectorType(INT32, self.host.lanes), [0] * self.host.lanes)
        return self.builder.shuffle_vector(one, ir.Constant(self.vector, ir.Undefined), every)

    def shuffle(self, left: ir.Value, right: ir.Value, order: Sequence[int]) -> ir.Value:
        """The elements ``order`` of the two vectors, those of ``right`` counted on from those of ``left``."""
        return self.builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(INT32, len(order)), list(order)))

    def first_of(self, vector: ir.Value) -> ir.Value:
        return self.builder.extract_element(vector, ir.Constant(INT32, 0))

    def multiply_add(self, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
        """left * right + total, rounded once where the host can."""
        name = "llvm.fma" if self.host.fused else "llvm.fmuladd"
        declared = ir.FunctionType(self.vector, [self.vector] * 3)
        return self.builder.call(self.declare(f"{name}.{self._name}", declared), [left, right, total])

    def at_least(self, value: ir.Value, floor: ir.Value) -> ir.Value:
        """The larger of the two; NaN stays NaN, which an instruction for the maximum would lose."""
        return self.builder.select(self.builder.fcmp_ordered("<", value, floor), floor, value)

    def at_most(self, value: ir.Value, ceiling: ir.Value) -> ir.Value:
        return self.builder.select(self.builder.fcmp_ordered(">", value, ceiling), ceiling, value)

    def bounds(self, address: ir.Value) -> tuple[ir.Value, ir.Value]:
        """A floor and a ceiling for ``clamp``: the two floats at ``address``."""
        floor, ceiling = (self.broadcast(self.load_scalar(self.add(address, integer(ITEM * i)))) for i in range(2))
        return floor, ceiling

    def clamp(self, value: ir.Value, bounds: tuple[ir.Value, ir.Value]) -> ir.Value:
        floor, ceiling = bounds
        return self.at_most(self.at_least(value, floor), ceiling)

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """The mask that is true in the first ``count`` lanes."""
        wide = ir.VectorType(INT32, self.host.lanes)
        one = self.builder.insert_element(
            ir.Constant(wide, ir.Undefined), self.builder.trunc(count, INT32), ir.Constant(INT32, 0)
        )
        every = self.builder.shuffle_vector(
            one, ir.Constant(wide, ir.Undefined), ir.Constant(wide, [0] * self.host.lanes)
        )
        mask = self.builder.icmp_signed("<", ir.Constant(wide, list(range(self.host.lanes))), every)
        self._counts[mask] = count
        return mask

    def declare(self, name: str, signature: ir.FunctionType) -> ir.Function:
        found = self.module.globals.get(name)
        return found if found is not None else ir.Function(self.module, signature, name)

    # loops

    @contextlib.contextmanager
    def loop(self, count: ir.Value, carried: Sequence[ir.Value], least: int = 1) -> Iterator[Loop]:
        """A loop that runs ``count`` times, ``least`` at least, and carries values from round to round in registers."""
        builder = self.builder
        before = builder.block
        body = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        if least:
            builder.branch(body)
        else:
            builder.cbranch(self.below(integer(0), count), body, after)
        builder.position_at_end(body)
        done = builder.phi(INT)
        phis = [builder.phi(value.type) for value in carried]
        loop = Loop(list(phis))
        yield loop
        following = builder.add(done, integer(1))
        done.add_incoming(integer(0), before)
        done.add_incoming(following, builder.block)
        for phi, first, last in zip(phis, carried, loop.carried, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, builder.block)
        builder.cbranch(self.below(following, count), body, after)
        end = builder.block
        builder.position_at_end(after)
        if not least:
            results = [builder.phi(value.type) for value in carried]
            for result, first, last in zip(results, carried, loop.carried, strict=True):
                result.add_incoming(first, before)
                result.add_incoming(last, end)
            loop.carried = results


class Loop:
    """The values that a loop carries: on entry those of this round; what they are set to is the next round's."""

    def __init__(self, carried: list[Any]) -> None:
        self.carried = carried
