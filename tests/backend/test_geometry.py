from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Pool2DGeometry, resolve_padding


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5))
def test_same_padding_gives_as_many_outputs_as_the_stride_divides(size, window, stride):
    ends, _ = resolve_padding("same", (size, size), (window, window), (stride, stride))
    outputs = (size + sum(ends) - window) // stride + 1
    assert outputs == -(-size // stride)
    assert 0 <= ends[1] - ends[0] <= 1


@settings(deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3)
)
def test_outputs_of_a_convolution_are_the_windows_that_fit(size, kernel, stride, dilation, before, after):
    window = (kernel - 1) * dilation + 1
    if window > size + before + after:
        return
    g = Conv2DGeometry.of((2, size, 1, 3), (kernel, 1, 3, 5), stride, ((before, after), (0, 0)), dilation)
    starts = [s for s in range(0, size + before + after, stride) if s + window <= size + before + after]
    assert g.out_height == len(starts)
    assert g.y_shape == (2, len(starts), g.out_width, 5)
    assert g.flops == 2 * int(np.prod(g.y_shape)) * kernel * 3


def test_a_geometry_is_a_key():
    a, b = (Conv2DGeometry.of((1, 8, 8, 4), (3, 3, 2, 6), groups=2) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a.x_shape == (1, 8, 8, 4)
    assert a.w_shape == (3, 3, 2, 6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.batch = 2


def test_kinds_of_convolution():
    assert Conv2DGeometry.of((1, 8, 8, 4), (3, 3, 1, 8), groups=4).is_depthwise
    assert not Conv2DGeometry.of((1, 8, 8, 1), (3, 3, 1, 8)).is_depthwise
    assert Conv2DGeometry.of((1, 8, 8, 4), (1, 1, 4, 8)).is_pointwise
    assert not Conv2DGeometry.of((1, 8, 8, 4), (1, 1, 4, 8), strides=2).is_pointwise


def test_pooling_strides_are_the_window_by_default():
    g = Pool2DGeometry.of((1, 7, 6, 3), (3, 2))
    assert g.strides == (3, 2)
    assert g.y_shape == (1, 2, 3, 3)
    assert g.argmax_dtype == "uint8"
    assert Pool2DGeometry.of((1, 20, 20, 1), 17).argmax_dtype == "int32"


def test_products_of_many_shapes():
    assert MatmulGeometry.of((2, 1, 3, 4), (5, 4, 6)) == MatmulGeometry(10, 3, 6, 4)
    assert MatmulGeometry.of((4, 3), (6, 4), True, True) == MatmulGeometry(1, 3, 6, 4, True, True)
    assert MatmulGeometry.of((3, 4), (4, 6)).flops == 2 * 3 * 4 * 6


def test_a_kept_hash_is_that_of_the_sizes():
    g = Pool2DGeometry.of((1, 8, 8, 3), 2)
    assert hash(g) == hash(g)  # the second one is kept
    assert hash(g) == hash(Pool2DGeometry(1, 8, 8, 3, (2, 2), (2, 2)))
    assert hash(g) == hash(pickle.loads(pickle.dumps(g)))
    other = dataclasses.replace(g, channels=4)
    assert hash(g) != hash(other)
    assert {g: "g", other: "other"}[Pool2DGeometry.of((1, 8, 8, 4), 2)] == "other"
