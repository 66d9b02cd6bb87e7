"""One launch of a micro-kernel, and what its outputs must be by an independent formula."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.kernels.emulator import TensorMap

KERNELS = Path(__file__).parent / "kernels"
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Near:
    """What an output must be near to, where the hardware rounds in its own way.

    Attributes:
        value: the exact result, float64.
        bound: the largest difference, an array like ``value`` or a number.
    """

    value: np.ndarray
    bound: Any


Expected = dict[str, "np.ndarray | Near"]


@dataclass(frozen=True)
class Case:
    """A micro-kernel, its inputs and its formula.

    Attributes:
        name: unique; the seed of its random inputs comes from it.
        file, kernel: where it is.
        arguments: from random numbers to every argument by name; outputs come from ``unwritten``, or hold what the
            kernel adds to.
        expected: from these arguments to the outputs by name.
        block, grid, shared: sizes of the launch.
        needs: the least compute capability, as 75.
        defines: macros to build with.
        checked: whether the emulator's check mode runs it too; a build for each set of macros takes its time.
    """

    name: str
    file: Path
    kernel: str
    arguments: Callable[[np.random.Generator], Arguments]
    expected: Callable[[Arguments], Expected]
    block: int = 32
    grid: int = 1
    shared: int = 0
    needs: int = 75
    defines: tuple[tuple[str, object], ...] = ()
    checked: bool = True

    def generator(self) -> np.random.Generator:
        """Random numbers, the same in every run on every machine."""
        return np.random.default_rng(zlib.crc32(self.name.encode()))

    def inputs(self) -> Arguments:
        """The arguments of a launch."""
        return self.arguments(self.generator())


def unwritten(shape: Any, dtype: Any) -> np.ndarray:
    """An output before the launch: every byte 0xFF, which is NaN or the largest number."""
    array = np.empty(shape, dtype)
    array.reshape(-1).view(np.uint8).fill(0xFF)
    return array


def is_unwritten(array: np.ndarray) -> bool:
    return bool((array.reshape(-1).view(np.uint8) == 0xFF).all())


def digest(arguments: Mapping[str, Any]) -> str:
    """Tells whether a recorded output belongs to these arguments."""
    found = hashlib.sha256()
    for name, value in arguments.items():
        held = value.array if isinstance(value, TensorMap) else np.asarray(value)
        found.update(f"{name} {held.dtype} {held.shape} {getattr(value, 'box', '')}".encode() + held.tobytes())
    return found.hexdigest()[:16]


def differences(outputs: Mapping[str, np.ndarray], expected: Mapping[str, Any]) -> list[str]:
    """What is wrong with outputs, one sentence each; empty where all is right. NaN equals NaN."""
    return [
        f"{name}: {problem}"
        for name, wanted in expected.items()
        if (problem := _difference(outputs[name].reshape(-1), wanted))
    ]


def _difference(got: np.ndarray, wanted: np.ndarray | Near) -> str:
    value = (wanted.value if isinstance(wanted, Near) else wanted).reshape(-1)
    if got.shape != value.shape:
        return f"{got.size} elements, {value.size} are expected"
    with np.errstate(invalid="ignore"):
        if isinstance(wanted, Near):
            bound = np.broadcast_to(wanted.bound, wanted.value.shape).reshape(-1)
            wrong = ~(np.abs(got.astype(np.float64) - value) <= bound)
        else:
            wrong = got != value
    if got.dtype.kind == "f":
        wrong &= ~(np.isnan(got) & np.isnan(value))
    if not wrong.any():
        return ""
    at = int(np.flatnonzero(wrong)[0])
    allowed = f" (at most {bound[at]:.3g} away)" if isinstance(wanted, Near) else ""
    return f"{wrong.sum()} of {got.size} elements differ, first element {at}: {got[at]!r}, not {value[at]!r}{allowed}"
