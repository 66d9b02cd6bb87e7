"""Layers that make one tensor of several, and the same as functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from deepcore import ops
from deepcore.layers.arguments import integer
from deepcore.layers.call_spec import shape_of
from deepcore.layers.layer import Layer
from deepcore.structure import map_leaves
from deepcore.tensor import Tensor

Shapes = list[tuple[Any, ...]]


class _Merge(Layer):
    """One tensor of a list of tensors that broadcast, those of a lower rank along the axes after the batch.

    Where every input has a mask, a step of the output counts if it counts in one of them.

    Attributes:
        takes: how many inputs there must be; None for any number.
    """

    takes: int | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def merge(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        """The output for inputs of one rank, with each one's mask, which broadcasts with it, or None."""
        raise NotImplementedError(f"{type(self).__name__} must implement merge(inputs, masks).")

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(self._of_one_batch(input_shape))

    def _of_one_batch(self, given: Any) -> Shapes:
        shapes = self._shapes_of(given)
        if len({shape[0] for shape in shapes if shape} - {None}) > 1:
            raise ValueError(f"expected inputs of one batch size; got shapes {_listed(shapes)}.")
        return shapes

    def _shapes_of(self, given: Any) -> Shapes:
        if not isinstance(given, list | tuple) or not given or not all(isinstance(s, list | tuple) for s in given):
            raise ValueError(
                f"expected a list of inputs, as {type(self).__name__}()([a, b]); got one of shape {given}."
            )
        if self.takes not in (None, len(given)):
            raise ValueError(f"expected exactly {self.takes} inputs; got {len(given)} of shapes {_listed(given)}.")
        return [tuple(shape) for shape in given]

    def call(self, inputs: Any) -> Tensor:
        self._shapes_of(map_leaves(shape_of, inputs))
        rank = max(x.ndim for x in inputs)
        raised, masks = [], []
        for x in inputs:
            # A mask belongs to the axes that its input came with.
            masks.append(_like(x.mask, x) if x.mask is not None and x.ndim == rank else None)
            raised.append(ops.reshape(x, (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:])) if x.ndim < rank else x)
        return self.merge(raised, masks)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes_of(input_shape)
        sizes: tuple[Any, ...] = shapes[0][1:]
        for shape in shapes[1:]:
            sizes = _broadcast(sizes, shape[1:], shapes)
        batches = {shape[0] for shape in shapes} - {None}
        return (batches.pop() if len(batches) == 1 else None, *sizes)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = _masks_of(inputs, previous_mask)
        if masks is None or any(mask is None for mask in masks):
            return None
        return _folded(ops.logical_or, masks)


def _masks_of(inputs: Any, masks: Any) -> Any:
    """``masks``. Raises ``ValueError`` unless there is one, or None, for each of the inputs."""
    if masks is None:
        return None
    if not isinstance(masks, list | tuple) or not isinstance(inputs, list | tuple) or len(masks) != len(inputs):
        raise ValueError(f"expected a list of inputs and a list of as many masks; got {inputs!r} and {masks!r}.")
    return masks


def _broadcast(a: tuple[Any, ...], b: tuple[Any, ...], shapes: Shapes) -> tuple[Any, ...]:
    a, b = ((1,) * (len(other) - len(sizes)) + sizes for sizes, other in ((a, b), (b, a)))
    if any(None not in (m, n) and 1 not in (m, n) and m != n for m, n in zip(a, b, strict=True)):
        raise ValueError(f"expected inputs whose shapes broadcast; got {_listed(shapes)}.")
    return tuple(None if None in (m, n) else n if m == 1 else m for m, n in zip(a, b, strict=True))


def _listed(shapes: Sequence[Any]) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes)


