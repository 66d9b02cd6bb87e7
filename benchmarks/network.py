"""Whole networks as data, and what builds them with any library that has Keras's names.

A network is a tuple of small records. ``build`` makes a model of it with deepcore or with Keras; a library with names
of its own has a builder beside its other code in ``peer/``. Weights travel by the names that all builders give alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from deepcore.errors import unknown_name

Weights = dict[str, list[np.ndarray]]
BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Conv:
    """``padding``: "same", "valid", or zeros on every side, which Keras's names put into a layer of their own."""

    filters: int
    kernel: int
    strides: int = 1
    padding: str | int = "same"
    activation: str = "relu"
    use_bias: bool = True


@dataclass(frozen=True)
class Depthwise:
    """A convolution of each channel by itself, without bias or activation, padded as "same"."""

    kernel: int
    strides: int = 1


@dataclass(frozen=True)
class BatchNorm:
    activation: str = "linear"


@dataclass(frozen=True)
class MaxPool:
    window: int
    strides: int | None = None
    padding: int = 0


@dataclass(frozen=True)
class GlobalAverage:
    pass


@dataclass(frozen=True)
class Flatten:
    pass


@dataclass(frozen=True)
class Dense:
    units: int
    activation: str = "linear"


@dataclass(frozen=True)
class Dropout:
    rate: float


@dataclass(frozen=True)
class Residual:
    """relu(body(x) + shortcut(x)); an empty shortcut is x itself."""

    body: tuple[Node, ...]
    shortcut: tuple[Node, ...] = ()


Node: TypeAlias = "Conv | Depthwise | BatchNorm | MaxPool | GlobalAverage | Flatten | Dense | Dropout | Residual"


@dataclass(frozen=True)
class Optimizer:
    """``name`` is "sgd", "rmsprop" or "adam"; the numbers are Keras's defaults."""

    name: str
    learning_rate: float = 1e-3
    momentum: float = 0.0
    epsilon: float = 1e-7


