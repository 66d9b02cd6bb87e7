"""Microkernels by themselves, as Python calls them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from deepcore.kernels.cpu import compiler
from deepcore.kernels.cpu.host import Host


def compiled(text: str, name: str, host: Host) -> Callable[..., None]:
    """The function ``name`` of a module of LLVM IR, which takes 64-bit integers."""
    where = compiler.loaded(compiler.compiled(text, host), name, host)

    def call(*arguments: int) -> None:
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(arguments))(where)(*arguments)

    return call
