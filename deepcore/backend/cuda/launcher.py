"""Launches CUDA kernels, after holding every argument against the kernel's declaration.

CuPy checks nothing: a transposed view is passed as if it were contiguous, and a Python float goes as eight bytes into a
parameter of four. A ``Kernel`` knows its declaration, read from the ``.cu`` file itself, and refuses what does not fit
before anything runs. Where it then runs is decided by where its arrays are: CuPy arrays go to the GPU, NumPy arrays to
the emulator.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepcore import kernels
from deepcore.backend.cuda.carrier import Carrier, carrier_of
from deepcore.kernels.signature import Parameter, Signature, convert_scalar, launch_sizes, parse_signatures

FOLDER = Path(kernels.__file__).parent / "cuda"


class Kernel:
    """One ``extern "C"`` kernel of a ``.cu`` file, built with one set of macros.

    Attributes:
        file: the ``.cu`` file.
        defines: its macros: dtypes, tiles.
        signature: its declaration.
    """

    def __init__(self, file: Path, name: str, defines: Mapping[str, object]) -> None:
        signatures = parse_signatures(file.read_text(encoding="utf-8"), defines)
        if name not in signatures:
            raise ValueError(f"{file.name} declares no kernel {name!r}; it declares {', '.join(signatures)}.")
        self.file = file
        self.name = name
        self.defines = dict(defines)
        self.signature: Signature = signatures[name]

    def launch(self, grid: Any, block: Any, *args: Any, shared: int = 0, memory: Sequence[Any] = ()) -> None:
        """Runs the kernel on the current stream.

        Args:
            grid, block: blocks in the grid and threads in a block: an int, or up to three.
            args: for each parameter an array (or None for a null pointer) or a number.
            shared: bytes of dynamic shared memory.
            memory: further arrays, which the kernel reaches through addresses inside of its arguments.

        Raises, before the launch, ``TypeError`` for a wrong kind of argument, dtype or number of arguments, and
        ``ValueError`` for arrays that are not contiguous, not aligned or of two devices, numbers that do not fit their
        type, and sizes beyond the limits of the GPU; each names the kernel, the argument, what was passed and what was
        expected.
        """
        sizes = launch_sizes(self.signature, grid, block, shared)
        carrier, values = self.bind(args, memory)
        carrier.launch(self, *sizes, values, shared, memory)

    def bind(self, args: tuple[Any, ...], memory: Sequence[Any] = ()) -> tuple[Carrier, list[Any]]:
        """The arguments as the carrier takes them: arrays as they are, numbers as scalars of the declared type."""
        parameters = self.signature.parameters
        if len(args) != len(parameters):
            raise TypeError(
                f"{self} takes {len(parameters)} arguments; got {len(args)}. It is declared {self.signature}."
            )
        arrays = [value for value, parameter in zip(args, parameters, strict=True) if parameter.is_pointer]
        carrier = carrier_of(self.name, [array for array in (*arrays, *memory) if array is not None])
        values = [
            self._array(parameter, value, carrier) if parameter.is_pointer else self._number(parameter, value)
            for parameter, value in zip(parameters, args, strict=True)
        ]
        return carrier, values

    def _array(self, parameter: Parameter, value: Any, carrier: Carrier) -> Any:
        if value is None:
            return None
        if not carrier.owns(value):
            raise TypeError(
                f"{self}: {parameter.name} must be {carrier.array_kind}, declared {parameter}; got {_described(value)}."
            )
        if parameter.dtype is not None and value.dtype != parameter.dtype:
            raise TypeError(
                f"{self}: {parameter.name} is declared {parameter}, which is {parameter.dtype}; got "
                f"{_described(value)}. Cast it with .astype, or build the kernel for this dtype."
            )
        if not value.flags.c_contiguous:
            raise ValueError(
                f"{self}: {parameter.name} must be C-contiguous; got {_described(value)} with strides {value.strides}. "
                "Make it contiguous first."
            )
        if carrier.address(value) % parameter.alignment:
            raise ValueError(
                f"{self}: {parameter.name} is read {parameter.alignment} bytes at a time and must be aligned to that; "
                f"its address ends in {carrier.address(value) % 256:#x}. Pass an array that is not a slice of another."
            )
        return value

    def _number(self, parameter: Parameter, value: Any) -> Any:
        if parameter.dtype is None:
            return value  # a structure, such as a tensor map: bytes that the caller has laid out
        return convert_scalar(self.name, parameter, value)[0]

    def __str__(self) -> str:
        return f"kernel {self.name}"


@functools.cache
def _kernel(file: str, name: str, defines: tuple[tuple[str, object], ...]) -> Kernel:
    return Kernel(FOLDER / f"{file}.cu", name, dict(defines))


def kernel(file: str, name: str, **defines: object) -> Kernel:
    """The kernel ``name`` of ``kernels/cuda/<file>.cu``, built with the macros ``defines``; made once."""
    return _kernel(file, name, tuple(sorted(defines.items())))


def _described(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        module = type(value).__module__.partition(".")[0]
        return f"a {module} array of {value.dtype} and shape {tuple(value.shape)}"
    return f"{value!r} ({type(value).__name__})"
