"""What the estimates of cost choose on a CPU, where one implementation was measured to be faster by a fifth or more.

``deepcore bench ops --all-implementations`` is where such measurements come from.
"""

import pytest

from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import Call, implementations
from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry
from deepcore.backend.numpy import cost
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.suite import SUITES
from deepcore.kernels.cpu.host import Host

AVX512, AVX2 = Host("avx512", 16, 32, True, None), Host("avx2", 8, 16, True, "x86-64-v3")


@pytest.fixture(params=[AVX512, AVX2], ids=["avx512", "avx2"])
def vectors(request, monkeypatch):
    """The vector unit that is reckoned with, whichever this machine has."""
    monkeypatch.setattr(cost, "host", lambda: request.param)
    return request.param


def of(*hosts):
    """Of these vector units alone."""
    return pytest.mark.parametrize("vectors", hosts, ids=lambda host: host.vector, indirect=True)


def estimates(op, dtype, geometry):
    """Seconds of every implementation that serves a call, whether or not this machine has it."""
    numpy_backend()
    call = Call(op, dtype, geometry)
    return {record.name: record.cost(call) for record in implementations(op, "cpu") if record.supports(call)[0]}


def cheapest(op, geometry, dtype="float32"):
    found = estimates(op, dtype, geometry)
    return min(found, key=found.get)


