"""compile, fit, evaluate and predict."""

from __future__ import annotations

import functools
import inspect
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from deepcore import config, metrics, optimizers
from deepcore.autograd import gradients, no_grad
from deepcore.autograd.graph import recording
from deepcore.callbacks import CallbackList, History, LossWatch
from deepcore.callbacks.callback import Logs
from deepcore.device import silence, use_device
from deepcore.models.compile_loss import CompileLoss, OutputShape
from deepcore.models.compile_metrics import CompileMetrics
from deepcore.models.data import ArrayData, Batch, IterableData, class_weights_of, is_iterable_of_batches
from deepcore.models.dataset import pack_x_y_sample_weight, unpack_x_y_sample_weight
from deepcore.models.interrupt import InterruptBetweenSteps
from deepcore.models.outputs import flat
from deepcore.models.progress import Feed, Progress
from deepcore.models.replay import Replay, Step
from deepcore.random import as_generator
from deepcore.structure import leaves, like, map_leaves, map_shapes
from deepcore.tensor import Tensor

Data = ArrayData | IterableData

# Attributes of a trainer that hold its own metrics, which come first, or hold members a second time.
_NOT_ITS_METRICS = {"_tracker", "_compile_metrics", "_compile_arguments"}


class Trainer:
    """What a model can do with data; mixed into ``Model``.

    ``train_step``, ``test_step`` and ``predict_step`` take a batch, x, (x, y) or (x, y, sample_weight), and can be
    overridden, as can ``compute_loss`` and ``compute_metrics``, which they call. A ``train_step`` of your own finds
    gradients with ``loss.backward()`` and ``weight.value.grad``, or with ``deepcore.GradientTape``, and returns a
    dictionary for the logs. Metrics that are attributes of the model are reset with the others.
    """

    optimizer: Any = None
    loss: Any = None
    history: History | None = None
    progress: Progress | None = None
    stop_training = False
    stop_evaluating = False
    stop_predicting = False

    # Set by compile
    compiled = False
    steps_per_execution = 1
    run_eagerly = False
    jit_compile: Any = False
    _compile_loss: CompileLoss | None = None
    _compile_metrics: CompileMetrics | None = None
    _compile_arguments: Mapping[str, Any] = {}
    _tracker: metrics.Mean | None = None
    _watch: LossWatch | None = None
    _replay: Replay | None = None

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
            optimizer: a name, a configuration or an ``Optimizer``; None for a model that is only evaluated.
            loss: a name, a function f(y_true, y_pred) or a ``Loss``; for many outputs one for all of them, or losses
                nested like the outputs, in a list in their order, or in a dictionary by name; None for an output that
                has none.
            loss_weights: a float, or numbers nested like the losses, that they are multiplied by in the sum.
            metrics: names, functions or ``Metric`` objects; for many outputs a metric or a list of metrics for each,
                in a list or a dictionary by name. ``"accuracy"`` is binary, sparse or categorical as the model's
                output and the targets say.
            weighted_metrics: the same, weighted by sample and class weights.
            steps_per_execution: how many steps are taken between two calls of ``on_train_batch_begin``.
            run_eagerly: whether every step calls the layers. By default, steps of a drawn model of layers and losses of
                deepcore's own repeat what an earlier one computed, which is the same to the bit.
            jit_compile, auto_scale_loss: accepted as Keras has them.

        Raises ``ValueError`` for a name that nobody knows, with the nearest ones, and for metrics that are neither a
        list nor a dictionary.
        """
        if jit_compile is True and run_eagerly:
            warnings.warn(
                "run_eagerly=True and jit_compile=True exclude each other; nothing is compiled.", stacklevel=2
            )
            jit_compile = False
        optimizer = optimizers.get(optimizer)
        _check_count("steps_per_execution", steps_per_execution)
        compile_loss = None if loss is None else CompileLoss(loss, loss_weights, self._names_of_outputs)
        compile_metrics = None
        if metrics is not None or weighted_metrics is not None:
            compile_metrics = CompileMetrics(metrics, weighted_metrics, self._names_of_outputs)
        self.optimizer, self.loss = optimizer, loss
        self._compile_loss, self._compile_metrics, self._tracker = compile_loss, compile_metrics, None
        self.steps_per_execution = int(steps_per_execution)
        self.run_eagerly, self.jit_compile = bool(run_eagerly), jit_compile is True
        self._replay = Replay()
        self._compile_arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }
        self.compiled = True
        self.stop_training = False

    def _names_of_outputs(self) -> list[str] | None:
        """Names of the outputs of a drawn model, in the order of sorted keys; None otherwise."""
        graph = self.graph  # type: ignore[attr-defined]
        if graph is None:
            return None
        return [x.node.operation.name if x.node is not None else x.name for x in flat(graph.outputs)]

    # One step

    def train_step(self, data: Any) -> Mapping[str, Any]:
        """Changes the weights by one step, and gives loss and metrics so far."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        if self.optimizer is None:
            raise ValueError("The model was compiled with optimizer=None, so it cannot be trained; name an optimizer.")
        ordinary = functools.partial(self._differentiated, x, y, sample_weight)
        step = ordinary() if self._replay is None else self._replay.step(self, (x, y, sample_weight), ordinary)
        if step.weights:
            self.optimizer.apply(step.gradients, step.weights)
        self._track(step.loss, x)
        return self.compute_metrics(x, y, step.y_pred, sample_weight)

    def _differentiated(self, x: Any, y: Any, sample_weight: Any) -> Step:
        """Outputs, loss and gradients, by calling the layers."""
        with recording(True):
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self._loss_of(x, y, y_pred, sample_weight, True)
            weights = self.trainable_weights  # type: ignore[attr-defined]
            found = gradients(self.optimizer.scale_loss(loss), weights, unused=None) if weights else ()
        return Step(_detached(y_pred), loss.detach(), weights, found)

    def test_step(self, data: Any) -> Mapping[str, Any]:
        """Gives loss and metrics so far."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        self._track(self._loss_of(x, y, y_pred, sample_weight, False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Gives the output."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)  # type: ignore[operator]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The scalar that training minimises: the loss, what ``add_loss`` added, and the penalties on weights."""
        terms = []
        if self._compile_loss is not None and y is not None:
            loss = self._compile_loss(y, y_pred, sample_weight)
            if loss is not None:
                terms.append(loss.mean() if loss.ndim else loss)
        terms.extend(self.losses)  # type: ignore[attr-defined]
        if not terms:
            raise ValueError(
                "There is no loss to compute: compile(loss=...) was given none, or no targets y came with x, and no "
                "layer added a loss."
            )
        total = terms[0]
        for term in terms[1:]:
            total = total + (term.mean() if term.ndim else term)
        return total

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Tensor:
        """``compute_loss``, which a class may have written without ``training``."""
        given = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        if _takes_training(type(self).compute_loss):
            given["training"] = training
        return self.compute_loss(**given)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Mapping[str, Any]:
        """Adds a batch to the metrics, and gives all so far."""
        if self._compile_metrics is not None and y is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> Mapping[str, Any]:
        """Loss and metrics so far by name, fetched from the device when they are read."""
        found: dict[str, Any] = {}
        for metric in self.metrics:
            if metric is self._compile_metrics:
                found.update((name, one.result) for name, one in self._compile_metrics.named().items())
            elif type(metric) is metrics.Mean:
                found[metric.name] = metric.result
            else:  # of a class of its own, which may give several numbers
                found[metric.name] = metric.result()
        return Logs(found)

    def zero_grad(self) -> None:
        """Forgets the gradients that ``loss.backward()`` has gathered."""
        for weight in self.weights:  # type: ignore[attr-defined]
            weight.grad = None

    def _track(self, loss: Tensor, x: Any) -> None:
        sizes = (part.shape[0] for part in leaves(x) if part is not None)
        self._loss_tracker.update_state(loss, sample_weight=float(next(sizes)))
        if self._watch is not None:
            self._watch.step(loss)

    @property
    def _loss_tracker(self) -> metrics.Mean:
        """The mean loss, made where the weights are."""
        if self._tracker is None:
            with use_device(self.device):  # type: ignore[attr-defined]
                self._tracker = metrics.Mean(name="loss")
        return self._tracker

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, the metrics of ``compile`` in one, the mean loss of each of many outputs, and all metrics
        that are attributes of the model and of its layers."""
        found: list[Any] = []
        if self.compiled:
            found.append(self._loss_tracker)
            if self._compile_metrics is not None:
                found.append(self._compile_metrics)
            if self._compile_loss is not None:
                found.extend(self._compile_loss.metrics)
        family = self._family()  # type: ignore[attr-defined]
        if "metrics" not in family.known:
            family.known["metrics"] = _attribute_metrics(self, is_outermost=True)
        return [*found, *family.known["metrics"]]

    @property
    def metrics_variables(self) -> list[Any]:
        """The sums of all ``metrics``."""
        return [variable for metric in self.metrics for variable in metric.variables]

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
            x: an array [examples, ...], several in a list or dictionary, a table with ``to_numpy``, a ``PyDataset``,
                or another iterable of batches (x, y) or (x, y, sample_weight), such as a generator or a data loader;
                arrays may be tensors of other libraries.
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
            class_weight: weights of the classes by number, in the loss of a model of one output.
            sample_weight: weight of each example in the loss, or of each step of a sequence [examples, steps]; for many
                outputs one array for all, or one for each.
            initial_epoch: epochs already done.
            steps_per_epoch: steps in an epoch; by default as many as the data gives. The next epoch goes on where one
                stopped; data that is used up ends its epoch, with a warning, and the next one starts anew.
            validation_steps, validation_batch_size: of the validation.
            validation_freq: validate every so many epochs, or after these (counted from 1).

        Returns the ``History``, which is also ``model.history``. Everything is checked before the first step:
        ``ValueError`` for arrays of different lengths, no data, NaN or impossible targets, sizes that are not
        positive and shapes that do not fit the model, and before ``compile``; ``TypeError`` for arrays of objects or
        text. Ctrl-C ends training after the step in progress: callbacks are told, the history is kept,
        and ``KeyboardInterrupt`` is raised.
        """
        self._require_compiled("fit")
        _check_count("steps_per_epoch", steps_per_epoch)
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
                raise ValueError(f"{name} must be an integer that is not negative; got {value!r}.")
        if not isinstance(validation_freq, int | Sequence) or isinstance(validation_freq, str):
            raise ValueError(f"validation_freq is an integer or a list of epochs; got {validation_freq!r}.")
        epochs = _at_most("epochs", config.max_epochs(), epochs, epochs) or 0
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
        steps_per_epoch = _limited("steps_per_epoch", steps_per_epoch, data)
        if validation is not None:
            validation_steps = _limited("validation_steps", validation_steps, validation)
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
            stream = as_generator(None) if shuffle else None
            feed = Feed(functools.partial(self._batches, data), data, stream, steps_per_epoch)
            self.progress = Progress(initial_epoch, feed, told)
            try:
                self._run_epochs(epochs, validation, validation_steps, validation_freq)
            finally:
                self._watch = self.progress = None
                feed.close()
        assert told.history is not None
        return told.history

    def _run_epochs(
        self, epochs: int, validation: Data | None, validation_steps: int | None, validation_freq: int | Sequence[int]
    ) -> None:
        progress = self.progress
        assert progress is not None
        callbacks = progress.callbacks
        self.stop_training = False
        logs: dict[str, float] = {}
        with InterruptBetweenSteps() as interrupt:
            try:
                callbacks.on_train_begin()
                while progress.epoch < epochs and not self.stop_training:
                    epoch = progress.epoch
                    self.reset_metrics()
                    callbacks.on_epoch_begin(epoch)
                    batch_logs = self._run_steps(progress, interrupt)
                    if progress.feed.exhausted and not progress.step:
                        break
                    logs = dict(self._epoch_logs(batch_logs))
                    if validation is not None and _is_due(epoch, validation_freq):
                        found = self._measure(validation, callbacks, validation_steps, interrupt)
                        logs.update({f"val_{name}": value for name, value in found.items()})
                        logs = dict(sorted(logs.items()))
                    progress.epoch, progress.step = epoch + 1, 0
                    callbacks.on_epoch_end(epoch, logs)
                    interrupt.check()
                if self.optimizer is not None and self.optimizer.built:
                    self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[attr-defined]
            except KeyboardInterrupt:
                callbacks.on_train_end(logs)
                raise
            except BaseException:  # training did not end: what callbacks keep for another try stays
                callbacks.release()
                raise
            callbacks.on_train_end(logs)

    def _run_steps(self, progress: Progress, interrupt: InterruptBetweenSteps) -> Mapping[str, Any]:
        """The steps of an epoch that are still to be done; gives the logs of the last."""
        callbacks = progress.callbacks
        batches = progress.feed.epoch(progress.step)
        logs: Mapping[str, Any] = {}
        while True:
            with interrupt.at_once():
                group = list(itertools.islice(batches, self.steps_per_execution))
            if not group:
                return logs
            callbacks.on_train_batch_begin(progress.step)
            for batch in group:
                with silence():
                    logs = _as_logs(self.train_step(pack_x_y_sample_weight(*batch)), "train_step")
            progress.step += len(group)
            callbacks.on_train_batch_end(progress.step - 1, logs)
            interrupt.check()
            if self.stop_training:
                return logs

    def _epoch_logs(self, logs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The metrics as they are, unless a step of its own has given other numbers."""
        found = self.get_metrics_result()
        return found if not logs or set(found) == set(logs) else logs

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
        steps = _limited("steps", steps, data)
        with use_device(self.device):  # type: ignore[attr-defined]
            self._prepare(data)
            told = self._callbacks(callbacks, verbose, data, steps)
            watch, self._watch = self._watch, None
            try:
                with InterruptBetweenSteps() as interrupt:
                    logs = self._measure(data, told, steps, interrupt)
            finally:
                self._watch = watch
        return logs if return_dict else self._listed(logs)

    def _measure(
        self, data: Data, callbacks: CallbackList, steps: int | None, interrupt: InterruptBetweenSteps
    ) -> dict[str, float]:
        watch, self._watch = self._watch, None
        self.reset_metrics()
        self.stop_evaluating = False
        callbacks.on_test_begin()
        logs: Mapping[str, Any] = {}
        try:
            with no_grad():
                for step, group in self._groups(data, steps, interrupt):
                    callbacks.on_test_batch_begin(step)
                    for batch in group:
                        with silence():
                            logs = _as_logs(self.test_step(pack_x_y_sample_weight(*batch)), "test_step")
                    callbacks.on_test_batch_end(step + len(group) - 1, logs)
                    interrupt.check()
                    if self.stop_evaluating:
                        break
            result = dict(self._epoch_logs(logs))
            callbacks.on_test_end(result)
        finally:
            self._watch = watch
        return result

    def _groups(
        self, data: Data, steps: int | None, interrupt: InterruptBetweenSteps
    ) -> Iterator[tuple[int, list[Batch]]]:
        """The batches of one pass, ``steps_per_execution`` at a time, with the number of the first."""
        feed = Feed(functools.partial(self._batches, data), data, None, steps)
        batches = feed.epoch()
        step = 0
        try:
            while True:
                with interrupt.at_once():
                    group = list(itertools.islice(batches, self.steps_per_execution))
                if not group:
                    return
                yield step, group
                step += len(group)
        finally:
            feed.close()

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's output for all examples, NumPy arrays nested like it. Arguments and errors as for ``fit``."""
        _check_count("steps", steps)
        data = _data_of(x, None, None, batch_size, steps)
        steps = _limited("steps", steps, data)
        outputs: list[Any] = []
        with use_device(self.device), no_grad(), InterruptBetweenSteps() as interrupt:  # type: ignore[attr-defined]
            self._prepare(data)
            told = self._callbacks(callbacks, verbose, data, steps)
            self.stop_predicting = False
            told.on_predict_begin()
            for step, group in self._groups(data, steps, interrupt):
                told.on_predict_batch_begin(step)
                with silence():
                    found = (self.predict_step(pack_x_y_sample_weight(*batch)) for batch in group)
                    outputs.extend(map_leaves(_as_numpy, output) for output in found)
                told.on_predict_batch_end(step + len(group) - 1, {"outputs": outputs[-1]})
                interrupt.check()
                if self.stop_predicting:
                    break
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
        with no_grad(), silence(), use_device(self.device):  # type: ignore[attr-defined]
            data = _data_of(x, None, None, None, None)
            self._prepare(data)
            return map_leaves(_as_numpy, self.predict_step(self._whole(data)))

    def _on_batch(self, step: Any, data: Data, return_dict: bool) -> Any:
        with use_device(self.device):  # type: ignore[attr-defined]
            self._prepare(data)
            self.reset_metrics()
            logs = dict(_as_logs(step(self._whole(data)), step.__name__))
        return logs if return_dict else self._listed(logs)

    def _listed(self, logs: Mapping[str, Any]) -> Any:
        """The numbers of logs in the order of ``metrics_names``, others after them; the number itself if it is one."""
        names: list[str] = []
        for metric in self.metrics:
            names.extend(one.name for one in (metric.metrics if isinstance(metric, CompileMetrics) else [metric]))
        first = [name for name in names if name in logs]
        values = [logs[name] for name in (*first, *sorted(logs.keys() - set(names)))]
        return values[0] if len(values) == 1 else values

    # What comes before

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                f"The model is not compiled. Call compile(optimizer=..., loss=..., metrics=[...]) before {method}()."
            )

    def _prepare(self, *data: Data | None) -> None:
        """Builds the model, and checks inputs against it and targets against the loss, before any work."""
        own_steps = type(self).train_step is not Trainer.train_step
        if own_steps and (self.built or not self._can_be_called()):  # type: ignore[attr-defined]
            return  # what its data means only its steps know
        for part in data:
            if part is None:
                continue
            shapes = part.input_shape
            if not self.built:  # type: ignore[attr-defined]
                self.build(shapes)  # type: ignore[attr-defined]
            with no_grad():
                output_shape = self.compute_output_shape(shapes)  # type: ignore[attr-defined]
            self._check_input_shape(shapes)
            if not own_steps and self.compiled and (y := part.targets) is not None:
                self._make_trackers(y, map_shapes(OutputShape, output_shape))

    def _make_trackers(self, y: Any, outputs: Any) -> None:
        """Looks at targets, and makes what follows loss and metrics, unless the class compares them in its own way."""
        if self._compile_loss is not None and type(self).compute_loss is Trainer.compute_loss:
            self._compile_loss.check_targets(y, outputs)
            self._compile_loss.build(y, outputs)
        if self._compile_metrics is not None and type(self).compute_metrics is Trainer.compute_metrics:
            self._compile_metrics.build(y, outputs)

    def _can_be_called(self) -> bool:
        """Whether there is a ``call``; a model that only trains other models may do without."""
        return self.graph is not None or type(self).call.__module__ != "deepcore.models.model"  # type: ignore[attr-defined]

    def _check_input_shape(self, shapes: Any) -> None:
        """Raises ``ValueError`` where a model can tell that inputs of these shapes do not fit."""

    def _batches(self, data: Data, shuffle: Any = None, skip: int = 0) -> Iterator[Batch]:
        return data.batches(self.device, self.compute_dtype, shuffle, skip)  # type: ignore[attr-defined]

    def _whole(self, data: Data) -> Any:
        if isinstance(data, ArrayData):
            data.batch_size = data.samples
        return pack_x_y_sample_weight(*next(self._batches(data)))

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


