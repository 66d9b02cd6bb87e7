"""Batches of arrays and of iterables, and the checks that come before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from deepcore.device import CPU, Device
from deepcore.random import Generator
from deepcore.structure import leaves, map_leaves
from deepcore.tensor import Tensor


class Batch(NamedTuple):
    """Inputs, targets and weights of some examples: tensors, or nested lists and dictionaries of them, or None."""

    x: Any
    y: Any = None
    sample_weight: Any = None


def _array(value: Any, what: str) -> Any:
    """An array of numbers with a batch axis; a tensor on another device than the CPU, which stays there."""
    array = value.data if isinstance(value, Tensor) and value.device == CPU else value
    if not hasattr(array, "dtype") or not hasattr(array, "shape") or not hasattr(array, "__getitem__"):
        try:
            array = np.asarray(array)
        except ValueError as error:
            raise ValueError(f"{what} must be an array of numbers; got rows of different lengths ({error}).") from None
    elif hasattr(array, "to_numpy"):
        array = array.to_numpy()
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{what} must be an array of numbers; got dtype {array.dtype}, such as {array.reshape(-1)[:1].tolist()}. "
            "Convert it first: class names to numbers, text to token ids, columns of objects to a float array."
        )
    if not array.shape:
        raise ValueError(f"{what} must have a batch axis; got the single number {array}.")
    return array


def _arrays(value: Any, what: str) -> Any:
    """``value`` as an array, or the same nesting of arrays."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _arrays(part, f"{what}[{key!r}]") for key, part in value.items()}
    if isinstance(value, list | tuple) and any(hasattr(part, "shape") and len(part.shape) for part in value):
        return [_arrays(part, f"{what}[{i}]") for i, part in enumerate(value)]
    return _array(value, what)


def is_iterable_of_batches(x: Any) -> bool:
    """Whether ``x`` gives batches itself: a generator, or another iterable that is no array."""
    return not isinstance(x, list | tuple | Mapping | str) and not hasattr(x, "shape") and hasattr(x, "__iter__")


