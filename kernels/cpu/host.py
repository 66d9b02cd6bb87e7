"""The vector unit to compile for: how many float32 it holds, how many registers there are, and its name for LLVM."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import llvmlite.binding as llvm

from deepcore.errors import unknown_name

VARIABLE = "DEEPCORE_VECTOR"


@dataclass(frozen=True)
class Host:
    """What microkernels are made for.

    Attributes:
        vector: ``"avx512"``, ``"avx2"`` or ``"generic"``.
        lanes: float32 elements of a vector register.
        registers: vector registers.
        fused: whether multiply and add are one instruction; where they are not, the result is rounded twice.
        cpu, features: as LLVM calls them.
    """

    vector: str
    lanes: int
    registers: int
    fused: bool
    cpu: str
    features: str

    @property
    def vector_bytes(self) -> int:
        return 4 * self.lanes


def hosts() -> tuple[Host, ...]:
    """The vector units of this machine, the widest last."""
    here = llvm.get_host_cpu_features()
    cpu, features = llvm.get_host_cpu_name(), here.flatten()
    if not llvm.get_process_triple().startswith(("x86_64", "amd64")):
        return (Host("generic", 4, 32, True, cpu, features),)
    found = [Host("generic", 4, 16, False, "x86-64", "")]
    if here.get("avx2") and here.get("fma"):
        found.append(Host("avx2", 8, 16, True, "x86-64-v3", ""))
        if all(here.get(f"avx512{part}") for part in ("f", "vl", "dq")):
            found.append(Host("avx512", 16, 32, True, cpu, features))
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
