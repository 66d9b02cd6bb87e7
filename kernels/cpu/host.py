"""The vector unit to compile for: how many float32 it holds, how many registers there are, and its name for LLVM."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from dataclasses import dataclass
from itertools import takewhile

from deepcore.errors import unknown_name
from deepcore.kernels.cpu.pages import LINE

VARIABLE = "DEEPCORE_VECTOR"
ITEM = 4  # bytes of a float32, of which vectors are made


@dataclass(frozen=True)
class Host:
    """What microkernels are made for.

    Attributes:
        vector: ``"avx512"``, ``"avx2"`` or ``"generic"``.
        lanes: float32 elements of a vector register.
        registers: vector registers.
        fused: whether multiply and add are one instruction; where they are not, the result is rounded twice.
        cpu: as LLVM calls it; None for all that this machine has.
    """

    vector: str
    lanes: int
    registers: int
    fused: bool
    cpu: str | None

    @property
    def vector_bytes(self) -> int:
        return ITEM * self.lanes

    @property
    def is_narrow(self) -> bool:
        """Whether a vector is a part of a cache line, which several of them then read or write."""
        return self.vector_bytes < LINE


def has_slow_masks(one: Host) -> bool:
    """Whether a masked store takes as long as ten others: AVX2 has some, which AMD's processors make of many steps."""
    return one.vector == "avx2"


@dataclass(frozen=True)
class Processor:
    """What can be known of this machine's: ``name`` is another for each kind, ``features`` are what it can do."""

    name: str
    features: frozenset[str]


@functools.cache
def processor() -> Processor:
    """This machine's, from Linux, which answers at once, or else from LLVM."""
    return _told_by_linux() or _told_by_llvm()


def _told_by_linux() -> Processor | None:
    """What Linux says of a processor of x86, whose features it calls as LLVM does."""
    if sys.platform != "linux" or not _is_x86(os.uname().machine):
        return None
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        first = dict(line.replace("\t", "").strip().split(":", 1) for line in takewhile(str.strip, lines))
        kind = [first.get(key) for key in ("vendor_id", "cpu family", "model", "stepping", "flags")]
        if None not in kind:
            return Processor(repr(kind), frozenset(first["flags"].split()))
    return None


def _told_by_llvm() -> Processor:
    from deepcore.kernels.cpu import compiler

    return Processor(*compiler.processor())


def _is_x86(machine: str) -> bool:
    return machine.startswith(("x86_64", "amd64"))


def hosts() -> tuple[Host, ...]:
    """The vector units of this machine, the widest last."""
    features = processor().features
    if not _is_x86(os.uname().machine):
        return (Host("generic", 4, 32, True, None),)
    found = [Host("generic", 4, 16, False, "x86-64")]
    if features.issuperset(("avx2", "fma")):
        found.append(Host("avx2", 8, 16, True, "x86-64-v3"))
        if features.issuperset(("avx512f", "avx512vl", "avx512dq")):
            found.append(Host("avx512", 16, 32, True, None))
    return tuple(found)


@functools.cache
def host() -> Host:
    """The widest vector unit here, or the narrower one that ``DEEPCORE_VECTOR`` names.

    Raises ``ValueError`` if the variable names one that this machine does not have.
    """
    possible = hosts()
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return possible[-1]
    for one in possible:
        if one.vector == wanted:
            return one
    raise unknown_name(f"vector unit in {VARIABLE}", wanted, [one.vector for one in possible])