def _data_of(x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None) -> Data:
    if x is None:
        raise ValueError("x is None; give an array of examples, or an iterable of batches.")
    if is_iterable_of_batches(x):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
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
        if data.endless or type(data.source).__name__ == "DataLoader":
            raise ValueError("class_weight does not go with a generator; let it give (x, y, sample_weight).")
        data.class_weight = class_weight
        return
    if data.sample_weight is not None:
        raise ValueError("class_weight and sample_weight cannot be used together; multiply them into sample_weight.")
    data.sample_weight = class_weights_of(data.y, class_weight)


def _verbosity(verbose: int | str) -> int:
    if verbose == "auto":
        return 1
    if isinstance(verbose, str) or int(verbose) not in (0, 1, 2):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto'; got {verbose!r}.")
    return int(verbose)


def _limited(name: str, steps: int | None, data: Data) -> int | None:
    """``steps``, or the limit of the program where there would be more of them."""
    return _at_most(name, config.max_steps_per_epoch(), steps, steps or data.steps)


def _at_most(name: str, limit: int | None, given: int | None, expected: int | None) -> int | None:
    if limit is None or (expected is not None and expected <= limit):
        return given
    warnings.warn(f"Limiting {name} to {limit}, as deepcore.config has been told.", stacklevel=3)
    return limit