@dataclass(frozen=True)
class Network:
    """A classifier whose last layer gives logits.

    Attributes:
        name: what the command line calls it.
        title: where it comes from.
        input_shape: of one sample.
        layers: in the order in which data flows.
        optimizer: that trains it.
    """

    name: str
    title: str
    input_shape: tuple[int, ...]
    layers: tuple[Node, ...]
    optimizer: Optimizer

    @property
    def classes(self) -> int:
        last = self.layers[-1]
        assert isinstance(last, Dense)
        return last.units

    def for_the_gate(self) -> Network:
        """Without dropout, and with an epsilon so small that it does not matter where an optimizer adds it."""
        kept = tuple(node for node in self.layers if not isinstance(node, Dropout))
        return replace(self, layers=kept, optimizer=replace(self.optimizer, epsilon=1e-14))

    def data(self, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Random samples, standard normal float32, and labels, int32."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((samples, *self.input_shape), np.float32)
        return x, rng.integers(0, self.classes, samples, np.int32)


MLP = Network(
    "mlp",
    "784-512-10, dropout 0.2",
    (784,),
    (Dense(512, "relu"), Dropout(0.2), Dense(10)),
    Optimizer("rmsprop"),
)

LENET5 = Network(
    "lenet5",
    "LeNet-5 with ReLU and maxima (LeCun et al. 1998)",
    (28, 28, 1),
    (
        Conv(6, 5),
        MaxPool(2),
        Conv(16, 5, padding="valid"),
        MaxPool(2),
        Flatten(),
        Dense(120, "relu"),
        Dense(84, "relu"),
        Dense(10),
    ),
    Optimizer("adam"),
)

MNIST_CNN = Network(
    "mnist_cnn",
    "Keras's example mnist_cnn",
    (28, 28, 1),
    (
        Conv(32, 3, padding="valid"),
        Conv(64, 3, padding="valid"),
        MaxPool(2),
        Dropout(0.25),
        Flatten(),
        Dense(128, "relu"),
        Dropout(0.5),
        Dense(10),
    ),
    Optimizer("adam"),
)


def _stage(filters: int, count: int) -> tuple[Node, ...]:
    return *(Conv(filters, 3) for _ in range(count)), MaxPool(2)


VGG16 = Network(
    "vgg16",
    "VGG16 (Simonyan & Zisserman 2014)",
    (224, 224, 3),
    (
        *_stage(64, 2),
        *_stage(128, 2),
        *_stage(256, 3),
        *_stage(512, 3),
        *_stage(512, 3),
        Flatten(),
        Dense(4096, "relu"),
        Dropout(0.5),
        Dense(4096, "relu"),
        Dropout(0.5),
        Dense(1000),
    ),
    Optimizer("sgd", 1e-2, momentum=0.9),
)


def _conv_norm(
    filters: int, kernel: int, strides: int = 1, padding: str | int = 0, activation: str = "relu"
) -> tuple[Node, ...]:
    return Conv(filters, kernel, strides, padding, "linear", use_bias=False), BatchNorm(activation)


def _bottleneck(width: int, strides: int, projects: bool) -> Residual:
    return Residual(
        (
            *_conv_norm(width, 1),
            *_conv_norm(width, 3, strides, "same" if strides == 1 else 1),
            *_conv_norm(4 * width, 1, activation="linear"),
        ),
        _conv_norm(4 * width, 1, strides, activation="linear") if projects else (),
    )


RESNET50 = Network(
    "resnet50",
    "ResNet-50 version 1.5 (He et al. 2015)",
    (224, 224, 3),
    (
        *_conv_norm(64, 7, 2, 3),
        MaxPool(3, 2, padding=1),
        *(
            _bottleneck(width, strides if block == 0 else 1, block == 0)
            for width, blocks, strides in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
            for block in range(blocks)
        ),
        GlobalAverage(),
        Dense(1000),
    ),
    Optimizer("sgd", 1e-2, momentum=0.9),
)

MOBILENET = Network(
    "mobilenet",
    "MobileNet (Howard et al. 2017), width 1",
    (224, 224, 3),
    (
        *_conv_norm(32, 3, 2, "same"),
        *(
            node
            for filters, strides in (
                *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
                *[(512, 1)] * 5,
                *((1024, 2), (1024, 1)),
            )
            for node in (Depthwise(3, strides), BatchNorm("relu"), *_conv_norm(filters, 1))
        ),
        GlobalAverage(),
        Dense(1000),
    ),
    Optimizer("sgd", 1e-2, momentum=0.9),
)

TRAINED = {network.name: network for network in (MLP, LENET5, MNIST_CNN)}
PREDICTED = {network.name: network for network in (VGG16, RESNET50, MOBILENET)}
NETWORKS = TRAINED | PREDICTED


def find_networks(names: Sequence[str], default: dict[str, Network]) -> list[Network]:
    """The networks called ``names``, or the ``default`` ones. Raises ``ValueError`` naming the nearest."""
    for name in names:
        if name not in NETWORKS:
            raise unknown_name("network", name, NETWORKS)
    return [NETWORKS[name] for name in dict.fromkeys(names)] or list(default.values())


def namer() -> Iterator[str]:
    """The names of layers with weights, in the order in which a builder comes to them."""
    return (f"weights_{number}" for number in itertools.count())


# --- Keras's names ---------------------------------------------------------------------------------------------------


def build(network: Network, library: Any, dtype: str = "float32") -> Any:
    """A model with random weights, not compiled. ``library`` is the module ``deepcore`` or ``keras``."""
    names = namer()
    inputs = library.Input(network.input_shape, dtype=dtype)
    if not any(isinstance(node, Residual) for node in network.layers):
        made = [layer for node in network.layers for layer in _layers(node, library.layers, names, dtype)]
        return library.Sequential([inputs, *made])
    return library.Model(inputs, _flow(network.layers, inputs, library.layers, names, dtype))


def _flow(nodes: Sequence[Node], x: Any, layers: Any, names: Iterator[str], dtype: str) -> Any:
    for node in nodes:
        if isinstance(node, Residual):
            body = _flow(node.body, x, layers, names, dtype)
            x = layers.Add(dtype=dtype)([body, _flow(node.shortcut, x, layers, names, dtype)])
            x = layers.Activation("relu", dtype=dtype)(x)
        else:
            for layer in _layers(node, layers, names, dtype):
                x = layer(x)
    return x


def _layers(node: Node, layers: Any, names: Iterator[str], dtype: str) -> list[Any]:
    """The layers of one record; those with weights are named."""
    if isinstance(node, Conv):
        explicit = isinstance(node.padding, int)
        pad = [layers.ZeroPadding2D(node.padding, dtype=dtype)] if explicit and node.padding else []
        conv = layers.Conv2D(
            node.filters,
            node.kernel,
            strides=node.strides,
            padding="valid" if explicit else node.padding,
            activation=None if node.activation == "linear" else node.activation,
            use_bias=node.use_bias,
            name=next(names),
            dtype=dtype,
        )
        return [*pad, conv]
    if isinstance(node, Depthwise):
        options = {"strides": node.strides, "padding": "same", "use_bias": False}
        return [layers.DepthwiseConv2D(node.kernel, **options, name=next(names), dtype=dtype)]
    if isinstance(node, BatchNorm):
        norm = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=next(names), dtype=dtype)
        return [norm, *([] if node.activation == "linear" else [layers.Activation(node.activation, dtype=dtype)])]
    if isinstance(node, MaxPool):
        pad = [layers.ZeroPadding2D(node.padding, dtype=dtype)] if node.padding else []
        return [*pad, layers.MaxPooling2D(node.window, strides=node.strides, dtype=dtype)]
    if isinstance(node, GlobalAverage):
        return [layers.GlobalAveragePooling2D(dtype=dtype)]
    if isinstance(node, Flatten):
        return [layers.Flatten(dtype=dtype)]
    if isinstance(node, Dropout):
        return [layers.Dropout(node.rate, dtype=dtype)]
    assert isinstance(node, Dense)
    activation = None if node.activation == "linear" else node.activation
    return [layers.Dense(node.units, activation=activation, name=next(names), dtype=dtype)]


