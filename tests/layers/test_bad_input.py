"""Wrong arguments and inputs: which exception each raises, at which moment, and what it says.

Each case is a function of the package, so that it can be held against another one that has the same names.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import deepcore
from deepcore import layers


def _ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


class _Unknown:
    def __repr__(self):
        return "<unknown>"


# What is refused when the layer is made: (maker, exception, a part of the message).
CONSTRUCTION = [
    # Arguments of every layer
    (lambda k: k.layers.Dense(2, bogus=1), ValueError, "Dense does not know the argument 'bogus'"),
    (lambda k: k.layers.Conv2D(2, 3, kernal_initializer="ones"), ValueError, "Did you mean 'kernel_initializer'"),
    (lambda k: k.layers.Conv2D(2, 3, foo_initializer="ones"), ValueError, "not know the argument 'foo_initializer'"),
    (lambda k: k.layers.Add(axis=1), ValueError, "Add does not know the argument 'axis'"),
    (lambda k: k.layers.LSTM(2, weights=[]), ValueError, "LSTM does not know the argument 'weights'"),
    (lambda k: k.layers.Dense(2, name=3), ValueError, "got name=3"),
    (lambda k: k.layers.Dense(2, name="a/b"), ValueError, "got name='a/b'"),
    (lambda k: k.layers.Dense(2, trainable="yes"), ValueError, "trainable must be True or False; got trainable='yes'"),
    (lambda k: k.layers.Dense(2, trainable=None), ValueError, "got trainable=None"),
    (lambda k: k.layers.Dense(2, dtype=3), ValueError, "got dtype=3"),
    (lambda k: k.layers.Dense(2, dtype={"a": 1}), ValueError, "got dtype={'a': 1}"),
    (lambda k: k.layers.Dense(2, dtype="float31"), ValueError, "float31"),
    (lambda k: k.layers.Dense(2, activity_regularizer=3), ValueError, "known regularizer"),
    (lambda k: k.layers.Dense(), TypeError, "units"),
    # Identifiers
    (lambda k: k.layers.Dense(2, activation=3), ValueError, "the name of a known activation, its configuration, or"),
    (lambda k: k.layers.Dense(2, activation="rleu"), ValueError, "Did you mean 'relu'"),
    (lambda k: k.layers.Activation(_Unknown()), ValueError, "got <unknown>"),
    (lambda k: k.layers.Dense(2, kernel_initializer=3), ValueError, "known initializer, its configuration, or an inst"),
    (lambda k: k.layers.Dense(2, bias_initializer="zeroes"), ValueError, "Did you mean 'zeros'"),
    (lambda k: k.layers.Conv1D(2, 2, kernel_regularizer=(1, 2)), ValueError, "got (1, 2) (tuple)"),
    (lambda k: k.layers.Conv2D(2, 2, bias_constraint="max"), ValueError, "Unknown constraint 'max'"),
    (lambda k: k.layers.LSTM(2, recurrent_activation=1.5), ValueError, "got 1.5 (float)"),
    (lambda k: k.layers.GRUCell(2, recurrent_initializer=-1), ValueError, "got -1 (int)"),
    (lambda k: k.layers.Embedding(3, 2, embeddings_constraint=[]), ValueError, "got [] (list)"),
    (lambda k: k.layers.BatchNormalization(moving_mean_initializer=0), ValueError, "got 0 (int)"),
    # Counts
    (lambda k: k.layers.Dense(0), ValueError, "units must be a positive integer; got units=0"),
    (lambda k: k.layers.Dense(-3), ValueError, "got units=-3"),
    (lambda k: k.layers.Dense(2.5), ValueError, "got units=2.5"),
    (lambda k: k.layers.Dense("3"), ValueError, "got units='3'"),
    (lambda k: k.layers.Dense(None), ValueError, "got units=None"),
    (lambda k: k.layers.SimpleRNN(0), ValueError, "got units=0"),
    (lambda k: k.layers.GRU(-1), ValueError, "got units=-1"),
    (lambda k: k.layers.LSTMCell("a"), TypeError, "got units='a'"),
    (lambda k: k.layers.Embedding(0, 2), ValueError, "input_dim must be a positive integer; got input_dim=0"),
    (lambda k: k.layers.Embedding(3, -2), ValueError, "got output_dim=-2"),
    (lambda k: k.layers.Embedding(3, "2"), ValueError, "got output_dim='2'"),
    (lambda k: k.layers.Conv2D(0, 3), ValueError, "filters must be a positive integer; got filters=0"),
    (lambda k: k.layers.Conv1D("4", 3), TypeError, "got filters='4'"),
    (lambda k: k.layers.Conv2D(4, 3, groups=0), ValueError, "groups must be a positive integer; got groups=0"),
    (lambda k: k.layers.Conv2D(4, 3, groups="2"), TypeError, "got groups='2'"),
    (lambda k: k.layers.Conv2D(4, 3, groups=3), ValueError, "multiple of groups; got filters=4, groups=3"),
    (lambda k: k.layers.DepthwiseConv2D(3, depth_multiplier=0), ValueError, "got depth_multiplier=0"),
    (lambda k: k.layers.SeparableConv1D(4, 3, depth_multiplier="1"), TypeError, "got depth_multiplier='1'"),
    (lambda k: k.layers.RepeatVector(2.0), TypeError, "n must be an integer; got n=2.0"),
    (lambda k: k.layers.RepeatVector(0), ValueError, "n must be a positive integer; got n=0"),
    (lambda k: k.layers.GroupNormalization(0), ValueError, "groups"),
    (lambda k: k.layers.CategoryEncoding(), ValueError, "got num_tokens=None"),
    (lambda k: k.layers.CategoryEncoding(0), ValueError, "got num_tokens=0"),
    (lambda k: k.layers.CategoryEncoding("3"), TypeError, "got num_tokens='3'"),
    # Sizes
    (lambda k: k.layers.Conv2D(2, (3, 3, 3)), ValueError, "kernel_size must be an int or two ints; got kernel_size=(3"),
    (lambda k: k.layers.Conv2D(2, 0), ValueError, "kernel_size must be at least 1"),
    (lambda k: k.layers.Conv1D(2, (2, 2)), ValueError, "kernel_size must be an int; got kernel_size=(2, 2)"),
    (lambda k: k.layers.Conv1D(2, 2.5), ValueError, "got kernel_size=2.5"),
    (lambda k: k.layers.Conv2D(2, 3, strides=-1), ValueError, "strides must be at least 1"),
    (lambda k: k.layers.Conv2D(2, 3, strides=(1, 2, 3)), ValueError, "got strides=(1, 2, 3)"),
    (lambda k: k.layers.Conv2D(2, 3, dilation_rate="a"), ValueError, "got dilation_rate='a'"),
    (lambda k: k.layers.Conv2D(2, 3, strides=2, dilation_rate=2), ValueError, "cannot both be above 1"),
    (lambda k: k.layers.Conv2DTranspose(2, 3, strides=2, output_padding=2), ValueError, "must be less than strides"),
    (lambda k: k.layers.MaxPooling2D((2,)), ValueError, "pool_size must be an int or two ints; got pool_size=(2,)"),
    (lambda k: k.layers.AveragePooling1D(-1), ValueError, "pool_size must be at least 1"),
    (lambda k: k.layers.Cropping1D((1, 2, 3)), ValueError, "got cropping=(1, 2, 3)"),
    (lambda k: k.layers.Cropping2D(-1), ValueError, "cropping must not be negative"),
    (lambda k: k.layers.ZeroPadding2D(((1, 2), (3,))), ValueError, "each entry of padding must be"),
    (lambda k: k.layers.ZeroPadding1D("same"), ValueError, "got padding='same'"),
    (lambda k: k.layers.UpSampling2D((1, 2, 3)), ValueError, "got size=(1, 2, 3)"),
    (lambda k: k.layers.UpSampling1D("2"), TypeError, "size must be an integer; got size='2'"),
    (lambda k: k.layers.Permute((2, 3)), ValueError, "dims must hold each axis from 1 to 2 once; got dims=(2, 3)"),
    (lambda k: k.layers.Permute(2), TypeError, "dims must be a list or tuple"),
    (lambda k: k.layers.Permute("ab"), (ValueError, TypeError), "got dims='ab'"),
    (lambda k: k.layers.Reshape(4), TypeError, "target_shape must be a list or tuple of sizes"),
    (lambda k: k.layers.Reshape((-1, -1)), ValueError, "target_shape may have one -1"),
    (lambda k: k.layers.Dropout(0.5, noise_shape=(2, -1)), ValueError, "got noise_shape=(2, -1)"),
    # Numbers
    (lambda k: k.layers.Dropout(1.5), ValueError, "rate must be a number from 0 to 1; got rate=1.5"),
    (lambda k: k.layers.Dropout(-0.1), ValueError, "got rate=-0.1"),
    (lambda k: k.layers.Dropout("0.5"), TypeError, "rate must be a number from 0 to 1; got rate='0.5'"),
    (lambda k: k.layers.SpatialDropout1D(None), TypeError, "got rate=None"),
    (lambda k: k.layers.GaussianNoise(2), ValueError, "stddev must be a number from 0 to 1; got stddev=2"),
    (lambda k: k.layers.GaussianNoise([0.1]), TypeError, "got stddev=[0.1]"),
    (lambda k: k.layers.GaussianDropout(3), ValueError, "got rate=3"),
    (lambda k: k.layers.Dropout(0.5, seed="a"), ValueError, "A seed is a whole number"),
    (lambda k: k.layers.ReLU(max_value=-1), ValueError, "max_value must not be negative; got max_value=-1"),
    (lambda k: k.layers.ReLU(threshold=None), ValueError, "got threshold=None"),
    (lambda k: k.layers.ReLU(negative_slope="a"), TypeError, "negative_slope must be a number; got negative_slope='a'"),
    (lambda k: k.layers.LeakyReLU(None), ValueError, "negative_slope must not be negative; got None"),
    (lambda k: k.layers.BatchNormalization(momentum="a"), ValueError, "'a'"),
    (lambda k: k.layers.BatchNormalization(epsilon="a"), ValueError, "'a'"),
    (lambda k: k.layers.SpectralNormalization(k.layers.Dense(2), 0), ValueError, "got power_iterations=0"),
    (lambda k: k.layers.RandomRotation("a"), ValueError, "factor must be a number, or two, in [-1.0, 1.0]"),
    (lambda k: k.layers.RandomRotation(1.5), ValueError, "got factor=1.5"),
    (lambda k: k.layers.RandomRotation(("a", "b")), TypeError, "each of factor must be a number in [-1.0, 1.0]"),
    (lambda k: k.layers.RandomZoom(-1), ValueError, "height_factor must be a number, or two, in (-1.0, 1.0]"),
    (lambda k: k.layers.RandomZoom(0.1, (0.1, 0.2, 0.3)), ValueError, "got width_factor=(0.1, 0.2, 0.3)"),
    (lambda k: k.layers.RandomTranslation(0.1, None), ValueError, "got width_factor=None"),
    (lambda k: k.layers.RandomBrightness(0.1, value_range=3), ValueError, "value_range must be two numbers"),
    (lambda k: k.layers.RandomBrightness(2), ValueError, "got factor=2"),
    (lambda k: k.layers.Normalization(mean=1.0), ValueError, "given together; got mean=1.0 and variance=None"),
    (lambda k: k.layers.Normalization(mean=[1.0, 2.0], variance=[1.0]), ValueError, "got shapes (2,) and (1,)"),
    # Words
    (lambda k: k.layers.Conv2D(2, 3, padding="full"), ValueError, "Unknown padding 'full'. Known: same, valid"),
    (lambda k: k.layers.Conv2D(2, 3, padding="causal"), ValueError, "Unknown padding 'causal'"),
    (lambda k: k.layers.Conv2D(2, 3, data_format="NHWC"), ValueError, "Unknown data_format 'NHWC'"),
    (lambda k: k.layers.MaxPooling2D(data_format="first"), ValueError, "Unknown data_format 'first'"),
    (lambda k: k.layers.Flatten(data_format=3), ValueError, "Unknown data_format 3"),
    (lambda k: k.layers.RandomRotation(0.1, "mirror"), NotImplementedError, "fill_mode must be one of reflect, wrap"),
    (lambda k: k.layers.RandomZoom(0.1, interpolation="cubic"), NotImplementedError, "interpolation must be one of"),
    (lambda k: k.layers.CategoryEncoding(3, "two_hot"), ValueError, "output_mode must be 'count', 'one_hot' or"),
    (lambda k: k.layers.Bidirectional(k.layers.LSTM(2), "add"), ValueError, "merge_mode must be one of"),
    (lambda k: k.layers.LSTM(2, use_cudnn="no"), ValueError, "got use_cudnn='no'"),
    # Axes
    (lambda k: k.layers.LayerNormalization(axis="a"), TypeError, "axis must be an integer, or a list or tuple of them"),
    (lambda k: k.layers.LayerNormalization(axis=1.5), TypeError, "got axis=1.5"),
    (lambda k: k.layers.UnitNormalization(axis=None), TypeError, "got axis=None"),
    (lambda k: k.layers.Dot("a"), TypeError, "axes must be an int or two ints; got axes='a'"),
    (lambda k: k.layers.Dot((1, 2, 3)), ValueError, "got axes=(1, 2, 3)"),
    (lambda k: k.layers.Dot((1, "a")), ValueError, "got axes=(1, 'a')"),
    # Layers and cells within layers
    (lambda k: k.layers.Wrapper(3), ValueError, "layer must be a layer; got 3"),
    (lambda k: k.layers.TimeDistributed(k.layers.Dense), ValueError, "Make one of it: Dense(...)"),
    (lambda k: k.layers.Bidirectional(3), ValueError, "must be a layer; got 3"),
    (lambda k: k.layers.RNN(3), ValueError, "must have a method call(inputs, states); got 3"),
    (lambda k: k.layers.RNN(k.layers.Dense(2)), ValueError, "must have state_size"),
    (lambda k: k.layers.StackedRNNCells([3]), ValueError, "each cell must have a method call"),
    (lambda k: k.layers.Lambda(3), TypeError, "function must be a function; got 3"),
    # Inputs of models
    (lambda k: k.layers.InputLayer(), ValueError, "An input needs shape (without the batch axis) or batch_shape"),
    (lambda k: k.layers.Input((3, -1)), ValueError, "Input sizes must be positive, or None for any; got shape=(3, -1)"),
    (lambda k: k.layers.Input(3), ValueError, "An input's shape is a tuple"),
    (lambda k: k.layers.Input(1.5), ValueError, "An input's shape is a tuple"),
    (lambda k: k.layers.Input((1.5,)), ValueError, "got shape=(1.5,)"),
    (lambda k: k.layers.Input((3,), dtype="int33"), ValueError, "got dtype='int33'"),
    (lambda k: k.layers.InputLayer(input_tensor=3), ValueError, "input_tensor must be an Input; got 3"),
    # Configurations
    (lambda k: k.layers.Dense.from_config({"units": 2, "bogus": 1}), TypeError, "does not know the argument 'bogus'"),
    (lambda k: k.layers.Dense.from_config({"units": 0}), TypeError, "units must be a positive integer"),
]

# Refused here when the layer is made, by Keras on PyTorch in the first call.
CONSTRUCTION_FIRST = [
    (lambda k: k.layers.ELU("a"), TypeError, "alpha must be a number; got alpha='a'"),
    (lambda k: k.layers.PReLU(shared_axes=1.5), TypeError, "shared_axes must be an integer, or a list"),
    (lambda k: k.layers.Softmax(axis="a"), TypeError, "got axis='a'"),
    (lambda k: k.layers.Concatenate(axis="a"), TypeError, "axis must be an integer; got axis='a'"),
    (lambda k: k.layers.LayerNormalization(epsilon="a"), TypeError, "epsilon must be a number; got epsilon='a'"),
    (lambda k: k.layers.RMSNormalization(epsilon=()), TypeError, "epsilon must be a number; got epsilon=()"),
    (lambda k: k.layers.GroupNormalization(2, axis="a"), TypeError, "axis must be an integer; got axis='a'"),
    (lambda k: k.layers.GlobalMaxPooling2D(keepdims="a"), TypeError, "keepdims must be True or False"),
    (lambda k: k.layers.Rescaling("a"), ValueError, "scale must be a number, or an array of numbers; got scale='a'"),
    (lambda k: k.layers.Rescaling(1.0, None), ValueError, "got offset=None"),
    (lambda k: k.layers.Masking("a"), ValueError, "mask_value must be a number"),
    (lambda k: k.layers.Normalization(mean="a", variance="b"), ValueError, "mean must be a number, or an array"),
    (lambda k: k.layers.Resizing("4", 4), TypeError, "height must be a positive integer; got height='4'"),
    (lambda k: k.layers.CenterCrop(4, None), TypeError, "width must be a positive integer; got width=None"),
    (lambda k: k.layers.UpSampling2D(interpolation="cubic"), ValueError, "Unknown interpolation 'cubic'"),
    (lambda k: k.layers.MaxPooling1D(2, strides=0), ValueError, "strides must be at least 1"),
    (lambda k: k.layers.LSTM(2.5), ValueError, "got units=2.5"),
    (lambda k: k.layers.Reshape(("a",)), ValueError, "target_shape takes whole numbers, and None; got ('a',)"),
]

# What is refused when the layer is built: (maker, shape, exception, a part of the message).
BUILD = [
    (lambda k: k.layers.Dense(2), (None, None), ValueError, "size of the input's last axis must be a positive integer"),
    (lambda k: k.layers.Conv2D(4, 3, groups=2), (None, 8, 8, 3), ValueError, "the 3 input channels must be a multiple"),
    (lambda k: k.layers.Conv2D(4, 9), (None, 8, 8, 3), ValueError, "the window (9, 9) is larger than the input (8, 8)"),
    (lambda k: k.layers.BatchNormalization(), (None, None), ValueError, "size of axis -1 must be a positive integer"),
    (lambda k: k.layers.BatchNormalization(axis=5), (None, 4), (ValueError, IndexError), "axis 5 is out of bounds"),
    (lambda k: k.layers.GroupNormalization(3), (None, 4), ValueError, "4 channels cannot be cut into groups=3"),
    (lambda k: k.layers.Normalization(axis=3), (None, 4), ValueError, "axis=(3,) must be axes of inputs of shape"),
    (lambda k: k.layers.Normalization(), (None, None), ValueError, "the sizes of axis=(-1,) must be known"),
    (lambda k: k.layers.Add(), (None, 4), ValueError, "expected a list of inputs, as Add()([a, b])"),
    (lambda k: k.layers.Add(), [(2, 4), (3, 4)], ValueError, "expected inputs of one batch size"),
    (lambda k: k.layers.Subtract(), [(None, 4)] * 3, ValueError, "expected exactly 2 inputs; got 3"),
    (lambda k: k.layers.Multiply(), [(None, 4), (None, 5)], ValueError, "expected inputs whose shapes broadcast"),
    (lambda k: k.layers.Concatenate(), [(None, 6, 4), (None, 5, 4)], ValueError, "agree on all axes but -1"),
    (lambda k: k.layers.Dot(1), [(None, 4), (None, 5)], ValueError, "expected axes of one size"),
    (lambda k: k.layers.EinsumDense("ab->a", 3), (None, 4), ValueError, "must have the form 'x,y->z'"),
    (lambda k: k.layers.EinsumDense("ab,bc->ac", 3), (None, None), ValueError, "the kernel's sizes must be known"),
    (lambda k: k.layers.PReLU(), (None, None), ValueError, "the sizes of (None, None) must be known"),
    (lambda k: k.layers.TimeDistributed(k.layers.Dense(2)), (None, 4), ValueError, "of rank 3 or more; got shape"),
    (lambda k: k.layers.TimeDistributed(k.layers.Dense(2)), 3, ValueError, "of rank 3 or more; got shape 3"),
    (lambda k: k.layers.LSTM(2, stateful=True), (None, 3, 4), ValueError, "must know the batch size"),
    (lambda k: k.layers.SpectralNormalization(k.layers.ReLU()), (None, 4), (ValueError, AttributeError), "neither a k"),
]

# What is refused in a call: (maker, use of the layer, exception, a part of the message).
CALL = [
    # Ranks and sizes
    (lambda k: k.layers.Dense(2), lambda y: y(_ones(4)), ValueError, "expected an input of rank 2 or more, got shape"),
    (lambda k: k.layers.Conv2D(2, 3), lambda y: y(_ones(8, 8, 3)), ValueError, "rank 4, got shape (8, 8, 3) of rank 3"),
    (lambda k: k.layers.Conv1D(2, 3), lambda y: y(_ones(1, 8, 8, 3)), ValueError, "expected an input of rank 3"),
    (lambda k: k.layers.MaxPooling2D(), lambda y: y(_ones(8, 8)), ValueError, "expected an input of rank 4"),
    (lambda k: k.layers.GlobalMaxPooling1D(), lambda y: y(_ones(8, 8)), ValueError, "expected an input of rank 3"),
    (lambda k: k.layers.LSTM(2), lambda y: y(_ones(2, 3)), ValueError, "expected an input of rank 3"),
    (lambda k: k.layers.RepeatVector(2), lambda y: y(_ones(2, 3, 4)), ValueError, "expected an input of rank 2"),
    (lambda k: k.layers.Permute((2, 1)), lambda y: y(_ones(2, 3)), ValueError, "expected an input of rank 3"),
    (lambda k: k.layers.Cropping2D(), lambda y: y(_ones(2, 3, 4)), ValueError, "expected an input of rank 4"),
    (lambda k: k.layers.SpatialDropout1D(0.5), lambda y: y(_ones(2, 3)), ValueError, "expected an input of rank 3"),
    (lambda k: k.layers.Cropping1D(3), lambda y: y(_ones(2, 4, 1)), ValueError, "leaves nothing of an input of (4,)"),
    (lambda k: k.layers.Reshape((3, 3)), lambda y: y(_ones(2, 4)), ValueError, "has 4 elements, which do not fill"),
    (lambda k: k.layers.Embedding(3, 2), lambda y: y(np.array([3])), (ValueError, IndexError), "from 0 to 2"),
    (lambda k: k.layers.Add(), lambda y: y(_ones(2, 3)), ValueError, "expected a list of inputs, as Add()([a, b])"),
    (lambda k: k.layers.Add(), lambda y: y({"a": _ones(2, 3)}), (ValueError, KeyError), "expected a list of inputs"),
    (lambda k: k.layers.Subtract(), lambda y: y([_ones(2, 3)]), ValueError, "expected exactly 2 inputs; got 1"),
    (lambda k: k.layers.Dot(1), lambda y: y([_ones(2, 3), _ones(2, 4)]), ValueError, "expected axes of one size"),
    (lambda k: k.layers.Concatenate(), lambda y: y([_ones(2, 3), _ones(3, 3)]), ValueError, "agree on all axes but -1"),
    # Another size than the one that the weights were made for
    (lambda k: k.layers.Dense(2), lambda y: (y(_ones(2, 4)), y(_ones(2, 5))), ValueError, "expected size 4 on axis -1"),
    (
        lambda k: k.layers.Conv2D(2, 3),
        lambda y: (y(_ones(1, 4, 4, 3)), y(_ones(1, 4, 4, 2))),
        ValueError,
        "expected size 3 on axis -1 of its input, got 2 (shape (1, 4, 4, 2))",
    ),
    (
        lambda k: k.layers.BatchNormalization(),
        lambda y: (y(_ones(2, 4)), y(_ones(2, 5))),
        ValueError,
        "expected size 4 on axis -1",
    ),
    # Inputs that are no tensor, or several
    (lambda k: k.layers.Dense(2), lambda y: y(), TypeError, "missing"),
    (lambda k: k.layers.Add(), lambda y: y(), TypeError, "missing"),
    (lambda k: k.layers.Dense(2), lambda y: y("hello"), ValueError, "A tensor holds numbers; got str 'hello'"),
    (lambda k: k.layers.Dense(2), lambda y: y(_Unknown()), ValueError, "A tensor holds numbers; got _Unknown"),
    (lambda k: k.layers.ReLU(), lambda y: y(np.array(["a"])), ValueError, "A tensor holds numbers"),
    (lambda k: k.layers.LSTM(2), lambda y: y([[1.0, 2.0], [3.0]]), ValueError, "rows of equal length"),
    (lambda k: k.layers.ReLU(), lambda y: y(None), ValueError, "expected one tensor as its input; got NoneType"),
    (lambda k: k.layers.Dense(2), lambda y: (y(_ones(2, 4)), y(None)), ValueError, "expected one tensor as its input"),
    (lambda k: k.layers.Flatten(), lambda y: y([_ones(2, 3)] * 2), ValueError, "expected one tensor as its input; got"),
    (lambda k: k.layers.Conv2D(2, 3), lambda y: y([_ones(1, 4, 4, 3)] * 2), (ValueError, TypeError), "expected one te"),
    (
        lambda k: k.layers.Dense(2),
        lambda y: (y(_ones(2, 4)), y({"a": _ones(2, 4), "b": _ones(2, 4)})),
        ValueError,
        "expected one tensor as its input; got {'a': (2, 4), 'b': (2, 4)}",
    ),
    # Further arguments
    (lambda k: k.layers.Dropout(0.5), lambda y: y(_ones(2, 3), True), ValueError, "only tensors are given by position"),
    (lambda k: k.layers.Dense(2), lambda y: y(_ones(2, 3), 1, 2), ValueError, "give 1 by its name"),
    (lambda k: k.layers.Dense(2), lambda y: y(_ones(2, 3), bogus=1), TypeError, "bogus"),
    (
        lambda k: k.layers.Softmax(),
        lambda y: y(_ones(2, 3), mask=np.ones((4,), bool)),
        (ValueError, RuntimeError),
        "mask must broadcast to the inputs of shape (2, 3)",
    ),
    (
        lambda k: k.layers.CategoryEncoding(3),
        lambda y: y(np.array([1]), count_weights=[1.0]),
        ValueError,
        "count_weights are for output_mode='count'",
    ),
]

# What is refused by the other rooms that layers take their arguments from.
ROOMS = [
    (lambda k: k.activations.get(3), ValueError, "known activation, its configuration, or a function; got 3 (int)"),
    (lambda k: k.activations.get("rleu"), ValueError, "Did you mean 'relu'"),
    (lambda k: k.initializers.get(3), ValueError, "an instance of Initializer; got 3 (int)"),
    (lambda k: k.regularizers.get(1.5), ValueError, "an instance of Regularizer; got 1.5 (float)"),
    (lambda k: k.constraints.get([]), ValueError, "an instance of Constraint; got [] (list)"),
    (lambda k: k.losses.get(3), ValueError, "an instance of Loss; got 3 (int)"),
    (lambda k: k.metrics.get(3), ValueError, "an instance of Metric; got 3 (int)"),
    (lambda k: k.optimizers.get(3), ValueError, "an instance of Optimizer; got 3 (int)"),
    (lambda k: k.initializers.VarianceScaling(scale=0), ValueError, "scale must be positive"),
    (lambda k: k.initializers.VarianceScaling(scale="a"), TypeError, "scale must be a number; got scale='a'"),
    (lambda k: k.initializers.VarianceScaling(mode="fan"), ValueError, "mode must be one of fan_in, fan_out, fan_avg"),
    (lambda k: k.initializers.VarianceScaling(distribution="beta"), ValueError, "distribution must be one of"),
    (lambda k: k.initializers.Identity()((2, 2, 2)), ValueError, "Identity makes matrices only"),
    (lambda k: k.initializers.Orthogonal()((3,)), ValueError, "(3,)"),
    (lambda k: k.initializers.RandomNormal("a")((2,)), TypeError, "mean must be a number; got mean='a'"),
    (lambda k: k.initializers.TruncatedNormal(0, None)((2,)), TypeError, "stddev must be a number; got stddev=None"),
    (lambda k: k.initializers.Orthogonal("a")((2, 2)), TypeError, "gain must be a number; got gain='a'"),
    (lambda k: k.initializers.Constant({})((2,)), ValueError, "value must be a number, or an array of numbers; got"),
    (lambda k: k.regularizers.L1(-1), ValueError, "-1"),
    (lambda k: k.regularizers.L2("a"), ValueError, "'a'"),
    (lambda k: k.regularizers.OrthogonalRegularizer(mode="both"), ValueError, "mode must be 'rows' or 'columns'"),
    (lambda k: k.losses.MeanSquaredError(reduction="total"), ValueError, "Unknown reduction 'total'"),
    (lambda k: k.losses.MeanSquaredError(dtype=3), ValueError, "got dtype=3"),
    (lambda k: k.losses.MeanSquaredError(bogus=1), TypeError, "bogus"),
    (lambda k: k.losses.MeanSquaredError()(_ones(2, 3), "abc"), ValueError, "A tensor holds numbers"),
    (lambda k: k.metrics.Mean(dtype="float31"), ValueError, "got dtype='float31'"),
    (lambda k: k.metrics.Mean(bogus=1), TypeError, "bogus"),
    (lambda k: k.metrics.IoU("3", [0]), ValueError, "num_classes must be a positive integer; got '3'"),
    (lambda k: k.metrics.IoU(2, [2]), ValueError, "target_class_ids must be from 0 to 1"),
    (lambda k: k.metrics.Precision(thresholds=1.5), ValueError, "thresholds must be from 0 to 1"),
    (lambda k: k.metrics.AUC(curve="x"), ValueError, "x"),
    (lambda k: k.ops.convert_to_tensor("abc"), ValueError, "A tensor holds numbers"),
]


def _named(cases):
    return [pytest.param(*case, id=f"{i} {case[-1][:40]}") for i, case in enumerate(cases)]


def _says(fragment):
    return re.escape(fragment)


@pytest.mark.parametrize(("make", "error", "fragment"), _named(CONSTRUCTION + CONSTRUCTION_FIRST + ROOMS))
def test_what_is_refused_when_it_is_made(make, error, fragment):
    with pytest.raises(error, match=_says(fragment)):
        make(deepcore)


@pytest.mark.parametrize(("make", "shape", "error", "fragment"), _named(BUILD))
def test_what_is_refused_when_it_is_built(make, shape, error, fragment):
    layer = make(deepcore)
    with pytest.raises(error, match=_says(fragment)) as caught:
        layer.build(shape)
    assert f"Layer {layer.name!r}" in str(caught.value)
    assert not layer.built


@pytest.mark.parametrize(("make", "use", "error", "fragment"), _named(CALL))
def test_what_is_refused_in_a_call(make, use, error, fragment, device):
    layer = make(deepcore)
    with pytest.raises(error, match=_says(fragment)) as caught:
        use(layer)
    assert f"Layer {layer.name!r}" in str(caught.value)


def test_a_refused_call_leaves_the_layer_as_it_was():
    layer = layers.Dense(2)
    with pytest.raises(ValueError):
        layer(_ones(4))
    assert not layer.built
    layer(_ones(2, 4))
    before = layer.get_weights()
    with pytest.raises(ValueError):
        layer(_ones(2, 5))
    assert len(layer.weights) == 2
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_weights_have_known_sizes():
    layer = layers.Layer()
    for shape in (3, (2, None), (2, -1), (2, 1.5)):
        with pytest.raises(ValueError, match="a weight's shape is a tuple of known sizes"):
            layer.add_weight(shape)
    assert not layer.weights
