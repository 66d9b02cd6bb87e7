"""Decisions, loops and scans. They run as Python does, so whatever happens within them is recorded as it happens."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.autograd.graph import no_grad
from deepcore.autograd.primitive import Primitive
from deepcore.ops.elementwise import broadcast_to, zeros_like
from deepcore.ops.operand import tensor_of, whole_axis
from deepcore.ops.shape import concatenate, flip, getitem, reshape, stack
from deepcore.structure import leaves, map_leaves, pack_as
from deepcore.tensor import Tensor


def _require_callable(f: Any, op: str, name: str) -> None:
    if not callable(f):
        raise TypeError(f"{op}: {name} must be callable; got {f!r}.")


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """``true_fn()`` if ``pred``, a boolean or a tensor of one element, is true, else ``false_fn()``."""
    return true_fn() if pred else false_fn()


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``; an ``index`` out of range counts as the nearest one in it."""
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: Any = None
) -> Any:
    """Calls ``loop_vars = body(*loop_vars)`` while ``cond(*loop_vars)`` is true, ``maximum_iterations`` times at most.

    ``loop_vars`` is a tensor, or a list or tuple of nested tensors; so is the result: a tuple for these.

    >>> while_loop(lambda i: i < 5, lambda i: i + 2, 0)
    Tensor(6, dtype=int32)
    """
    several = isinstance(loop_vars, list | tuple)
    state = map_leaves(tensor_of, tuple(loop_vars) if several else (loop_vars,))
    count = 0
    while (maximum_iterations is None or count < int(maximum_iterations)) and cond(*state):
        state = body(*state)
        state = tuple(state) if isinstance(state, list | tuple) else (state,)
        count += 1
    return state if several else state[0]


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Calls ``val = body_fun(i, val)`` for i from ``lower`` up to, but without, ``upper``, beginning at ``init_val``.

    >>> fori_loop(0, 4, lambda i, total: total + i, 0)
    6
    """
    for i in range(int(lower), int(upper)):
        init_val = body_fun(i, init_val)
    return init_val


def stop_gradient(variable: Any) -> Any:
    """The same values, through which no gradient flows; of nested tensors, each."""
    return map_leaves(lambda x: tensor_of(x).detach(), variable)


# Along the first axis


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Calls ``carry, y = f(carry, x)`` for each slice x of ``xs`` along the first axis, beginning with ``init``.

    Args:
        f: takes and gives nested tensors.
        init: the first ``carry``.
        xs: nested tensors [steps, ...]; None calls ``f(carry, None)`` ``length`` times.
        length: how many steps.
        reverse: from the last slice to the first.
        unroll: taken for compatibility; the loop is Python's.

    Returns the last carry, and the ys stacked along a new first axis, in the order of ``xs``. Raises ``TypeError`` if
    ``f`` is not callable, ``ValueError`` if there is neither ``xs`` nor ``length``.

    >>> carry, sums = scan(lambda total, x: (total + x, total + x), 0, Tensor([1, 2, 3]))
    >>> sums
    Tensor([1, 3, 6], dtype=int32)
    """
    _require_callable(f, "scan", "f")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"scan: unroll must be a boolean or a positive integer; got {unroll!r}.")
    if xs is None and length is None:
        raise ValueError("scan: expected xs to scan over, or length, how many steps; got neither.")
    xs = map_leaves(lambda x: None if x is None else tensor_of(x), xs)
    steps = int(leaves(xs)[0].shape[0] if length is None else length)
    carry = map_leaves(tensor_of, init)
    nothing = map_leaves(zeros_like, carry)
    ys = []
    for i in reversed(range(steps)) if reverse else range(steps):
        carry, y = f(carry, _slice(xs, i))
        ys.append(nothing if y is None else y)
    return carry, _stacked(ys[::-1] if reverse else ys)


def _slice(xs: Any, i: int) -> Any:
    """Slice ``i`` of nested tensors along the first axis; None stays None."""
    return map_leaves(lambda x: None if x is None else getitem(x, i), xs)


