"""Optimizer steps, in place, for all parameters in one call; the contract is that of ``backend/numpy/optimizer.py``.

One launch serves up to 64 parameters, whatever their shapes: their addresses travel in the launch's own arguments.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from deepcore.backend.cuda.array import address, c_type, contiguous, empty, zeros
from deepcore.backend.cuda.cost import THREADS, gpu_or_emulator, memory_cost, supports_wide
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.reduction import reduce_sum
from deepcore.backend.cuda.sibling import numba_cost, numba_launch, numba_on_gpu, numba_supports
from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.geometry import FlatGeometry
from deepcore.backend.updates import NOTHING, Before, Group, Step, Work, offered

_MOST_LISTS, _MOST_TENSORS, _CHUNK = 5, 64, 4096  # as in optimizer.cu
_TENSORS = np.dtype(
    [
        ("address", np.uint64, (_MOST_LISTS, _MOST_TENSORS)),
        ("size", np.int64, (_MOST_TENSORS,)),
        ("decay", np.float64, (_MOST_TENSORS,)),
        ("factor", np.float64),
        ("limit", np.float64),
        ("scale", np.uint64),
        ("first_block", np.int32, (_MOST_TENSORS + 1,)),
        ("count", np.int32),
    ]
)


def _perform(op: str, groups: list[Group], step: Step, before: Before) -> None:
    # Chosen for all before the first is changed: a dtype without a kernel leaves everything as it was.
    runs = []
    for dtype, alike in _by_dtype(groups).items():
        # One number may be a scalar of NumPy's, which has no address.
        scale = None if before.scale is None else before.scale.astype(dtype).reshape(1)
        work = Work(alike, step.scalars, Before(None, before.factor, scale, before.limit))
        runs.append((choose(op, dtype, FlatGeometry(work.size), "cuda").function, work))
    variant = "".join(_VARIANTS[name] for name in step.lists if name in _VARIANTS and step.lists[name] is not None)
    for run, work in runs:
        run(work, variant)


UPDATES = offered(_perform)
globals().update(UPDATES)
__all__ = [*UPDATES, "square_sum"]


def square_sum(arrays: Sequence[Any]) -> Any:
    """The sum of the squares of all elements of all arrays; see the NumPy backend."""
    groups = _by_dtype([Group((contiguous(array),), 0.0) for array in arrays])
    totals = [
        choose("square_sum", dtype, FlatGeometry(sum(group.arrays[0].size for group in alike)), "cuda").function(alike)
        for dtype, alike in groups.items()
    ]
    return functools.reduce(operator.add, totals) if totals else zeros((), arrays[0].dtype, arrays[0])


def _by_dtype(groups: list[Group]) -> dict[Any, list[Group]]:
    """The groups that have elements, by their dtype."""
    found: dict[Any, list[Group]] = {}
    for group in groups:
        if group.arrays[0].size:
            found.setdefault(group.arrays[0].dtype, []).append(group)
    return found


def _blocks(groups: list[Group]) -> list[int]:
    """How many blocks come before those of each group, and how many there are."""
    return [0, *accumulate(-(-group.arrays[0].size // _CHUNK) for group in groups)]


def _launch(name: str, groups: list[Group], before: Before, *args: Any) -> None:
    """One launch for every 64 groups; ``args`` follow the table in the kernel's own arguments. Of an argument that is
    an array, with an element for each block of all launches, a launch gets its part."""
    blocks = 0
    for first in range(0, len(groups), _MOST_TENSORS):
        part = groups[first : first + _MOST_TENSORS]
        arrays = [[array for array in group.arrays if array is not None] for group in part]
        tensors = np.zeros(1, _TENSORS)
        table = tensors[0]
        places = _blocks(part)
        table["address"][: len(arrays[0]), : len(part)] = np.array(
            [[address(array) for array in group] for group in arrays], np.uint64
        ).T
        table["size"][: len(part)] = [group.arrays[0].size for group in part]
        table["decay"][: len(part)] = [group.decay for group in part]
        table["factor"], table["limit"] = before.factor, before.limit
        memory = [array for group in arrays for array in group]
        if before.scale is not None:
            table["scale"] = address(before.scale)
            memory.append(before.scale)
        table["first_block"][: len(places)] = places
        table["count"] = len(part)
        code = kernel("optimizer", name, T=c_type(arrays[0][0].dtype))
        own = [value if isinstance(value, (int, float)) else value[blocks : blocks + places[-1]] for value in args]
        code.launch(places[-1], THREADS, tensors.view(f"V{_TENSORS.itemsize}"), *own, memory=memory)
        blocks += places[-1]


@implementation(
    "square_sum",
    "cuda",
    device="cuda",
    supports=supports_wide,
    cost=memory_cost(passes=1, launches=2),
    available=gpu_or_emulator,
)
def _square_sum(groups: list[Group]) -> Any:
    first = groups[0].arrays[0]
    partial = empty(_blocks(groups)[-1], first.dtype, first)
    _launch("square_sum", groups, NOTHING, partial)
    return reduce_sum(partial, (0,))


# The states that only a variant of a rule has, and what its kernel is called then.
_VARIANTS = {"mean_gradients": "_centered", "momenta": "_momentum", "largest_moments": "_amsgrad"}


def _by_kernel(rule: str, work: Work, variant: str) -> None:
    _launch(rule + variant, work.groups, work.before, *(int(s) if isinstance(s, bool) else s for s in work.scalars))


# Numba: the bodies of kernels/numba/optimizer.py, an element to a thread. Every parameter is a launch of its own: Numba
# takes no table of addresses.


def _by_element(rule: str, work: Work, variant: str) -> None:
    for (first, gradient, *states), decay in work.groups:
        of = first.dtype.type
        if work.before.scale is not None:
            gradient = gradient * work.before.scale
        before = (of(decay), of(work.before.factor), of(work.before.limit))
        # A state that the variant does without: its length says so, and nothing else of it is looked at.
        flat = [first.reshape(-1)[:0] if array is None else array.reshape(-1) for array in states]
        numba_launch(
            "optimizer",
            f"{rule}_element",
            first.size,
            first.reshape(-1),
            gradient.reshape(-1),
            *flat,
            *work.cast(first.dtype),
            before,
        )


# How often each rule passes over the memory of its parameters.
_RULES = {
    "adadelta": 7,
    "adagrad": 5,
    "adam": 7,
    "adamax": 7,
    "blend": 3,
    "ftrl": 7,
    "lion": 5,
    "momentum": 5,
    "nadam": 7,
    "rmsprop": 7,
    "sgd": 3,
}


def _register(rule: str, passes: float) -> None:
    op, cost = f"{rule}_update", memory_cost(passes)
    implementation(op, "cuda", device="cuda", supports=supports_wide, cost=cost, available=gpu_or_emulator)(
        functools.partial(_by_kernel, rule)
    )
    implementation(
        op, "cuda-numba", device="cuda", supports=numba_supports, cost=numba_cost(cost), available=numba_on_gpu
    )(functools.partial(_by_element, rule))


for _rule, _passes in _RULES.items():
    _register(_rule, _passes)
