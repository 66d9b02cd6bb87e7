"""BackupAndRestore: training that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import random as python_random
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepcore import random
from deepcore.callbacks.callback import Callback
from deepcore.callbacks.model_checkpoint import check_frequency
from deepcore.random import Generator
from deepcore.structure import leaves

FILE = "training.npz"


class BackupAndRestore(Callback):
    """Keeps the state of training in a file; ``fit`` that finds one goes on from there, and ends the same to the bit.

    The state is the weights, the optimizer, the metrics, all positions in streams of random numbers, the epoch and the
    step, the place in the data, and what other callbacks remember. The file is replaced whole, so a program may be
    killed at any moment. Data that is no array must give the same batches again when it is read from its beginning.

    Args:
        backup_dir: a directory for the file, and for nothing else.
        save_freq: ``"epoch"``, or a number of batches.
        double_checkpoint: accepted as Keras has it; a file is never half written.
        delete_checkpoint: whether the directory is removed when training is done.

    Raises ``ValueError`` for an empty ``backup_dir``, for another frequency, and in ``fit`` for the state of another
    model.
    """

    comes_last = True  # what the others do at the end of an epoch belongs to the state

    def __init__(
        self,
        backup_dir: Any,
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore needs a directory; got backup_dir={backup_dir!r}.")
        check_frequency(save_freq)
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._batches = 0
        self._loaded: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        """Of the file."""
        return os.path.join(self.backup_dir, FILE)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._batches = 0
        self._loaded = None
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_weights)
        if os.path.exists(self.path):
            with np.load(self.path) as file:
                self._loaded = dict(file)
            self._restore(self._loaded)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        # In the middle of an epoch its beginning is part of the state: what was done then is not done again.
        if self._loaded is not None and self.model.progress.step:
            self._restore(self._loaded)
        self._loaded = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._batches += 1
        if self.save_freq != "epoch" and self._batches >= int(self.save_freq):
            self._batches = 0
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._save()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        done = self.model.stop_training or self.model.progress.epoch >= self.params["epochs"]
        if done and self.delete_checkpoint:
            shutil.rmtree(self.backup_dir, ignore_errors=True)

    # The state

    def _save(self) -> None:
        told = {
            "progress": self.model.progress.state(),
            "batches": self._batches,
            "python": python_random.getstate(),
            "callbacks": [],
        }
        arrays = {f"variable/{i}": v.numpy() for i, v in enumerate(self._variables())}
        arrays.update({f"metric/{i}": v.numpy() for i, v in enumerate(self._sums())})
        arrays["streams"] = np.array([(s.seed, s.offset) for s in self._streams()], np.uint64)
        kind, keys, *rest = np.random.get_state()  # noqa: NPY002
        arrays["numpy"] = keys
        told["numpy"] = [kind, *rest]
        for i, callback in enumerate(self._others()):
            state = callback.get_state()
            held = {name: value for name, value in state.items() if _is_arrays(value)}
            arrays.update({f"callback/{i}/{name}/{j}": a for name, part in held.items() for j, a in enumerate(part)})
            plain = {name: value for name, value in state.items() if name not in held}
            told["callbacks"].append([plain, {name: len(part) for name, part in held.items()}])
        arrays["told"] = np.frombuffer(json.dumps(told, default=float).encode(), np.uint8)
        os.makedirs(self.backup_dir, exist_ok=True)
        part = f"{self.path}.part"
        with open(part, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path)

    def _restore(self, arrays: dict[str, Any]) -> None:
        told = json.loads(arrays["told"].tobytes())
        variables, streams, others = self._variables(), self._streams(), self._others()
        saved = [arrays[f"variable/{i}"] for i in range(sum(name.startswith("variable/") for name in arrays))]
        counts = ([a.shape for a in saved], len(arrays["streams"]), len(told["callbacks"]))
        if counts != ([v.shape for v in variables], len(streams), len(others)):
            raise ValueError(
                f"The state in {self.path!r} belongs to another model, optimizer or list of callbacks: it has "
                f"{len(saved)} arrays, this training has {len(variables)}, or their shapes differ. Remove the "
                "directory to start anew."
            )
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        for i, variable in enumerate(self._sums()):
            variable.assign(arrays[f"metric/{i}"])
        for stream, (seed, offset) in zip(streams, arrays["streams"].tolist(), strict=True):
            stream.seed, stream.offset = seed, offset
        version, numbers, gauss = told["python"]
        python_random.setstate((version, tuple(numbers), gauss))
        kind, *rest = told["numpy"]
        np.random.set_state((kind, arrays["numpy"], *rest))  # noqa: NPY002
        for i, (callback, (plain, held)) in enumerate(zip(others, told["callbacks"], strict=True)):
            lists = {name: [arrays[f"callback/{i}/{name}/{j}"] for j in range(n)] for name, n in held.items()}
            callback.set_state({**plain, **lists})
        self._batches = told["batches"]
        self.model.progress.restore(told["progress"])

    def _variables(self) -> list[Any]:
        return [*self.model.weights, *self.model.optimizer.variables]

    def _sums(self) -> list[Any]:
        return [variable for metric in self.model.metrics for variable in metric.variables]

    def _streams(self) -> list[Generator]:
        found = {id(stream): stream for stream in (random.default_generator(), *_streams_of(self.model, set()))}
        return list(found.values())

    def _others(self) -> list[Callback]:
        return [callback for callback in self.model.progress.callbacks.callbacks if callback is not self]


def _streams_of(layer: Any, seen: set[int]) -> Iterator[Generator]:
    """The streams that a layer and the layers within draw from."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    for value in vars(layer).values():
        for leaf in leaves(value) if isinstance(value, list | tuple | dict) else (value,):
            if isinstance(leaf, Generator):
                yield leaf
    for inner in layer.sublayers():
        yield from _streams_of(inner, seen)


def _is_arrays(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, np.ndarray) for part in value)
