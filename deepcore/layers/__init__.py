"""Layers by Keras's names: what they are called, their arguments and their defaults."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
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
from deepcore.layers.conv import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose
from deepcore.layers.core import ActivityRegularization, Lambda, Masking
from deepcore.layers.dense import Dense
from deepcore.layers.depthwise import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from deepcore.layers.einsum_dense import EinsumDense
from deepcore.layers.embedding import Embedding
from deepcore.layers.input import Input, InputLayer
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from deepcore.layers.normalization import (
    GroupNormalization,
    LayerNormalization,
    LocalResponseNormalization,
    RMSNormalization,
    UnitNormalization,
)
from deepcore.layers.pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
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
from deepcore.layers.reshaping import Flatten, Identity, Permute, RepeatVector, Reshape
from deepcore.layers.resizing import (
    Cropping1D,
    Cropping2D,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from deepcore.layers.spectral_normalization import SpectralNormalization
from deepcore.layers.wrapper import Wrapper
from deepcore.registry import Registry
from deepcore.symbolic import SymbolicTensor

registry = Registry("layer", "deepcore.layers", base=Layer)
for _entry in list(vars().values()):
    if isinstance(_entry, type) and issubclass(_entry, Layer) and _entry is not Layer:
        registry.register()(_entry)

Convolution1D, Convolution2D = Conv1D, Conv2D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D = MaxPooling1D, MaxPooling2D
AvgPool1D, AvgPool2D = AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D


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
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
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
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "SymbolicTensor",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

explain_missing(__name__)
