"""A layer of each class with an input it takes, by Keras's names: (arguments, shapes of the inputs).

A function makes arguments that hold layers; it is given the module of layers.
"""

from __future__ import annotations

IMAGE = [(6, 6, 3)]
SEQUENCE = [(5, 4)]
VECTOR = [(6,)]
PAIR = [(4, 3), (4, 3)]

CASES = {
    "Activation": ({"activation": "softmax"}, VECTOR),
    "ActivityRegularization": ({"l1": 0.1, "l2": 0.2}, VECTOR),
    "AdaptiveAveragePooling1D": ({"output_size": 2}, SEQUENCE),
    "AdaptiveAveragePooling2D": ({"output_size": (2, 3)}, IMAGE),
    "AdaptiveMaxPooling1D": ({"output_size": 2}, SEQUENCE),
    "AdaptiveMaxPooling2D": ({"output_size": (2, 3)}, IMAGE),
    "Add": ({}, PAIR),
    "AlphaDropout": ({"rate": 0.3, "seed": 3}, VECTOR),
    "Average": ({}, PAIR),
    "AveragePooling1D": ({"pool_size": 2}, SEQUENCE),
    "AveragePooling2D": ({"pool_size": (3, 2), "strides": 1}, IMAGE),
    "BatchNormalization": ({"axis": 1, "momentum": 0.8, "center": False}, IMAGE),
    "Bidirectional": (lambda layers: {"layer": layers.LSTM(3, return_sequences=True), "merge_mode": "sum"}, SEQUENCE),
    "CategoryEncoding": ({"num_tokens": 6, "output_mode": "multi_hot"}, "integers"),
    "CenterCrop": ({"height": 4, "width": 4}, IMAGE),
    "Concatenate": ({"axis": 1}, PAIR),
    "Conv1D": ({"filters": 2, "kernel_size": 3, "padding": "causal"}, SEQUENCE),
    "Conv1DTranspose": ({"filters": 2, "kernel_size": 3, "strides": 2}, SEQUENCE),
    "Conv2D": ({"filters": 6, "kernel_size": (3, 2), "strides": 2, "padding": "same", "groups": 3}, IMAGE),
    "Conv2DTranspose": ({"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    "Cropping1D": ({"cropping": (1, 2)}, SEQUENCE),
    "Cropping2D": ({"cropping": ((1, 2), (0, 1))}, IMAGE),
    "Dense": (
        {"units": 3, "activation": "relu", "kernel_regularizer": "l2", "kernel_initializer": "he_normal"},
        VECTOR,
    ),
    "DepthwiseConv1D": ({"kernel_size": 3, "depth_multiplier": 2}, SEQUENCE),
    "DepthwiseConv2D": ({"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, IMAGE),
    "Dot": ({"axes": 1}, PAIR),
    "Dropout": ({"rate": 0.3, "seed": 4}, VECTOR),
    "ELU": ({"alpha": 0.7}, VECTOR),
    "EinsumDense": ({"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d"}, SEQUENCE),
    "Embedding": ({"input_dim": 6, "output_dim": 3, "mask_zero": True}, "integers"),
    "Flatten": ({}, IMAGE),
    "GRU": ({"units": 3, "reset_after": True, "return_sequences": True}, SEQUENCE),
    "GaussianDropout": ({"rate": 0.3, "seed": 4}, VECTOR),
    "GaussianNoise": ({"stddev": 0.3, "seed": 4}, VECTOR),
    "GlobalAveragePooling1D": ({}, SEQUENCE),
    "GlobalAveragePooling2D": ({"keepdims": True}, IMAGE),
    "GlobalMaxPooling1D": ({}, SEQUENCE),
    "GlobalMaxPooling2D": ({}, IMAGE),
    "GroupNormalization": ({"groups": 3, "epsilon": 0.01}, IMAGE),
    "Identity": ({}, VECTOR),
    "LSTM": ({"units": 3, "recurrent_dropout": 0.1, "unit_forget_bias": True}, SEQUENCE),
    "LayerNormalization": ({"axis": (1, 2), "scale": False}, SEQUENCE),
    "LocalResponseNormalization": ({"depth_radius": 2}, IMAGE),
    "LeakyReLU": ({"negative_slope": 0.2}, VECTOR),
    "Masking": ({"mask_value": 0.5}, SEQUENCE),
    "MaxPooling1D": ({"pool_size": 2}, SEQUENCE),
    "MaxPooling2D": ({"pool_size": 2}, IMAGE),
    "Maximum": ({}, PAIR),
    "Minimum": ({}, PAIR),
    "Multiply": ({}, PAIR),
    "Normalization": ({"axis": -1, "mean": 3.0, "variance": 2.0}, VECTOR),
    "PReLU": ({"shared_axes": (1, 2), "alpha_initializer": "glorot_uniform"}, IMAGE),
    "Pipeline": (lambda layers: {"layers": [layers.Dense(4), layers.Dropout(0.3, seed=4)]}, VECTOR),
    "Permute": ({"dims": (2, 1)}, SEQUENCE),
    "RMSNormalization": ({"axis": -1}, VECTOR),
    "RNN": (lambda layers: {"cell": layers.SimpleRNNCell(3)}, SEQUENCE),
    "ReLU": ({"max_value": 6.0, "negative_slope": 0.1}, VECTOR),
    "RepeatVector": ({"n": 3}, VECTOR),
    "Rescaling": ({"scale": 0.5, "offset": 1.0}, VECTOR),
    "Reshape": ({"target_shape": (3, -1)}, VECTOR),
    "SeparableConv1D": ({"filters": 2, "kernel_size": 3}, SEQUENCE),
    "SeparableConv2D": ({"filters": 2, "kernel_size": 3}, IMAGE),
    "SimpleRNN": ({"units": 3}, SEQUENCE),
    "Softmax": ({"axis": 1}, SEQUENCE),
    "SpatialDropout1D": ({"rate": 0.3, "seed": 4}, SEQUENCE),
    "SpatialDropout2D": ({"rate": 0.3, "seed": 4}, IMAGE),
    "SpectralNormalization": (lambda layers: {"layer": layers.Dense(3)}, VECTOR),
    "StackedRNNCells": (lambda layers: {"cells": [layers.LSTMCell(3), layers.GRUCell(2)]}, "cell"),
    "Subtract": ({}, PAIR),
    "TimeDistributed": (lambda layers: {"layer": layers.Dense(2)}, SEQUENCE),
    "UnitNormalization": ({"axis": -1}, VECTOR),
    "UpSampling1D": ({"size": 2}, SEQUENCE),
    "UpSampling2D": ({"size": 2, "interpolation": "bilinear"}, IMAGE),
    "ZeroPadding1D": ({"padding": (1, 2)}, SEQUENCE),
    "ZeroPadding2D": ({"padding": ((1, 0), (0, 2))}, IMAGE),
}
for _cell in ("GRUCell", "LSTMCell", "SimpleRNNCell"):
    CASES[_cell] = {"units": 3}, "cell"
for _image_layer, _arguments in {
    "RandomBrightness": {"factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomCrop": {"height": 4, "width": 4},
    "RandomFlip": {"mode": "horizontal"},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "Resizing": {"height": 4, "width": 5},
}.items():
    CASES[_image_layer] = {**_arguments, **({} if _image_layer == "Resizing" else {"seed": 4})}, IMAGE
# Classes that are bases, that hold others' layers, or that no file holds by themselves.
WITHOUT_FILES = {"Input", "InputLayer", "InputSpec", "Layer", "SymbolicTensor", "Wrapper", "Lambda"}


def layer_of(layers, name):
    """The layer of a case, wrapped where it runs only within another one."""
    arguments, shapes = CASES[name]
    layer = getattr(layers, name)(**(arguments(layers) if callable(arguments) else arguments))
    return layers.RNN(layer) if shapes == "cell" else layer


def inputs_of(layers, name):
    """Symbolic inputs for a case."""
    shapes = CASES[name][1]
    if shapes == "integers":
        return [layers.Input((5,), dtype="int32")]
    return [layers.Input(shape) for shape in (SEQUENCE if shapes == "cell" else shapes)]


def arrays_of(rng, name):
    """Arrays for a case, three examples."""
    shapes = CASES[name][1]
    if shapes == "integers":
        return [rng.integers(0, 6, (3, 5)).astype("int32")]
    return [rng.random((3, *shape), dtype="float32") for shape in (SEQUENCE if shapes == "cell" else shapes)]
