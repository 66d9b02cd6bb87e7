"""Every operation's gradient, and the gradient of its gradient, against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
from array_cases import CASES as ARRAY_CASES
from draws import RNG, distinct, normal, off_kinks, positive
from network_cases import CASES as NETWORK_CASES

from deepcore import ops
from deepcore.autograd import gradcheck
from deepcore.ops.recurrent import gru_step, joined_steps, lstm_step, steps_of

LABELS = np.array([0, 2, 1, 3])
IDS = np.array([[0, 2, 2], [4, 0, 2]])

CASES = {
    "add": (lambda a, b: a + b, normal(3, 4), normal(4)),
    "subtract": (lambda a, b: a - b, normal(1, 4), normal(3, 1)),
    "multiply": (lambda a, b: a * b, normal(2, 3, 1), normal(3, 4)),
    "divide": (lambda a, b: a / b, normal(3, 4), positive(3, 1)),
    "power": (lambda a, b: a**b, positive(3, 4), normal(4)),
    "constant power": (lambda a: a**3 + a**-2 + a**0.5 + a**1 + a**0, positive(5)),
    "negative": (lambda a: -a, normal(4)),
    "mod": (lambda a: a % 1.0, RNG.uniform(0.2, 0.8, 5) + np.arange(5)),
    "exp": (ops.exp, normal(4)),
    "expm1": (ops.expm1, normal(4)),
    "log": (ops.log, positive(4)),
    "log1p": (ops.log1p, positive(4)),
    "sqrt": (ops.sqrt, positive(4)),
    "rsqrt": (ops.rsqrt, positive(4)),
    "square": (ops.square, normal(4)),
    "sin": (ops.sin, normal(4)),
    "cos": (ops.cos, normal(4)),
    "abs": (ops.abs, off_kinks(6)),
    "maximum": (ops.maximum, distinct(3, 4), distinct(4) + 0.1),
    "minimum": (ops.minimum, distinct(3, 4), distinct(4) + 0.1),
    "where": (lambda a, b: ops.where(np.array([True, False, True]), a, b), normal(2, 3), normal(3)),
    "clip": (lambda a: ops.clip(a, -0.1, 1.5), off_kinks(8)),
    "sum": (lambda a: ops.sum(a, (0, 2)), normal(2, 3, 4)),
    "sum keepdims": (lambda a: ops.sum(a * a, -1, keepdims=True), normal(2, 3)),
    "mean": (lambda a: ops.mean(a * a, 1), normal(2, 3)),
    "max": (lambda a: ops.max(a, 1), distinct(3, 4)),
    "min": (lambda a: ops.min(a, (0, 1)), distinct(3, 4, 2)),
    "var": (lambda a: ops.var(a, 0), normal(4, 3)),
    "std": (lambda a: ops.std(a, 0, keepdims=True), normal(4, 3)),
    "logsumexp": (lambda a: ops.logsumexp(a, 1), normal(3, 4)),
    "reshape": (lambda a: ops.reshape(a * a, (4, -1)), normal(2, 6)),
    "transpose": (lambda a: ops.transpose(a * a, (2, 0, 1)), normal(2, 3, 4)),
    "moveaxis": (lambda a: ops.moveaxis(a * a, 0, -1), normal(2, 3, 4)),
    "swapaxes": (lambda a: ops.swapaxes(a * a, 0, 1), normal(2, 3)),
    "expand_dims": (lambda a: ops.expand_dims(a * a, 1), normal(2, 3)),
    "squeeze": (lambda a: ops.squeeze(a * a), normal(2, 1, 3)),
    "flip": (lambda a: ops.flip(a * a, 1), normal(2, 3)),
    "pad": (lambda a: ops.pad(a * a, ((1, 0), (2, 1)), constant_values=3.0), normal(2, 3)),
    "broadcast_to": (lambda a: ops.broadcast_to(a * a, (4, 2, 3)), normal(2, 1)),
    "slice": (lambda a: (a * a)[1:, ::2], normal(3, 5)),
    "repeated index": (lambda a: (a * a)[[0, 2, 0, 0]], normal(3, 2)),
    "take": (lambda a: ops.take(a * a, [1, 1, 0], axis=1), normal(2, 3)),
    "concatenate": (lambda a, b: ops.concatenate([a * a, b, a], 1), normal(2, 3), normal(2, 1)),
    "stack": (lambda a, b: ops.stack([a * b, b], -1), normal(2, 3), normal(2, 3)),
    "split": (lambda a: tuple(ops.split(a * a, [1, 3], axis=1)), normal(2, 4)),
    "cast": (lambda a: ops.cast(a, "float64") ** 2, normal(3)),
    "alias": (lambda a: ops.alias(a) * a, normal(3)),
    "matmul": (ops.matmul, normal(2, 3), normal(3, 4)),
    "matmul batched": (ops.matmul, normal(2, 1, 3, 4), normal(5, 4, 2)),
    "matmul transposed a": (lambda a, b: ops.matmul(a, b, transpose_a=True), normal(3, 2), normal(3, 4)),
    "matmul transposed b": (lambda a, b: ops.matmul(a, b, transpose_b=True), normal(2, 3), normal(4, 3)),
    "matmul both transposed": (
        lambda a, b: ops.matmul(a, b, transpose_a=True, transpose_b=True),
        normal(3, 2),
        normal(4, 3),
    ),
    "matmul vectors": (lambda a, b: (a @ b) * (a[0] @ b[:, 0]), normal(2, 3), normal(3, 2)),
    "matmul epilogue": (
        lambda a, b, c: ops.matmul(a, b, bias=c, activation="tanh"),
        normal(2, 3),
        normal(3, 4),
        normal(4),
    ),
    "bias_activation": (lambda a, b: ops.bias_activation(a, b, "sigmoid"), normal(2, 3, 4), normal(4)),
    "silu": (ops.silu, normal(5)),
    "softsign": (ops.softsign, off_kinks(5)),
    "conv2d": (lambda x, w: ops.conv2d(x, w), normal(2, 4, 5, 2), normal(3, 2, 2, 3)),
    "conv2d strides, padding": (
        lambda x, w: ops.conv2d(x, w, strides=(2, 1), padding=((1, 0), (2, 1))),
        normal(1, 5, 4, 2),
        normal(2, 3, 2, 2),
    ),
    "conv2d same, dilation": (
        lambda x, w: ops.conv2d(x, w, padding="same", dilation=2),
        normal(1, 5, 5, 1),
        normal(3, 3, 1, 2),
    ),
    "conv2d groups": (lambda x, w: ops.conv2d(x, w, groups=2), normal(1, 3, 4, 4), normal(2, 2, 2, 6)),
    "conv2d epilogue": (
        lambda x, w, b: ops.conv2d(x, w, b, padding="same", activation="elu"),
        normal(1, 3, 3, 2),
        normal(3, 3, 2, 2),
        normal(2),
    ),
    "depthwise_conv2d": (
        lambda x, w: ops.depthwise_conv2d(x, w, strides=2, padding="same"),
        normal(1, 4, 5, 3),
        normal(3, 3, 3, 2),
    ),
    "conv2d_transpose": (
        lambda x, w, b: ops.conv2d_transpose(x, w, b, strides=2, padding="same", activation="tanh"),
        normal(1, 3, 2, 2),
        normal(3, 3, 3, 2),
        normal(3),
    ),
    "max_pool2d": (lambda x: ops.max_pool2d(x * x, 2, 1, "same"), distinct(1, 4, 3, 2) + 13.1),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x * x, 3, 2, "same"), normal(2, 5, 4, 2)),
    "global_max_pool2d": (lambda x: ops.global_max_pool2d(x * x), distinct(2, 3, 3, 2) + 19.1),
    "global_avg_pool2d": (lambda x: ops.global_avg_pool2d(x * x), normal(2, 3, 2, 2)),
    "batch_norm": (lambda x, g, b: ops.batch_norm(x, g, b), normal(4, 3, 2), normal(2), normal(2)),
    "batch_norm_inference": (
        lambda *t: ops.batch_norm_inference(*t),
        normal(4, 2),
        normal(2),
        normal(2),
        normal(2),
        positive(2),
    ),
    "layer_norm": (lambda x, g, b: ops.layer_norm(x, g, b), normal(3, 5), normal(5), normal(5)),
    "local_response_norm": (
        lambda x: ops.local_response_norm(x, depth_radius=1, bias=2.0, alpha=0.3, beta=0.75),
        normal(2, 2, 5),
    ),
    "softmax": (lambda x: ops.softmax(x, axis=0), normal(3, 4)),
    "log_softmax": (ops.log_softmax, normal(3, 4)),
    "softmax_cross_entropy, numbers": (lambda x: ops.softmax_cross_entropy(x, LABELS), normal(4, 5)),
    "softmax_cross_entropy, distributions": (ops.softmax_cross_entropy, normal(3, 4), positive(3, 4)),
    "categorical_crossentropy": (ops.categorical_crossentropy, positive(3, 4), positive(3, 4)),
    "categorical_crossentropy, other axis": (
        lambda t, p: ops.categorical_crossentropy(t, p, axis=1),
        positive(2, 3, 2),
        positive(2, 3, 2),
    ),
    "sparse_categorical_crossentropy": (lambda p: ops.sparse_categorical_crossentropy(LABELS, p), positive(4, 5)),
    "embedding": (lambda table: ops.embedding(table * table, IDS), normal(5, 3)),
    "dropout": (lambda x: ops.dropout(x * x, 0.4, seed=3), normal(5, 4)),
    "lstm_step": (lstm_step, normal(2, 12), normal(2, 12), normal(2, 3)),
    "gru_step": (gru_step, normal(2, 9), normal(2, 9), normal(2, 3)),
    "steps_of": (lambda x: steps_of(x * x, 1)[0] * steps_of(x, 1)[2], normal(2, 3, 2)),
    "joined_steps": (lambda a, b: joined_steps([a * b, b], 1), normal(2, 3), normal(2, 3)),
    **NETWORK_CASES,
}
CASES |= ARRAY_CASES


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_order(name):
    function, *inputs = CASES[name]
    assert gradcheck(function, inputs, order=2)


@pytest.mark.parametrize("activation", ops.EPILOGUES)
def test_every_epilogue(activation):
    x, bias = off_kinks(4, 3) * 0.9, normal(3) * 0.01
    assert gradcheck(lambda x, b: ops.bias_activation(x, b, activation), [x, bias], order=2)
    assert gradcheck(lambda x: ops.bias_activation(x, None, activation), [x], order=3, rtol=1e-4)


def test_third_order_of_a_convolution():
    x, w = normal(1, 3, 3, 1), normal(2, 2, 1, 2)
    assert gradcheck(lambda x, w: ops.conv2d(x, w, activation="tanh"), [x, w], order=3, rtol=1e-4)


def test_gradcheck_finds_a_wrong_gradient():
    from deepcore.autograd.primitive import primitive

    @primitive
    def cube(backend, x):
        return x**3

    @cube.gradient("x")
    def _(dy, x):
        return dy * x * x * 2.9

    with pytest.raises(AssertionError, match=r"input 0, element \(1,\)"):
        gradcheck(cube, [np.array([0.1, 2.0])])


def test_gradcheck_finds_a_wrong_second_derivative():
    from deepcore.autograd.primitive import primitive

    @primitive
    def cube(backend, x):
        return x**3

    @cube.gradient("x")
    def _(dy, x):
        return dy * x.detach() * x * 3  # right in value, but half of its own derivative is cut off

    assert gradcheck(cube, [np.array([2.0])])
    with pytest.raises(AssertionError, match="finite differences"):
        gradcheck(cube, [np.array([2.0])], order=2)


@pytest.mark.parametrize("name", [name for name in CASES if name != "cast"])  # whose case is a cast to float64
def test_float32_stays_float32(name):
    from deepcore import Tensor
    from deepcore.autograd import gradients

    function, *inputs = CASES[name]
    leaves = [Tensor(x.astype(np.float32), requires_grad=True) for x in inputs]
    outputs = function(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert {y.dtype for y in outputs} == {np.dtype("float32")}
    found = gradients(outputs, leaves, [ops.ones_like(y) for y in outputs], create_graph=True)
    assert {g.dtype for g in found} == {np.dtype("float32")}
    recorded = [g for g in found if g.requires_grad]
    if recorded:
        second = gradients(recorded, leaves, [ops.ones_like(g) for g in recorded])
        assert {g.dtype for g in second} == {np.dtype("float32")}


@pytest.mark.parametrize("columns", [3, 511, 512, 513])  # of two rows: few enough to be filled in, or too many
def test_every_element_has_its_share_of_a_mean_and_of_a_sum(columns):
    from deepcore import Tensor
    from deepcore.autograd import gradients

    x = Tensor(np.zeros((2, columns), np.float32), requires_grad=True)
    weights = Tensor(np.array([3.0, 5.0], np.float32))
    for reduce, share in ((ops.mean, 1 / columns), (ops.sum, 1.0)):
        (found,) = gradients((reduce(x, 1) * weights).sum(), [x])
        expected = np.repeat(np.array([[3.0], [5.0]], np.float32) * np.float32(share), columns, 1)
        np.testing.assert_array_equal(found.numpy(), expected)
        (found,) = gradients(reduce(x), [x])
        np.testing.assert_allclose(found.numpy(), np.full((2, columns), share / (2 if share < 1 else 1)), rtol=1e-6)
