"""One small use of everything that can be made by name: layers, losses, metrics, optimizers and the rest.

A use is a function of a dtype that gives NumPy arrays: values, gradients, updated weights. ``test_every_class.py`` runs
each on every device and demands that nothing exported is missing; ``test_no_hidden_numpy.py`` runs each on arrays that
NumPy cannot read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepcore import activations, initializers, layers, losses, metrics, ops, optimizers, random, regularizers
from deepcore.autograd import gradients
from deepcore.tensor import Tensor
from deepcore.variable import Variable

Use = Callable[[str], list[np.ndarray]]


def numbers(*shape, low=-2.0, high=2.0, seed=3):
    return np.random.default_rng(seed).uniform(low, high, shape)


def layer_use(make, *shape, integers=False) -> Use:
    """Values in training and afterwards, gradients by the input and by every weight, and weights after one step."""

    def use(dtype):
        random.set_seed(11)
        layer = make(dtype)
        x = Tensor(numbers(*shape).astype(dtype), requires_grad=True)
        layer.build(shape)
        filled = np.random.default_rng(5)
        layer.set_weights([filled.uniform(0.3, 1.2, v.shape).astype(dtype) for v in layer.weights])
        y = layer(x, training=True)
        weights = layer.trainable_weights
        found = gradients([y], [x, *weights], [ops.cos(y.detach())])
        if weights:
            optimizers.SGD(0.1).apply(found[1:], weights)
        results = [y, *found, *layer.weights, layer(x), *layer.losses]
        return [np.array(tensor.numpy()) for tensor in results]

    return use


def _same(cls, *arguments, **options):
    return lambda dtype: cls(*arguments, dtype=dtype, **options)


LAYERS: dict[type, list[Use]] = {
    layers.Activation: [layer_use(_same(layers.Activation, "tanh"), 3, 5)],
    layers.AveragePooling2D: [
        layer_use(_same(layers.AveragePooling2D, (3, 2), 2, "same"), 2, 7, 6, 3),
        layer_use(_same(layers.AveragePooling2D, 2, data_format="channels_first"), 2, 3, 5, 4),
    ],
    layers.BatchNormalization: [
        layer_use(_same(layers.BatchNormalization), 6, 5),
        layer_use(_same(layers.BatchNormalization, axis=1, scale=False, center=False), 2, 3, 4, 5),
    ],
    layers.Conv2D: [
        layer_use(_same(layers.Conv2D, 4, (3, 2), 2, "same", activation="relu"), 2, 7, 6, 3),
        layer_use(
            _same(
                layers.Conv2D,
                4,
                3,
                groups=2,
                dilation_rate=2,
                data_format="channels_first",
                activation="softmax",
                kernel_regularizer="l2",
                activity_regularizer="l1",
            ),
            1,
            2,
            7,
            8,
        ),
    ],
    layers.Conv2DTranspose: [
        layer_use(_same(layers.Conv2DTranspose, 2, 3, strides=2, padding="same", output_padding=1), 2, 4, 3, 5)
    ],
    layers.Dense: [
        layer_use(_same(layers.Dense, 4, activation="tanh"), 5, 7),
        layer_use(_same(layers.Dense, 4, use_bias=False, activation="mish"), 2, 3, 5),
    ],
    layers.DepthwiseConv2D: [layer_use(_same(layers.DepthwiseConv2D, 3, depth_multiplier=2), 2, 5, 6, 3)],
    layers.Dropout: [
        layer_use(_same(layers.Dropout, 0.4, seed=3), 5, 13),
        layer_use(_same(layers.Dropout, 0.4, noise_shape=(None, 1), seed=3), 9, 4),
        layer_use(_same(layers.Dropout, 1.0), 2, 3),
    ],
    layers.Flatten: [
        layer_use(_same(layers.Flatten), 2, 3, 4),
        layer_use(_same(layers.Flatten, data_format="channels_first"), 2, 3, 4, 5),
    ],
    layers.GlobalAveragePooling2D: [
        layer_use(_same(layers.GlobalAveragePooling2D), 2, 5, 4, 3),
        layer_use(_same(layers.GlobalAveragePooling2D, keepdims=True, data_format="channels_first"), 2, 3, 5, 4),
    ],
    layers.GlobalMaxPooling2D: [layer_use(_same(layers.GlobalMaxPooling2D), 2, 5, 4, 3)],
    layers.InputLayer: [layer_use(_same(layers.InputLayer, (3,)), 2, 3)],
    layers.LayerNormalization: [
        layer_use(_same(layers.LayerNormalization), 4, 6),
        layer_use(_same(layers.LayerNormalization, axis=1, scale=False), 4, 3, 5),
    ],
    layers.LeakyReLU: [layer_use(_same(layers.LeakyReLU), 4, 6)],
    layers.MaxPooling2D: [layer_use(_same(layers.MaxPooling2D, (3, 2), (2, 2), "same"), 2, 7, 6, 3)],
    layers.ReLU: [
        layer_use(_same(layers.ReLU), 4, 6),
        layer_use(_same(layers.ReLU, max_value=1.5, negative_slope=0.1, threshold=0.5), 4, 6),
    ],
    layers.Reshape: [layer_use(_same(layers.Reshape, (6, -1)), 2, 3, 4)],
    layers.Softmax: [layer_use(_same(layers.Softmax), 4, 6), layer_use(_same(layers.Softmax, axis=1), 2, 4, 3)],
}


def loss_use(loss, targets, scores, weights=None) -> Use:
    """The loss of a batch, weighed and not, and its gradient."""

    def use(dtype):
        y = Tensor(targets.astype(dtype) if targets.dtype.kind == "f" else targets)
        p = Tensor(scores.astype(dtype), requires_grad=True)
        weighed = loss(y, p, sample_weight=Tensor(numbers(len(scores), low=0.5).astype(dtype)))
        return [np.array(t.numpy()) for t in (loss(y, p), weighed, *gradients([weighed], [p]))]

    return use


SCORES = numbers(6, 4, low=0.05, high=0.95)
CLASSES = np.array([0, 3, 1, 1, 2, 0])
HOT = np.eye(4)[CLASSES]

LOSSES: dict[type, list[Use]] = {
    losses.BinaryCrossentropy: [
        loss_use(losses.BinaryCrossentropy(label_smoothing=0.1), HOT, SCORES),
        loss_use(losses.BinaryCrossentropy(from_logits=True), HOT, SCORES),
    ],
    losses.CategoricalCrossentropy: [
        loss_use(losses.CategoricalCrossentropy(label_smoothing=0.1), HOT, SCORES),
        loss_use(losses.CategoricalCrossentropy(from_logits=True), HOT, SCORES),
        loss_use(losses.CategoricalCrossentropy(axis=1), HOT.reshape(3, 2, 4).swapaxes(1, 2), SCORES.reshape(3, 4, 2)),
    ],
    losses.Huber: [loss_use(losses.Huber(delta=0.5), HOT, SCORES)],
    losses.MeanAbsoluteError: [loss_use(losses.MeanAbsoluteError(reduction="sum"), HOT, SCORES)],
    losses.MeanSquaredError: [
        loss_use(losses.MeanSquaredError(), HOT, SCORES),
        loss_use(losses.MeanSquaredError(reduction="mean_with_sample_weight"), HOT, SCORES),
    ],
    losses.SparseCategoricalCrossentropy: [
        loss_use(losses.SparseCategoricalCrossentropy(), CLASSES, SCORES),
        loss_use(losses.SparseCategoricalCrossentropy(from_logits=True), CLASSES.astype(np.uint8), SCORES),
    ],
}


def metric_use(make, *batch) -> Use:
    """The result over two batches, the second one weighed."""

    def use(dtype):
        metric = make()
        arrays = [Tensor(a.astype(dtype) if a.dtype.kind == "f" else a) for a in batch]
        weights = Tensor(numbers(len(batch[0]), low=0.5).astype(dtype))
        metric.update_state(*arrays)
        metric.update_state(*arrays, sample_weight=weights)
        return [np.array(metric.result().numpy())]

    return use


METRICS: dict[type, list[Use]] = {
    metrics.Accuracy: [metric_use(metrics.Accuracy, CLASSES, np.array([0, 3, 1, 2, 2, 1]))],
    metrics.BinaryAccuracy: [metric_use(lambda: metrics.BinaryAccuracy(threshold=0.4), HOT, SCORES)],
    metrics.BinaryCrossentropy: [metric_use(metrics.BinaryCrossentropy, HOT, SCORES)],
    metrics.CategoricalAccuracy: [metric_use(metrics.CategoricalAccuracy, HOT, SCORES)],
    metrics.CategoricalCrossentropy: [metric_use(metrics.CategoricalCrossentropy, HOT, SCORES)],
    metrics.Mean: [metric_use(metrics.Mean, numbers(6))],
    metrics.MeanAbsoluteError: [metric_use(metrics.MeanAbsoluteError, HOT, SCORES)],
    metrics.MeanSquaredError: [metric_use(metrics.MeanSquaredError, HOT, SCORES)],
    metrics.RootMeanSquaredError: [metric_use(metrics.RootMeanSquaredError, HOT, SCORES)],
    metrics.SparseCategoricalAccuracy: [metric_use(metrics.SparseCategoricalAccuracy, CLASSES, SCORES)],
    metrics.SparseCategoricalCrossentropy: [metric_use(metrics.SparseCategoricalCrossentropy, CLASSES, SCORES)],
    metrics.Sum: [metric_use(metrics.Sum, numbers(6))],
}


def optimizer_use(cls, **arguments) -> Use:
    """Three weights, and what the optimizer keeps of them, after three steps."""
    shapes = ((3, 4), (4,), ())

    def use(dtype):
        optimizer = cls(0.1, **arguments)
        weights = [Variable(numbers(*shape, seed=i).astype(dtype), name=f"w{i}") for i, shape in enumerate(shapes)]
        for step in range(3):
            found = [Tensor(numbers(*shape, seed=9 * step + i).astype(dtype)) for i, shape in enumerate(shapes)]
            optimizer.apply(found, weights)
        return [np.array(v.numpy()) for v in (*weights, *optimizer.variables)]

    return use


OPTIMIZERS: dict[type, list[Use]] = {
    optimizers.SGD: [
        optimizer_use(optimizers.SGD, clipvalue=0.5, weight_decay=0.1),
        optimizer_use(optimizers.SGD, momentum=0.9, nesterov=True, clipnorm=0.5),
    ],
    **{
        cls: [optimizer_use(cls)]
        for cls in (optimizers.Adadelta, optimizers.Adamax, optimizers.Ftrl, optimizers.Lion, optimizers.Nadam)
    },
    optimizers.Adagrad: [optimizer_use(optimizers.Adagrad, global_clipnorm=0.7)],
    optimizers.Adam: [
        optimizer_use(optimizers.Adam),
        optimizer_use(optimizers.Adam, amsgrad=True, use_ema=True, gradient_accumulation_steps=2),
    ],
    optimizers.AdamW: [optimizer_use(optimizers.AdamW, weight_decay=0.02)],
    optimizers.RMSprop: [
        optimizer_use(optimizers.RMSprop),
        optimizer_use(optimizers.RMSprop, momentum=0.5, centered=True),
    ],
}


def initializer_use(make) -> Use:
    return lambda dtype: [np.array(Variable(make(), (3, 3, 4, 5), dtype).numpy())]


INITIALIZERS: dict[type, list[Use]] = {
    initializers.Constant: [initializer_use(lambda: initializers.Constant([1.0, 2.0, 3.0, 4.0, 5.0]))],
    initializers.Ones: [initializer_use(initializers.Ones)],
    initializers.Zeros: [initializer_use(initializers.Zeros)],
    **{
        cls: [initializer_use(lambda cls=cls: cls(seed=7))]
        for cls in (
            initializers.GlorotNormal,
            initializers.GlorotUniform,
            initializers.HeNormal,
            initializers.HeUniform,
            initializers.LecunNormal,
            initializers.LecunUniform,
            initializers.RandomNormal,
            initializers.RandomUniform,
            initializers.TruncatedNormal,
            initializers.VarianceScaling,
        )
    },
}


def function_use(function) -> Use:
    """The value of a function of one array, and its gradient."""

    def use(dtype):
        x = Tensor(numbers(5, 6, low=-7, high=7).astype(dtype), requires_grad=True)
        y = function(x)
        return [np.array(t.numpy()) for t in (y, *gradients([y], [x], [ops.cos(y.detach())]))]

    return use


ACTIVATIONS: dict[str, list[Use]] = {
    name: [function_use(getattr(activations, name))]
    for name in (
        "elu",
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "tanh",
    )
}

REGULARIZERS: dict[type, list[Use]] = {
    regularizers.L1: [function_use(regularizers.L1(0.1))],
    regularizers.L2: [function_use(regularizers.L2(0.1))],
    regularizers.L1L2: [function_use(regularizers.L1L2(0.1, 0.2))],
}

ROOMS = {
    "layers": LAYERS,
    "losses": LOSSES,
    "metrics": METRICS,
    "optimizers": OPTIMIZERS,
    "initializers": INITIALIZERS,
    "activations": ACTIVATIONS,
    "regularizers": REGULARIZERS,
}
USES: dict[str, Use] = {
    f"{room}.{getattr(thing, '__name__', thing)}{f' {i}' if i else ''}": use
    for room, things in ROOMS.items()
    for thing, uses in things.items()
    for i, use in enumerate(uses)
}
