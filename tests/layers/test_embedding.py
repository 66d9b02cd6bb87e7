"""Embedding and EinsumDense against lookups and np.einsum in float64."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers

pytestmark = pytest.mark.usefixtures("device")


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint8, np.float32])
def test_rows_of_a_table(kind):
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    ids = np.array([[3, 0, 1], [1, 1, 2]])
    y = layers.Embedding(4, 3, weights=table)(ids.astype(kind))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.numpy(), table[ids])
    np.testing.assert_array_equal(layers.Embedding(4, 3, weights=[table])(ids).numpy(), table[ids])


def test_zero_can_stand_for_nothing():
    ids = np.array([[3, 0, 1], [0, 0, 2]])
    np.testing.assert_array_equal(layers.Embedding(4, 2, mask_zero=True)(ids).mask.numpy(), ids != 0)
    assert layers.Embedding(4, 2)(ids).mask is None


def test_an_embedding_without_weights_is_uniform():
    table = layers.Embedding(500, 40)
    table.build()
    values = table.embeddings.numpy()
    assert np.abs(values).max() <= 0.05
    # The mean of n numbers of standard deviation s is within 6 s / sqrt(n) of theirs, but for two in a billion.
    assert abs(values.mean()) < 6 * 0.05 / np.sqrt(3) / np.sqrt(values.size)


def test_what_an_embedding_refuses():
    for wrong in (0, -1, 2.5, True, None):
        with pytest.raises(ValueError, match="input_dim must be a positive integer"):
            layers.Embedding(wrong, 3)
        with pytest.raises(ValueError, match="output_dim must be a positive integer"):
            layers.Embedding(3, wrong)
    with pytest.raises(ValueError, match="shape"):
        layers.Embedding(4, 3, weights=np.zeros((3, 4)))
    with pytest.warns(UserWarning, match="input_length"):
        layers.Embedding(4, 3, input_length=7)


EQUATIONS = [
    ("ab,bc->ac", 7, "c", (3, 8), (8, 7), (7,)),
    ("abc,cde->abde", (None, 3, 4), "de", (2, 5, 6), (6, 3, 4), (3, 4)),
    ("abc,cde->abde", (None, 3, 4), "e", (2, 5, 6), (6, 3, 4), (4,)),
    ("abc,cd->abd", (5, 7), None, (2, 5, 6), (6, 7), None),
    ("...x,xy->...y", 4, "y", (2, 5, 6), (6, 4), (4,)),
    ("...x,xy->...y", 4, "y", (2, 6), (6, 4), (4,)),
    ("xyz...,zw->xyw...", (5, 9), "w", (2, 5, 6, 3, 2), (6, 9), (9, 1, 1)),
    ("abc,bd->adc", (4, 6), "d", (2, 5, 6), (5, 4), (4, 1)),
    ("abcd,cdf->abf", (5, 7), "bf", (2, 5, 3, 4), (3, 4, 7), (5, 7)),
    ("abc,bcd->abd", (5, 4), None, (2, 5, 6), (5, 6, 4), None),
    ("abc,ade->abde", (5, 3, 4), None, (2, 5, 6), (2, 3, 4), None),
    ("abc,de->aedb", (4, 3, 5), "e", (2, 5, 6), (3, 4), (4, 1, 1)),
]


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: f"{case[0]} {case[3]}")
def test_einsum(case, rng):
    equation, output, bias_axes, shape, kernel_shape, bias_shape = case
    layer = layers.EinsumDense(equation, output, activation="tanh", bias_axes=bias_axes)
    x = rng.standard_normal(shape).astype(np.float32)
    layer.build(shape)
    assert layer.kernel.shape == kernel_shape
    assert (layer.bias.shape if layer.bias is not None else None) == bias_shape
    weights = [rng.standard_normal(v.shape).astype(np.float32) * 0.3 for v in layer.weights]
    layer.set_weights(weights)
    expected = np.einsum(equation, np.float64(x), np.float64(weights[0]))
    expected = np.tanh(expected + (np.float64(weights[1]) if bias_shape else 0))
    y = layer(x)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(shape) == expected.shape
    if "..." not in equation and "a" not in equation.split(",")[1]:
        assert layer.compute_output_shape((None, *shape[1:])) == (None, *expected.shape[1:])


def test_the_fans_of_an_einsum_kernel_are_its_inner_and_its_outer_axes():
    layer = layers.EinsumDense("abc,cde->abde", (None, 8, 50), kernel_initializer="glorot_uniform")
    layer.build((None, 4, 30))
    limit = np.sqrt(6 / (30 + 8 * 50))
    values = np.abs(layer.kernel.numpy())
    # All 12,000 numbers are below the limit; the largest of as many is above 99 % of it but with chance 0.99^12000.
    assert 0.99 * limit < values.max() <= limit


@pytest.mark.parametrize(
    ("equation", "output", "bias_axes", "message"),
    [
        ("ab,bc-ac", 4, None, "must have the form"),
        ("a...,bc->...c", 4, None, "must have the form"),
        ("...ab,bc->ac", 4, None, "must have the form"),
        ("aa,ab->ab", 4, None, "names an axis of one tensor twice"),
        ("abc,cd->abd", (3, 4), None, "does not fit inputs of shape"),
        ("ab,bc->ad", 4, None, "'d' is in neither the input nor the kernel"),
        ("ab,cd->ad", 4, None, r"axes \['c'\] are in neither the input nor the output"),
        ("ab,bc->abc", (9, 4), None, "size 5 and the output's size 9 of the shared axis 'b'"),
        ("ab,bc->ac", 4, "x", r"bias's axes \['x'\] are not among the output's"),
        ("ab,bc->ac", (4, 4), None, "must have a size for each axis"),
        ("ab,bc->ac", None, None, "kernel's sizes must be known"),
    ],
)
def test_equations_that_mean_nothing_are_refused(equation, output, bias_axes, message):
    layer = layers.EinsumDense(equation, (output,) if output is None else output, bias_axes=bias_axes)
    with pytest.raises(ValueError, match=message):
        layer.build((None, 5))
    assert not layer.built
