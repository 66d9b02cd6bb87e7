"""Which implementation serves a call, and why.

Every hot operation has a short list of named implementations. Each is a record: the device it runs on, whether this
machine has it, a predicate ``supports(call) -> (ok, reason)`` and an estimate of its cost in seconds. Dispatch takes
the cheapest that supports the call. A call is described by dtype and geometry alone, so the choice can be explained
and tested without arrays, and for a GPU on a machine that has none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from deepcore.errors import UnsupportedCallError, unknown_name

Answer = tuple[bool, str]

# What products of float32 arrays must keep, the strictest first: 24 bits, 11 or 8.
PRECISIONS = ("float32", "tf32", "bfloat16")

# How large the tiles of Winograd's convolution may be; 0: it is not used.
WINOGRAD_TILES = (0, 2, 4)


@dataclass(frozen=True)
class Call:
    """What is asked of a hot operation, without the arrays.

    Attributes:
        op: name of the hot operation, such as ``"conv2d_fprop"``.
        dtype: NumPy name of the dtype of the arrays, such as ``"float32"``.
        geometry: the sizes, one of the classes of ``deepcore.backend.geometry``.
        precision: what products of float32 arrays must keep, one of ``PRECISIONS``.
        winograd: how large the tiles of Winograd's convolution may be, one of ``WINOGRAD_TILES``.
    """

    op: str
    dtype: str
    geometry: Any
    precision: str = "float32"
    winograd: int = 4


def supports_everything(call: Call) -> Answer:
    """The predicate of an implementation without limits."""
    return True, "any shape, any floating dtype"


def always_available() -> Answer:
    """The predicate of an implementation that needs nothing but NumPy."""
    return True, "part of deepcore"


@dataclass(frozen=True)
class Implementation:
    """One way to run one hot operation.

    Attributes:
        op: the hot operation.
        name: ``"numpy"``, ``"numba"``, ``"cuda-simt"`` and the like; unique within ``op``.
        device: ``"cpu"`` or ``"cuda"`` (which the emulator runs, too).
        function: takes what the operation takes.
        supports: whether this call can be served, with the reason.
        cost: estimated seconds on the reference machine. Only the order among implementations of one device counts.
        available: whether this machine has what the implementation needs, with the reason or the install line.
        precision: in which precision products are formed, where that is less than the dtype says; else None.
    """

    op: str
    name: str
    device: str
    function: Callable[..., Any]
    supports: Callable[[Call], Answer]
    cost: Callable[[Call], float]
    available: Callable[[], Answer]
    precision: str | None = None

    def verdict(self, call: Call) -> Answer:
        """Whether it can run ``call`` here and now, and the first reason why not."""
        ok, reason = self.available()
        return self.supports(call) if ok else (ok, reason)


@dataclass(frozen=True)
class Choice:
    """One line of an explanation: an implementation, whether it was taken, and why or why not."""

    implementation: Implementation
    chosen: bool
    ok: bool
    reason: str
    seconds: float | None


_implementations: dict[str, dict[str, Implementation]] = {}
_families: dict[str, list[str]] = {}
_choices: dict[Hashable, Implementation] = {}
_default_precision = PRECISIONS[0]
_default_winograd = WINOGRAD_TILES[-1]


class _Asked(NamedTuple):
    """What the blocks around a call ask for: in one place, because every call of an operation looks.

    Attributes:
        precision, winograd: see ``use_precision`` and ``use_winograd``; None for the default.
        forced: operations and the implementations that they are held to, the innermost block last.
    """

    precision: str | None = None
    winograd: int | None = None
    forced: tuple[tuple[str, str], ...] = ()


_NOTHING_ASKED = _Asked()
_asked: ContextVar[_Asked] = ContextVar("deepcore_asked_of_dispatch", default=_NOTHING_ASKED)


@contextlib.contextmanager
def _asking(**changes: Any) -> Iterator[None]:
    """Within the block, something else is asked for."""
    token = _asked.set(_asked.get()._replace(**changes))
    try:
        yield
    finally:
        _asked.reset(token)


def get_precision() -> str:
    """What products of float32 arrays must keep: ``"float32"`` unless ``set_precision`` or ``use_precision`` said more.

    >>> get_precision()
    'float32'
    """
    return _asked.get().precision or _default_precision


def set_precision(precision: str) -> None:
    """Says what products of float32 arrays must keep, from now on and in every thread.

    ``"float32"``: the accuracy of float32. ``"tf32"``: factors may be rounded to 11 bits, as NVIDIA's TF32 does;
    ``"bfloat16"``: to 8 bits. Sums are float32 in any case, and arrays of other dtypes are not affected. Only
    implementations for tensor cores make use of it. Raises ``ValueError`` for another name.
    """
    global _default_precision
    _default_precision = _known_precision(precision)


@contextlib.contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Within the block, ``set_precision(precision)`` for this thread or asynchronous task alone.

    >>> with use_precision("tf32"):
    ...     get_precision()
    'tf32'
    """
    with _asking(precision=_known_precision(precision)):
        yield


