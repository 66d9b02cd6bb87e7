"""One small use of everything that can be made by name: layers, losses, metrics, optimizers and the rest.

A use is a function of a dtype that gives NumPy arrays: values, gradients, updated weights. ``test_every_class.py`` runs
each on every device and demands that nothing exported is missing; ``test_no_hidden_numpy.py`` runs each on arrays that
NumPy cannot read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepcore import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    random,
    regularizers,
)
from deepcore.autograd import gradients
from deepcore.structure import leaves
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


def sequence_use(make, *shape, mask=None) -> Use:
    """As ``layer_use``, of the outputs and the last states together, with a mask."""

    class Joined(layers.Layer):
        def __init__(self, inner):
            super().__init__(dtype=inner.dtype.name)
            self.inner = inner

        def build(self, input_shape):
            self.inner.build(input_shape)

        def call(self, x):
            keep = None if mask is None else ops.not_equal(Tensor(np.array(mask)), 0)
            y = self.inner(x) if keep is None else self.inner(x, mask=keep)
            return ops.concatenate([ops.reshape(part, (len(x), -1)) for part in leaves(y)], -1)

    return layer_use(lambda dtype: Joined(make(dtype)), *shape)


def cell_use(make) -> Use:
    """A cell over a sequence, by ``RNN``."""
    return sequence_use(lambda dtype: layers.RNN(make(dtype), return_state=True, dtype=dtype), 2, 3, 4)


def merge_use(make, *shapes) -> Use:
    """Values of a layer of several inputs, the first with a mask, and gradients by each."""

    def use(dtype):
        xs = [Tensor(numbers(*shape, seed=i).astype(dtype), requires_grad=True) for i, shape in enumerate(shapes)]
        xs[0].mask = Tensor(numbers(*shapes[0][:-1], seed=7) > 0)
        y = make(dtype)(xs)
        return [np.array(t.numpy()) for t in (y, *gradients([y], xs, [ops.cos(y.detach())]))]

    return use


def _same(cls, *arguments, **options):
    return lambda dtype: cls(*arguments, dtype=dtype, **options)


HOLED = [[1, 1, 0], [0, 1, 1]]


def number_use(make, high, *shape) -> Use:
    """As ``layer_use``, for a layer of whole numbers below ``high``, which have no gradients."""

    def use(dtype):
        layer = make(dtype)
        x = Tensor(np.random.default_rng(3).integers(0, high, shape).astype(np.int32))
        layer.build(shape)
        layer.set_weights([numbers(*v.shape).astype(dtype) for v in layer.weights])
        y = layer(x)
        weights = layer.trainable_weights
        found = gradients([y], weights, [ops.cos(y.detach())]) if weights else []
        if weights:
            optimizers.SGD(0.1).apply(found, weights)
        return [np.array(tensor.numpy()) for tensor in (y, *found, *layer.weights)]

    return use


LAYERS: dict[type, list[Use]] = {
    layers.Activation: [layer_use(_same(layers.Activation, "tanh"), 3, 5)],
    layers.Add: [merge_use(_same(layers.Add), (2, 3, 4), (2, 3, 1), (2, 4))],
    layers.Average: [merge_use(_same(layers.Average), (2, 3, 4), (2, 3, 4))],
    layers.AdaptiveAveragePooling1D: [layer_use(_same(layers.AdaptiveAveragePooling1D, 3), 2, 7, 3)],
    layers.AdaptiveAveragePooling2D: [
        layer_use(_same(layers.AdaptiveAveragePooling2D, (2, 3), data_format="channels_first"), 2, 3, 5, 4)
    ],
    layers.AdaptiveMaxPooling1D: [layer_use(_same(layers.AdaptiveMaxPooling1D, 3, "channels_first"), 2, 5, 7)],
    layers.AdaptiveMaxPooling2D: [layer_use(_same(layers.AdaptiveMaxPooling2D, 3), 2, 5, 4, 3)],
    layers.AveragePooling1D: [layer_use(_same(layers.AveragePooling1D, 3, 2, "same"), 2, 7, 3)],
    layers.AveragePooling2D: [
        layer_use(_same(layers.AveragePooling2D, (3, 2), 2, "same"), 2, 7, 6, 3),
        layer_use(_same(layers.AveragePooling2D, 2, data_format="channels_first"), 2, 3, 5, 4),
    ],
    layers.BatchNormalization: [
        layer_use(_same(layers.BatchNormalization), 6, 5),
        layer_use(_same(layers.BatchNormalization, axis=1, scale=False, center=False), 2, 3, 4, 5),
    ],
    layers.Bidirectional: [
        sequence_use(
            lambda dtype: layers.Bidirectional(
                layers.LSTM(3, return_sequences=True, return_state=True, dtype=dtype), dtype=dtype
            ),
            2,
            3,
            4,
            mask=HOLED,
        )
    ],
    layers.Concatenate: [merge_use(_same(layers.Concatenate, 1), (2, 3, 4), (2, 2, 4))],
    layers.Conv1D: [
        layer_use(_same(layers.Conv1D, 4, 3, padding="causal", dilation_rate=2, activation="tanh"), 2, 7, 3),
        layer_use(_same(layers.Conv1D, 4, 2, 2, groups=2, data_format="channels_first"), 2, 4, 7),
    ],
    layers.Conv1DTranspose: [layer_use(_same(layers.Conv1DTranspose, 2, 3, 2, "same", output_padding=1), 2, 4, 5)],
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
    layers.Cropping1D: [layer_use(_same(layers.Cropping1D, (1, 2)), 2, 6, 3)],
    layers.Cropping2D: [layer_use(_same(layers.Cropping2D, ((1, 0), (2, 1)), "channels_first"), 2, 3, 4, 5)],
    layers.Dense: [
        layer_use(_same(layers.Dense, 4, activation="tanh"), 5, 7),
        layer_use(_same(layers.Dense, 4, use_bias=False, activation="mish"), 2, 3, 5),
    ],
    layers.DepthwiseConv1D: [layer_use(_same(layers.DepthwiseConv1D, 3, depth_multiplier=2, padding="same"), 2, 5, 3)],
    layers.DepthwiseConv2D: [layer_use(_same(layers.DepthwiseConv2D, 3, depth_multiplier=2), 2, 5, 6, 3)],
    layers.Dot: [
        merge_use(_same(layers.Dot, (2, 1)), (2, 3, 4), (2, 4, 5)),
        merge_use(_same(layers.Dot, 1, normalize=True), (3, 4), (3, 4)),
    ],
    layers.Dropout: [
        layer_use(_same(layers.Dropout, 0.4, seed=3), 5, 13),
        layer_use(_same(layers.Dropout, 0.4, noise_shape=(None, 1), seed=3), 9, 4),
        layer_use(_same(layers.Dropout, 1.0), 2, 3),
    ],
    layers.Flatten: [
        layer_use(_same(layers.Flatten), 2, 3, 4),
        layer_use(_same(layers.Flatten, data_format="channels_first"), 2, 3, 4, 5),
    ],
    layers.GRU: [
        sequence_use(_same(layers.GRU, 3, return_sequences=True), 2, 3, 4, mask=HOLED),
        sequence_use(_same(layers.GRU, 3, reset_after=False, dropout=0.3, recurrent_dropout=0.3, seed=1), 2, 3, 4),
        sequence_use(_same(layers.GRU, 3, activation="relu", recurrent_activation="hard_sigmoid"), 2, 3, 4),
    ],
    layers.GRUCell: [cell_use(_same(layers.GRUCell, 3))],
    layers.GlobalAveragePooling1D: [layer_use(_same(layers.GlobalAveragePooling1D, keepdims=True), 2, 5, 3)],
    layers.GlobalAveragePooling2D: [
        layer_use(_same(layers.GlobalAveragePooling2D), 2, 5, 4, 3),
        layer_use(_same(layers.GlobalAveragePooling2D, keepdims=True, data_format="channels_first"), 2, 3, 5, 4),
    ],
    layers.GlobalMaxPooling1D: [layer_use(_same(layers.GlobalMaxPooling1D, "channels_first"), 2, 5, 3)],
    layers.GlobalMaxPooling2D: [layer_use(_same(layers.GlobalMaxPooling2D), 2, 5, 4, 3)],
    layers.Identity: [layer_use(_same(layers.Identity), 2, 3)],
    layers.InputLayer: [layer_use(_same(layers.InputLayer, (3,)), 2, 3)],
    layers.LSTM: [
        sequence_use(_same(layers.LSTM, 3, return_sequences=True, return_state=True), 2, 3, 4, mask=HOLED),
        sequence_use(_same(layers.LSTM, 3, dropout=0.3, recurrent_dropout=0.3, seed=1), 2, 3, 4),
        sequence_use(_same(layers.LSTM, 3, recurrent_activation="hard_sigmoid"), 2, 3, 4),
    ],
    layers.LSTMCell: [cell_use(_same(layers.LSTMCell, 3))],
    layers.LayerNormalization: [
        layer_use(_same(layers.LayerNormalization), 4, 6),
        layer_use(_same(layers.LayerNormalization, axis=1, scale=False), 4, 3, 5),
    ],
    layers.LeakyReLU: [layer_use(_same(layers.LeakyReLU), 4, 6)],
    layers.MaxPooling1D: [layer_use(_same(layers.MaxPooling1D, 3, 2, "same"), 2, 7, 3)],
    layers.MaxPooling2D: [layer_use(_same(layers.MaxPooling2D, (3, 2), (2, 2), "same"), 2, 7, 6, 3)],
    layers.RNN: [
        sequence_use(
            lambda dtype: layers.RNN(
                [layers.SimpleRNNCell(3, dtype=dtype), layers.LSTMCell(2, dtype=dtype)],
                go_backwards=True,
                zero_output_for_mask=True,
                return_sequences=True,
                return_state=True,
                dtype=dtype,
            ),
            2,
            3,
            4,
            mask=HOLED,
        )
    ],
    layers.Maximum: [merge_use(_same(layers.Maximum), (2, 3, 4), (2, 3, 4))],
    layers.Minimum: [merge_use(_same(layers.Minimum), (2, 3, 4), (2, 3, 4))],
    layers.Multiply: [merge_use(_same(layers.Multiply), (2, 3, 4), (2, 3, 4))],
    layers.Permute: [layer_use(_same(layers.Permute, (3, 1, 2)), 2, 3, 4, 5)],
    layers.ReLU: [
        layer_use(_same(layers.ReLU), 4, 6),
        layer_use(_same(layers.ReLU, max_value=1.5, negative_slope=0.1, threshold=0.5), 4, 6),
    ],
    layers.RepeatVector: [layer_use(_same(layers.RepeatVector, 3), 2, 5)],
    layers.Reshape: [layer_use(_same(layers.Reshape, (6, -1)), 2, 3, 4)],
    layers.SimpleRNN: [
        sequence_use(_same(layers.SimpleRNN, 3, stateful=True), 2, 3, 4),
        sequence_use(_same(layers.SimpleRNN, 3, dropout=0.3, recurrent_dropout=0.3, seed=1), 2, 3, 4, mask=HOLED),
    ],
    layers.SimpleRNNCell: [cell_use(_same(layers.SimpleRNNCell, 3))],
    layers.Softmax: [
        layer_use(_same(layers.Softmax), 4, 6),
        layer_use(_same(layers.Softmax, axis=1), 2, 4, 3),
        layer_use(_same(layers.Softmax, axis=(1, 2)), 2, 4, 3),
    ],
    layers.StackedRNNCells: [
        cell_use(lambda dtype: layers.StackedRNNCells([layers.GRUCell(3, dtype=dtype)], dtype=dtype))
    ],
    layers.TimeDistributed: [
        layer_use(lambda dtype: layers.TimeDistributed(layers.Dense(3, dtype=dtype), dtype=dtype), 2, 3, 4),
        layer_use(lambda dtype: layers.TimeDistributed(layers.BatchNormalization(dtype=dtype), dtype=dtype), 4, 2, 3),
    ],
    layers.SeparableConv1D: [layer_use(_same(layers.SeparableConv1D, 4, 3, depth_multiplier=2), 2, 6, 3)],
    layers.SeparableConv2D: [
        layer_use(_same(layers.SeparableConv2D, 4, (3, 2), 2, "same", activation="relu"), 2, 5, 6, 3)
    ],
    layers.Subtract: [merge_use(_same(layers.Subtract), (2, 3, 4), (2, 3, 4))],
    layers.UpSampling1D: [layer_use(_same(layers.UpSampling1D, 3), 2, 4, 3)],
    layers.UpSampling2D: [
        layer_use(_same(layers.UpSampling2D, (2, 3), "channels_first"), 2, 3, 4, 5),
        layer_use(_same(layers.UpSampling2D, interpolation="bilinear"), 2, 4, 5, 3),
    ],
    layers.ZeroPadding1D: [layer_use(_same(layers.ZeroPadding1D, (1, 2), "channels_first"), 2, 4, 3)],
    layers.ZeroPadding2D: [layer_use(_same(layers.ZeroPadding2D, ((1, 0), (2, 1))), 2, 4, 5, 3)],
    layers.ActivityRegularization: [layer_use(_same(layers.ActivityRegularization, 0.1, 0.2), 3, 5)],
    layers.AlphaDropout: [
        layer_use(_same(layers.AlphaDropout, 0.4, seed=3), 5, 13),
        layer_use(_same(layers.AlphaDropout, 0.4, noise_shape=(None, 1), seed=3), 9, 4),
    ],
    layers.CategoryEncoding: [
        number_use(_same(layers.CategoryEncoding, 5, mode), 5, 4, 3) for mode in ("one_hot", "multi_hot", "count")
    ],
    layers.CenterCrop: [layer_use(_same(layers.CenterCrop, 3, 4), 2, 6, 5, 2)],
    layers.ELU: [layer_use(_same(layers.ELU, 0.7), 4, 6)],
    layers.EinsumDense: [
        layer_use(_same(layers.EinsumDense, "abc,cd->abd", (None, 4), bias_axes="d", activation="tanh"), 2, 3, 5),
        layer_use(_same(layers.EinsumDense, "abc,bcd->dab", (2, 3), bias_axes="d"), 2, 3, 5),
    ],
    layers.Embedding: [number_use(_same(layers.Embedding, 7, 4, mask_zero=True), 7, 3, 5)],
    layers.GaussianDropout: [layer_use(_same(layers.GaussianDropout, 0.4, seed=3), 5, 13)],
    layers.GaussianNoise: [layer_use(_same(layers.GaussianNoise, 0.4, seed=3), 5, 13)],
    layers.GroupNormalization: [
        layer_use(_same(layers.GroupNormalization, 2), 2, 3, 5, 4),
        layer_use(_same(layers.GroupNormalization, -1, axis=1, scale=False), 2, 3, 5, 4),
    ],
    layers.Lambda: [layer_use(_same(layers.Lambda, ops.tanh), 3, 5)],
    layers.LocalResponseNormalization: [
        layer_use(_same(layers.LocalResponseNormalization, 2, 2.0, 1e-2, 0.75), 2, 3, 4, 7),
        layer_use(_same(layers.LocalResponseNormalization, 1, axis=1), 2, 5, 3, 4),
    ],
    layers.Masking: [layer_use(_same(layers.Masking, 0.5), 2, 3, 4)],
    layers.Normalization: [
        layer_use(_same(layers.Normalization, axis=1), 2, 3, 4),
        layer_use(_same(layers.Normalization, mean=[1.0, 2.0], variance=[4.0, 0.25], invert=True), 3, 2),
    ],
    layers.PReLU: [
        layer_use(_same(layers.PReLU, alpha_regularizer="l2"), 4, 6),
        layer_use(_same(layers.PReLU, shared_axes=[1]), 2, 3, 4),
    ],
    layers.RMSNormalization: [
        layer_use(_same(layers.RMSNormalization), 4, 6),
        layer_use(_same(layers.RMSNormalization, axis=[1, 2]), 4, 3, 5),
    ],
    layers.RandomBrightness: [layer_use(_same(layers.RandomBrightness, 0.3, (-1.0, 1.0), seed=2), 2, 4, 5, 3)],
    layers.RandomContrast: [layer_use(_same(layers.RandomContrast, 0.3, (-1.0, 1.0), seed=2), 2, 4, 5, 3)],
    layers.RandomCrop: [layer_use(_same(layers.RandomCrop, 3, 2, seed=2), 2, 6, 5, 3)],
    layers.RandomFlip: [layer_use(_same(layers.RandomFlip, "horizontal", seed=2), 6, 3, 4, 2)],
    layers.RandomRotation: [layer_use(_same(layers.RandomRotation, 0.1, seed=2), 2, 5, 6, 2)],
    layers.RandomTranslation: [
        layer_use(_same(layers.RandomTranslation, 0.2, 0.3, fill_mode="wrap", seed=2), 2, 5, 6, 2),
        layer_use(
            _same(layers.RandomTranslation, 0.2, 0.3, "constant", seed=2, data_format="channels_first"), 2, 3, 5, 6
        ),
    ],
    layers.RandomZoom: [layer_use(_same(layers.RandomZoom, 0.3, seed=2, interpolation="nearest"), 2, 5, 6, 2)],
    layers.Rescaling: [
        layer_use(_same(layers.Rescaling, 0.5, 2.0), 2, 3),
        layer_use(_same(layers.Rescaling, [0.5, 2.0], [1.0, -1.0]), 3, 2),
    ],
    layers.Resizing: [
        layer_use(_same(layers.Resizing, 3, 7), 2, 5, 4, 2),
        layer_use(_same(layers.Resizing, 3, 7, "nearest", data_format="channels_first"), 2, 2, 5, 4),
    ],
    layers.SpatialDropout1D: [layer_use(_same(layers.SpatialDropout1D, 0.4, seed=3), 5, 4, 6)],
    layers.SpatialDropout2D: [
        layer_use(_same(layers.SpatialDropout2D, 0.4, seed=3), 5, 2, 3, 6),
        layer_use(_same(layers.SpatialDropout2D, 0.4, "channels_first", seed=3), 5, 6, 2, 3),
    ],
    layers.SpectralNormalization: [
        layer_use(
            lambda dtype: layers.SpectralNormalization(layers.Dense(3, dtype=dtype), power_iterations=2, dtype=dtype),
            4,
            5,
        )
    ],
    layers.UnitNormalization: [
        layer_use(_same(layers.UnitNormalization), 4, 6),
        layer_use(_same(layers.UnitNormalization, axis=[1, 2]), 4, 3, 5),
    ],
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
    losses.BinaryFocalCrossentropy: [
        loss_use(losses.BinaryFocalCrossentropy(apply_class_balancing=True, gamma=1.5), HOT, SCORES),
        loss_use(losses.BinaryFocalCrossentropy(from_logits=True), HOT, SCORES),
    ],
    losses.CategoricalFocalCrossentropy: [
        loss_use(losses.CategoricalFocalCrossentropy(label_smoothing=0.1), HOT, SCORES),
        loss_use(losses.CategoricalFocalCrossentropy(from_logits=True), HOT, SCORES),
    ],
    losses.CategoricalGeneralizedCrossEntropy: [
        loss_use(losses.CategoricalGeneralizedCrossEntropy(0.7), CLASSES, SCORES)
    ],
    losses.CategoricalHinge: [loss_use(losses.CategoricalHinge(), HOT, SCORES)],
    losses.Circle: [loss_use(losses.Circle(gamma=3.0), CLASSES, SCORES)],
    losses.CosineSimilarity: [loss_use(losses.CosineSimilarity(), SCORES[::-1], SCORES)],
    losses.Dice: [loss_use(losses.Dice(axis=-1), HOT, SCORES), loss_use(losses.Dice(), HOT, SCORES)],
    losses.Hinge: [loss_use(losses.Hinge(), HOT, SCORES)],
    losses.KLDivergence: [loss_use(losses.KLDivergence(), SCORES[::-1], SCORES)],
    losses.LogCosh: [loss_use(losses.LogCosh(), HOT, SCORES)],
    losses.MeanAbsolutePercentageError: [loss_use(losses.MeanAbsolutePercentageError(), SCORES[::-1], SCORES)],
    losses.MeanSquaredLogarithmicError: [loss_use(losses.MeanSquaredLogarithmicError(), HOT, SCORES)],
    losses.Poisson: [loss_use(losses.Poisson(), HOT, SCORES)],
    losses.SquaredHinge: [loss_use(losses.SquaredHinge(), 2 * HOT - 1, SCORES)],
    losses.Tversky: [loss_use(losses.Tversky(0.3, 0.7, axis=-1), HOT, SCORES)],
    losses.ZeroOne: [lambda dtype: [np.array(losses.ZeroOne()(CLASSES, SCORES.astype(dtype)).numpy())]],
    losses.Huber: [loss_use(losses.Huber(delta=0.5), HOT, SCORES)],
    losses.MeanAbsoluteError: [loss_use(losses.MeanAbsoluteError(reduction="sum"), HOT, SCORES)],
    losses.MeanSquaredError: [
        loss_use(losses.MeanSquaredError(), HOT, SCORES),
        loss_use(losses.MeanSquaredError(reduction="mean_with_sample_weight"), HOT, SCORES),
    ],
    losses.SparseCategoricalCrossentropy: [
        loss_use(losses.SparseCategoricalCrossentropy(), CLASSES, SCORES),
        loss_use(losses.SparseCategoricalCrossentropy(from_logits=True), CLASSES.astype(np.uint8), SCORES),
        loss_use(losses.SparseCategoricalCrossentropy(ignore_class=1), CLASSES, SCORES),
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
    metrics.AUC: [metric_use(lambda: metrics.AUC(num_thresholds=11), HOT, SCORES)],
    metrics.BinaryIoU: [metric_use(lambda: metrics.BinaryIoU(dtype="float32"), HOT[:, 0], SCORES[:, 0])],
    metrics.CategoricalHinge: [metric_use(metrics.CategoricalHinge, HOT, SCORES)],
    metrics.ConcordanceCorrelation: [metric_use(metrics.ConcordanceCorrelation, HOT, SCORES)],
    metrics.CosineSimilarity: [metric_use(metrics.CosineSimilarity, HOT, SCORES)],
    metrics.F1Score: [metric_use(metrics.F1Score, HOT, SCORES)],
    metrics.FBetaScore: [metric_use(lambda: metrics.FBetaScore("weighted", 2.0, 0.4), HOT, SCORES)],
    metrics.FalseNegatives: [metric_use(lambda: metrics.FalseNegatives([0.2, 0.7]), HOT, SCORES)],
    metrics.FalsePositives: [metric_use(metrics.FalsePositives, HOT, SCORES)],
    metrics.Hinge: [metric_use(metrics.Hinge, HOT, SCORES)],
    metrics.IoU: [metric_use(lambda: metrics.IoU(4, [0, 2], dtype="float32", sparse_y_pred=False), CLASSES, SCORES)],
    metrics.KLDivergence: [metric_use(metrics.KLDivergence, HOT, SCORES)],
    metrics.LogCoshError: [metric_use(metrics.LogCoshError, HOT, SCORES)],
    metrics.MeanAbsolutePercentageError: [metric_use(metrics.MeanAbsolutePercentageError, SCORES[::-1], SCORES)],
    metrics.MeanIoU: [metric_use(lambda: metrics.MeanIoU(4, dtype="float32"), CLASSES, CLASSES[::-1])],
    metrics.MeanSquaredLogarithmicError: [metric_use(metrics.MeanSquaredLogarithmicError, HOT, SCORES)],
    metrics.OneHotIoU: [metric_use(lambda: metrics.OneHotIoU(4, [1], dtype="float32"), HOT, SCORES)],
    metrics.OneHotMeanIoU: [metric_use(lambda: metrics.OneHotMeanIoU(4, dtype="float32"), HOT, SCORES)],
    metrics.PearsonCorrelation: [metric_use(metrics.PearsonCorrelation, HOT, SCORES)],
    metrics.Poisson: [metric_use(metrics.Poisson, HOT, SCORES)],
    metrics.Precision: [metric_use(lambda: metrics.Precision(top_k=2), HOT, SCORES)],
    metrics.PrecisionAtRecall: [metric_use(lambda: metrics.PrecisionAtRecall(0.5, 11), HOT, SCORES)],
    metrics.R2Score: [metric_use(metrics.R2Score, HOT, SCORES)],
    metrics.Recall: [metric_use(lambda: metrics.Recall(class_id=1), HOT, SCORES)],
    metrics.RecallAtPrecision: [metric_use(lambda: metrics.RecallAtPrecision(0.3, 11), HOT, SCORES)],
    metrics.SensitivityAtSpecificity: [metric_use(lambda: metrics.SensitivityAtSpecificity(0.5, 11), HOT, SCORES)],
    metrics.SparseTopKCategoricalAccuracy: [
        metric_use(lambda: metrics.SparseTopKCategoricalAccuracy(2), CLASSES, SCORES)
    ],
    metrics.SpecificityAtSensitivity: [metric_use(lambda: metrics.SpecificityAtSensitivity(0.5, 11), HOT, SCORES)],
    metrics.SquaredHinge: [metric_use(metrics.SquaredHinge, HOT, SCORES)],
    metrics.TopKCategoricalAccuracy: [metric_use(lambda: metrics.TopKCategoricalAccuracy(2), HOT, SCORES)],
    metrics.TrueNegatives: [metric_use(metrics.TrueNegatives, HOT, SCORES)],
    metrics.TruePositives: [metric_use(metrics.TruePositives, HOT, SCORES)],
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
        cls: [optimizer_use(cls, weight_decay=0.1)]
        for cls in (
            optimizers.Adadelta,
            optimizers.Adafactor,
            optimizers.Adamax,
            optimizers.Ftrl,
            optimizers.Lamb,
            optimizers.Lion,
            optimizers.Nadam,
        )
    },
    optimizers.LossScaleOptimizer: [
        optimizer_use(lambda rate: optimizers.LossScaleOptimizer(optimizers.SGD(rate, momentum=0.9), 8.0, 2)),
    ],
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
    initializers.Identity: [lambda dtype: [initializers.Identity(2.0)((3, 4), dtype).numpy().copy()]],
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
            initializers.Orthogonal,
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
    "threshold": [function_use(lambda x: activations.threshold(x, 1.0, -2.0))],
    **{
        name: [function_use(getattr(activations, name))]
        for name in (
            "celu",
            "elu",
            "exponential",
            "gelu",
            "glu",
            "hard_shrink",
            "hard_sigmoid",
            "hard_silu",
            "hard_tanh",
            "heaviside",
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
            "soft_shrink",
            "softmax",
            "softplus",
            "softsign",
            "sparse_plus",
            "sparse_sigmoid",
            "sparsemax",
            "squareplus",
            "tanh",
            "tanh_shrink",
            "thresholded_linear",
        )
    },
}

CONSTRAINTS: dict[type, list[Use]] = {
    constraints.MaxNorm: [function_use(constraints.MaxNorm(3.0))],
    constraints.MinMaxNorm: [function_use(constraints.MinMaxNorm(5.0, 9.0, rate=0.7, axis=[0, 1]))],
    constraints.NonNeg: [function_use(constraints.NonNeg())],
    constraints.UnitNorm: [function_use(constraints.UnitNorm(axis=1))],
}

REGULARIZERS: dict[type, list[Use]] = {
    regularizers.L1: [function_use(regularizers.L1(0.1))],
    regularizers.L2: [function_use(regularizers.L2(0.1))],
    regularizers.L1L2: [function_use(regularizers.L1L2(0.1, 0.2))],
    regularizers.OrthogonalRegularizer: [
        function_use(regularizers.OrthogonalRegularizer(0.3)),
        function_use(regularizers.OrthogonalRegularizer(0.3, mode="columns")),
    ],
}

ROOMS = {
    "layers": LAYERS,
    "losses": LOSSES,
    "metrics": METRICS,
    "optimizers": OPTIMIZERS,
    "initializers": INITIALIZERS,
    "activations": ACTIVATIONS,
    "constraints": CONSTRAINTS,
    "regularizers": REGULARIZERS,
}
USES: dict[str, Use] = {
    f"{room}.{getattr(thing, '__name__', thing)}{f' {i}' if i else ''}": use
    for room, things in ROOMS.items()
    for thing, uses in things.items()
    for i, use in enumerate(uses)
}
