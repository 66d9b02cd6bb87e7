"""Corners of Keras's meaning: dtypes that meet, flattened axes, values at the edge of a dtype."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import ops


def tensor(dtype, *values):
    return ops.array(np.array(values or (1, 2), dtype))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("uint32", "int32", "int32"),
        ("uint32", "int8", "int32"),
        ("uint32", "int64", "int64"),
        ("uint8", "int8", "int16"),
        ("bool", "uint8", "uint8"),
        ("int64", "float16", "float16"),
        ("int64", "float32", "float32"),
    ],
)
def test_64_bits_only_where_one_has_them(a, b, expected):
    assert ops.add(tensor(a), tensor(b)).dtype == expected
    assert ops.concatenate([tensor(b), tensor(a)]).dtype == expected


def test_python_numbers_beside_booleans():
    assert ops.add(tensor("bool"), 1).dtype == "int32"
    assert ops.add(tensor("bool"), 1.5).dtype == "float32"
    assert ops.logical_or(tensor("bool"), True).dtype == "bool"


def test_integers_beside_narrow_floats():
    found = ops.average(tensor("float16", 1, 2), weights=tensor("int32", 1, 3))
    assert (found.dtype, found.item()) == ("float16", 1.75)
    found = ops.correlate(tensor("float16", 1, 2), tensor("int8", 3, 4))
    assert (found.dtype, found.tolist()) == ("float16", [11.0])


def test_the_mean_of_large_narrow_floats():
    assert ops.mean(np.full(4, 60000, np.float16)).item() == np.float16(60000)


def test_a_quantile_between_equal_infinities():
    x = np.array([np.inf, np.inf, 1.0, np.nan])
    assert ops.nanmedian(x).item() == np.inf
    np.testing.assert_array_equal(ops.nanmedian(x, axis=()).numpy(), x)


def test_flattened():
    x, y = np.arange(6).reshape(2, 3), np.arange(4).reshape(2, 2)
    np.testing.assert_array_equal(ops.concatenate([x, y], axis=None).numpy(), [0, 1, 2, 3, 4, 5, 0, 1, 2, 3])
    for ours, numpys in zip(ops.meshgrid(x, y), np.meshgrid(x, y), strict=True):
        np.testing.assert_array_equal(ours.numpy(), numpys)
    order = ops.argpartition(-x, 2, axis=None).numpy()
    assert set(order[:2]) == {4, 5}
    assert order[2] == 3


def test_sections_of_nothing():
    assert [part.shape for part in ops.split(np.ones((0, 3)), 2)] == [(0, 3), (0, 3)]


def test_a_slice_to_the_end():
    x = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(ops.slice(x, (1, 2), (-1, 1)).numpy(), x[1:, 2:3])
    with pytest.raises(ValueError, match="a start and a size for each axis"):
        ops.slice(x, (1, 2), (1, 1, 1))


def test_floating_positions_are_rounded_towards_zero():
    assert ops.take([10.0, 20.0, 30.0], [1.0, 2.9]).tolist() == [20.0, 30.0]
    assert ops.one_hot([1.0, 0.0], 2).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("keepdims", [False, True])
def test_moments(rng, keepdims):
    x = rng.standard_normal((3, 4, 5))
    mean, variance = ops.moments(x, [0, 2], keepdims)
    np.testing.assert_allclose(mean.numpy(), x.mean((0, 2), keepdims=keepdims), rtol=1e-12)
    np.testing.assert_allclose(variance.numpy(), x.var((0, 2), keepdims=keepdims), rtol=1e-12)


def test_moments_of_narrow_floats():
    mean, variance = ops.moments(np.array([300, 500] * 8, np.float16), [0])
    assert mean.dtype == variance.dtype == "float16"
    assert (mean.item(), variance.item()) == (400.0, 10000.0)
    with pytest.raises(NotImplementedError, match="synchronized"):
        ops.moments([1.0], [0], synchronized=True)


def test_psnr(rng):
    a, b = rng.random((2, 3, 4))
    expected = 10 * np.log10(255.0**2 / np.mean((a - b) ** 2))
    np.testing.assert_allclose(ops.psnr(a, b, 255.0).numpy(), expected, rtol=1e-12)
    assert ops.psnr(a, a, 1.0).item() == np.inf
    with pytest.raises(ValueError, match="same shape"):
        ops.psnr(a, b[:2], 1.0)


def similarity(x, y, size, sigma, largest):
    """Wang et al. 2004, window by window, of two images [height, width]."""
    bell = np.exp(-(((np.arange(size) - (size - 1) / 2) / sigma) ** 2) / 2)
    weights = np.outer(bell, bell) / bell.sum() ** 2
    found = []
    for i in range(x.shape[0] - size + 1):
        for j in range(x.shape[1] - size + 1):
            a, b = x[i : i + size, j : j + size], y[i : i + size, j : j + size]
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
            shared = (weights * (a - ma) * (b - mb)).sum()
            c, d = (0.01 * largest) ** 2, (0.03 * largest) ** 2
            found.append((2 * ma * mb + c) * (2 * shared + d) / ((ma**2 + mb**2 + c) * (va + vb + d)))
    return np.mean(found)


def test_ssim(rng):
    x, y = rng.random((2, 3, 7, 8, 2)) * 10
    expected = [
        np.mean([similarity(a[..., c], b[..., c], 5, 1.2, 10.0) for c in (0, 1)]) for a, b in zip(x, y, strict=True)
    ]
    options = {"max_val": 10.0, "filter_size": 5, "filter_sigma": 1.2}
    np.testing.assert_allclose(ops.image.ssim(x, y, **options).numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(ops.image.ssim(x[0], y[0], **options).numpy(), expected[0], rtol=1e-9)
    first = ops.image.ssim(*(np.moveaxis(z, -1, 1) for z in (x, y)), **options, data_format="channels_first")
    np.testing.assert_allclose(first.numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(ops.image.ssim(x, x, **options).numpy(), 1.0, rtol=1e-9)
    with pytest.raises(ValueError, match="same shape"):
        ops.image.ssim(x, y[:2])