class ArrayData:
    """Arrays of equally many examples, cut in batches.

    Args:
        x, y, sample_weight: arrays, or nested lists and dictionaries of arrays; y and sample_weight may be None.
        batch_size: examples in a batch; the last may have fewer.

    Raises ``ValueError`` for no examples, different numbers of them, an axis of length zero, NaN among the targets or
    weights, or a batch size that is not positive; ``TypeError`` for arrays of objects or text.
    """

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None) -> None:
        size = 32 if batch_size is None else batch_size
        if isinstance(size, bool) or not hasattr(size, "__index__") or int(size) <= 0:
            raise ValueError(f"batch_size must be a positive integer; got {batch_size!r}.")
        self.batch_size = int(size)
        self.x, self.y = _arrays(x, "x"), _arrays(y, "y")
        self.sample_weight = _arrays(sample_weight, "sample_weight")
        parts = {"x": self.x, "y": self.y, "sample_weight": self.sample_weight}
        counts = {name: {len(a) for a in leaves(part)} for name, part in parts.items() if part is not None}
        if len(set().union(*counts.values())) > 1:
            told = ", ".join(f"{name} has {' and '.join(map(str, sorted(n)))}" for name, n in counts.items())
            raise ValueError(f"All arrays need the same number of examples (their first axis); {told}.")
        self.samples = counts["x"].pop()
        for name, part in parts.items():
            for array in leaves(part) if part is not None else ():
                if 0 in array.shape:
                    raise ValueError(f"{name} is empty: its shape is {tuple(array.shape)}.")
                if name != "x" and array.dtype.kind == "f" and isinstance(array, np.ndarray):
                    missing = np.flatnonzero(np.isnan(array.reshape(len(array), -1)).any(1))
                    if missing.size:
                        raise ValueError(
                            f"{name} holds NaN in {missing.size} of {len(array)} examples, the first at index "
                            f"{missing[0]}. Remove or fill them."
                        )
        self.steps = -(-self.samples // self.batch_size)

    def split(self, share: float, last_batch_size: int | None = None) -> tuple[ArrayData, ArrayData]:
        """The first examples, and the last ``share`` of them, for validation, in batches of ``last_batch_size``.

        Raises ``ValueError`` if the share is not between 0 and 1, or leaves one part empty.
        """
        if not 0 < share < 1:
            raise ValueError(f"validation_split must lie between 0 and 1; got {share!r}.")
        at = int(self.samples * (1 - share))
        if not 0 < at < self.samples:
            raise ValueError(f"validation_split={share} of {self.samples} examples leaves one of the two parts empty.")

        def part(where: slice, batch_size: int) -> ArrayData:
            x, y, weight = (
                None if a is None else map_leaves(lambda b: b[where], a) for a in (self.x, self.y, self.sample_weight)
            )
            return ArrayData(x, y, weight, batch_size)

        return part(slice(None, at), self.batch_size), part(slice(at, None), last_batch_size or self.batch_size)

    @property
    def input_shape(self) -> Any:
        """Shapes of x with None for the batch axis."""
        return map_leaves(lambda a: (None, *a.shape[1:]), self.x)

    def batches(self, device: Device, dtype: np.dtype[Any], shuffle: Generator | None = None) -> Iterator[Batch]:
        """Batches on ``device``, floating arrays as ``dtype``; in random order where ``shuffle`` is a stream."""
        order = None if shuffle is None else shuffle.permutation(self.samples)
        orders: dict[Device, Tensor] = {}  # where there is data: copied once, not for every batch

        def cut(array: Any) -> Tensor:
            if order is None:
                return to_tensor(array[start:stop], device, dtype)
            if not isinstance(array, Tensor):
                return to_tensor(array[order[start:stop]], device, dtype)
            if array.device not in orders:
                orders[array.device] = Tensor(order, device=array.device)
            return to_tensor(array[orders[array.device][start:stop]], device, dtype)

        for start in range(0, self.samples, self.batch_size):
            stop = min(start + self.batch_size, self.samples)

            yield Batch(*(None if a is None else map_leaves(cut, a) for a in (self.x, self.y, self.sample_weight)))


class IterableData:
    """Batches from an iterable: x, (x, y) or (x, y, sample_weight) each.

    An iterator is read on from epoch to epoch; another iterable starts anew each epoch.
    """

    batch_size = None
    samples = None
    sample_weight = None

    def __init__(self, source: Iterable[Any], steps: int | None = None) -> None:
        self.source = source
        try:
            self.steps = steps if steps is not None else len(source)  # type: ignore[arg-type]
        except TypeError:
            self.steps = None  # type: ignore[assignment]
        self.y = self  # unlike None: there may be targets
        self._first: list[Any] = []
        self._endless = iter(source) is source

    @property
    def input_shape(self) -> Any:
        """Shapes of the first batch with None for the batch axis."""
        if not self._first:
            for item in self.source:
                self._first.append(item)
                break
            else:
                raise ValueError("The iterable given as x has no batches.")
        x = self._first[0][0] if isinstance(self._first[0], tuple) else self._first[0]
        return map_leaves(lambda a: (None, *np.shape(a)[1:]), _arrays(x, "x"))

    def batches(self, device: Device, dtype: np.dtype[Any], shuffle: Generator | None = None) -> Iterator[Batch]:
        """The batches on ``device``, floating arrays as ``dtype``; the order is the iterable's."""
        ahead = self._first if self._endless else []
        while ahead:
            yield self._batch(ahead.pop(), device, dtype)
        for item in self.source:
            yield self._batch(item, device, dtype)

    def _batch(self, item: Any, device: Device, dtype: np.dtype[Any]) -> Batch:
        parts = item if isinstance(item, tuple) else (item,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(f"A batch is x, (x, y) or (x, y, sample_weight); the iterable gave {len(parts)} parts.")
        checked = ArrayData(*parts)
        arrays = (checked.x, checked.y, checked.sample_weight)
        return Batch(*(None if a is None else map_leaves(lambda b: to_tensor(b, device, dtype), a) for a in arrays))


def to_tensor(array: Any, device: Device, dtype: np.dtype[Any]) -> Tensor:
    """``array`` on ``device``; floating ones as ``dtype``, others as they are."""
    if array.dtype.kind == "f" and array.dtype != dtype:
        array = array.astype(dtype)
    return array if isinstance(array, Tensor) and array.device == device else Tensor(array, device=device)


def class_weights_of(y: Any, class_weight: Mapping[int, float]) -> np.ndarray[Any, Any]:
    """The weight of each example from the weight of its class; 1 for classes that are not named.

    ``y`` holds class numbers [n] or [n, 1], or one-hot rows [n, classes].
    """
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        raise ValueError("class_weight needs class numbers, or one-hot rows, in one NumPy array as y.")
    labels = y.argmax(1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(np.int64)
    weights = np.ones(len(labels), np.float32)
    for label, weight in class_weight.items():
        if not weight >= 0:
            raise ValueError(f"class_weight must not be negative; got {weight!r} for class {label!r}.")
        weights[labels == label] = weight
    return weights
