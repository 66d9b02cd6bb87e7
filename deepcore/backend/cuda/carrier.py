"""The two ways to run a kernel, with one meaning: CuPy on a GPU, and the emulator on the CPU.

Which one is decided by the arrays: a kernel runs where its data is.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from deepcore.backend.cuda.cubin import compile_options as compile_options
from deepcore.backend.cuda.cubin import cubin
from deepcore.backend.cuda.cubin import translation_unit as translation_unit
from deepcore.errors import DeviceMismatchError

if TYPE_CHECKING:
    from deepcore.backend.cuda.launcher import Kernel

Sizes = tuple[int, int, int]


class Carrier(Protocol):
    """Runs kernels on one kind of array."""

    array_kind: str

    def owns(self, array: Any) -> bool:
        """Whether ``array`` is of the kind that runs here."""

    def address(self, array: Any) -> int:
        """Where its first byte is."""

    def launch(
        self,
        kernel: Kernel,
        grid: Sizes,
        block: Sizes,
        values: Sequence[Any],
        shared: int,
        memory: Sequence[Any] = (),
    ) -> None:
        """Runs ``kernel``; its arguments have been checked. It reaches ``memory`` through addresses in them."""


@dataclass(frozen=True)
class Emulation:
    """How the emulator runs kernels.

    Attributes:
        check: watch every load and store, and raise on the first finding.
        schedule: order of the threads: ``"fifo"``, ``"lifo"`` or ``"random"``.
        seed: of the random order.
    """

    check: bool = False
    schedule: str = "fifo"
    seed: int = 0


_emulation: ContextVar[Emulation | None] = ContextVar("deepcore_emulation", default=None)


@contextlib.contextmanager
def emulation(check: bool = False, schedule: str = "fifo", seed: int = 0) -> Iterator[None]:
    """Within the block the emulator runs kernels in this way. Per thread and per asynchronous task."""
    token = _emulation.set(Emulation(check, schedule, seed))
    try:
        yield
    finally:
        _emulation.reset(token)


_recorded: ContextVar[list[Kernel] | None] = ContextVar("deepcore_recorded_launches", default=None)


@contextlib.contextmanager
def dry() -> Iterator[list[Kernel]]:
    """Within the block launches are checked and written down, and nothing runs: what is computed is not set."""
    kernels: list[Kernel] = []
    token = _recorded.set(kernels)
    try:
        yield kernels
    finally:
        _recorded.reset(token)


class EmulatorCarrier:
    """NumPy arrays: the ``.cu`` file is built by the machine's C++ compiler and runs on the CPU."""

    array_kind = "a NumPy array, as the other arrays are"

    def owns(self, array: Any) -> bool:
        return isinstance(array, np.ndarray)

    def address(self, array: Any) -> int:
        # The emulator copies what is not aligned as device memory is, so that only the place within matters.
        return 0

    def launch(
        self,
        kernel: Kernel,
        grid: Sizes,
        block: Sizes,
        values: Sequence[Any],
        shared: int,
        memory: Sequence[Any] = (),
    ) -> None:
        if (seen := _recorded.get()) is not None:
            seen.append(kernel)
            return
        how = _emulation.get() or Emulation()
        module = _emulated(kernel.file, tuple(sorted(kernel.defines.items())), how.check)
        module.launch(
            kernel.name, grid, block, values, shared=shared, schedule=how.schedule, seed=how.seed, memory=memory
        )


@functools.cache
def _emulated(file: Path, defines: tuple[tuple[str, object], ...], check: bool) -> Any:
    from deepcore.kernels.emulator import Module

    return Module(file, defines=dict(defines), check=check)


class CupyCarrier:
    """CuPy arrays: the ``.cu`` file is compiled by NVRTC for the GPU that the arrays are on, once; see ``cubin``."""

    array_kind = "a CuPy array, as the other arrays are"

    def owns(self, array: Any) -> bool:
        return type(array).__module__.partition(".")[0] == "cupy"

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def launch(
        self,
        kernel: Kernel,
        grid: Sizes,
        block: Sizes,
        values: Sequence[Any],
        shared: int,
        memory: Sequence[Any] = (),
    ) -> None:
        import cupy

        if (seen := _recorded.get()) is not None:
            seen.append(kernel)
            return
        arrays = [array for array in (*values, *memory) if self.owns(array)]
        with arrays[0].device if arrays else contextlib.nullcontext():
            index = cupy.cuda.runtime.getDevice()
            function = _loaded(kernel.file, tuple(sorted(kernel.defines.items())), kernel.name, index)
            if shared > function.shared:
                function.allow(shared)
            arguments = tuple(np.uint64(0) if value is None else value for value in values)
            function.run(grid, block, arguments, shared_mem=shared)


class _Function:
    """A kernel that is loaded on one GPU, and how much dynamic shared memory it may use there."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.shared = 48 << 10  # what every kernel may use; more is asked for once

    def allow(self, shared: int) -> None:
        self.run.max_dynamic_shared_size_bytes = shared
        self.shared = shared


@functools.cache
def _loaded(file: Path, defines: tuple[tuple[str, object], ...], name: str, index: int) -> _Function:
    return _Function(_module(file, defines, index).get_function(name))


@functools.cache
def _module(file: Path, defines: tuple[tuple[str, object], ...], index: int) -> Any:
    import cupy

    capability = int(cupy.cuda.Device(index).compute_capability)
    return cupy.RawModule(path=str(cubin(file, dict(defines), capability).path))


EMULATOR, CUPY = EmulatorCarrier(), CupyCarrier()


def carrier_of(kernel: str, arrays: Sequence[Any]) -> Carrier:
    """The carrier of the first array; the others are held against it by the launcher.

    Raises ``TypeError`` for something that is neither a NumPy nor a CuPy array, ``DeviceMismatchError`` for arrays of
    both kinds, or of two GPUs.
    """
    owners: list[Carrier] = []
    for array in arrays:
        owner = next((carrier for carrier in (EMULATOR, CUPY) if carrier.owns(array)), None)
        if owner is None:
            raise TypeError(f"kernel {kernel}: expected NumPy or CuPy arrays; got {type(array).__name__}.")
        owners.append(owner)
    if any(owner is not owners[0] for owner in owners):
        raise DeviceMismatchError(
            f"kernel {kernel}: its arrays must be on one device; got NumPy arrays and CuPy arrays together."
        )
    if owners and owners[0] is CUPY and len({array.device.id for array in arrays}) > 1:
        places = ", ".join(f"cuda:{array.device.id}" for array in arrays)
        raise DeviceMismatchError(f"kernel {kernel}: its arrays must be on one GPU; got {places}.")
    return owners[0] if owners else EMULATOR
