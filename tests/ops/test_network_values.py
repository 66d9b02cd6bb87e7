"""Functions of networks against naive float64 formulas: the error function, losses, windows and normalisation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from deepcore import ops

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


def close(tensor, expected, roundings=40):
    """Within so many roundings of the largest element."""
    assert tensor.shape == np.shape(expected)
    allowed = roundings * np.finfo(tensor.dtype).eps * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=0, atol=allowed)


# The error function


def points():
    tiny = 10.0 ** np.linspace(-300, 0, 61)
    return np.concatenate([np.linspace(-6, 6, 2401), tiny, -tiny, [0.46875, 4.0, -0.46875, -4.0]])


def test_erf_and_erfc_are_right_to_a_few_roundings():
    x = points()
    erf, erfc = np.vectorize(math.erf)(x), np.vectorize(math.erfc)(x)
    eps = np.finfo(np.float64).eps
    np.testing.assert_allclose(ops.erf(x).numpy(), erf, rtol=4 * eps)
    np.testing.assert_allclose(ops.erfc(x).numpy(), erfc, rtol=8 * eps)
    narrow = x[np.abs(x) > 1e-30].astype(np.float32)
    single = np.finfo(np.float32).eps
    for ours, exact in ((ops.erf, math.erf), (ops.erfc, math.erfc)):
        found = ours(narrow)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.numpy(), np.vectorize(exact)(np.float64(narrow)), rtol=single)


def test_erfc_far_out():
    x = np.linspace(6, 26, 401)
    np.testing.assert_allclose(ops.erfc(x).numpy(), np.vectorize(math.erfc)(x), rtol=1e-14)
    assert ops.erfc(np.array([30.0, np.inf, -np.inf])).tolist() == [0, 0, 2]
    assert ops.erf(np.array([np.inf, -np.inf])).tolist() == [1, -1]
    assert np.isnan(ops.erf(np.array([np.nan])).numpy()).all()


def test_erfinv_inverts():
    y = np.concatenate([np.linspace(-1, 1, 2001)[1:-1], 1 - 10.0 ** np.linspace(-15, -1, 50), [1e-300, -1e-20]])
    x = ops.erfinv(y).numpy()
    back = np.vectorize(math.erf)(x)
    # A rounding of x moves erf(x) by that part of x times the slope.
    slack = np.abs(x) * 2 / math.sqrt(math.pi) * np.exp(-x * x)
    eps = np.finfo(np.float64).eps
    assert (np.abs(back - y) <= 2 * eps * np.abs(y) + 4 * eps * slack).all()
    assert ops.erfinv([-1.0, 1.0]).tolist() == [-math.inf, math.inf]
    assert np.isnan(ops.erfinv([1.5, -2.0]).numpy()).all()


# Losses


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("from_logits", [False, True])
def test_crossentropies(axis, from_logits, rng):
    scores = rng.standard_normal((4, 6)).astype(np.float32)
    labels = np.array([5, 0, 2, 2])
    rows = np.log(softmax(np.float64(scores)))
    expected = -rows[np.arange(4), labels]
    output = scores if from_logits else (3 * softmax(np.float64(scores))).astype(np.float32)
    target = np.eye(6, dtype=np.float32)[labels]
    if axis == 0:
        output, target = output.T, target.T
    close(ops.categorical_crossentropy(target, output, from_logits, axis), expected)
    close(ops.sparse_categorical_crossentropy(labels, output, from_logits, axis), expected)
    column = labels[:, None] if axis else labels[None]
    close(ops.sparse_categorical_crossentropy(column, output, from_logits, axis), expected)


def test_binary_crossentropy(rng):
    logits = rng.standard_normal((3, 5)).astype(np.float32) * 4
    target = rng.uniform(0, 1, (3, 5)).astype(np.float32)
    p = 1 / (1 + np.exp(-np.float64(logits)))
    expected = -(target * np.log(p) + (1.0 - target) * np.log(1 - p))
    close(ops.binary_crossentropy(target, logits, from_logits=True), expected)
    # p is known to a rounding of float32, which counts 1 / (1 - p) times.
    np.testing.assert_allclose(ops.binary_crossentropy(target, p.astype(np.float32)).numpy(), expected, rtol=1e-3)


def test_certain_answers_are_held_away_from_certainty():
    wrong = ops.binary_crossentropy([1.0, 0.0], [0.0, 1.0]).numpy()
    # 1 - 1e-7 is 1 - 2^-23 in float32.
    np.testing.assert_allclose(wrong, [-math.log(1e-7), 23 * math.log(2)], rtol=1e-6)
    assert ops.binary_crossentropy([1.0], [-1000.0], from_logits=True).item() == 1000
    sure = ops.categorical_crossentropy([[0.0, 1.0]], [[1.0, 0.0]]).item()
    assert sure == pytest.approx(-math.log(1e-7), rel=1e-6)


def test_multi_hot():
    assert ops.multi_hot([0, 4], 5).tolist() == [1, 0, 0, 0, 1]
    assert ops.multi_hot([[0, 2], [1, 1]], 3, dtype="int32").tolist() == [[1, 0, 1], [0, 1, 0]]


# Windows


def naive_windows(size, kernel, stride, dilation, padding):
    """For each output position and each position in the window, the input position it reads, or None outside."""
    extent = (kernel - 1) * dilation + 1
    outputs = (size - extent) // stride + 1 if padding == "valid" else -(-size // stride)
    before = 0 if padding == "valid" else max((outputs - 1) * stride + extent - size, 0) // 2
    return [[p * stride - before + k * dilation for k in range(kernel)] for p in range(outputs)]


def naive_conv(x, w, strides, padding, dilations, groups=1):
    x, w = np.float64(x), np.float64(w)
    spatial = x.shape[1:-1]
    windows = [naive_windows(*sizes, padding) for sizes in zip(spatial, w.shape, strides, dilations, strict=False)]
    y = np.zeros((len(x), *map(len, windows), w.shape[-1]))
    share, filters = w.shape[-2], w.shape[-1] // groups
    for place in itertools.product(*(range(len(axis)) for axis in windows)):
        for tap in itertools.product(*map(range, w.shape[:-2])):
            pixel = [axis[p][k] for axis, p, k in zip(windows, place, tap, strict=True)]
            if all(0 <= i < n for i, n in zip(pixel, spatial, strict=True)):
                for g in range(groups):
                    part = x[(slice(None), *pixel, slice(g * share, (g + 1) * share))]
                    out = slice(g * filters, (g + 1) * filters)
                    y[(slice(None), *place, out)] += part @ w[(*tap, slice(None), out)]
    return y


CALLS = [("valid", 1, 1), ("valid", 2, 1), ("same", 1, 2), ("same", 2, 1)]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("padding", "stride", "dilation"), CALLS)
@pytest.mark.parametrize("rank", [1, 2])
def test_convolutions(rank, padding, stride, dilation, data_format, rng):
    spatial, window = (7, 6)[:rank], (3, 2)[:rank]
    x = rng.standard_normal((2, *spatial, 4)).astype(np.float32)
    w = rng.standard_normal((*window, 2, 6)).astype(np.float32)
    depthwise = rng.standard_normal((*window, 4, 2)).astype(np.float32)
    pointwise = rng.standard_normal((*(1,) * rank, 8, 3)).astype(np.float32)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    options = {"strides": stride, "padding": padding, "dilation_rate": dilation, "data_format": data_format}

    def turned(y):
        return y if data_format == "channels_last" else ops.moveaxis(y, 1, -1)

    sizes = ((stride,) * rank, padding, (dilation,) * rank)
    close(turned(ops.conv(given, w, **options)), naive_conv(x, w, *sizes, groups=2))
    by_channel = naive_conv(x, depthwise.reshape(*window, 1, 8), *sizes, groups=4)
    close(turned(ops.depthwise_conv(given, depthwise, **options)), by_channel)
    separable = ops.separable_conv(given, depthwise, pointwise, **options)
    close(turned(separable), by_channel @ np.float64(pointwise.reshape(8, 3)))


@pytest.mark.parametrize(("padding", "extra"), [("valid", 1), ("same", 0)])
def test_conv_transpose_paints_its_kernel(padding, extra, rng):
    x = rng.standard_normal((2, 4, 3)).astype(np.float32)
    w = rng.standard_normal((3, 5, 3)).astype(np.float32)
    canvas = np.zeros((2, 12, 5))
    for p in range(4):
        for k in range(3):
            canvas[:, 2 * p + k] += np.float64(x[:, p]) @ np.float64(w[k]).T
    start = 0  # "same" cuts the window's overlap of one off the end
    close(ops.conv_transpose(x, w, 2, padding), canvas[:, start : start + 8 + extra])
    first = ops.conv_transpose(np.moveaxis(x, -1, 1), w, 2, padding, data_format="channels_first")
    close(ops.moveaxis(first, 1, -1), canvas[:, start : start + 8 + extra])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 2])
def test_pools(rank, padding, data_format, rng):
    spatial, window = (7, 6)[:rank], (3, 2)[:rank]
    x = rng.standard_normal((2, *spatial, 3)).astype(np.float32)
    for strides in (None, 2, 1):
        steps = window if strides is None else (strides,) * rank
        axes = [naive_windows(n, k, s, 1, padding) for n, k, s in zip(spatial, window, steps, strict=True)]
        largest, mean = (np.zeros((2, *map(len, axes), 3)) for _ in range(2))
        for place in itertools.product(*(range(len(axis)) for axis in axes)):
            inside = [[i for i in axis[p] if 0 <= i < n] for axis, p, n in zip(axes, place, spatial, strict=True)]
            part = x[(slice(None), *np.ix_(*inside))].reshape(2, -1, 3).astype(np.float64)
            largest[(slice(None), *place)], mean[(slice(None), *place)] = part.max(1), part.mean(1)
        given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
        for pool, expected in ((ops.max_pool, largest), (ops.average_pool, mean)):
            y = pool(given, window, strides, padding, data_format)
            close(y if data_format == "channels_last" else ops.moveaxis(y, 1, -1), expected)


def test_channels_and_blocks_of_pixels():
    x = np.arange(2 * 2 * 3 * 8, dtype=np.float32).reshape(2, 2, 3, 8)
    y = ops.depth_to_space(x, 2)
    assert y.shape == (2, 4, 6, 2)
    for i, j in itertools.product(range(4), range(6)):
        block = (i % 2) * 2 + j % 2
        np.testing.assert_array_equal(y.numpy()[:, i, j], x[:, i // 2, j // 2, 2 * block : 2 * block + 2])
    np.testing.assert_array_equal(ops.space_to_depth(y, 2).numpy(), x)
    first = np.moveaxis(x, -1, 1)
    z = ops.depth_to_space(first, 2, "channels_first")
    for i, j, c in itertools.product(range(4), range(6), range(2)):
        np.testing.assert_array_equal(z.numpy()[:, c, i, j], first[:, 4 * c + (i % 2) * 2 + j % 2, i // 2, j // 2])
    np.testing.assert_array_equal(ops.space_to_depth(z, 2, "channels_first").numpy(), first)


def test_unfold_and_fold(rng):
    x = rng.standard_normal((2, 3, 5, 6)).astype(np.float32)
    kernel, dilation, padding, stride = (2, 3), (2, 1), (1, 0), (1, 2)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    columns = [padded[:, :, p : p + 3 : 2, q : q + 3].reshape(2, -1) for p in range(5) for q in range(0, 4, 2)]
    y = ops.unfold(x, kernel, dilation, padding, stride)
    np.testing.assert_array_equal(y.numpy(), np.stack(columns, -1))
    z = rng.standard_normal(y.shape).astype(np.float32)
    back = ops.fold(z, (5, 6), kernel, dilation, padding, stride)
    canvas = np.zeros((2, 3, 7, 6))
    for i, (p, q) in enumerate((p, q) for p in range(5) for q in range(0, 4, 2)):
        canvas[:, :, p : p + 3 : 2, q : q + 3] += z[:, :, i].reshape(2, 3, 2, 3)
    close(back, canvas[:, :, 1:6])


# Normalisation


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (0, 2)])
def test_layer_and_rms_normalization(axis, rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    wide = np.float64(x)
    axes = (axis,) if isinstance(axis, int) else axis
    shape = [x.shape[a] for a in axes]
    gamma, beta = rng.uniform(0.5, 2, (2, *shape)).astype(np.float32)
    kept = [x.shape[i] if i in {a % 3 for a in axes} else 1 for i in range(3)]
    centered = wide - wide.mean(axes, keepdims=True)
    normal = centered / np.sqrt(wide.var(axes, keepdims=True) + 1e-3)
    close(ops.layer_normalization(x, gamma, beta, axis, 1e-3), normal * gamma.reshape(kept) + beta.reshape(kept))
    close(ops.layer_normalization(x, axis=axis), centered / np.sqrt(wide.var(axes, keepdims=True) + 1e-7))
    rms = wide / np.sqrt((wide**2).mean(axes, keepdims=True) + 1e-7)
    close(ops.rms_normalization(x, gamma, axis), rms * gamma.reshape(kept))


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization(axis, rng):
    x = rng.standard_normal((3, 5, 5)).astype(np.float32)
    mean, variance, offset, scale = rng.uniform(0.5, 2, (4, 5)).astype(np.float32)
    shape = (1, 1, 5) if axis == -1 else (1, 5, 1)
    center, spread, beta, gamma = (np.float64(v).reshape(shape) for v in (mean, variance, offset, scale))
    plain = (x - center) / np.sqrt(spread + 1e-3)
    close(ops.batch_normalization(x, mean, variance, axis), plain)
    close(ops.batch_normalization(x, mean, variance, axis, offset, scale), plain * gamma + beta)


def test_normalize(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    for order in (1, 2, 3):
        for axis in (-1, 0, (0, 1)):
            norm = (np.abs(np.float64(x)) ** order).sum(axis, keepdims=True) ** (1 / order)
            close(ops.normalize(x, axis, order), x / norm)
        assert ops.normalize(np.zeros(3, np.float32), order=order).tolist() == [0, 0, 0]
    assert ops.normalize([3e-9, 4e-9], epsilon=1e-8).numpy() == pytest.approx([0.3, 0.4], rel=1e-5)


def test_softmax_over_several_axes(rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    e = np.exp(np.float64(x))
    close(ops.softmax(x, (0, -1)), e / e.sum((0, 2), keepdims=True))
    close(ops.log_softmax(x, (1, 2)), np.log(e / e.sum((1, 2), keepdims=True)))


def test_softmax_of_one_element_says_that_it_is_one():
    with pytest.warns(UserWarning, match=r"axis -1 of shape \(3, 1\).*use sigmoid"):
        assert ops.softmax(np.zeros((3, 1), np.float32)).tolist() == [[1], [1], [1]]


def test_keras_names():
    import deepcore.ops.nn as nn

    for name in nn.__all__:
        assert getattr(nn, name) is getattr(ops, name)