@of(AVX512)
@pytest.mark.parametrize(
    ("direction", "x", "w", "strides", "fastest"),
    [
        # What Winograd's transforms take away from few channels or few tiles, and what it saves of many.
        ("fprop", (4, 56, 56, 64), (3, 3, 64, 64), 1, "winograd-4"),
        ("fprop", (1, 14, 14, 256), (3, 3, 256, 256), 1, "winograd-4"),
        ("fprop", (4, 224, 224, 3), (3, 3, 3, 64), 1, "tiles"),
        ("wgrad", (4, 28, 28, 8), (3, 3, 8, 8), 1, "tiles"),
        ("wgrad", (4, 14, 14, 256), (3, 3, 256, 16), 1, "tiles"),
        ("wgrad", (4, 56, 56, 64), (3, 3, 64, 16), 1, "winograd-4"),
        # Runs of neighbouring elements against vectors of one pixel's channels.
        ("dgrad", (4, 224, 224, 3), (7, 7, 3, 64), 2, "overlap-add"),
        ("dgrad", (32, 14, 14, 6), (5, 5, 6, 16), 1, "overlap-add"),
        ("dgrad", (4, 28, 28, 16), (3, 3, 16, 32), 2, "tiles"),
        ("dgrad", (4, 224, 224, 16), (3, 3, 16, 1), 1, "tiles"),
        # Few pixels, whose time is that of the weights.
        ("dgrad", (1, 14, 14, 512), (3, 3, 512, 512), 2, "tiles"),
        ("dgrad", (4, 7, 7, 832), (5, 5, 832, 128), 2, "tiles"),
        ("fprop", (4, 14, 14, 512), (3, 3, 512, 512), 2, "numba"),
        ("fprop", (4, 28, 28, 256), (3, 3, 256, 256), 2, "tiles"),
        ("fprop", (4, 56, 56, 256), (1, 1, 256, 128), 1, "tiles"),
        ("fprop", (4, 28, 28, 256), (3, 3, 1, 256), 1, "vectors-depthwise"),
    ],
)
def test_convolutions(direction, x, w, strides, fastest, vectors):
    geometry = Conv2DGeometry.of(x, w, strides, "same", 1, x[3] // w[2])
    assert cheapest(f"conv2d_{direction}", geometry) == fastest


@of(AVX2)
@pytest.mark.parametrize(
    ("direction", "x", "w", "strides", "fastest"),
    [
        # Multiplications take longer, transforms hardly: Winograd's tiles are worth it for fewer channels and tiles.
        ("fprop", (1, 56, 56, 16), (3, 3, 16, 16), 1, "winograd-4"),
        # Of few channels where sums need not leave the registers: of whole tiles, in pairs of vectors.
        ("fprop", (4, 224, 224, 3), (3, 3, 3, 64), 1, "winograd-4"),
        ("fprop", (4, 112, 112, 3), (3, 3, 3, 32), 1, "winograd-4"),
        ("fprop", (1, 32, 32, 3), (3, 3, 3, 32), 1, "tiles"),
        ("fprop", (4, 222, 222, 3), (3, 3, 3, 64), 1, "tiles"),
        ("fprop", (4, 224, 224, 3), (3, 3, 3, 40), 1, "tiles"),
        ("wgrad", (1, 224, 224, 3), (3, 3, 3, 64), 1, "winograd-4"),
        ("wgrad", (4, 112, 112, 2), (3, 3, 2, 48), 1, "winograd-4"),
        ("wgrad", (4, 224, 224, 2), (3, 3, 2, 16), 1, "winograd-4"),
        ("wgrad", (1, 32, 32, 3), (3, 3, 3, 32), 1, "tiles"),
        ("dgrad", (1, 14, 14, 64), (3, 3, 64, 64), 1, "winograd-4"),
        ("dgrad", (1, 7, 7, 512), (3, 3, 512, 512), 1, "winograd-4"),
        ("dgrad", (4, 56, 56, 16), (3, 3, 16, 1), 1, "tiles"),
        # 27 elements that a pixel gives to three rows are 4 vectors, or three times 2.
        ("dgrad", (4, 224, 224, 3), (3, 3, 3, 64), 1, "overlap-add"),
        ("wgrad", (4, 14, 14, 256), (3, 3, 256, 16), 1, "winograd-4"),
        ("wgrad", (4, 14, 14, 16), (3, 3, 16, 256), 1, "winograd-4"),
        ("wgrad", (4, 7, 7, 128), (3, 3, 128, 128), 1, "winograd-4"),
        # A large gradient at the weights is added to in shorter rows.
        ("wgrad", (4, 14, 14, 512), (3, 3, 512, 512), 2, "numba"),
        ("wgrad", (4, 7, 7, 832), (5, 5, 832, 128), 2, "numba"),
        ("wgrad", (4, 27, 27, 96), (5, 5, 48, 256), 1, "tiles"),
    ],
)
def test_convolutions_on_narrow_vectors(direction, x, w, strides, fastest, vectors):
    geometry = Conv2DGeometry.of(x, w, strides, "same", 1, x[3] // w[2])
    assert cheapest(f"conv2d_{direction}", geometry) == fastest


@pytest.mark.parametrize(
    ("a", "b", "dtype", "fastest"),
    [
        ((8, 8), (8, 8), "float32", "numpy"),
        ((32, 10), (10, 84), "float32", "numpy"),
        ((1, 84), (84, 10), "float32", "numpy"),
        ((1, 2048), (2048, 1000), "float32", "tiles"),
        ((4, 1024), (1024, 1024), "float32", "tiles"),
        ((128, 784), (784, 512), "float32", "tiles"),
        ((1024, 1024), (1024, 1024), "float32", "tiles"),
        ((1024, 1024), (1024, 1024), "float64", "numpy"),
    ],
)
def test_products(a, b, dtype, fastest, vectors):
    assert cheapest("matmul", MatmulGeometry.of(a, b), dtype) == fastest


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_twice_the_images_cost_about_twice_as_much(suite, vectors):
    """A little less at the least: more images may be worth another way."""
    for layer in suite.layers:
        for one, two in zip(cases_of(suite, layer, batch=4), cases_of(suite, layer, batch=8), strict=True):
            before, after = (estimates(case.op, "float32", case.geometry) for case in (one, two))
            assert before.keys() == after.keys()
            for name, seconds in before.items():
                assert 0 < 0.9 * seconds < after[name] < 2.5 * seconds, (layer.name, one.op, name)
