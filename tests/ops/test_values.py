"""Operations against NumPy, where a whole backend function does not already have its oracle."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import Tensor, ops

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


def close(tensor, expected):
    expected = np.asarray(expected)
    assert tensor.shape == expected.shape
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda a, b: a + b, np.add),
        (lambda a, b: a - b, np.subtract),
        (lambda a, b: a * b, np.multiply),
        (lambda a, b: a / b, np.divide),
        (lambda a, b: a // b, np.floor_divide),
        (lambda a, b: a % b, np.mod),
        (ops.maximum, np.maximum),
        (ops.minimum, np.minimum),
        (lambda a, b: a == b, np.equal),
        (lambda a, b: a != b, np.not_equal),
        (lambda a, b: a < b, np.less),
        (lambda a, b: a <= b, np.less_equal),
        (lambda a, b: a > b, np.greater),
        (lambda a, b: a >= b, np.greater_equal),
    ],
)
def test_two_operands(ours, numpys, rng):
    a = rng.integers(-3, 4, (3, 1, 5)).astype(np.float32)
    b = rng.choice([-2.0, 1.0, 3.0], (4, 5)).astype(np.float32)
    close(ours(Tensor(a), Tensor(b)), numpys(a, b))
    close(ours(Tensor(a), 2.0), numpys(a, np.float32(2)))
    close(ours(2.0, Tensor(b)), numpys(np.float32(2), b))
    close(ours(a, Tensor(b)), numpys(a, b))


@pytest.mark.parametrize(
    "name", ["exp", "expm1", "log", "log1p", "sqrt", "square", "sin", "cos", "abs", "sign", "floor", "ceil", "round"]
)
def test_functions_of_one_argument(name, rng):
    x = rng.uniform(0.1, 3, (4, 5)).astype(np.float32)
    close(getattr(ops, name)(Tensor(x)), getattr(np, name)(x))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1,)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std", "any", "all"])
def test_reductions(name, axis, keepdims, rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32).round(1)
    close(getattr(ops, name)(Tensor(x), axis, keepdims), getattr(np, name)(x, axis=axis, keepdims=keepdims))


def test_logsumexp_does_not_overflow():
    close(ops.logsumexp(Tensor([[1000.0, 1000.0], [-np.inf, 0.0]]), 1), [1000 + np.log(2), 0.0])
    assert ops.logsumexp(Tensor([-np.inf, -np.inf])).item() == -np.inf


def test_argmax_is_int32_and_takes_the_first():
    found = ops.argmax(Tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]]), 1)
    assert found.dtype == np.int32
    assert found.tolist() == [1, 0]


def test_dtypes_when_two_meet():
    half, single, double = (Tensor(np.ones(2, dtype)) for dtype in ("float16", "float32", "float64"))
    integers = Tensor([1, 2])
    assert (single * integers).dtype == np.float32
    assert (integers * 1.5).dtype == np.float32
    assert (integers / integers).dtype == np.float32
    assert (integers * 2).dtype == np.int32
    assert (half + single).dtype == np.float32
    assert (single + double).dtype == np.float64
    assert (single * np.float64(2)).dtype == np.float32
    assert (2 * half).dtype == np.float16
    assert ops.mean(integers).dtype == np.float32


def test_numpy_on_the_left_makes_a_tensor():
    product = np.float32(2) * Tensor([1.0, 2.0])
    assert isinstance(product, Tensor)
    assert isinstance(np.ones(2, np.float32) + Tensor([1.0, 2.0]), Tensor)


def test_equal_maxima_share_the_gradient():
    x = Tensor([1.0, 3.0, 3.0], requires_grad=True)
    ops.max(x).backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.5]


def test_power_at_zero_has_a_gradient():
    base, exponent = Tensor(0.0, requires_grad=True), Tensor(2.0, requires_grad=True)
    (base**exponent).backward()
    assert (base.grad.item(), exponent.grad.item()) == (0.0, 0.0)


def test_integer_pieces_of_a_tensor_are_indices():
    x = Tensor(np.arange(12.0, dtype=np.float32).reshape(3, 4))
    assert x[Tensor(1), 2].item() == 6.0
    assert x[Tensor([2, 0])].tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert x[x > 9].tolist() == [10, 11]
    assert [10, 20, 30][Tensor(1)] == 20


def test_one_hot_gives_zeros_out_of_range():
    assert ops.one_hot([1, -1, 5], 3).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert ops.one_hot([[1, 0]], 2, axis=1).tolist() == [[[0, 1], [1, 0]]]


def test_conv2d_transpose_sizes_are_keras():
    x, w = np.ones((1, 3, 3, 2), np.float32), np.ones((3, 3, 4, 2), np.float32)
    assert ops.conv2d_transpose(x, w, strides=2, padding="same").shape == (1, 6, 6, 4)
    assert ops.conv2d_transpose(x, w, strides=2, padding="valid").shape == (1, 7, 7, 4)
    assert ops.conv2d_transpose(x, np.ones((1, 1, 4, 2), np.float32), strides=3).shape == (1, 9, 9, 4)
    assert ops.conv2d_transpose(x, w, strides=2, padding="same", output_padding=1).shape == (1, 6, 6, 4)


def test_conv2d_transpose_is_the_adjoint_of_conv2d(rng):
    x, w = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 2, 3, 4))
    y = ops.conv2d(x, w, strides=2, padding="same")
    z = rng.standard_normal(y.shape)
    back = ops.conv2d_transpose(z, w, strides=2, padding=((1, 1), (0, 0)))
    assert back.shape == x.shape
    assert (y * z).sum().item() == pytest.approx((back * x).sum().item(), rel=1e-12)


def test_dropout_draws_the_same_mask_again():
    x = Tensor(np.ones(10_000, np.float32), requires_grad=True)
    y = ops.dropout(x, 0.3, seed=11)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert 0.68 < (y.numpy() > 0).mean() < 0.72
    np.testing.assert_array_equal(ops.dropout(x, 0.3, seed=11).numpy(), y.numpy())
    assert ops.dropout(x, 0.0) is x
