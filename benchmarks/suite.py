"""Layers of published networks, and Baidu's DeepBench: what is worth measuring, as data.

A layer knows its sizes without the batch; ``geometry(batch)`` makes the call. ``count`` says how often its network
has this very layer, so that the sum of count times seconds is the network's time. To add a network, add a ``Suite``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Padding, Pool2DGeometry
from deepcore.errors import unknown_name

Geometry = Conv2DGeometry | Pool2DGeometry | MatmulGeometry


@dataclass(frozen=True)
class Conv:
    """A convolution of ``filters`` kernels over x [batch, height, width, channels]."""

    name: str
    x: tuple[int, int, int]
    kernel: tuple[int, int]
    filters: int
    strides: int = 1
    padding: Padding = "same"
    groups: int = 1
    count: int = 1
    batch: int | None = None

    op = "conv2d"
    directions = ("fprop", "dgrad", "wgrad")

    def geometry(self, batch: int) -> Conv2DGeometry:
        kernel = (*self.kernel, self.x[2] // self.groups, self.filters)
        return Conv2DGeometry.of((batch, *self.x), kernel, self.strides, self.padding, 1, self.groups)


@dataclass(frozen=True)
class Pool:
    """The maximum, or with ``op="avg_pool2d"`` the mean, over windows of x [batch, height, width, channels]."""

    name: str
    x: tuple[int, int, int]
    window: int
    strides: int | None = None
    padding: Padding = "valid"
    op: str = "max_pool2d"
    count: int = 1
    batch: int | None = None

    directions = ("fprop", "dgrad")

    def geometry(self, batch: int) -> Pool2DGeometry:
        return Pool2DGeometry.of((batch, *self.x), self.window, self.strides, self.padding)


@dataclass(frozen=True)
class Dense:
    """x [batch, inputs] times a kernel [inputs, units]."""

    name: str
    inputs: int
    units: int
    count: int = 1
    batch: int | None = None

    op = "matmul"
    directions = ("fprop", "dgrad", "wgrad")

    def geometry(self, batch: int) -> MatmulGeometry:
        return MatmulGeometry.of((batch, self.inputs), (self.inputs, self.units))


@dataclass(frozen=True)
class Gemm:
    """One product [m, k] times [k, n]; a benchmark lists the products of backward passes by themselves."""

    name: str
    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False
    count: int = 1
    batch: int | None = None

    op = "matmul"
    directions = ("fprop",)

    def geometry(self, batch: int) -> MatmulGeometry:
        return MatmulGeometry(1, self.m, self.n, self.k, self.transpose_a, self.transpose_b)


Layer = Conv | Pool | Dense | Gemm


@dataclass(frozen=True)
class Suite:
    """A named list of layers.

    Attributes:
        name: what the command line calls it.
        title: the paper that it comes from.
        batch: images a step where nothing else is asked for, unless a layer has a batch of its own.
        layers: in the order in which data flows.
        selection: names of the layers that the default run measures: the different kinds, not their repetitions.
        is_network: whether the layers are one network, so that their times add up to a step.
    """

    name: str
    title: str
    batch: int
    layers: tuple[Layer, ...]
    selection: tuple[str, ...] = ()
    is_network: bool = True


LENET = Suite(
    "lenet",
    "LeNet-5 (LeCun et al. 1998), 28x28x1",
    32,
    (
        Conv("conv1", (28, 28, 1), (5, 5), 6),
        Pool("pool1", (28, 28, 6), 2, op="avg_pool2d"),
        Conv("conv2", (14, 14, 6), (5, 5), 16, padding="valid"),
        Pool("pool2", (10, 10, 16), 2, op="avg_pool2d"),
        Dense("fc1", 400, 120),
        Dense("fc2", 120, 84),
        Dense("fc3", 84, 10),
    ),
    selection=("conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"),
)

ALEXNET = Suite(
    "alexnet",
    "AlexNet (Krizhevsky et al. 2012), two groups, 227x227x3",
    4,
    (
        Conv("conv1", (227, 227, 3), (11, 11), 96, strides=4, padding="valid"),
        Pool("pool1", (55, 55, 96), 3, 2),
        Conv("conv2", (27, 27, 96), (5, 5), 256, groups=2),
        Pool("pool2", (27, 27, 256), 3, 2),
        Conv("conv3", (13, 13, 256), (3, 3), 384),
        Conv("conv4", (13, 13, 384), (3, 3), 384, groups=2),
        Conv("conv5", (13, 13, 384), (3, 3), 256, groups=2),
        Pool("pool5", (13, 13, 256), 3, 2),
        Dense("fc6", 9216, 4096),
        Dense("fc7", 4096, 4096),
        Dense("fc8", 4096, 1000),
    ),
)

VGG16 = Suite(
    "vgg16",
    "VGG16 (Simonyan & Zisserman 2014), 224x224x3",
    4,
    (
        Conv("conv1_1", (224, 224, 3), (3, 3), 64),
        Conv("conv1_2", (224, 224, 64), (3, 3), 64),
        Pool("pool1", (224, 224, 64), 2),
        Conv("conv2_1", (112, 112, 64), (3, 3), 128),
        Conv("conv2_2", (112, 112, 128), (3, 3), 128),
        Pool("pool2", (112, 112, 128), 2),
        Conv("conv3_1", (56, 56, 128), (3, 3), 256),
        Conv("conv3_2", (56, 56, 256), (3, 3), 256, count=2),
        Pool("pool3", (56, 56, 256), 2),
        Conv("conv4_1", (28, 28, 256), (3, 3), 512),
        Conv("conv4_2", (28, 28, 512), (3, 3), 512, count=2),
        Pool("pool4", (28, 28, 512), 2),
        Conv("conv5_1", (14, 14, 512), (3, 3), 512, count=3),
        Pool("pool5", (14, 14, 512), 2),
        Dense("fc6", 25088, 4096),
        Dense("fc7", 4096, 4096),
        Dense("fc8", 4096, 1000),
    ),
    selection=("conv1_1", "pool2", "conv3_1", "conv5_1", "fc8"),
)


def _bottlenecks(stage: int, size: int, inputs: int, width: int, blocks: int) -> tuple[Layer, ...]:
    """The convolutions of one ResNet stage, version 1.5 (the 3x3 convolution carries the stride).

    ``size`` is the side of the stage's input and ``inputs`` its channels. The first block reads it and projects its
    shortcut; the others read the stage's own output.
    """
    first, outputs = f"conv{stage}_1", 4 * width
    strides = 1 if stage == 2 else 2
    side = size // strides
    if strides == 1:  # the projection has the shape of every expansion, and only the first reduction is narrower
        return (
            Conv(f"{first}_1x1a", (side, side, inputs), (1, 1), width),
            Conv(f"conv{stage}_3x3", (side, side, width), (3, 3), width, padding=1, count=blocks),
            Conv(f"conv{stage}_1x1b", (side, side, width), (1, 1), outputs, count=blocks + 1),
            Conv(f"conv{stage}_1x1a", (side, side, outputs), (1, 1), width, count=blocks - 1),
        )
    return (
        Conv(f"{first}_1x1a", (size, size, inputs), (1, 1), width),
        Conv(f"{first}_3x3", (size, size, width), (3, 3), width, strides, padding=1),
        Conv(f"{first}_shortcut", (size, size, inputs), (1, 1), outputs, strides, padding="valid"),
        Conv(f"conv{stage}_1x1b", (side, side, width), (1, 1), outputs, count=blocks),
        Conv(f"conv{stage}_1x1a", (side, side, outputs), (1, 1), width, count=blocks - 1),
        Conv(f"conv{stage}_3x3", (side, side, width), (3, 3), width, padding=1, count=blocks - 1),
    )


RESNET50 = Suite(
    "resnet50",
    "ResNet-50 version 1.5 (He et al. 2015, the stride on the 3x3 convolution), 224x224x3",
    4,
    (
        Conv("conv1", (224, 224, 3), (7, 7), 64, strides=2, padding=3),
        Pool("pool1", (112, 112, 64), 3, 2, padding=1),
        *_bottlenecks(2, 56, 64, 64, 3),
        *_bottlenecks(3, 56, 256, 128, 4),
        *_bottlenecks(4, 28, 512, 256, 6),
        *_bottlenecks(5, 14, 1024, 512, 3),
        Pool("avg_pool", (7, 7, 2048), 7, op="avg_pool2d"),
        Dense("fc", 2048, 1000),
    ),
    selection=("conv1", "pool1", "conv2_1x1b", "conv3_1_3x3", "conv4_3x3", "avg_pool"),
)


def _separable(
    number: int, size: int, inputs: int, outputs: int, strides: int = 1, count: int = 1
) -> tuple[Layer, ...]:
    """One depthwise separable block: a 3x3 convolution of each channel by itself, then a 1x1 across them."""
    side = size // strides
    return (
        Conv(f"dw{number}", (size, size, inputs), (3, 3), inputs, strides, padding=1, groups=inputs, count=count),
        Conv(f"pw{number}", (side, side, inputs), (1, 1), outputs, count=count),
    )


MOBILENET = Suite(
    "mobilenet",
    "MobileNet (Howard et al. 2017), width 1, 224x224x3",
    4,
    (
        Conv("conv1", (224, 224, 3), (3, 3), 32, strides=2, padding=1),
        *_separable(1, 112, 32, 64),
        *_separable(2, 112, 64, 128, 2),
        *_separable(3, 56, 128, 128),
        *_separable(4, 56, 128, 256, 2),
        *_separable(5, 28, 256, 256),
        *_separable(6, 28, 256, 512, 2),
        *_separable(7, 14, 512, 512, count=5),
        *_separable(12, 14, 512, 1024, 2),
        *_separable(13, 7, 1024, 1024),
        Pool("avg_pool", (7, 7, 1024), 7, op="avg_pool2d"),
        Dense("fc", 1024, 1000),
    ),
    selection=("dw3",),
)


def _speech_gemm(m: int, n: int, k: int, transpose_a: bool = False, transpose_b: bool = False) -> Gemm:
    flags = ("T" if transpose_a else "N") + ("T" if transpose_b else "N")
    return Gemm(f"gemm_{m}x{n}x{k}_{flags}", m, n, k, transpose_a, transpose_b)


DEEPBENCH = Suite(
    "deepbench",
    "a selection of the training set of Baidu's DeepBench (kernels/conv_problems.h, kernels/gemm_problems.h)",
    4,
    (
        Conv("speech_700x161", (161, 700, 1), (5, 20), 32, strides=2, padding="valid", batch=4),
        Conv("speech_341x79", (79, 341, 32), (5, 10), 32, strides=2, padding="valid", batch=4),
        Conv("ocr_480x48", (48, 480, 1), (3, 3), 16, padding=1, batch=16),
        Conv("ocr_120x12", (12, 120, 32), (3, 3), 64, padding=1, batch=16),
        Conv("face_108", (108, 108, 3), (3, 3), 64, strides=2, padding=1, batch=8),
        Conv("face_54", (54, 54, 64), (3, 3), 64, padding=1, batch=8),
        Conv("face_14", (14, 14, 128), (3, 3), 256, padding=1, batch=8),
        Conv("vision_112", (112, 112, 64), (3, 3), 128, padding=1, batch=8),
        Conv("vision_7", (7, 7, 512), (3, 3), 512, padding=1, batch=8),
        Conv("inception_28_5x5", (28, 28, 192), (5, 5), 32, padding=2, batch=16),
        Conv("inception_28_1x1", (28, 28, 192), (1, 1), 64, batch=16),
        Conv("inception_7_5x5", (7, 7, 832), (5, 5), 128, strides=2, padding=2, batch=16),
        _speech_gemm(1760, 16, 1760),
        _speech_gemm(1760, 128, 1760),
        _speech_gemm(1760, 7000, 1760),
        _speech_gemm(2048, 64, 2048, transpose_a=True),
        _speech_gemm(2560, 32, 2560),
        _speech_gemm(3072, 128, 1024, transpose_a=True),
        _speech_gemm(3072, 7435, 1024, transpose_b=True),
    ),
    is_network=False,
)

# Few channels leave little that is contiguous in a window, many make rows long: each needs a loop of another shape.
POOLING = Suite(
    "pooling",
    "pooling of 56x56 images, from one channel to 512",
    16,
    tuple(
        Pool(f"{op.partition('_')[0]}{window}_{channels}", (56, 56, channels), window, 2, op=op)
        for op in ("max_pool2d", "avg_pool2d")
        for window in (2, 3)
        for channels in (1, 3, 6, 16, 64, 512)
    ),
    is_network=False,
)

SUITES: dict[str, Suite] = {
    suite.name: suite for suite in (LENET, ALEXNET, VGG16, RESNET50, MOBILENET, DEEPBENCH, POOLING)
}

# What the comparison with other libraries on a CPU is about: every kind of convolution, and pooling.
CPU = "cpu"
_CPU_LAYERS = {
    "vgg16": ("conv*",),
    "resnet50": ("conv1", "conv*_1x1*", "conv*_3x3", "conv*_shortcut"),
    "alexnet": ("conv1", "conv2"),
    "mobilenet": ("dw*",),
    "lenet": ("conv*",),
    "pooling": ("*",),
}


def find_suite(name: str) -> Suite:
    """The suite called ``name``. Raises ``ValueError`` naming the nearest ones."""
    if name not in SUITES:
        raise unknown_name("suite", name, {*SUITES, "all", CPU})
    return SUITES[name]


def suites_of(name: str) -> list[tuple[Suite, Layer]]:
    """The layers of the suite called ``name``, of ``"all"`` suites, or of the selection ``"cpu"``.

    Raises ``ValueError`` naming the nearest ones.
    """
    if name == CPU:
        return [
            (SUITES[suite], layer)
            for suite, patterns in _CPU_LAYERS.items()
            for layer in SUITES[suite].layers
            if any(fnmatchcase(layer.name, pattern) for pattern in patterns)
        ]
    found = SUITES.values() if name == "all" else (find_suite(name),)
    return [(suite, layer) for suite in found for layer in suite.layers]


def default_selection() -> list[tuple[Suite, Layer]]:
    """What a run measures when no suite is named: one layer of every kind, in a minute or two on two cores."""
    return [(suite, layer) for suite in SUITES.values() for layer in suite.layers if layer.name in suite.selection]