def _known_precision(precision: str) -> str:
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    return precision


def get_winograd() -> int:
    """How large the tiles of Winograd's convolution may be: 4 unless ``set_winograd`` or ``use_winograd`` said less.

    >>> get_winograd()
    4
    """
    chosen = _asked.get().winograd
    return _default_winograd if chosen is None else chosen


def set_winograd(tile: int) -> None:
    """Says how large the tiles of Winograd's convolution may be on a CPU, from now on and in every thread.

    A tile of ``tile`` x ``tile`` outputs of a 3 x 3 convolution takes 2.25 (2) or 4 (4) times fewer multiplications
    (Lavin and Gray 2016) and gives away bits of float32: relative to the largest output, the error is about 3 times
    that of direct sums for tiles of 2 and 10 to 30 times for tiles of 4, between 1e-6 and 2e-5. 0: direct sums alone.
    Raises ``ValueError`` for another number.
    """
    global _default_winograd
    _default_winograd = _known_winograd(tile)


@contextlib.contextmanager
def use_winograd(tile: int) -> Iterator[None]:
    """Within the block, ``set_winograd(tile)`` for this thread or asynchronous task alone.

    >>> with use_winograd(0):
    ...     get_winograd()
    0
    """
    with _asking(winograd=_known_winograd(tile)):
        yield


def _known_winograd(tile: int) -> int:
    if tile not in WINOGRAD_TILES:
        raise ValueError(f"The tile of Winograd's convolution is one of {WINOGRAD_TILES}; got {tile!r}.")
    return tile


