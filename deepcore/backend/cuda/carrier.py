"""The two ways to run a kernel, with one meaning: CuPy on a GPU, and the emulator on the CPU.

Which one is decided by the arrays: a kernel runs where its data is.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from deepcore.errors import DeviceMismatchError

if TYPE_CHECKING:
    from deepcore.backend.cuda.launcher import Kernel

Sizes = tuple[int, int, int]
EMULATED_CAPABILITY = 90  # the emulator has every instruction up to sm_90a's


class Carrier(Protocol):
    """Runs kernels on one kind of array."""

    array_kind: str

    def owns(self, array: Any) -> bool:
        """Whether ``array`` is of the kind that runs here."""

    def address(self, array: Any) -> int:
        """Where its first byte is."""

    def capability(self) -> int:
        """The compute capability that kernels may count on, without its point: 75, 80, 90."""

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


class EmulatorCarrier:
    """NumPy arrays: the ``.cu`` file is built by the machine's C++ compiler and runs on the CPU."""

    array_kind = "a NumPy array, as the other arrays are"

    def owns(self, array: Any) -> bool:
        return isinstance(array, np.ndarray)

    def address(self, array: Any) -> int:
        # The emulator copies what is not aligned as device memory is, so that only the place within matters.
        return 0

    def capability(self) -> int:
        return EMULATED_CAPABILITY

    def launch(
        self,
        kernel: Kernel,
        grid: Sizes,
        block: Sizes,
        values: Sequence[Any],
        shared: int,
        memory: Sequence[Any] = (),
    ) -> None:
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
    """CuPy arrays: the ``.cu`` file is compiled by NVRTC for the GPU that the arrays are on."""

    array_kind = "a CuPy array, as the other arrays are"

    def owns(self, array: Any) -> bool:
        return type(array).__module__.partition(".")[0] == "cupy"

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def capability(self) -> int:
        import cupy

        return int(cupy.cuda.Device().compute_capability)

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

        device = cupy.cuda.Device()
        capability = int(device.compute_capability)
        function = _compiled(kernel.file, tuple(sorted(kernel.defines.items())), capability, kernel.name, device.id)
        if shared > 48 << 10:
            function.max_dynamic_shared_size_bytes = shared
        function(grid, block, tuple(np.uint64(0) if value is None else value for value in values), shared_mem=shared)


@functools.cache
def _compiled(file: Path, defines: tuple[tuple[str, object], ...], capability: int, name: str, device: int) -> Any:
    import cupy

    module = cupy.RawModule(code=translation_unit(file, dict(defines)), options=compile_options(file, capability))
    return module.get_function(name)


def translation_unit(file: Path, defines: Mapping[str, object]) -> str:
    """What NVRTC compiles: the macros come after CUDA's own headers, whose templates have a parameter called T."""
    macros = "".join(f"#define {key} {'' if value is True else value}\n" for key, value in sorted(defines.items()))
    return f'#include "common.cuh"\n{macros}#line 1 "{file.name}"\n{file.read_text(encoding="utf-8")}'


def compile_options(file: Path, capability: int) -> tuple[str, ...]:
    """NVRTC's options. CuPy's cache does not see included files, so that their digest is a macro."""
    digest = hashlib.sha256()
    for header in sorted(file.parent.glob("*.cuh")):
        digest.update(header.read_bytes())
    # wgmma and TMA's multicast exist only for the architecture-specific target of compute capability 9.0.
    target = "sm_90a" if capability == 90 else f"sm_{capability}"
    return (
        "-std=c++17",
        f"-arch={target}",
        f"-I{file.parent}",
        f"-DDEEPCORE_HEADERS=0x{digest.hexdigest()[:15]}",
    )


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
