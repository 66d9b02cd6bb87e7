"""Data sets of numbered samples, cut in batches, as the functions of ``deepcore.utils`` give them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deepcore.device import CPU
from deepcore.models.dataset import PyDataset
from deepcore.structure import map_leaves
from deepcore.tensor import Tensor


class SampleDataset(PyDataset):
    """Samples that are made when they are asked for: ``for x, y in dataset``, or ``model.fit(dataset)``.

    Args:
        make: gives the samples of an array of numbers in one batch, the sample of a single number by itself: arrays,
            or nested lists and dictionaries of them. They come out as tensors on the CPU.
        count: how many samples there are.
        batch_size: samples in a batch; the last may have fewer. None for samples without a batch axis.
        shuffle: whether the samples are in another order in each pass.
        seed: of these orders.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        count: int,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.make, self.count, self.batch_size = make, count, batch_size
        self.shuffle = shuffle
        self.seed = random.getrandbits(32) if seed is None else seed
        self._passes = 0
        self._order = self._drawn()

    def _drawn(self) -> np.ndarray[Any, Any]:
        order = np.arange(self.count)
        if self.shuffle:
            np.random.default_rng((self.seed, self._passes)).shuffle(order)
        return order

    def __len__(self) -> int:
        return self.count if self.batch_size is None else -(-self.count // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        """Batch number ``index``, or that sample."""
        if not 0 <= index < len(self):
            raise IndexError(f"The data set has {len(self)} batches; got index {index}.")
        size = self.batch_size
        numbers = self._order[index] if size is None else self._order[index * size : (index + 1) * size]
        return map_leaves(_tensor, self.make(numbers))

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draws the order of the next pass."""
        self._passes += 1
        self._order = self._drawn()

    def batch(self, batch_size: int) -> SampleDataset:
        """The same samples, ``batch_size`` of them in a batch."""
        return SampleDataset(self.make, self.count, batch_size, self.shuffle, self.seed)

    def map(self, function: Callable[..., Any]) -> PyDataset:
        """``function(x)``, or ``function(x, y)``, of each batch."""
        return _Derived(self, len(self), function)

    def take(self, count: int) -> PyDataset:
        """The first ``count`` batches."""
        return _Derived(self, min(count, len(self)), None)


class _Derived(PyDataset):
    """The first batches of another data set, changed by a function."""

    def __init__(self, source: PyDataset, count: int, function: Callable[..., Any] | None) -> None:
        super().__init__()
        self.source, self.count, self.function = source, count, function

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        batch = self.source[index]
        if self.function is None:
            return batch
        return self.function(*batch) if isinstance(batch, tuple) else self.function(batch)

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draws the order of the next pass."""
        self.source.on_epoch_end()

    def map(self, function: Callable[..., Any]) -> PyDataset:
        """``function(x)``, or ``function(x, y)``, of each batch."""
        return _Derived(self, self.count, function)

    def take(self, count: int) -> PyDataset:
        """The first ``count`` batches."""
        return _Derived(self, min(count, self.count), None)


def _tensor(value: Any) -> Any:
    return Tensor(np.asarray(value), device=CPU) if isinstance(value, np.ndarray | np.generic) else value


class Arrays:
    """Samples that lie in arrays already: what a ``SampleDataset`` is made with.

    Args:
        structure: an array, or nested lists and dictionaries of arrays, with the samples along the first axis.
        chosen: which of the samples, in which order.
    """

    def __init__(self, structure: Any, chosen: np.ndarray[Any, Any]) -> None:
        self.structure, self.chosen = structure, chosen

    def __call__(self, numbers: Any) -> Any:
        return map_leaves(lambda array: array[self.chosen[numbers]], self.structure)


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> SampleDataset:
    """Windows over a series: batches [batch, sequence_length, ...], with a target each where there are ``targets``.

    Args:
        data: [time, ...].
        targets: ``targets[i]`` belongs to the window that begins at ``data[i]``; None for windows alone.
        sequence_length: steps in a window.
        sequence_stride: from the beginning of a window to that of the next.
        sampling_rate: from a step of a window to the next.
        batch_size: windows in a batch; None for windows without a batch axis.
        shuffle: draw the windows in random order.
        seed: of that order.
        start_index, end_index: use ``data[start_index:end_index]``, and the targets of these steps, alone.
        format: ``"tf"`` or ``"grain"``: of Keras's data set. This one is the same for both.

    Raises ``ValueError`` for indices and steps outside of the data.

    >>> for x, y in timeseries_dataset_from_array(np.arange(6), np.arange(6) * 10, 3, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [[0, 1, 2], [1, 2, 3]] [0, 10]
    [[2, 3, 4], [3, 4, 5]] [20, 30]
    """
    check_format(format)
    length = len(data)
    start, end = start_index or 0, end_index or length
    if not 0 <= start < length:
        raise ValueError(f"start_index must be from 0 to {length - 1}; got {start_index}.")
    if end_index and not start < end < length:
        raise ValueError(f"end_index must be greater than start_index={start}, and less than {length}; got {end}.")
    for name, step in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if not 0 < step < length:
            raise ValueError(f"{name} must be from 1 to {length - 1}; got {step}.")
    count = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets))
        targets = np.asarray(targets)[start:end]
    first = np.arange(0, count, sequence_stride)
    steps = np.arange(sequence_length) * sampling_rate
    windows = _Windows(np.asarray(data)[start:end], targets, first, steps)
    return SampleDataset(windows, len(first), batch_size, shuffle, seed)


