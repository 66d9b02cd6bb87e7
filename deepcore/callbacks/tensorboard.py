"""TensorBoard: curves, histograms, images of weights and the graph, in files that TensorBoard shows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from deepcore.callbacks.callback import Callback
from deepcore.callbacks.event_file import EventFile
from deepcore.structure import leaves


class TensorBoard(Callback):
    """Writes event files for ``tensorboard --logdir``, without needing TensorBoard or TensorFlow.

    Args:
        log_dir: directory of the files, which lie in ``train`` and ``validation`` within.
        histogram_freq: epochs between two histograms of the weights; 0 for none.
        write_graph: whether the graph of a drawn model is written.
        write_images: whether weights are also shown as images, with the histograms.
        write_steps_per_second: whether the speed is written.
        update_freq: ``"epoch"``, ``"batch"``, or the number of batches between two points of the curves by batch.
        profile_batch, embeddings_freq, embeddings_metadata: as Keras has them; only their defaults are accepted.

    Raises ``ValueError`` where profiles or embeddings are asked for.
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if profile_batch:
            raise ValueError(f"TensorBoard does not profile; got profile_batch={profile_batch!r}. Leave it 0.")
        if embeddings_freq or embeddings_metadata:
            raise ValueError(
                f"TensorBoard does not write embeddings; got embeddings_freq={embeddings_freq!r}, "
                f"embeddings_metadata={embeddings_metadata!r}. Leave both out."
            )
        if update_freq not in ("epoch", "batch") and (isinstance(update_freq, str) or int(update_freq) <= 0):
            raise ValueError(f"update_freq is 'epoch', 'batch' or a number of batches; got {update_freq!r}.")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.write_graph, self.write_images = histogram_freq, write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._files: dict[str, EventFile] = {}
        self._batch = self._iterations = 0
        self._in_fit = False
        self._batch_began = self._epoch_began = 0.0

    def _file(self, name: str) -> EventFile:
        if name not in self._files:
            self._files[name] = EventFile(os.path.join(self.log_dir, name))
        return self._files[name]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._batch, self._in_fit = 0, True
        if self.write_graph and self.model.graph is not None:
            self._file("train").graph(_nodes(self.model))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.release()

    def release(self) -> None:
        self._in_fit = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch_began = time.perf_counter()
        self._iterations = int(self.model.optimizer.iterations)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._batch += 1
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.update_freq == "epoch" or self._batch % int(self.update_freq):
            return
        if self.write_steps_per_second:
            speed = 1 / max(time.perf_counter() - self._batch_began, 1e-9)
            self._file("train").scalar("batch_steps_per_second", speed, self._batch)
        for name, value in (logs or {}).items():
            self._file("train").scalar(f"batch_{name}", float(value), self._batch)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        if hasattr(self.model.optimizer, "iterations"):
            for name, value in (logs or {}).items():
                step = int(self.model.optimizer.iterations)
                self._file("validation").scalar(f"evaluation_{name}_vs_iterations", value, step)
        if not self._in_fit:
            self._close()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        numbers = dict(logs or {})
        numbers["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            steps = int(self.model.optimizer.iterations) - self._iterations
            numbers["steps_per_second"] = steps / max(time.perf_counter() - self._epoch_began, 1e-9)
        for name, value in numbers.items():
            where = "validation" if name.startswith("val_") else "train"
            self._file(where).scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for file in self._files.values():
            file.flush()

    def _write_weights(self, epoch: int) -> None:
        for weight in self.model.weights:
            values = weight.numpy()
            self._file("train").histogram(f"{weight.path}/histogram", values, epoch)
            if self.write_images and (images := _images(values)) is not None:
                self._file("train").image(f"{weight.path}/image", images, epoch)

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}


def _images(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """A weight as images of bytes from its smallest to its largest number; None if it has too many axes."""
    flat = np.squeeze(values)
    if not 1 <= flat.ndim <= 3:
        return None
    if flat.ndim == 2 and flat.shape[0] > flat.shape[1]:
        flat = flat.T
    images = flat.transpose(2, 0, 1) if flat.ndim == 3 else flat.reshape(1, flat.shape[0], -1)
    low, high = images.min(), images.max()
    scaled = (images - low) / (high - low if high > low else 1) * 255
    return np.round(scaled).astype(np.uint8)[..., None]


def _nodes(model: Any) -> list[tuple[str, str, list[str]]]:
    """The operations of a drawn model, each with those that its inputs come from."""
    sources: dict[str, list[str]] = {layer.name: [] for layer in model.graph.operations}
    kinds = {layer.name: type(layer).__name__ for layer in model.graph.operations}
    stand_ins = {
        id(x): layer.name for x, layer in zip(leaves(model.graph.inputs), model.graph.input_layers, strict=True)
    }
    for node in model.graph.nodes:
        for x in node.inputs:
            name = stand_ins.get(id(x)) or x.node.operation.name
            if name not in sources[node.operation.name]:
                sources[node.operation.name].append(name)
    return [(name, kinds[name], inputs) for name, inputs in sources.items()]
