"""Layers by Keras's names: what they are called, their arguments and their defaults."""

from __future__ import annotations

from typing import Any

from deepcore.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from deepcore.layers.conv import Conv2D, Conv2DTranspose, DepthwiseConv2D
from deepcore.layers.dense import Dense
from deepcore.layers.input import Input, InputLayer
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.layers.normalization import BatchNormalization, LayerNormalization
from deepcore.layers.pooling import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from deepcore.layers.regularization import Dropout
from deepcore.layers.reshaping import Flatten, Reshape
from deepcore.registry import Registry
from deepcore.symbolic import SymbolicTensor

Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D

registry = Registry("layer", "deepcore.layers", base=Layer)
for _layer in (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    InputLayer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Reshape,
    Softmax,
):
    registry.register()(_layer)


def serialize(layer: Layer) -> Any:
    """The configuration of a layer: its class and its arguments, without its weights."""
    return registry.serialize(layer)


def deserialize(config: Any) -> Layer:
    """A new layer of a configuration."""
    return registry.deserialize(config)


__all__ = [
    "Activation",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "ReLU",
    "Reshape",
    "Softmax",
    "SymbolicTensor",
    "deserialize",
    "serialize",
]