class _Windows:
    def __init__(self, data: Any, targets: Any, first: np.ndarray[Any, Any], steps: np.ndarray[Any, Any]) -> None:
        self.data, self.targets, self.first, self.steps = data, targets, first, steps

    def __call__(self, numbers: Any) -> Any:
        begin = self.first[numbers]
        windows = self.data[begin[..., None] + self.steps]
        return windows if self.targets is None else (windows, self.targets[begin])


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[SampleDataset, SampleDataset]:
    """Two data sets of the first, and of the other samples of one.

    Args:
        dataset: an array, a list or tuple of arrays with as many samples each, or an iterable data set of finite
            length. Where that gives batches, the two give batches of the same size, else single samples.
        left_size, right_size: how many samples, or which part of them, between 0 and 1; the rest by default.
        shuffle: draw the samples in random order first.
        seed: of that order.
        preferred_backend: of Keras's data set; there is one kind here.

    Raises ``TypeError`` for another ``dataset`` and for sizes that are no numbers, ``ValueError`` for sizes that do not
    fit, or leave one part empty.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [int(x) for x in right]
    (8, [8, 9])
    """
    structure, batch_size = _gathered(dataset)
    first = structure[0] if isinstance(structure, tuple) else structure
    total = len(next(iter(first.values())) if isinstance(first, dict) else first)
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(seed).shuffle(order)
    chosen = np.asarray(order)
    return (
        SampleDataset(Arrays(structure, chosen[:left]), left, batch_size),
        SampleDataset(Arrays(structure, chosen[left : left + right]), right, batch_size),
    )


def _gathered(dataset: Any) -> tuple[Any, int | None]:
    """All samples in arrays, and how many of them made a batch; None where they came one by one."""
    if isinstance(dataset, np.ndarray | Tensor):
        return np.asarray(dataset), None
    if isinstance(dataset, list | tuple):
        arrays = tuple(np.asarray(part) for part in dataset)
        lengths = {array.shape[:1] for array in arrays}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(
                f"A list of arrays must have some, with as many samples each; got shapes {[a.shape for a in arrays]}."
            )
        return arrays, None
    if isinstance(dataset, dict | str) or not hasattr(dataset, "__iter__"):
        raise TypeError(
            f"dataset must be an array, a list or tuple of arrays, or a data set; got {dataset!r} "
            f"({type(dataset).__name__})."
        )
    parts = list(dataset)
    if not parts:
        raise ValueError("The data set has no samples.")
    single = isinstance(dataset, SampleDataset) and dataset.batch_size is None
    joined: Any = np.stack if single else np.concatenate
    if isinstance(parts[0], tuple):
        return tuple(joined([np.asarray(part[i]) for part in parts]) for i in range(len(parts[0]))), (
            None if single else len(parts[0][0])
        )
    return joined([np.asarray(part) for part in parts]), None if single else len(parts[0])


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    given = {"left_size": left, "right_size": right}
    if left is None and right is None:
        raise ValueError("Give at least one of left_size and right_size; got None for both.")
    counts: list[int | None] = []
    for name, size in given.items():
        if size is not None and type(size) not in (int, float):
            raise TypeError(f"{name} must be a whole number, a float or None; got {size!r} ({type(size).__name__}).")
        if size is not None and not 0 < size < (total if type(size) is int else 1):
            raise ValueError(
                f"{name} must be a whole number from 1 to {total - 1}, or a float between 0 and 1; got {size}."
            )
        counts.append(round(size * total) if type(size) is float else size)  # type: ignore[arg-type]
    if type(left) is type(right) is float and left + right > 1:
        raise ValueError(f"left_size and right_size must not be more than 1 together; got {left} + {right}.")
    first = total - counts[1] if counts[0] is None else counts[0]  # type: ignore[operator]
    second = total - first if counts[1] is None else counts[1]
    if first + second > total:
        raise ValueError(f"left_size and right_size are {first} + {second} samples, of a data set of {total}.")
    if not first or not second:
        raise ValueError(f"left_size={left} and right_size={right} of {total} samples leave one part empty.")
    return first, second


def check_format(format: str) -> None:
    """Raises ``ValueError`` for a format of data sets that Keras does not have."""
    if format not in ("tf", "grain"):
        raise ValueError(f"format must be 'tf' or 'grain', which are the same here; got {format!r}.")
