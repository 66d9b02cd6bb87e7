"""Layers by Keras's names: what they are called, their arguments and their defaults."""

from __future__ import annotations

from typing import Any

from deepcore.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from deepcore.layers.augmentation import (
    CenterCrop,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Resizing,
)
from deepcore.layers.batch_normalization import BatchNormalization
from deepcore.layers.conv import Conv2D, Conv2DTranspose, DepthwiseConv2D
from deepcore.layers.core import ActivityRegularization, Lambda, Masking
from deepcore.layers.dense import Dense
from deepcore.layers.einsum_dense import EinsumDense
from deepcore.layers.embedding import Embedding
from deepcore.layers.input import Input, InputLayer
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.layers.normalization import (
    GroupNormalization,
    LayerNormalization,
    LocalResponseNormalization,
    RMSNormalization,
    UnitNormalization,
)
from deepcore.layers.pooling import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from deepcore.layers.preprocessing import CategoryEncoding, Normalization, Rescaling
from deepcore.layers.recurrent.bidirectional import Bidirectional
from deepcore.layers.recurrent.gru import GRU, GRUCell
from deepcore.layers.recurrent.lstm import LSTM, LSTMCell
from deepcore.layers.recurrent.rnn import RNN
from deepcore.layers.recurrent.simple_rnn import SimpleRNN, SimpleRNNCell
from deepcore.layers.recurrent.stacked import StackedRNNCells
from deepcore.layers.recurrent.time_distributed import TimeDistributed
from deepcore.layers.regularization import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from deepcore.layers.reshaping import Flatten, Reshape
from deepcore.layers.spectral_normalization import SpectralNormalization
from deepcore.layers.wrapper import Wrapper
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
    ActivityRegularization,
    AlphaDropout,
    AveragePooling2D,
    BatchNormalization,
    Bidirectional,
    CategoryEncoding,
    CenterCrop,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    ELU,
    EinsumDense,
    Embedding,
    Flatten,
    GRU,
    GRUCell,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    InputLayer,
    LSTM,
    LSTMCell,
    Lambda,
    LayerNormalization,
    LeakyReLU,
    LocalResponseNormalization,
    Masking,
    MaxPooling2D,
    Normalization,
    PReLU,
    RMSNormalization,
    RNN,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    ReLU,
    Rescaling,
    Reshape,
    Resizing,
    SimpleRNN,
    SimpleRNNCell,
    Softmax,
    SpatialDropout1D,
    SpatialDropout2D,
    SpectralNormalization,
    StackedRNNCells,
    TimeDistributed,
    UnitNormalization,
    Wrapper,
):
    registry.register()(_layer)


def serialize(layer: Layer) -> Any:
    """The configuration of a layer: its class and its arguments, without its weights."""
    return registry.serialize(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Layer:
    """A new layer of a configuration."""
    return registry.deserialize(config, custom_objects)


__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Input",
    "InputLayer",
    "InputSpec",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LocalResponseNormalization",
    "Masking",
    "MaxPool2D",
    "MaxPooling2D",
    "Normalization",
    "PReLU",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpectralNormalization",
    "StackedRNNCells",
    "SymbolicTensor",
    "TimeDistributed",
    "UnitNormalization",
    "Wrapper",
    "deserialize",
    "serialize",
]
