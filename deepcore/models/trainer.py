"""compile, fit, evaluate and predict."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from deepcore import losses, metrics, ops, optimizers
from deepcore.autograd import gradients, no_grad
from deepcore.autograd.graph import recording
from deepcore.callbacks import CallbackList, History, LossWatch
from deepcore.callbacks.callback import Logs
from deepcore.device import use_device
from deepcore.models.data import ArrayData, Batch, IterableData, class_weights_of, is_iterable_of_batches
from deepcore.models.interrupt import InterruptBetweenSteps
from deepcore.random import as_generator
from deepcore.structure import is_shape, leaves, map_leaves
from deepcore.tensor import Tensor

Data = ArrayData | IterableData


class Trainer:
    """What a model can do with data; mixed into ``Model``.

    ``train_step``, ``test_step`` and ``predict_step`` take a batch and can be overridden, as can ``compute_loss`` and
    ``compute_metrics``, which they call.
    """

    optimizer: Any = None
    loss: Any = None
    history: History | None = None
    stop_training = False

    # Set by compile
    compiled = False
    _loss: losses.Loss | None = None
    _loss_weight = 1.0
    _loss_tracker: metrics.Mean | None = None
    _watch: LossWatch | None = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how to train and what to measure.

        Args:
            optimizer: a name, a configuration or an ``Optimizer``.
            loss: a name, a function f(y_true, y_pred) or a ``Loss``.
            loss_weights: a number that the loss is multiplied by.
            metrics: names, functions or ``Metric`` objects; ``"accuracy"`` is binary, sparse or categorical as the
                model's output and the targets say.
            weighted_metrics: the same, weighted by sample and class weights.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: accepted as Keras has them; every step
                runs eagerly here.

        Raises ``ValueError`` for a name that nobody knows, with the nearest ones.
        """
        optimizer = optimizers.get(optimizer)
        if optimizer is None:
            raise TypeError("compile needs an optimizer; got None. Try optimizer='adam'.")
        self._loss = None if loss is None else losses.loss_of(loss)
        self._loss_weight = _single_number(loss_weights)
        wanted = [(m, False) for m in _listed(metrics)] + [(m, True) for m in _listed(weighted_metrics)]
        for identifier, _ in wanted:
            _check_metric(identifier)
        self.optimizer, self.loss = optimizer, loss
        self._wanted_metrics = wanted
        self._metrics: list[tuple[Any, bool]] | None = None
        self._loss_tracker = None
        self.compiled = True
        self.stop_training = False

    # One step

    def train_step(self, data: Batch) -> Mapping[str, Any]:
        """Changes the weights by one step, and gives loss and metrics so far."""
        x, y, sample_weight = data
        with recording(True):
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
            weights = self.trainable_weights  # type: ignore[attr-defined]
            found = gradients(self.optimizer.scale_loss(loss), weights) if weights else ()
        if weights:
            self.optimizer.apply(found, weights)
        self._track(loss.detach(), x)
        return self.compute_metrics(x, y, y_pred.detach() if isinstance(y_pred, Tensor) else y_pred, sample_weight)

    def test_step(self, data: Batch) -> Mapping[str, Any]:
        """Gives loss and metrics so far."""
        x, y, sample_weight = data
        y_pred = self(x, training=False)  # type: ignore[operator]
        self._track(self.compute_loss(x, y, y_pred, sample_weight, training=False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Batch) -> Any:
        """Gives the output."""
        return self(data.x, training=False)  # type: ignore[operator]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The scalar that training minimises: the loss, what ``add_loss`` added, and the penalties on weights."""
        terms = []
        if self._loss is not None and y is not None:
            loss = self._loss(y, y_pred, sample_weight)
            if loss.ndim:
                loss = ops.mean(loss)
            terms.append(loss if self._loss_weight == 1 else loss * self._loss_weight)
        terms.extend(self.losses)  # type: ignore[attr-defined]
        if not terms:
            raise ValueError(
                "There is no loss to compute: compile(loss=...) was given none, or no targets y came with x, and no "
                "layer added a loss."
            )
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Mapping[str, Any]:
        """Adds a batch to the metrics, and gives all so far."""
        if y is not None:
            for metric, weighted in self._built_metrics(y, y_pred):
                metric.update_state(y, y_pred, sample_weight if weighted else None)
        return self.get_metrics_result()

    def get_metrics_result(self) -> Mapping[str, Any]:
        """Loss and metrics so far by name, fetched from the device when they are read."""
        return Logs({metric.name: metric.result for metric in self.metrics})

    def _track(self, loss: Tensor, x: Any) -> None:
        if self._loss_tracker is None:
            self._loss_tracker = metrics.Mean(name="loss")
        self._loss_tracker.update_state(loss, sample_weight=float(leaves(x)[0].shape[0]))
        if self._watch is not None:
            self._watch.step(loss)

    def _built_metrics(self, y: Any, y_pred: Any) -> list[tuple[Any, bool]]:
        if self._metrics is None:
            shapes = leaves(y)[0].shape, leaves(y_pred)[0].shape
            self._metrics = [(metrics.metric_of(m, *shapes), weighted) for m, weighted in self._wanted_metrics]
        return self._metrics

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, and the metrics of ``compile``; these exist from the first batch on."""
        if self._loss_tracker is None:
            return []
        return [self._loss_tracker, *(metric for metric, _ in self._metrics or [])]

    @property
    def metrics_names(self) -> list[str]:
        """Names of ``metrics``."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Starts all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    # Many steps

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Trains on data for a number of epochs.

        Args:
            x: an array [examples, ...], several in a list or dictionary, or an iterable of batches (x, y) or
                (x, y, sample_weight).
            y: targets [examples, ...]; None with an iterable.
            batch_size: examples in a step, 32 by default.
            epochs: number of the last epoch, counted from 1.
            verbose: 0 for nothing, 1 or ``"auto"`` for a bar (a line an epoch where output is no terminal), 2 for a
                line an epoch.
            callbacks: a list of ``Callback``.
            validation_split: the share of the examples, taken from the end before shuffling, that is kept for
                validation.
            validation_data: (x, y) or (x, y, sample_weight) to validate on instead.
            shuffle: whether arrays are taken in a new random order each epoch.
            class_weight: weights of the classes by number, in the loss.
            sample_weight: weight of each example in the loss.
            initial_epoch: epochs already done.
            steps_per_epoch: steps in an epoch; by default as many as the data gives. Arrays are gone through again
                when they are used up.
            validation_steps, validation_batch_size: of the validation.
            validation_freq: validate every so many epochs, or after these (counted from 1).

        Returns the ``History``, which is also ``model.history``. Everything is checked before the first step:
        ``ValueError`` for arrays of different lengths, no data, NaN or impossible targets, sizes that are not
        positive and shapes that do not fit the model; ``TypeError`` for arrays of objects or text; ``RuntimeError``
        before ``compile``. Ctrl-C ends training after the step in progress: callbacks are told, the history is kept,
        and ``KeyboardInterrupt`` is raised.
        """
        self._require_compiled("fit")
        for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
            _check_count(name, value)
        if isinstance(initial_epoch, bool) or not hasattr(initial_epoch, "__index__") or initial_epoch < 0:
            raise ValueError(f"initial_epoch must be an integer that is not negative; got {initial_epoch!r}.")
        data = _data_of(x, y, sample_weight, batch_size, steps_per_epoch)
        validation: Data | None = None
        if validation_split != 0 and validation_data is None:
            if isinstance(data, IterableData):
                raise ValueError("validation_split needs arrays; with an iterable pass validation_data.")
            data, validation = data.split(validation_split, validation_batch_size)
        if class_weight is not None:
            _apply_class_weight(data, class_weight)
        if validation_data is not None:
            validation = _validation_data_of(validation_data, validation_batch_size or batch_size, validation_steps)
        with use_device(self.device):  # type: ignore[attr-defined]
            self._prepare(data, validation)
            if not self.trainable_weights and self.weights:  # type: ignore[attr-defined]
                warnings.warn("The model has no trainable weights, so training will change nothing.", stacklevel=2)
            self._watch = LossWatch()
            told = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=_verbosity(verbose) != 0,
                model=self,
                verbose=_verbosity(verbose),
                epochs=epochs,
                steps=steps_per_epoch or data.steps,
                batch_size=data.batch_size,
                samples=data.samples,
            )
            told.append(self._watch)
            try:
                self._run_epochs(
                    data,
                    validation,
                    told,
                    initial_epoch,
                    epochs,
                    shuffle,
                    steps_per_epoch,
                    validation_steps,
                    validation_freq,
                )
            finally:
                self._watch = None
        assert told.history is not None
        return told.history

    def _run_epochs(
        self,
        data: Data,
        validation: Data | None,
        callbacks: CallbackList,
        initial_epoch: int,
        epochs: int,
        shuffle: bool,
        steps_per_epoch: int | None,
        validation_steps: int | None,
        validation_freq: int | Sequence[int],
    ) -> None:
        stream = as_generator(None) if shuffle else None
        feed = _Feed(self, data, stream, steps_per_epoch)
        self.stop_training = False
        logs: dict[str, float] = {}
        callbacks.on_train_begin()
        with InterruptBetweenSteps() as interrupt:
            try:
                for epoch in range(initial_epoch, epochs):
                    self.reset_metrics()
                    callbacks.on_epoch_begin(epoch)
                    batch_logs: Mapping[str, Any] = {}
                    for step, batch in enumerate(feed.epoch()):
                        callbacks.on_train_batch_begin(step)
                        batch_logs = self.train_step(batch)
                        batch_logs = batch_logs if isinstance(batch_logs, Logs) else Logs(batch_logs)
                        callbacks.on_train_batch_end(step, batch_logs)
                        interrupt.check()
                        if self.stop_training:
                            break
                    logs = dict(batch_logs)
                    if validation is not None and _is_due(epoch, validation_freq):
                        found = self._measure(validation, callbacks, validation_steps, interrupt)
                        logs.update({f"val_{name}": value for name, value in found.items()})
                    callbacks.on_epoch_end(epoch, logs)
                    interrupt.check()
                    if self.stop_training:
                        break
                if self.optimizer.built:
                    self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[attr-defined]
            finally:
                callbacks.on_train_end(logs)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, or a list of the loss and the metrics, or a dictionary with ``return_dict``.

        Arguments and errors as for ``fit``.
        """
        self._require_compiled("evaluate")
        _check_count("steps", steps)
        data = _data_of(x, y, sample_weight, batch_size, steps)
        with use_device(self.device):  # type: ignore[attr-defined]
            self._prepare(data)
            told = self._callbacks(callbacks, verbose, data, steps)
            watch, self._watch = self._watch, None
            try:
                with InterruptBetweenSteps() as interrupt:
                    logs = self._measure(data, told, steps, interrupt)
            finally:
                self._watch = watch
        return logs if return_dict else _flat(logs)

    def _measure(
        self, data: Data, callbacks: CallbackList, steps: int | None, interrupt: InterruptBetweenSteps
    ) -> dict[str, float]:
        watch, self._watch = self._watch, None
        self.reset_metrics()
        callbacks.on_test_begin()
        logs: Mapping[str, Any] = {}
        try:
            with no_grad():
                for step, batch in enumerate(itertools.islice(self._batches(data), steps)):
                    callbacks.on_test_batch_begin(step)
                    logs = self.test_step(batch)
                    logs = logs if isinstance(logs, Logs) else Logs(logs)
                    callbacks.on_test_batch_end(step, logs)
                    interrupt.check()
            result = dict(logs)
            callbacks.on_test_end(result)
        finally:
            self._watch = watch
        return result

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's output for all examples, as a NumPy array. Arguments and errors as for ``fit``."""
        _check_count("steps", steps)
        data = _data_of(x, None, None, batch_size, steps)
        outputs = []
        with use_device(self.device), no_grad(), InterruptBetweenSteps() as interrupt:  # type: ignore[attr-defined]
            self._prepare(data)
            told = self._callbacks(callbacks, verbose, data, steps)
            told.on_predict_begin()
            for step, batch in enumerate(itertools.islice(self._batches(data), steps)):
                told.on_predict_batch_begin(step)
                output = self.predict_step(batch)
                outputs.append(map_leaves(lambda y: y.numpy(), output))
                told.on_predict_batch_end(step, {"outputs": outputs[-1]})
                interrupt.check()
            told.on_predict_end()
        return _joined(outputs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch. Returns its loss, or a list of loss and metrics, or a dictionary."""
        self._require_compiled("train_on_batch")
        data = _data_of(x, y, sample_weight, None, None)
        if class_weight is not None:
            _apply_class_weight(data, class_weight)
        return self._on_batch(self.train_step, data, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss of one batch, or a list of loss and metrics, or a dictionary."""
        self._require_compiled("test_on_batch")
        with no_grad():
            return self._on_batch(self.test_step, _data_of(x, y, sample_weight, None, None), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's output for one batch, as a NumPy array."""
        with no_grad(), use_device(self.device):  # type: ignore[attr-defined]
            data = _data_of(x, None, None, None, None)
            self._prepare(data)
            return map_leaves(lambda y: y.numpy(), self.predict_step(self._whole(data)))

    def _on_batch(self, step: Any, data: Data, return_dict: bool) -> Any:
        with use_device(self.device):  # type: ignore[attr-defined]
            self._prepare(data)
            self.reset_metrics()
            logs = {name: float(value) for name, value in step(self._whole(data)).items()}
        return logs if return_dict else _flat(logs)

    # What comes before

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"The model is not compiled. Call compile(optimizer=..., loss=..., metrics=[...]) before {method}()."
            )

    def _prepare(self, *data: Data | None) -> None:
        """Builds the model, and checks inputs against it and targets against the loss, before any work."""
        for part in data:
            if part is None:
                continue
            shapes = part.input_shape
            if not self.built:  # type: ignore[attr-defined]
                self.build(shapes)  # type: ignore[attr-defined]
            with no_grad():
                output_shape = self.compute_output_shape(shapes)  # type: ignore[attr-defined]
            self._check_input_shape(shapes)
            if self._loss is not None and isinstance(part, ArrayData) and part.y is not None and is_shape(output_shape):
                for y in leaves(part.y):
                    if isinstance(y, np.ndarray):
                        self._loss.check_targets(y, output_shape)

    def _check_input_shape(self, shapes: Any) -> None:
        """Raises ``ValueError`` where a model can tell that inputs of these shapes do not fit."""

    def _batches(self, data: Data, shuffle: Any = None) -> Iterator[Batch]:
        return data.batches(self.device, self.compute_dtype, shuffle)  # type: ignore[attr-defined]

    def _whole(self, data: Data) -> Batch:
        if isinstance(data, ArrayData):
            data.batch_size = data.samples
        return next(self._batches(data))

    def _callbacks(self, callbacks: Any, verbose: int | str, data: Data, steps: int | None) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks,
            add_progbar=_verbosity(verbose) != 0,
            model=self,
            verbose=_verbosity(verbose),
            epochs=1,
            steps=steps or data.steps,
            batch_size=data.batch_size,
            samples=data.samples,
        )


class _Feed:
    """The batches of epoch after epoch; with ``steps`` an epoch goes on where the last one stopped."""

    def __init__(self, trainer: Trainer, data: Data, shuffle: Any, steps: int | None) -> None:
        self.trainer, self.data, self.shuffle, self.steps = trainer, data, shuffle, steps
        self.rest: Iterator[Batch] | None = None

    def epoch(self) -> Iterator[Batch]:
        if self.steps is None:
            yield from self.trainer._batches(self.data, self.shuffle)
            return
        given = 0
        while given < self.steps:
            fresh = self.rest is None
            if self.rest is None:
                self.rest = self.trainer._batches(self.data, self.shuffle)
            batch = next(self.rest, None)
            if batch is None:
                self.rest = None
                if fresh:
                    warnings.warn(
                        f"The data ran out after {given} of steps_per_epoch={self.steps} steps.", stacklevel=4
                    )
                    return
                continue
            given += 1
            yield batch


def _data_of(x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None) -> Data:
    if x is None:
        raise ValueError("x is None; give an array of examples, or an iterable of batches.")
    if is_iterable_of_batches(x):
        for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
            if value is not None:
                raise ValueError(f"With an iterable of batches as x, {name} comes from it; leave {name} out.")
        return IterableData(x, steps)
    return ArrayData(x, y, sample_weight, batch_size)


def _validation_data_of(data: Any, batch_size: int | None, steps: int | None) -> Data:
    if is_iterable_of_batches(data):
        return IterableData(data, steps)
    if not isinstance(data, list | tuple) or not 2 <= len(data) <= 3:
        raise ValueError(
            "validation_data is (x, y) or (x, y, sample_weight), or an iterable of batches; got "
            f"{type(data).__name__}{f' of {len(data)}' if hasattr(data, '__len__') else ''}."
        )
    x, y, sample_weight = (*data, None)[:3]
    return ArrayData(x, y, sample_weight, batch_size)


def _apply_class_weight(data: Data, class_weight: Mapping[int, float]) -> None:
    if isinstance(data, IterableData):
        raise ValueError("class_weight needs arrays; let the iterable give (x, y, sample_weight).")
    if data.sample_weight is not None:
        raise ValueError("class_weight and sample_weight cannot be used together; multiply them into sample_weight.")
    data.sample_weight = class_weights_of(data.y, class_weight)


def _verbosity(verbose: int | str) -> int:
    if verbose == "auto":
        return 1
    if isinstance(verbose, str) or int(verbose) not in (0, 1, 2):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto'; got {verbose!r}.")
    return int(verbose)


def _check_count(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__") or int(value) <= 0):
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def _listed(wanted: Any) -> list[Any]:
    if wanted is None:
        return []
    if isinstance(wanted, dict) or any(isinstance(m, list | tuple | dict) and "class_name" not in m for m in wanted):
        raise ValueError(f"metrics is a list, for a model of one output; got {wanted!r}.")
    if not isinstance(wanted, list | tuple):
        raise ValueError(f"metrics is a list such as ['accuracy']; got {wanted!r}.")
    return list(wanted)


def _check_metric(identifier: Any) -> None:
    metrics.check(identifier)


def _single_number(loss_weights: Any) -> float:
    values = [1.0] if loss_weights is None else leaves(loss_weights)
    if len(values) != 1:
        raise ValueError(f"loss_weights is one number, for a model of one output; got {loss_weights!r}.")
    return float(values[0])


def _flat(logs: Mapping[str, float]) -> Any:
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _joined(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, dict):
        return {key: _joined([output[key] for output in outputs]) for key in first}
    if isinstance(first, list | tuple):
        return [_joined([output[i] for output in outputs]) for i in range(len(first))]
    return np.concatenate(outputs)