def _stacked(results: Sequence[Any]) -> Any:
    """Equally nested tensors, stacked leaf by leaf along a new first axis."""
    columns = zip(*(leaves(result) for result in results), strict=True)
    return pack_as(results[0], [stack(column) for column in columns])


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """``f`` of each slice of ``xs``, nested tensors, along the first axis; the results are stacked along it.

    >>> map(lambda x: x * x, Tensor([1, 2, 3]))
    Tensor([1, 4, 9], dtype=int32)
    """
    _require_callable(f, "map", "f")
    xs = map_leaves(tensor_of, xs)
    count = leaves(xs)[0].shape[0]
    return _stacked([f(_slice(xs, i)) for i in range(count)])


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """``function`` of each slice of ``elements`` along the first axis; as ``map``, one slice after the other."""
    return map(function, elements)


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """The results of combining all elements up to each one with ``f``, for which f(f(a, b), c) = f(a, f(b, c)).

    Args:
        f: takes two nests of tensors, any number of elements along ``axis`` at once, and gives one.
        elems: nested tensors of the same length along ``axis``.
        reverse: combine from the last element to each one.
        axis: the axis of the elements.

    ``f`` is called 2 * log2(length) times at most (Blelloch 1990). Raises ``TypeError`` if ``f`` is not callable,
    ``ValueError`` if the lengths differ.

    >>> associative_scan(lambda a, b: a + b, Tensor([1, 2, 3, 4]))
    Tensor([ 1,  3,  6, 10], dtype=int32)
    """
    _require_callable(f, "associative_scan", "f")
    parts = [tensor_of(leaf) for leaf in leaves(elems)]
    axes = [whole_axis(axis, part.ndim, "associative_scan") for part in parts]
    lengths = {part.shape[a] for part, a in zip(parts, axes, strict=True)}
    if len(lengths) != 1:
        raise ValueError(
            f"associative_scan: all tensors must have the same length along axis {axis}; got shapes "
            f"{', '.join(str(part.shape) for part in parts)}."
        )

    def cut(xs: list[Tensor], *bounds: int | None) -> list[Tensor]:
        return [getitem(x, (slice(None),) * a + (slice(*bounds),)) for x, a in zip(xs, axes, strict=True)]

    def combined(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        return leaves(f(pack_as(elems, a), pack_as(elems, b)))

    def scanned(xs: list[Tensor]) -> list[Tensor]:
        length = xs[0].shape[axes[0]]
        if length < 2:
            return xs
        odd = scanned(combined(cut(xs, 0, length - 1, 2), cut(xs, 1, None, 2)))
        even = cut(xs, 0, 1)
        if length > 2:
            before = cut(odd, 0, (length - 1) // 2)
            behind = combined(before, cut(xs, 2, None, 2))
            even = [concatenate([x, y], a) for x, y, a in zip(even, behind, axes, strict=True)]
        return [_interleaved(x, y, a) for x, y, a in zip(even, odd, axes, strict=True)]

    if reverse:
        parts = [flip(part, a) for part, a in zip(parts, axes, strict=True)]
    found = scanned(parts)
    if reverse:
        found = [flip(part, a) for part, a in zip(found, axes, strict=True)]
    return pack_as(elems, found)


def _interleaved(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """The elements of both along ``axis`` in turn, those of ``even`` first."""
    paired = odd.shape[axis]
    rest = (slice(None),) * axis
    pairs = stack([getitem(even, (*rest, slice(None, paired))), odd], axis + 1)
    joined = reshape(pairs, (*odd.shape[:axis], 2 * paired, *odd.shape[axis + 1 :]))
    return (
        joined
        if even.shape[axis] == paired
        else concatenate([joined, getitem(even, (*rest, slice(paired, None)))], axis)
    )


_SIGNATURE = re.compile(r"\(([\w,\s]*)\)")


def vectorize(pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None) -> Callable[..., Any]:
    """A function that calls ``pyfunc`` for each element of its tensor arguments, which broadcast.

    Args:
        pyfunc: takes tensors without axes, or with those that ``signature`` names, and gives tensors.
        excluded: positions (or names) of arguments that are passed on whole.
        signature: the axes of one call's arguments and results, as ``"(m,n),(n)->(m)"``.

    Raises ``ValueError`` if ``pyfunc`` is not callable.

    >>> vectorize(lambda a, b: a + b)(Tensor([1, 2, 3]), 2)
    Tensor([3, 4, 5], dtype=int32)
    """
    if not callable(pyfunc):
        raise ValueError(f"vectorize: pyfunc must be callable; got {pyfunc!r}.")
    whole = set(excluded or ())
    ranks = None
    if signature is not None:
        if not re.fullmatch(r"\s*\(.*\)\s*->\s*\(.*\)\s*", signature):
            raise ValueError(f"vectorize: a signature is written as '(m,n),(n)->(m)'; got {signature!r}.")
        named = _SIGNATURE.findall(signature.split("->")[0])
        ranks = [len([name for name in axes.split(",") if name.strip()]) for axes in named]

    def run(*args: Any, **kwargs: Any) -> Any:
        places = [i for i in range(len(args)) if i not in whole]
        if ranks is not None and len(places) != len(ranks):
            raise TypeError(f"vectorize: {signature!r} has {len(ranks)} arguments; got {len(places)}.")
        cores = dict(zip(places, [0] * len(places) if ranks is None else ranks, strict=True))
        tensors = {i: tensor_of(args[i]) for i in places}
        outer = np.broadcast_shapes(*(t.shape[: t.ndim - cores[i]] for i, t in tensors.items()))
        spread = {i: broadcast_to(t, outer + t.shape[t.ndim - cores[i] :]) for i, t in tensors.items()}
        results = []
        for position in itertools.product(*(range(n) for n in outer)):
            given = list(args)
            for i, tensor in spread.items():
                given[i] = getitem(tensor, position) if position else tensor
            results.append(pyfunc(*given, **kwargs))
        stacked = _stacked(results)
        return map_leaves(lambda x: reshape(x, outer + x.shape[1:]), stacked)

    return run


# Gradients of one's own


def custom_gradient(f: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """Decorator: a function whose gradient is given by hand.

    Args:
        f: takes tensors, gives (output, grad). The output is a tensor, or nested tensors. ``grad(upstream)``, or
            ``grad(*args, upstream=upstream)`` if it has a parameter of that name, takes the gradient that arrives at
            the output (a list of them for several) and gives that of each argument, a tuple for several.

    Returns the function of the output alone. What ``f`` computes on its way is not recorded.

    >>> @custom_gradient
    ... def clipped(x):
    ...     return x * 1.0, lambda upstream: upstream * 0.5
    >>> x = Tensor([1.0], requires_grad=True)
    >>> clipped(x).backward(Tensor([2.0]))
    >>> x.grad
    Tensor([1.], dtype=float32)
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        tensors = [tensor_of(leaf) for leaf in leaves(args)]
        with no_grad():
            output, grad = f(*pack_as(args, [tensor.detach() for tensor in tensors]), **kwargs)
        found = [tensor_of(leaf) for leaf in leaves(output)]
        results = _recorded(tensors, found, lambda inputs, upstream: _asked(grad, pack_as(args, inputs), upstream))
        return pack_as(output, results)

    return run


def _asked(grad: Callable[..., Any], args: Any, upstream: list[Tensor]) -> list[Any]:
    arriving = upstream[0] if len(upstream) == 1 else upstream
    if "upstream" in inspect.signature(grad).parameters and _takes_any(grad):
        return leaves(grad(*args, upstream=arriving))
    return leaves(grad(arriving))


def _takes_any(function: Callable[..., Any]) -> bool:
    """Whether ``function`` takes any number of positional arguments."""
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def _recorded(
    inputs: list[Tensor], outputs: list[Tensor], gradient: Callable[[list[Tensor], list[Tensor]], list[Any]]
) -> list[Tensor]:
    """``outputs`` as the results of an operation on ``inputs`` with that gradient."""
    names = [f"y{i}" for i in range(len(outputs))]

    def custom(backend: Any, *xs: Any) -> Any:
        arrays = tuple(output.data for output in outputs)
        return arrays if len(arrays) > 1 else arrays[0]

    def backward(**given: Any) -> list[Tensor | None]:
        found = gradient(list(given["xs"]), [given[f"d{name}"] for name in names])
        if len(found) != len(inputs):
            raise ValueError(
                f"custom_gradient: expected {len(inputs)} gradients, one for each input; got {len(found)}."
            )
        return [None if g is None else tensor_of(g) for g in found]

    parameter = inspect.Parameter
    backward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter(name, parameter.KEYWORD_ONLY) for name in ["xs", *(f"d{name}" for name in names)]]
    )
    operation = Primitive(custom, names)
    operation.gradient("xs")(backward)
    results = operation(*inputs)
    return list(results) if isinstance(results, tuple) else [results]