def implementation(
    op: str,
    name: str,
    *,
    device: str = "cpu",
    supports: Callable[[Call], Answer] = supports_everything,
    cost: Callable[[Call], float],
    available: Callable[[], Answer] = always_available,
    precision: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: lists a function as the implementation ``name`` of the hot operation ``op``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        records = _implementations.setdefault(op, {})
        if name in records:
            raise ValueError(f"{op} already has an implementation named {name!r}.")
        records[name] = Implementation(op, name, device, function, supports, cost, available, precision)
        _families.setdefault(family(op), [])
        if op not in _families[family(op)]:
            _families[family(op)].append(op)
        _choices.clear()
        return function

    return register


def family(op: str) -> str:
    """The operation without its direction.

    >>> family("conv2d_dgrad"), family("matmul")
    ('conv2d', 'matmul')
    """
    for direction in ("_fprop", "_dgrad", "_wgrad"):
        if op.endswith(direction):
            return op.removesuffix(direction)
    return op


def operations(name: str | None = None) -> tuple[str, ...]:
    """The hot operations called ``name``: one direction, or every direction of a family; all of them by default."""
    if name is None:
        return tuple(_implementations)
    if name in _implementations:
        return (name,)
    if name in _families:
        return tuple(_families[name])
    raise unknown_name("operation", name, {*_implementations, *_families})


def implementations(op: str, device: str | None = None) -> tuple[Implementation, ...]:
    """Every implementation of ``op`` in order of registration, on one device (``"cpu"``, ``"cuda"``) or on all."""
    (name,) = operations(op) if op in _implementations else (op,)
    if name not in _implementations:
        raise unknown_name("operation", op, _implementations)
    return tuple(record for record in _implementations[name].values() if device in (None, record.device))


@contextlib.contextmanager
def use_implementation(op: str, name: str) -> Iterator[None]:
    """Within the block, ``op`` runs as the implementation ``name`` or raises; nothing falls back.

    ``op`` is one direction (``"conv2d_dgrad"``) or a family (``"conv2d"``), where it holds for every direction that
    has an implementation of that name. Per thread and per asynchronous task. Raises ``ValueError`` for an unknown
    operation or name; the call itself raises ``UnsupportedCallError`` if the implementation cannot serve it.
    """
    targets = [member for member in operations(op) if name in _implementations[member]]
    if not targets:
        known = {record.name for member in operations(op) for record in implementations(member)}
        raise unknown_name(f"implementation of {op}", name, known)
    with _asking(forced=_asked.get().forced + tuple((member, name) for member in targets)):
        yield


def forced(op: str) -> str | None:
    """The implementation that ``use_implementation`` holds ``op`` to, if any; the innermost block wins."""
    for member, name in reversed(_asked.get().forced):
        if member == op:
            return name
    return None


def choose(op: str, dtype: Any, geometry: Any, device: str = "cpu") -> Implementation:
    """The implementation that a call takes: the forced one, else the cheapest that supports it.

    ``dtype`` is a NumPy dtype or its name. Raises ``UnsupportedCallError`` with every reason if none does.
    """
    # Decided once for each key: a layer asks thousands of times with the same sizes. The name of a dtype takes NumPy
    # longer to spell than everything else here, so it is spelled only to decide.
    key = (op, dtype, geometry, device, _default_precision, _default_winograd, _asked.get())
    chosen = _choices.get(key)
    if chosen is None:
        precision, winograd = get_precision(), get_winograd()
        name = dtype if isinstance(dtype, str) else dtype.name
        chosen = _remember(key, _choose(Call(op, name, geometry, precision, winograd), device))
    return chosen


def choose_for(op: str, dtype: Any, of: Callable[..., Any], *sizes: Hashable) -> Implementation:
    """``choose(op, dtype, of(*sizes))`` on a CPU, where the geometry serves to choose alone: it is made once."""
    key = (op, dtype, sizes, _default_precision, _default_winograd, _asked.get())
    chosen = _choices.get(key)
    if chosen is None:
        chosen = _remember(key, choose(op, dtype, of(*sizes)))
    return chosen


def _remember(key: Hashable, chosen: Implementation) -> Implementation:
    if len(_choices) > 10_000:  # a stream of ever new shapes must not grow without bound
        _choices.clear()
    _choices[key] = chosen
    return chosen


def _choose(call: Call, device: str) -> Implementation:
    for line in judge(call, device):
        if line.chosen:
            return line.implementation
    reasons = "; ".join(f"{line.implementation.name}: {line.reason}" for line in judge(call, device))
    raise UnsupportedCallError(f"No implementation of {call.op} serves {call.dtype} {call.geometry}: {reasons}.")


def judge(call: Call, device: str = "cpu") -> list[Choice]:
    """What dispatch thinks of every implementation of ``call.op``, on every device; the chosen one first."""
    only = forced(call.op)
    verdicts = []
    for record in implementations(call.op):
        if record.device != device:  # first, so that a CPU call never asks for a GPU or a compiler
            ok, reason = False, f"runs on {record.device}; the arrays are on {device}"
        else:
            ok, reason = record.verdict(call)
        if ok and only not in (None, record.name):
            ok, reason = False, f"use_implementation holds {call.op} to {only!r}"
        seconds = record.cost(call) if record.supports(call)[0] else None
        verdicts.append((record, ok, reason, seconds))
    candidates = [(seconds, index) for index, (_, ok, _, seconds) in enumerate(verdicts) if ok]
    best = min(candidates)[1] if candidates else None
    lines = [
        Choice(record, index == best, ok, _why(index == best, ok, reason, only), seconds)
        for index, (record, ok, reason, seconds) in enumerate(verdicts)
    ]
    return sorted(lines, key=lambda line: _rank(line, device))


def _rank(line: Choice, device: str) -> tuple[bool, bool, bool, bool, float]:
    """What can run first, by its estimate; then what would serve the call, and other devices last."""
    elsewhere = line.implementation.device != device
    return not line.chosen, not line.ok, elsewhere, line.seconds is None, line.seconds or 0.0


def _why(chosen: bool, ok: bool, reason: str, only: str | None) -> str:
    if not ok:
        return reason
    if not chosen:
        return f"{reason}; estimated slower"
    return f"{reason}; forced by use_implementation" if only else f"{reason}; cheapest estimate"
