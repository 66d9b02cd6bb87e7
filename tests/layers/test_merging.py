"""Layers of several inputs: values, masks, shapes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from layer_checks import check, check_gradients

from deepcore import layers, ops
from deepcore.models import Model
from deepcore.tensor import Tensor

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

ELEMENTWISE = {
    "add": (layers.Add, lambda *xs: sum(xs)),
    "subtract": (layers.Subtract, lambda a, b: a - b),
    "multiply": (layers.Multiply, lambda *xs: np.prod(np.broadcast_arrays(*xs), axis=0)),
    "average": (layers.Average, lambda *xs: sum(xs) / len(xs)),
    "maximum": (layers.Maximum, lambda *xs: np.max(np.broadcast_arrays(*xs), axis=0)),
    "minimum": (layers.Minimum, lambda *xs: np.min(np.broadcast_arrays(*xs), axis=0)),
}


def drawn(rng, *shapes):
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def masked(x, mask=None):
    tensor = Tensor(np.array(x, np.float32))
    tensor.mask = None if mask is None else Tensor(np.array(mask, bool))
    return tensor


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize(
    "shapes", [[(2, 3, 4)] * 2, [(2, 3, 1), (2, 1, 4)], [(2, 4), (2, 3, 4)], [(2, 3, 3, 4), (2, 4)]]
)
def test_elementwise(name, shapes, rng):
    """A lower rank is raised behind the batch axis: [2, 4] meets [2, 3, 4] as [2, 1, 4]."""
    kind, formula = ELEMENTWISE[name]
    xs = drawn(rng, *shapes)
    rank = max(map(len, shapes))
    raised = [np.float64(x).reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in xs]
    check(kind(), xs, formula(*raised))
    np.testing.assert_array_equal(getattr(layers, name)(xs).numpy(), kind()(xs).numpy())


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "subtract"])
def test_any_number_of_inputs(name, rng):
    kind, formula = ELEMENTWISE[name]
    xs = drawn(rng, (2, 5), (2, 5), (2, 5))
    check(kind(), xs, formula(*map(np.float64, xs)))
    check(kind(), xs[:1], np.float64(xs[0]))


@pytest.mark.parametrize("axis", [1, -1, 2, -2])
def test_concatenate(axis, rng):
    shapes = [[2, 3, 4] for _ in range(3)]
    for shape, size in zip(shapes, (3, 1, 2), strict=True):
        shape[axis] = size
    xs = drawn(rng, *shapes)
    check(layers.Concatenate(axis), xs, np.concatenate(xs, axis))
    np.testing.assert_array_equal(layers.concatenate(xs, axis=axis).numpy(), np.concatenate(xs, axis))


def test_concatenate_by_default_joins_the_last_axis_and_can_join_batches(rng):
    xs = drawn(rng, (2, 3), (2, 4))
    check(layers.Concatenate(), xs, np.concatenate(xs, -1))
    np.testing.assert_array_equal(layers.concatenate(xs).numpy(), np.concatenate(xs, -1))
    xs = drawn(rng, (2, 3), (4, 3))
    np.testing.assert_array_equal(layers.Concatenate(0)(xs).numpy(), np.concatenate(xs))


DOTS = [
    (1, (2, 4), (2, 4), "bi,bi->b", (2, 1)),
    (-1, (2, 4), (2, 4), "bi,bi->b", (2, 1)),
    ((2, 1), (2, 3, 4), (2, 4, 5), "bmi,bin->bmn", (2, 3, 5)),
    ((1, 2), (2, 4, 3), (2, 5, 4), "bim,bni->bmn", (2, 3, 5)),
    (-1, (2, 3, 4), (2, 5, 4), "bmi,bni->bmn", (2, 3, 5)),
    ([2, 1], (2, 3, 4), (2, 4), "bmi,bi->bm", (2, 3)),
    ((1, -1), (2, 4), (2, 3, 4), "bi,bni->bn", (2, 3)),
    ((-2, -1), (2, 3, 4, 5), (2, 5, 6, 4), "bmik,bnoi->bmkno", (2, 3, 5, 5, 6)),
]


@pytest.mark.parametrize(("axes", "first", "second", "formula", "shape"), DOTS)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(axes, first, second, formula, shape, normalize, rng):
    a, b = drawn(rng, first, second)
    x, y = np.float64(a), np.float64(b)
    if normalize:
        i, j = (axes, axes) if isinstance(axes, int) else axes
        x, y = (v / np.linalg.norm(v, axis=k, keepdims=True) for v, k in ((x, i), (y, j)))
    expected = np.einsum(formula, x, y).reshape(shape)
    check(layers.Dot(axes, normalize), [a, b], expected)
    np.testing.assert_allclose(layers.dot([a, b], axes, normalize=normalize).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_the_cosine_of_nothing_is_zero_and_of_little_is_small():
    x = np.array([[0.0, 0.0], [1e-9, 0.0], [3.0, 4.0]], np.float32)
    y = np.array([[1.0, 0.0]] * 3, np.float32)
    np.testing.assert_allclose(layers.Dot(1, normalize=True)([x, y]).numpy(), [[0.0], [0.01], [0.6]], rtol=1e-5)


# Steps where an input has no mask, a mask that is true, a mask that is false.
FIRST, FIRST_MASK = [[[1, -2], [3, 4], [-5, 6], [7, 8]]], [[True, True, False, False]]
SECOND, SECOND_MASK = [[[2, 3], [-4, 5], [6, -7], [8, 9]]], [[True, False, True, False]]


@pytest.mark.parametrize(
    ("name", "both", "one"),
    [
        ("add", [[3, 1], [-1, 9], [1, -1], [15, 17]], [[3, 1], [-1, 9], [1, -1], [15, 17]]),
        ("subtract", [[-1, -5], [7, -1], [-11, 13], [-1, -1]], [[-1, -5], [7, -1], [-11, 13], [-1, -1]]),
        (
            "average",
            [[1.5, 0.5], [-0.5, 4.5], [0.5, -0.5], [7.5, 8.5]],
            [[1.5, 0.5], [-0.5, 4.5], [0.5, -0.5], [7.5, 8.5]],
        ),
        ("multiply", [[2, -6], [3, 4], [6, -7], [0, 0]], [[2, -6], [-12, 20], [6, -7], [8, 9]]),
        ("maximum", [[2, 3], [3, 4], [6, -7], [7, 8]], [[2, 3], [3, 5], [6, -7], [8, 9]]),
        ("minimum", [[1, -2], [3, 4], [6, -7], [7, 8]], [[1, -2], [-4, 4], [6, -7], [8, 9]]),
    ],
)
def test_what_is_masked_does_not_count(name, both, one):
    kind, _ = ELEMENTWISE[name]
    y = kind()([masked(FIRST, FIRST_MASK), masked(SECOND, SECOND_MASK)])
    np.testing.assert_array_equal(y.numpy(), [both])
    np.testing.assert_array_equal(y.mask.numpy(), [[True, True, True, False]])
    y = kind()([masked(FIRST, FIRST_MASK), masked(SECOND)])
    np.testing.assert_array_equal(y.numpy(), [one])
    assert y.mask is None


def test_masks_of_concatenated_steps_and_features():
    pair = [masked(FIRST, FIRST_MASK), masked(SECOND, SECOND_MASK)]
    y = layers.Concatenate(1)(pair)
    np.testing.assert_array_equal(y.mask.numpy(), [FIRST_MASK[0] + SECOND_MASK[0]])
    y = layers.Concatenate(-1)(pair)
    np.testing.assert_array_equal(y.mask.numpy(), [[True, True, True, False]])
    y = layers.Concatenate(1)([masked(FIRST, FIRST_MASK), masked(SECOND)])
    np.testing.assert_array_equal(y.mask.numpy(), [FIRST_MASK[0] + [True] * 4])
    assert layers.Concatenate(1)([masked(FIRST), masked(SECOND)]).mask is None
    assert layers.Dot(1)(pair).mask is None


def test_masks_are_asked_for_by_hand_as_in_keras():
    x = np.zeros((2, 3, 4), np.float32)
    mask = np.ones((2, 3), bool)
    for layer in (layers.Add(), layers.Concatenate(1)):
        assert layer.compute_mask([x, x], None) is None
        assert layer.compute_mask([x, x], [None, None]) is None
        assert layer.compute_mask([x, x], [mask, mask]).numpy().all()
        for inputs, masks in (([x, x], mask), (x, [None, None]), ([x, x], [None])):
            with pytest.raises(ValueError, match="a list of inputs and a list of as many masks"):
                layer.compute_mask(inputs, masks)


def test_masks_meet_in_a_functional_model():
    class Marked(layers.Layer):
        def compute_mask(self, inputs, previous_mask):
            return ops.any(ops.not_equal(inputs, 0), -1)

        def call(self, x):
            return x

    a, b = layers.Input((None, 2)), layers.Input((None, 2))
    joined = layers.concatenate([layers.add([Marked()(a), Marked()(b)]), Marked()(b)], axis=1)
    model = Model([a, b], layers.GlobalAveragePooling1D()(joined))
    x = np.array([[[1, 1], [0, 0], [0, 0]]], np.float32)
    y = np.array([[[0, 0], [3, 5], [0, 0]]], np.float32)
    # steps that count: 1 and 3 (the sum), 3 (the second input)
    np.testing.assert_allclose(model([x, y]).numpy(), [[(1 + 3 + 3) / 3, (1 + 5 + 5) / 3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (layers.Add(), [(2, 3), (2, 1), (2, 3)]),
        (layers.Subtract(), [(2, 3), (2, 2, 3)]),
        (layers.Multiply(), [(2, 3), (2, 1)]),
        (layers.Average(), [(2, 3), (2, 3)]),
        (layers.Maximum(), [(2, 3), (2, 1)]),
        (layers.Minimum(), [(2, 3), (2, 3)]),
        (layers.Concatenate(1), [(2, 3, 2), (2, 1, 2)]),
        (layers.Dot((2, 1)), [(2, 3, 2), (2, 2, 2)]),
        (layers.Dot(1, normalize=True), [(2, 3), (2, 3)]),
    ],
)
def test_gradients(layer, shapes, rng):
    check_gradients(layer, *(rng.standard_normal(shape) for shape in shapes))


@pytest.mark.parametrize(
    ("layer", "shapes", "expected"),
    [
        (layers.Add(), [(None, 3, None), (5, 1, 4)], (5, 3, None)),
        (layers.Maximum(), [(None, 4), (None, 3, 4)], (None, 3, 4)),
        (layers.Concatenate(1), [(None, 3, 4), (None, None, 4)], (None, None, 4)),
        (layers.Concatenate(), [(None, None, 4), (None, 3, 4)], (None, 3, 8)),
        (layers.Dot((2, 1)), [(None, None, 4), (None, 4, 5)], (None, None, 5)),
        (layers.Dot(-1), [(None, 4), (None, 4)], (None, 1)),
    ],
)
def test_sizes_that_are_not_known(layer, shapes, expected):
    assert layer.compute_output_shape(shapes) == expected


def test_a_functional_model_with_branches(rng):
    a, b = layers.Input((4,)), layers.Input((4,))
    product = layers.multiply([a, b])
    y = layers.Concatenate()([layers.subtract([a, b]), layers.dot([product, a], 1), layers.maximum([a, b])])
    model = Model([a, b], layers.Add()([y, y]))
    assert model.output_shape == (None, 9)
    x = drawn(rng, (3, 4), (3, 4))
    p, q = map(np.float64, x)
    expected = 2 * np.concatenate([p - q, (p * q * p).sum(1, keepdims=True), np.maximum(p, q)], 1)
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    again = type(model).from_config(model.get_config())
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (
            layers.Add(name="a"),
            (2, 3),
            r"Layer 'a' \(Add\): expected a list of inputs, as Add\(\)\(\[a, b\]\).*\(2, 3\)",
        ),
        (layers.Concatenate(name="b"), (2, 3), r"Layer 'b'.*expected a list of inputs"),
        (layers.Dot(1, name="c"), (2, 3), r"Layer 'c'.*expected a list of inputs"),
        (layers.Add(name="d"), [(2, 3), (2, 4)], r"Layer 'd'.*shapes broadcast; got \(2, 3\), \(2, 4\)"),
        (layers.Multiply(name="e"), [(2, 3), (4, 3)], r"Layer 'e'.*one batch size; got shapes \(2, 3\), \(4, 3\)"),
        (layers.Subtract(name="f"), [(2, 3)] * 3, r"Layer 'f'.*exactly 2 inputs; got 3"),
        (layers.Subtract(name="g"), [(2, 3)], r"Layer 'g'.*exactly 2 inputs; got 1"),
        (layers.Concatenate(1, name="h"), [(2, 3, 4), (2, 3, 5)], r"Layer 'h'.*agree on all axes but 1"),
        (layers.Concatenate(name="i"), [(2, 3, 4), (2, 3)], r"Layer 'i'.*agree on all axes but -1"),
        (layers.Concatenate(3, name="j"), [(2, 3), (2, 3)], r"Layer 'j'.*have the axis 3"),
        (layers.Dot(1, name="k"), [(2, 3), (2, 4)], r"Layer 'k'.*axes of one size; got shapes .* axes=1"),
        (layers.Dot(0, name="l"), [(2, 3), (2, 3)], r"Layer 'l'.*not the batch axis 0; got axes=0"),
        (layers.Dot((1, 3), name="m"), [(2, 3), (2, 3)], r"Layer 'm'.*axes=\(1, 3\)"),
        (layers.Dot(1, name="n"), [(2, 3)] * 3, r"Layer 'n'.*exactly 2 inputs; got 3"),
        (layers.Dot(1, name="o"), [(2, 3), (4, 3)], r"Layer 'o'.*one batch size"),
    ],
)
def test_inputs_that_do_not_fit(layer, shapes, message, rng):
    several = isinstance(shapes, list)
    with pytest.raises(ValueError, match=message):
        layer(drawn(rng, *shapes) if several else np.zeros(shapes, np.float32))
    with pytest.raises(ValueError, match=message):
        layer([layers.Input(batch_shape=s) for s in shapes] if several else layers.Input(batch_shape=shapes))
    assert not layer.built


@pytest.mark.parametrize(
    ("axes", "kind"),
    [("1", TypeError), (None, TypeError), (1.0, TypeError), ((1,), ValueError), ((1, 2.0), ValueError)],
)
def test_axes_that_are_refused(axes, kind):
    with pytest.raises(kind, match=r"axes must be an int or two ints; got axes="):
        layers.Dot(axes)
