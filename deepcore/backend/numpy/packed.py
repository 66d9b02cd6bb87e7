"""What is made of a weight and kept until the weight changes: its elements in the order in which a kernel reads them.

Only an array that a ``Variable`` has for itself is looked up here. The variable registers it (``own``), and every
write to it is told (``writing``). An array that left the library (``escaped``) may be written to by anybody, so from
then on nothing made of it is kept, and neither is what is made of arrays that nobody registered.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from types import TracebackType
from typing import Any

import numpy as np

from deepcore.kernels.forks import free_in_children

__all__ = ["LIMIT", "escaped", "is_settled", "own", "packed", "versions", "writing"]

LIMIT = 1 << 30  # bytes that are kept in all; what was used longest ago goes first

# An array may die, which removes its entry, while its own thread holds this lock or any other.
_lock = free_in_children(threading.RLock(), 3)
_owned: dict[int, _Owned] = {}
_kept: OrderedDict[tuple[int, Hashable], tuple[Any, int]] = OrderedDict()  # by array and key: what was made, its bytes
_bytes = 0
_numbers = itertools.count()


class _Owned:
    """A registered array.

    Attributes:
        reference: to the array, which it does not keep alive.
        version: another number after each time the array was written to, that no other array ever has.
        keys: of what is kept of it.
        asked: keys that were asked for since the last write.
    """

    __slots__ = ("asked", "keys", "reference", "version")

    def __init__(self, array: np.ndarray) -> None:
        number = id(array)
        self.reference = weakref.ref(array, lambda _: _forget(number))
        self.version = next(_numbers)
        self.keys: set[Hashable] = set()
        self.asked: set[Hashable] = set()


def own(array: Any) -> None:
    """Registers an array that owns its memory, and from now on is written to within ``writing`` only.

    Arrays of other libraries, and views, are passed over.
    """
    if isinstance(array, np.ndarray) and array.base is None:
        with _lock:
            _forget(id(array))
            _owned[id(array)] = _Owned(array)


def escaped(array: Any) -> None:
    """Says that ``array``, or the array that it is a view of, can now be written to unseen: nothing more is kept."""
    number = _number(array)
    if number in _owned:
        _forget(number)


class writing:  # noqa: N801 (a context manager, read as a verb)
    """Within the block ``arrays``, or what they are views of, are written to; what was made of them is given up.

    That happens at the end of the block, also where it raises: whatever is made while the block runs may be of half
    the new values.
    """

    __slots__ = ("arrays",)

    def __init__(self, *arrays: Any) -> None:
        self.arrays = arrays

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _lock:
            for array in self.arrays:
                number = _number(array)
                owned = _owned.get(number)
                if owned is not None:
                    owned.version = next(_numbers)
                    if owned.asked:
                        owned.asked.clear()
                    if owned.keys:
                        _drop(number, owned)


def packed(array: np.ndarray, key: Hashable, make: Callable[[np.ndarray], Any]) -> Any:
    """``make(array)``, kept from the second call with an equal ``key`` on, where ``array`` is registered.

    A step of training asks once and then writes to the array: what it asked for would only take up memory.

    Args:
        array: a weight.
        key: says which function ``make`` is, and all that its result depends on beside the array.
        make: gives an array, or a tuple of arrays, that share no memory with ``array``. Nobody may write to them.
    """
    number = id(array)
    owned = _owned.get(number)
    if owned is None or owned.reference() is not array:
        return make(array)
    with _lock:
        found = _kept.get((number, key))
        if found is not None:
            _kept.move_to_end((number, key))
            return found[0]
        version, settled = owned.version, key in owned.asked
        owned.asked.add(key)
    made = make(array)
    if settled:
        _keep(number, owned, version, key, made)
    return made


def is_settled(array: np.ndarray, key: Hashable) -> bool:
    """Whether what ``packed`` makes of ``array`` for ``key`` is, or will be, kept; this call counts as one of its."""
    owned = _owned.get(id(array))
    if owned is None or owned.reference() is not array:
        return False
    with _lock:
        settled = key in owned.asked
        owned.asked.add(key)
    return settled


def versions(arrays: Iterable[Any]) -> tuple[int, ...] | None:
    """Numbers that are the same as long as none of ``arrays`` is written to; None where that cannot be known.

    They are those of no other arrays, not even of others that come to lie in the same place.
    """
    found = []
    for array in arrays:
        owned = _owned.get(id(array))
        if owned is None or owned.reference() is not array:
            return None
        found.append(owned.version)
    return tuple(found)


def _keep(number: int, owned: _Owned, version: int, key: Hashable, made: Any) -> None:
    global _bytes
    size = sum(part.nbytes for part in (made if isinstance(made, tuple) else (made,)))
    with _lock:
        # Another thread may have written to the array, handed it out, or been quicker.
        if _owned.get(number) is not owned or owned.version != version or (number, key) in _kept or size > LIMIT:
            return
        _kept[number, key] = made, size
        owned.keys.add(key)
        _bytes += size
        while _bytes > LIMIT:
            oldest, its_key = next(iter(_kept))
            _owned[oldest].keys.discard(its_key)
            _remove(oldest, its_key)


def _number(array: Any) -> int:
    """What the array is registered under: a view has the array that owns its memory as its base."""
    base = getattr(array, "base", None)
    return id(array if base is None else base)


def _drop(number: int, owned: _Owned) -> None:
    while owned.keys:
        _remove(number, owned.keys.pop())


def _remove(number: int, key: Hashable) -> None:
    global _bytes
    _, size = _kept.pop((number, key))
    _bytes -= size


def _forget(number: int) -> None:
    with _lock:
        owned = _owned.pop(number, None)
        if owned is not None:
            _drop(number, owned)
