"""What deepcore aims at beside PyTorch on a CPU: the ratio for each kind of layers and for whole networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deepcore.benchmarks.suite import Conv, Layer, Pool

FLOOR = 0.9  # no layer of any network should be below


@dataclass(frozen=True)
class Kind:
    """Layers that share an aim.

    Attributes:
        title: what they are.
        aim: the least ratio, PyTorch's time over deepcore's.
        holds: whether a layer of the suite of that name is one of them.
    """

    title: str
    aim: float
    holds: Callable[[str, Layer], bool]


def _plain_3x3(layer: Layer, least: int = 1) -> bool:
    """Whether it is a 3 x 3 convolution of stride 1 over images of ``least`` rows or more."""
    if not isinstance(layer, Conv) or layer.x[0] < least:
        return False
    return layer.kernel == (3, 3) and layer.strides == layer.groups == 1


# A layer is of the first kind that holds it.
KINDS = (
    Kind("LeNet's convolutions", 1.2, lambda suite, layer: suite == "lenet" and isinstance(layer, Conv)),
    Kind("3x3 of stride 1, 28² and larger", 2.0, lambda suite, layer: _plain_3x3(layer, 28)),
    Kind("3x3 of stride 1, 14² and 7²", 1.5, lambda suite, layer: _plain_3x3(layer)),
    Kind("depthwise", 1.1, lambda suite, layer: isinstance(layer, Conv) and layer.groups == layer.x[2] > 1),
    Kind("1x1, strided, 7x7, 5x5, 11x11", 1.0, lambda suite, layer: isinstance(layer, Conv)),
    Kind("max pooling", 1.5, lambda suite, layer: isinstance(layer, Pool) and layer.op == "max_pool2d"),
    Kind("average pooling", 1.5, lambda suite, layer: isinstance(layer, Pool)),
)

# By the suite of a row, and the network: a step of training, a call of inference, and the memory of a step.
NETWORK_AIMS = {
    ("train", "mlp"): 3.0,
    ("train", "lenet5"): 2.0,
    ("train", "mnist_cnn"): 2.5,
    ("predict", "vgg16"): 1.5,
    ("predict", "resnet50"): 1.2,
    ("predict", "mobilenet"): 1.2,
    ("memory", "vgg16"): 1.0,
}


def kind_of(suite: str, layer: Layer) -> Kind | None:
    """The kind of a layer of a suite; None if nothing is aimed at."""
    return next((kind for kind in KINDS if kind.holds(suite, layer)), None)
