"""Gradients held against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.autograd.engine import gradients
from deepcore.tensor import Tensor


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    order: int = 1,
    step: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    seed: int = 0,
) -> bool:
    """Compares the gradients of ``function`` with central differences, in float64.

    Args:
        function: takes one tensor for each input and returns a tensor or a tuple of tensors.
        inputs: floating arrays; made float64. Stay away from kinks by more than ``step``.
        order: 2 checks also the gradients of the gradients, 3 those of these.
        step: half the distance of the differences; the truncation error is of the order of its square.
        rtol, atol: how far the two may be apart, relative to the largest difference, and in all.
        seed: of the random weights that make one scalar of the outputs.

    Returns True, or raises ``AssertionError`` with the input, the element and both values.

    >>> gradcheck(lambda x: x * x * x, [np.array([1.0, -2.0])], order=2)
    True
    """
    arrays = [np.array(array, dtype=np.float64) for array in inputs]
    rng = np.random.default_rng(seed)
    weights: list[np.ndarray[Any, Any]] = []

    def outputs_of(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        outputs = function(*tensors)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def value(points: Sequence[np.ndarray[Any, Any]]) -> float:
        outputs = outputs_of([Tensor(point) for point in points])
        return float(sum((np.asarray(y, np.float64) * w).sum() for y, w in zip(outputs, weights, strict=True)))

    leaves = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    outputs = outputs_of(leaves)
    weights.extend(rng.standard_normal(y.shape) for y in outputs)
    recorded = [(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    found = gradients([y for y, _ in recorded], leaves, [Tensor(w.astype(y.dtype)) for y, w in recorded])
    for position, (array, analytic) in enumerate(zip(arrays, found, strict=True)):
        numeric = np.empty_like(array)
        for index in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[position][index] += sign * step
                sides.append(value(moved))
            numeric[index] = (sides[0] - sides[1]) / (2 * step)
        error = np.abs(numeric - analytic.numpy())
        bound = atol + rtol * max(1.0, float(np.abs(numeric).max(initial=0.0)))
        if not (error <= bound).all():
            worst = np.unravel_index(np.argmax(error), error.shape)
            raise AssertionError(
                f"input {position}, element {tuple(int(i) for i in worst)}: the gradient is "
                f"{analytic.numpy()[worst]!r}, finite differences give {numeric[worst]!r} (bound {bound:.1e})"
            )
    if order > 1:
        constants = [w for y, w in zip(outputs, weights, strict=True) if y.requires_grad]

        def first_derivative(*tensors: Tensor) -> tuple[Tensor, ...]:
            tracked = [t if t.requires_grad else Tensor(t.data, requires_grad=True) for t in tensors]
            now = [y for y in outputs_of(tracked) if y.requires_grad]
            return gradients(now, tracked, [Tensor(w) for w in constants], create_graph=True)

        return gradcheck(first_derivative, arrays, order=order - 1, step=step, rtol=rtol, atol=atol, seed=seed + 1)
    return True