def weights_of(model: Any, seed: int = 0) -> Weights:
    """Weights for every layer of a model that has some, by name: random, of a scale that keeps activations near 1.

    Statistics of batch normalisation are random as well, so that a network that forgot them would show.
    """
    rng = np.random.default_rng(seed)
    found: Weights = {}
    for layer in model.layers:
        shapes = [weight.shape for weight in layer.get_weights()]
        if not shapes:
            continue
        if len(shapes) == 4:  # gamma, beta, mean, variance
            lows, highs = (0.5, -0.1, -0.1, 0.5), (1.0, 0.1, 0.1, 1.5)
            parts = [rng.uniform(low, high, shape) for low, high, shape in zip(lows, highs, shapes, strict=True)]
        else:
            kernel = shapes[0]
            fan_in = np.prod(kernel[:-1]) if "Depthwise" not in type(layer).__name__ else np.prod(kernel[:2])
            scale = np.float32(np.sqrt(2 / fan_in))
            parts = [rng.standard_normal(kernel, np.float32) * scale, *(rng.uniform(-0.1, 0.1, s) for s in shapes[1:])]
        found[layer.name] = [part.astype(np.float32, copy=False) for part in parts]
    return found


def set_weights(model: Any, weights: Weights) -> None:
    """Gives a model of Keras's names the ``weights`` of another."""
    for layer in model.layers:
        if layer.name in weights:
            layer.set_weights(weights[layer.name])