def _check_count(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__") or int(value) <= 0):
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def _as_logs(given: Any, step: str) -> Logs:
    if isinstance(given, Logs):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"{step} must return a dictionary of numbers by name; got {type(given).__name__}.")
    return Logs(given or {})


def _detached(y_pred: Any) -> Any:
    """Outputs cut from the tape, with their masks."""

    def cut(y: Any) -> Any:
        if not isinstance(y, Tensor):
            return y
        result = y.detach()
        result.mask = y.mask
        return result

    return map_leaves(cut, y_pred)


def _as_numpy(y: Any) -> Any:
    return y.numpy() if isinstance(y, Tensor) else np.asarray(y)


@functools.cache
def _takes_training(compute_loss: Any) -> bool:
    parameters = inspect.signature(compute_loss).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)


def _attribute_metrics(layer: Any, is_outermost: bool = False, seen: set[int] | None = None) -> list[Any]:
    """Metrics that are attributes of ``layer`` and of the layers within; those of models within are theirs alone."""
    seen = set() if seen is None else seen
    found = []
    if is_outermost or not isinstance(layer, Trainer):
        for name, value in layer.holdings():
            if name in _NOT_ITS_METRICS:
                continue
            for leaf in leaves(value) if isinstance(value, list | tuple | dict) else (value,):
                if isinstance(leaf, metrics.Metric) and id(leaf) not in seen:
                    seen.add(id(leaf))
                    found.append(leaf)
    for inner in layer.sublayers():
        found.extend(_attribute_metrics(inner, seen=seen))
    return found


def _joined(outputs: list[Any]) -> Any:
    if not outputs:
        raise ValueError("The data given to predict has no batches.")
    first = outputs[0]
    if isinstance(first, dict):
        return {key: _joined([output[key] for output in outputs]) for key in first}
    if isinstance(first, list | tuple):
        return like(first, [_joined([output[i] for output in outputs]) for i in range(len(first))])
    return np.concatenate(outputs)
