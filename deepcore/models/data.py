"""Batches of arrays and of iterables, and the checks that come before any work."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from deepcore.device import CPU, Device
from deepcore.models.dataset import PyDataset, batches_of, unpack_x_y_sample_weight
from deepcore.random import Generator
from deepcore.structure import leaves, like, map_leaves
from deepcore.tensor import Tensor, in_native_order


class Batch(NamedTuple):
    """Inputs, targets and weights of some examples: tensors, or nested lists and dictionaries of them, or None."""

    x: Any
    y: Any = None
    sample_weight: Any = None


def _array(value: Any, what: str) -> Any:
    """An array of numbers with a batch axis; a tensor on another device than the CPU, which stays there."""
    array = value.data if isinstance(value, Tensor) and value.device == CPU else value
    if hasattr(array, "to_numpy"):  # a table; one column of it stands for an axis of length one
        array = array.to_numpy()[:, None] if getattr(array, "ndim", 2) == 1 else array.to_numpy()
    elif not isinstance(array, np.ndarray | Tensor) and hasattr(array, "numpy"):  # another library's tensor
        array = array.detach().cpu() if hasattr(array, "detach") else array
        array = array.numpy()
    if not hasattr(array, "dtype") or not hasattr(array, "shape") or not hasattr(array, "__getitem__"):
        try:
            array = np.asarray(array)
        except ValueError as error:
            raise ValueError(f"{what} must be an array of numbers; got rows of different lengths ({error}).") from None
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
    if isinstance(value, list | tuple) and any(part is None or _holds_arrays(part) for part in value):
        return like(value, [_arrays(part, f"{what}[{i}]") for i, part in enumerate(value)])
    return _array(value, what)


def _holds_arrays(value: Any) -> bool:
    """Whether ``value`` is an array, or a structure of some; numbers in nested lists are one array themselves."""
    if isinstance(value, list | tuple):
        return any(_holds_arrays(part) for part in value)
    return isinstance(value, Mapping) or (hasattr(value, "shape") and len(value.shape) > 0)


def _present(structure: Any) -> list[Any]:
    """The arrays of a structure, without the places that hold None."""
    return [leaf for leaf in leaves(structure) if leaf is not None]


def _shapes(structure: Any) -> Any:
    """The shapes of arrays with None for the batch axis, and None where no array is given."""
    return map_leaves(lambda a: None if a is None else (None, *a.shape[1:]), structure)


def is_iterable_of_batches(x: Any) -> bool:
    """Whether ``x`` gives batches itself: a generator, or another iterable that is no array."""
    if isinstance(x, PyDataset):
        return True
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
        counts = {name: {len(a) for a in _present(part)} for name, part in parts.items() if part is not None}
        if len(set().union(*counts.values())) > 1:
            told = ", ".join(f"{name} has {' and '.join(map(str, sorted(n)))}" for name, n in counts.items())
            raise ValueError(f"All arrays need the same number of examples (their first axis); {told}.")
        if not counts["x"]:
            raise ValueError("x holds no array, only None, which is not optional for every input; give examples.")
        self.samples = counts["x"].pop()
        for name, part in parts.items():
            for array in _present(part):
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
                map_leaves(lambda b: None if b is None else b[where], a) for a in (self.x, self.y, self.sample_weight)
            )
            return ArrayData(x, y, weight, batch_size)

        return part(slice(None, at), self.batch_size), part(slice(at, None), last_batch_size or self.batch_size)

    @property
    def targets(self) -> Any:
        """The targets of all examples; None if there are none."""
        return self.y

    @property
    def input_shape(self) -> Any:
        """Shapes of x with None for the batch axis."""
        return _shapes(self.x)

    def batches(
        self, device: Device, dtype: np.dtype[Any], shuffle: Generator | None = None, skip: int = 0
    ) -> Iterator[Batch]:
        """Batches on ``device`` from number ``skip`` on, floating arrays as ``dtype``; in random order where
        ``shuffle`` is a stream."""
        order = None if shuffle is None else shuffle.permutation(self.samples)
        orders: dict[Device, Tensor] = {}  # where there is data: copied once, not for every batch

        def cut(array: Any) -> Any:
            if array is None:
                return None
            if order is None:
                return to_tensor(array[start:stop], device, dtype)
            if not isinstance(array, Tensor):
                return to_tensor(_examples(array, order[start:stop]), device, dtype)
            if array.device not in orders:
                orders[array.device] = Tensor(order, device=array.device)
            return to_tensor(array[orders[array.device][start:stop]], device, dtype)

        for start in range(skip * self.batch_size, self.samples, self.batch_size):
            stop = min(start + self.batch_size, self.samples)
            yield Batch(map_leaves(cut, self.x), map_leaves(cut, self.y), map_leaves(cut, self.sample_weight))


def _examples(array: Any, numbers: np.ndarray[Any, Any]) -> Any:
    """Examples by their numbers, copied row by row where ``take`` does so, which indexing by an array does not."""
    if isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.aligned:
        return array.take(numbers, axis=0)
    return array[numbers]  # take would first copy all of it


class IterableData:
    """Batches from an iterable: x, (x, y) or (x, y, sample_weight) each.

    An iterator is read on from epoch to epoch; another iterable starts anew each epoch, a ``PyDataset`` with its
    batches in a new order where they are shuffled.
    """

    batch_size = None
    samples = None
    sample_weight = None

    def __init__(self, source: Iterable[Any], steps: int | None = None) -> None:
        self.source = source
        self.class_weight: Mapping[int, float] | None = None
        self.length: int | None
        try:
            self.length = source.num_batches if isinstance(source, PyDataset) else len(source)  # type: ignore[arg-type]
        except TypeError:
            self.length = None
        self.steps = self.length if steps is None else steps
        self._first: list[Any] = []
        self.endless = iter(source) is source

    @property
    def input_shape(self) -> Any:
        """Shapes of the first batch with None for the batch axis."""
        x = unpack_x_y_sample_weight(self._first_batch())[0]
        return _shapes(_arrays(x, "x"))

    @property
    def targets(self) -> Any:
        """The targets of the first batch; None if it has none."""
        return _arrays(unpack_x_y_sample_weight(self._first_batch())[1], "y")

    def _first_batch(self) -> Any:
        if not self._first:
            for item in self.source:
                self._first.append(item)
                break
            else:
                raise ValueError("The iterable given as x has no batches.")
        return self._first[0]

    def batches(
        self, device: Device, dtype: np.dtype[Any], shuffle: Generator | None = None, skip: int = 0
    ) -> Iterator[Batch]:
        """The batches on ``device`` from number ``skip`` on, floating arrays as ``dtype``; the order is the
        iterable's, but for a ``PyDataset`` where ``shuffle`` is a stream."""
        if self.endless:
            items: Iterator[Any] = itertools.chain(self._first, self.source)
            self._first = []
        elif isinstance(self.source, PyDataset):
            items, skip = batches_of(self.source, self._order(shuffle, skip)), 0
        else:
            items = iter(self.source)
        try:
            for item in itertools.islice(items, skip, None):
                yield self._batch(item, device, dtype)
        finally:
            if not self.endless and hasattr(items, "close"):
                items.close()  # workers end now, and not when memory is cleared up

    def _order(self, shuffle: Generator | None, skip: int) -> Iterable[int]:
        if self.length is not None:
            return (range(self.length) if shuffle is None else shuffle.permutation(self.length).tolist())[skip:]
        if shuffle is not None:
            warnings.warn("shuffle=True is ignored: the PyDataset has no end, so it has no order.", stacklevel=7)
        return itertools.count(skip)

    def on_epoch_begin(self) -> None:
        """Tells the source that an epoch begins."""
        if isinstance(self.source, PyDataset):
            self.source.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the source that an epoch has ended."""
        if isinstance(self.source, PyDataset):
            self.source.on_epoch_end()

    def _batch(self, item: Any, device: Device, dtype: np.dtype[Any]) -> Batch:
        x, y, sample_weight = unpack_x_y_sample_weight(item)
        if self.class_weight is not None and y is not None:
            if sample_weight is not None:
                raise ValueError(
                    "class_weight and sample_weight cannot be used together, but the iterable gives sample weights; "
                    "multiply the two there."
                )
            sample_weight = class_weights_of(_arrays(y, "y"), self.class_weight)
        checked = ArrayData(x, y, sample_weight)
        return Batch(
            *(
                map_leaves(lambda b: None if b is None else to_tensor(b, device, dtype), a)
                for a in (checked.x, checked.y, checked.sample_weight)
            )
        )


def to_tensor(array: Any, device: Device, dtype: np.dtype[Any]) -> Tensor:
    """``array`` on ``device``; floating ones as ``dtype``, others as they are."""
    if array.dtype.kind == "f" and array.dtype != dtype:
        array = array.astype(dtype)
    if isinstance(array, np.ndarray) and device.kind == "cpu":
        return Tensor.wrap(in_native_order(array), device)
    return array if isinstance(array, Tensor) and array.device == device else Tensor(array, device=device)


def class_weights_of(y: Any, class_weight: Mapping[int, float]) -> np.ndarray[Any, Any]:
    """The weight of each example from the weight of its class; 1 for classes that are not named.

    ``y`` holds class numbers [n] or [n, 1], or one-hot rows [n, classes]. Raises ``ValueError`` for other targets, and
    for negative weights.
    """
    if isinstance(y, list | tuple | Mapping):
        raise ValueError("class_weight is for a model of one output; give many outputs a sample_weight each.")
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        raise ValueError("class_weight needs class numbers, or one-hot rows, in one array on the CPU as y.")
    labels = y.argmax(1) if y.ndim == 2 and y.shape[1] > 1 else np.round(y.reshape(-1)).astype(np.int64)
    weights = np.ones(len(labels), np.float32)
    for label, weight in class_weight.items():
        if not weight >= 0:
            raise ValueError(f"class_weight must not be negative; got {weight!r} for class {label!r}.")
        weights[labels == label] = weight
    return weights