def _folded(function: Callable[[Any, Any], Any], values: Sequence[Any]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = function(result, value)
    return result


def _like(mask: Any, x: Any) -> Any:
    """``mask`` [batch, ...] with axes of length one up to the rank of ``x``."""
    for _ in range(x.ndim - mask.ndim):
        mask = ops.expand_dims(mask, -1)
    return ops.cast(mask, bool)


class Add(_Merge):
    """The sum of a list of tensors, which may broadcast.

    Raises ``ValueError`` for a single tensor that is not in a list, for several batch sizes, and for shapes that do
    not broadcast.

    >>> Add()([Tensor([[1.0, 2.0]]), Tensor([[10.0, 20.0]])]).tolist()
    [[11.0, 22.0]]
    """

    def merge(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        return _folded(ops.add, inputs)


class Subtract(_Merge):
    """The first of two tensors minus the second. Raises as ``Add``, and for another number of tensors."""

    takes = 2

    def merge(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        return ops.subtract(*inputs)


class Multiply(_Merge):
    """The product of a list of tensors. Raises as ``Add``.

    What is masked counts as 1; where every tensor is masked the product is 0.
    """

    def merge(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        counted = [x if mask is None else ops.where(mask, x, 1) for x, mask in zip(inputs, masks, strict=True)]
        product = _folded(ops.multiply, counted)
        if any(mask is None for mask in masks):
            return product
        return ops.where(_folded(ops.logical_or, masks), product, 0)


class Average(_Merge):
    """The mean of a list of tensors. Raises as ``Add``."""

    def merge(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        return _folded(ops.add, inputs) / len(inputs)


class _Extreme(_Merge):
    def merge(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        y, counts = inputs[0], masks[0]
        for x, mask in zip(inputs[1:], masks[1:], strict=True):
            x = x if mask is None else ops.where(mask, x, y)
            y = y if counts is None else ops.where(counts, y, x)
            counts = None if counts is None or mask is None else ops.logical_or(counts, mask)
            y = self.of_two(y, x)
        return y

    def of_two(self, a: Tensor, b: Tensor) -> Tensor:
        """The element of each pair that is kept."""
        raise NotImplementedError(f"{type(self).__name__} must implement of_two(a, b).")


class Maximum(_Extreme):
    """The largest of each element of a list of tensors; what is masked does not count. Raises as ``Add``."""

    def of_two(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.maximum(a, b)


class Minimum(_Extreme):
    """The smallest of each element of a list of tensors; what is masked does not count. Raises as ``Add``."""

    def of_two(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.minimum(a, b)


class Concatenate(_Merge):
    """A list of tensors joined along an axis.

    Args:
        axis: where; the last by default.

    Their other sizes must agree. Where one has a mask, the steps of those that have none all count. Raises
    ``ValueError`` for a single tensor that is not in a list, and for shapes that differ elsewhere.
    """

    _config: tuple[str, ...] = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = integer("axis", axis)

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Tensor:
        self._shapes_of(map_leaves(shape_of, inputs))
        return ops.concatenate(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes_of(input_shape)
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ValueError(f"expected inputs that have the axis {self.axis}; got shapes {_listed(shapes)}.")
        at = self.axis % rank
        sizes = []
        for axis in range(rank):
            found = [shape[axis] if len(shape) == rank else -1 for shape in shapes]
            known = set(found) - {None}
            if axis == at and -1 not in known:
                sizes.append(None if None in found else sum(found))
            elif len(known) > 1:
                raise ValueError(f"expected inputs that agree on all axes but {self.axis}; got {_listed(shapes)}.")
            else:
                sizes.append(known.pop() if known else None)
        return tuple(sizes)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = _masks_of(inputs, previous_mask)
        if masks is None or all(mask is None for mask in masks):
            return None
        whole = [
            ops.ones_like(x, dtype=bool)
            if mask is None
            else ops.logical_or(_like(mask, x), ops.zeros_like(x, dtype=bool))
            for x, mask in zip(inputs, masks, strict=True)
        ]
        return ops.any(ops.concatenate(whole, self.axis), -1)


class Dot(_Merge):
    """The products of two tensors, summed over one axis of each, for each sample: [batch, ...] and [batch, ...].

    Args:
        axes: the axis of both, or one for each; not the batch axis 0.
        normalize: whether both are first divided by their length along the axis, which gives the cosine of their angle.

    Output [batch, the other axes of the first, the other axes of the second]; [batch, 1] if there are none. Raises
    ``TypeError`` and ``ValueError`` for other ``axes``, and ``ValueError`` for other than two tensors or axes of
    different sizes. No mask is handed on.
    """

    takes = 2

    _config: tuple[str, ...] = ("axes", "normalize")

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int | list | tuple):
            raise TypeError(f"axes must be an int or two ints; got axes={axes!r}.")
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(axis, int) for axis in axes)):
            raise ValueError(f"axes must be an int or two ints; got axes={axes!r}.")
        self.axes = axes
        self.normalize = bool(normalize)

    def build(self, input_shape: Any) -> None:
        shapes = self._of_one_batch(input_shape)
        sizes = {shape[axis] for shape, axis in zip(shapes, self._axes_of(shapes), strict=True)} - {None}
        if len(sizes) > 1:
            raise ValueError(f"expected axes of one size; got shapes {_listed(shapes)} with axes={self.axes}.")

    def _axes_of(self, shapes: Shapes) -> list[int]:
        """One axis, counted from the front, for each of two shapes."""
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        for shape, axis in zip(shapes, axes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"expected axes that the inputs have, not the batch axis 0; got axes={self.axes} for shapes "
                    f"{_listed(shapes)}."
                )
        return [axis % len(shape) for shape, axis in zip(shapes, axes, strict=True)]

    def call(self, inputs: Any) -> Tensor:
        shapes = self._shapes_of(map_leaves(shape_of, inputs))
        first, second = self._axes_of(shapes)
        a, b = inputs
        if self.normalize:
            a, b = ops.normalize(a, first), ops.normalize(b, second)
        a, b = ops.moveaxis(a, first, -1), ops.moveaxis(b, second, 1)
        rest, others = a.shape[1:-1], b.shape[2:]
        rows = ops.reshape(a, (a.shape[0], math.prod(rest), a.shape[-1]))
        columns = ops.reshape(b, (b.shape[0], b.shape[1], math.prod(others)))
        return ops.reshape(ops.matmul(rows, columns), (a.shape[0], *((*rest, *others) or (1,))))

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes_of(input_shape)
        kept = [
            size
            for shape, summed in zip(shapes, self._axes_of(shapes), strict=True)
            for axis, size in enumerate(shape)
            if axis not in (0, summed)
        ]
        return (shapes[0][0], *(kept or (1,)))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """``Dot(axes, **kwargs)(inputs)``."""
    return Dot(axes, **kwargs)(inputs)
