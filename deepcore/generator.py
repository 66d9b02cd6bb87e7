"""Counter-based streams of random numbers: the same on every device for the same seed.

A stream is a seed and a position. Drawing n numbers takes the next n and moves the position on, so what a draw gives
depends on the seed and on what was drawn before, and never on the device or on the number of threads. Philox 4x32-10:
Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.trace import Draw, tracing
from deepcore.backend.contract import blocks_used
from deepcore.device import CPU, DeviceLike, as_device, current_device
from deepcore.tensor import FLOATX, Tensor


class Generator:
    """A stream of random numbers.

    Args:
        seed: a whole number from 0 to 2**64 - 1; drawn from the system's entropy by default.

    >>> first, second = Generator(7), Generator(7)
    >>> bool((first.uniform((3,)).numpy() == second.uniform((3,)).numpy()).all())
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little") >> 1
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise ValueError(f"A seed is a whole number from 0 to 2**64 - 1; got {seed!r}.")
        self.seed = int(seed)
        self.offset = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, or a pickle, keeps: all but the lock."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    def reserve(self, size: int, dtype: Any = FLOATX) -> int:
        """The position of the next ``size`` numbers of ``dtype``, which no other draw will use."""
        trace = tracing()
        if trace is not None:
            trace.give_up()  # what becomes of the position is not known
        return self._reserve(size, dtype)

    def draw(self, size: int) -> Draw:
        """The next ``size`` float32 numbers, for a primitive that draws them."""
        draw = Draw(self.seed, self._reserve(size, FLOATX))
        trace = tracing()
        if trace is not None:
            trace.draw(draw, lambda: self.draw(size))
        return draw

    def _reserve(self, size: int, dtype: Any) -> int:
        with self._lock:
            offset = self.offset
            self.offset += blocks_used(size, dtype)
        return offset

    def uniform(
        self,
        shape: Sequence[int],
        minval: float = 0.0,
        maxval: float = 1.0,
        dtype: Any = FLOATX,
        device: DeviceLike | None = None,
    ) -> Tensor:
        """Numbers spread evenly over [minval, maxval)."""
        where, sizes, kind = _draw(shape, dtype, device)
        values = where.backend.random_uniform(sizes, self.seed, self.reserve(int(np.prod(sizes)), kind), kind)
        if (minval, maxval) != (0.0, 1.0):
            values = values * kind.type(maxval - minval) + kind.type(minval)
        return Tensor.wrap(values, where)

    def normal(
        self,
        shape: Sequence[int],
        mean: float = 0.0,
        stddev: float = 1.0,
        dtype: Any = FLOATX,
        device: DeviceLike | None = None,
    ) -> Tensor:
        """Normally distributed numbers."""
        where, sizes, kind = _draw(shape, dtype, device)
        values = where.backend.random_normal(sizes, self.seed, self.reserve(int(np.prod(sizes)), kind), kind)
        if (mean, stddev) != (0.0, 1.0):
            values = values * kind.type(stddev) + kind.type(mean)
        return Tensor.wrap(values, where)

    def truncated_normal(
        self,
        shape: Sequence[int],
        mean: float = 0.0,
        stddev: float = 1.0,
        dtype: Any = FLOATX,
        device: DeviceLike | None = None,
    ) -> Tensor:
        """Normal numbers within two standard deviations of ``mean``: those outside are drawn again, on the CPU."""
        where, sizes, kind = _draw(shape, dtype, device)
        values = self.normal((math.prod(sizes),), dtype=kind, device=CPU).numpy().copy()
        outside = np.flatnonzero(np.abs(values) > 2)
        while outside.size:
            again = self.normal((outside.size,), dtype=kind, device=CPU).numpy()
            values[outside] = again
            outside = outside[np.abs(again) > 2]
        return Tensor((values * kind.type(stddev) + kind.type(mean)).reshape(sizes), device=where)

    def on_host(self, size: int = 4) -> np.random.Generator:
        """NumPy's generator, started anew from the next ``size`` numbers: for what is drawn on the CPU only."""
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, self.reserve(size)], dtype=np.uint64)))

    def permutation(self, n: int) -> np.ndarray[Any, Any]:
        """The numbers 0 to n - 1 in random order, as a NumPy array."""
        return self.on_host(n).permutation(n)

    def spawn(self) -> Generator:
        """A stream of its own, whose seed is drawn from this one."""
        return Generator(int(self.on_host().bit_generator.random_raw(1)[0]) >> 1)

    def save_own_variables(self, store: Any) -> None:
        """Writes where the stream is into ``store``, so that drawing goes on from there."""
        store["0"] = np.array([self.seed, self.offset], np.uint64)

    def load_own_variables(self, store: Any) -> None:
        """Goes on from where ``save_own_variables`` was; files of Keras do not say, and change nothing."""
        if "0" in store:
            self.seed, self.offset = map(int, store["0"])

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, offset={self.offset})"


def _draw(shape: Sequence[int], dtype: Any, device: DeviceLike | None) -> tuple[Any, tuple[int, ...], np.dtype[Any]]:
    kind = np.dtype(dtype)
    if kind not in (np.dtype("float32"), np.dtype("float64")):
        raise ValueError(f"Random numbers are drawn as float32 or float64; got {kind}.")
    return current_device() if device is None else as_device(device), tuple(int(size) for size in shape), kind


_default = Generator()


def default_generator() -> Generator:
    """The stream of everything that was given no seed of its own."""
    return _default


def set_seed(seed: int) -> None:
    """Starts the default stream anew from ``seed``: what follows is the same in every run."""
    global _default
    _default = Generator(seed)


def as_generator(seed: int | Generator | None) -> Generator:
    """A stream: the one given, one of that seed, or a new one drawn from the default stream."""
    if isinstance(seed, Generator):
        return seed
    return _default.spawn() if seed is None else Generator(seed)
