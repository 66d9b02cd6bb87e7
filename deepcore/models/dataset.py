"""PyDataset: batches by number, which worker threads or processes may make ahead of time, in order."""

from __future__ import annotations

import itertools
import multiprocessing
import queue
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

_DEFAULTS = {"_workers": 1, "_use_multiprocessing": False, "_max_queue_size": 10}


class PyDataset:
    """The base of data that is made batch by batch: implement ``__getitem__(index)`` and ``__len__()``.

    ``__getitem__`` gives a whole batch: x, (x, y) or (x, y, sample_weight). ``__len__`` is the number of batches;
    override ``num_batches`` to give None for data without end. ``on_epoch_begin`` and ``on_epoch_end`` are called
    around each epoch.

    Args:
        workers: how many threads, or processes, make batches at the same time; with one thread they are made between
            the steps.
        use_multiprocessing: use processes; the dataset must then be picklable.
        max_queue_size: the most batches that are made ahead.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self._workers, self._use_multiprocessing, self._max_queue_size = workers, use_multiprocessing, max_queue_size

    def _setting(self, name: str) -> Any:
        if name not in vars(self):
            warnings.warn(
                f"{type(self).__name__}.__init__ should call super().__init__(**kwargs), which takes workers, "
                "use_multiprocessing and max_queue_size; fit() does not take them.",
                stacklevel=3,
            )
            for missing, value in _DEFAULTS.items():
                vars(self).setdefault(missing, value)
        return vars(self)[name]

    @property
    def workers(self) -> int:
        """How many threads or processes make batches."""
        return self._setting("_workers")

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """Whether they are processes."""
        return self._setting("_use_multiprocessing")

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """The most batches that are made ahead."""
        return self._setting("_max_queue_size")

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        """Batch number ``index``."""
        raise NotImplementedError(f"{type(self).__name__} must implement __getitem__(index), which gives a batch.")

    def __iter__(self) -> Iterator[Any]:
        try:
            count = self.num_batches
        except NotImplementedError:  # one that says nothing of its length has no end
            count = None
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None for data without end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must implement __len__(), or the property num_batches.")

    def on_epoch_begin(self) -> None:
        """Before each epoch."""

    def on_epoch_end(self) -> None:
        """After each epoch."""


def batches_of(dataset: PyDataset, indices: Iterable[int]) -> Iterator[Any]:
    """The batches of these numbers, in this order, made ahead by the dataset's workers."""
    workers = dataset.workers
    if workers > 0 and dataset.use_multiprocessing:
        return _by_processes(dataset, indices, workers, max(dataset.max_queue_size, 1))
    if workers > 1:
        return ahead(dataset.__getitem__, indices, workers, max(dataset.max_queue_size, 1))
    return (dataset[index] for index in indices)


def ahead(function: Callable[[Any], Any], arguments: Iterable[Any], workers: int, max_queue_size: int) -> Iterator[Any]:
    """``function`` of each argument, in order, computed by threads at most ``max_queue_size`` ahead.

    An error in a thread is raised here, where its result is due. When the iterator is closed, by an error or by
    Ctrl-C, too, the threads end after what they are doing; the program does not wait for them.
    """
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stopped = threading.Event()

    def work() -> None:
        while (job := jobs.get()) is not None:
            argument, answer = job
            if stopped.is_set():
                continue
            try:
                answer.put((function(argument), None))
            except BaseException as error:  # whatever it is, it belongs to the caller
                answer.put((None, error))

    threads = [threading.Thread(target=work, name=f"batches-{i}", daemon=True) for i in range(workers)]
    for thread in threads:
        thread.start()
    waiting: deque[queue.SimpleQueue[Any]] = deque()
    rest = iter(arguments)
    try:
        while True:
            for argument in itertools.islice(rest, max_queue_size - len(waiting)):
                answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
                waiting.append(answer)
                jobs.put((argument, answer))
            if not waiting:
                return
            value, error = waiting.popleft().get()
            if error is not None:
                raise error
            yield value
    finally:
        stopped.set()
        for _ in threads:
            jobs.put(None)


def _by_processes(dataset: PyDataset, indices: Iterable[int], workers: int, size: int) -> Iterator[Any]:
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context(), _adopt, (dataset,))
    waiting: deque[Any] = deque()
    rest = iter(indices)
    try:
        while True:
            waiting.extend(pool.submit(_item, index) for index in itertools.islice(rest, size - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_adopted: list[PyDataset] = []  # of this process, where it is a worker


def _adopt(dataset: PyDataset) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    _adopted[:] = [dataset]


def _item(index: int) -> Any:
    return _adopted[0][index]


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """x, y and sample_weight of what ``train_step`` is given: x, (x,), (x, y) or (x, y, sample_weight).

    Raises ``ValueError`` for longer tuples.

    >>> unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    parts = tuple(data) if isinstance(data, list | tuple) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"A batch is x, (x,), (x, y) or (x, y, sample_weight); got {len(parts)} parts.")
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What ``train_step`` is given: x, (x, y) or (x, y, sample_weight).

    >>> pack_x_y_sample_weight("x"), pack_x_y_sample_weight(["a", "b"])
    ('x', (['a', 'b'],))
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
