"""Above the kernels nothing computes on a GPU's arrays with NumPy, and nothing reads them unasked.

Everything runs on arrays that NumPy cannot read (``unreadable.py``), with the kernels on the emulator: what would break
on a GPU, or copy to the CPU behind one's back, raises here.
"""

from __future__ import annotations

import numpy as np
import pytest
from catalogue import USES
from devices import skip_unless_there
from test_gradients import CASES
from unreadable import GpuArray, HiddenNumpyError, stand_in

import deepcore
from deepcore import layers, ops
from deepcore.autograd import gradients
from deepcore.device import use_device
from deepcore.structure import leaves
from deepcore.tensor import Tensor


@pytest.fixture
def xp():
    skip_unless_there("emulator")
    with stand_in() as namespace:
        yield namespace


def test_the_stand_in_notices(xp):
    x = Tensor([1.0, 2.0])
    assert isinstance(x.data, GpuArray)
    host = np.ones(2, np.float32)
    for hidden in (
        lambda: np.exp(x.data),
        lambda: np.sum(x.data),
        lambda: np.asarray(x.data),
        lambda: np.full(2, x.data),
        lambda: x.data * host,
        lambda: host * x.data,
        lambda: xp.maximum(x.data, host),
        lambda: x.data.__setitem__(..., host),
        lambda: float(x.data[0]),
        lambda: bool((x.data > 0)[0]),
    ):
        with pytest.raises(HiddenNumpyError):
            hidden()
    np.testing.assert_array_equal((x.data * 2 + xp.asarray(host)).get(), [3, 5])


@pytest.mark.parametrize("name", CASES)
def test_operations(name, xp):
    function, *inputs = CASES[name]
    leaves = [Tensor(x.astype(np.float32), requires_grad=True) for x in inputs]
    outputs = function(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    first = gradients(outputs, leaves, [ops.cos(y.detach()) for y in outputs], create_graph=True)
    recorded = [g for g in first if g.requires_grad]
    second = gradients(recorded, leaves, [ops.sin(g.detach() + 1) for g in recorded]) if recorded else ()
    for tensor in (*outputs, *first, *second):
        assert isinstance(tensor.data, GpuArray)
        assert np.isfinite(tensor.numpy()).all()


X = np.array([[0.5, -1.5, 2.0], [0.0, 1.0, -0.5]], np.float32)
Y = np.array([2.0, -1.5, 2.0], np.float32)

# What has no gradient, or needs no table of its own for it.
PLAIN = {
    **{
        name: (getattr(ops, name), getattr(np, name))
        for name in (
            "equal",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
            "logical_and",
            "logical_or",
            "floor_divide",
        )
    },
    **{
        name: (lambda x, y, name=name: getattr(ops, name)(x), lambda x, y, name=name: getattr(np, name)(x))
        for name in ("ceil", "floor", "round", "sign", "isfinite", "isnan", "logical_not", "ones_like", "zeros_like")
    },
    **{
        name: (lambda x, y, name=name: getattr(ops, name)(x, 1), lambda x, y, name=name: getattr(np, name)(x, 1))
        for name in ("any", "all", "argmax", "argmin")
    },
    "getitem": (lambda x, y: ops.getitem(x, (x > 0,)), lambda x, y: x[x > 0]),
    "dot": (ops.dot, np.dot),
    "one_hot": (lambda x, y: ops.one_hot(ops.cast(x, "int32"), 3, axis=1), lambda x, y: one_hot(x)),
    "multi_hot": (lambda x, y: ops.multi_hot(ops.cast(x, "int32"), 3), lambda x, y: one_hot(x).max(2)),
    "convert_to_tensor": (lambda x, y: ops.convert_to_tensor(x, "float64"), lambda x, y: x.astype(np.float64)),
}


def one_hot(x):
    return (x.astype(np.int32)[:, None, :] == np.arange(3)[None, :, None]).astype(np.float32)


@pytest.mark.parametrize("name", PLAIN)
def test_operations_without_gradients(name, xp):
    ours, numpys = PLAIN[name]
    found = ours(Tensor(X), Tensor(Y))
    assert isinstance(found.data, GpuArray)
    np.testing.assert_array_equal(found.numpy(), numpys(X, Y))


def _integers(x):
    return ops.cast(ops.abs(x) * 2, "int32")


def _row(x):
    return ops.ravel(x)


# What is compared with the CPU: results of several tensors, or made from numbers alone.
AS_ON_THE_CPU = {
    **{
        name: lambda x, y, name=name: getattr(ops, name)(x)
        for name in (
            "absolute",
            "amax",
            "amin",
            "angle",
            "argsort",
            "conjugate",
            "count_nonzero",
            "diagflat",
            "fliplr",
            "flipud",
            "imag",
            "isinf",
            "isneginf",
            "isposinf",
            "isreal",
            "nanargmax",
            "nanargmin",
            "nonzero",
            "signbit",
            "stop_gradient",
            "trunc",
            "matrix_rank",
        )
    },
    **{
        name: lambda x, y, name=name: getattr(ops, name)(x, y)
        for name in ("allclose", "heaviside", "isclose", "isin", "logical_xor", "nextafter", "true_divide")
    },
    **{
        name: lambda x, y, name=name: getattr(ops, name)(_integers(x), _integers(y))
        for name in (
            "bitwise_and",
            "bitwise_left_shift",
            "bitwise_or",
            "bitwise_right_shift",
            "bitwise_xor",
            "gcd",
            "lcm",
            "left_shift",
            "right_shift",
        )
    },
    **{name: lambda x, y, name=name: getattr(ops, name)(_integers(x)) for name in ("bitwise_invert", "bitwise_not")},
    **{
        name: lambda x, y, name=name: getattr(ops, name)(5)
        for name in ("bartlett", "blackman", "eye", "hamming", "hanning", "identity", "tri")
    },
    **{name: lambda x, y, name=name: getattr(ops, name)((2, 3)) for name in ("ones", "zeros")},
    "arange": lambda x, y: ops.arange(1, 7, 2),
    "argpartition": lambda x, y: ops.argpartition(x, 1)[:, 1],
    "bincount": lambda x, y: ops.bincount(_integers(x)),
    "digitize": lambda x, y: ops.digitize(x, [-1.0, 0.0, 1.0]),
    "dsplit": lambda x, y: ops.dsplit(ops.reshape(x, (1, 3, 2)), 2),
    "empty": lambda x, y: ops.empty((2, 0)),
    "empty_like": lambda x, y: ops.empty_like(x) * 0 == 1,
    "full": lambda x, y: ops.full((2, 3), 1.5),
    "full_like": lambda x, y: ops.full_like(x, 1.5),
    "get_item": lambda x, y: ops.get_item(x, (0, slice(1, 3))),
    "histogram": lambda x, y: ops.histogram(_row(x), 3),
    "hsplit": lambda x, y: ops.hsplit(x, 3),
    "in_top_k": lambda x, y: ops.in_top_k(ops.cast([0, 1], "int32"), x, 1),
    "jvp": lambda x, y: ops.jvp(ops.sin, (x,), (x,)),
    "kaiser": lambda x, y: ops.kaiser(5, 2.0),
    "nanpercentile": lambda x, y: ops.nanpercentile(x, 40.0),
    "searchsorted": lambda x, y: ops.searchsorted(ops.sort(_row(x)), y),
    "switch": lambda x, y: ops.switch(1, [ops.sin, ops.cos], x),
    "unique": lambda x, y: ops.unique(x, return_inverse=True, return_counts=True),
    "unravel_index": lambda x, y: ops.unravel_index(_integers(x), (3, 2)),
    "vectorized_map": lambda x, y: ops.vectorized_map(ops.sum, x),
    "view": lambda x, y: ops.view(x, "int32"),
    "vsplit": lambda x, y: ops.vsplit(x, 2),
}

# What asks of a tensor no more than its shape, or copies it to the CPU by name.
ANSWERS = {
    "convert_to_numpy": lambda x: ops.convert_to_numpy(x).tolist() == X.tolist(),
    "is_tensor": ops.is_tensor,
    "ndim": lambda x: ops.ndim(x) == 2,
    "shape": lambda x: ops.shape(x) == (2, 3),
    "size": lambda x: ops.size(x) == 6,
}


@pytest.mark.parametrize("name", AS_ON_THE_CPU)
def test_operations_as_on_the_cpu(name, xp):
    found = leaves(AS_ON_THE_CPU[name](Tensor(X), Tensor(Y)))
    with use_device("cpu"):
        expected = leaves(AS_ON_THE_CPU[name](Tensor(X), Tensor(Y)))
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours.data, GpuArray)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name, xp):
    assert ANSWERS[name](Tensor(X)) is True


def test_no_operation_is_left_out():
    """An operation that is neither here, nor in the table of gradients, nor an activation, is not tested."""
    tested = {*PLAIN, *AS_ON_THE_CPU, *ANSWERS, *ops.EPILOGUES, *(name.replace(" ", "_") for name in CASES)}
    for function, *_ in CASES.values():
        code = getattr(function, "__code__", None)
        tested |= {function.__name__, *(code.co_names if code else ())}
    missing = {name for name in ops.__all__ if callable(getattr(ops, name))} - tested - {"Tensor"}
    missing |= set(ops.image.__all__) - tested
    assert not missing, f"without a case here or in tests/ops/test_gradients.py: {sorted(missing)}"


@pytest.mark.parametrize("name", USES)
def test_everything_that_can_be_made_by_name(name, xp):
    ours = USES[name]("float32")
    with use_device("cpu"):
        theirs = USES[name]("float32")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(b).max(initial=0)))


def trained(x, y):
    """A model of layers of many kinds, and what ``fit``, ``evaluate`` and ``predict`` gave for data on the CPU."""
    deepcore.random.set_seed(3)
    model = deepcore.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax", kernel_regularizer="l2"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_split=0.2, class_weight={1: 2.0}).history
    return model, [*history.values(), model.evaluate(x, y, verbose=0), model.predict(x, verbose=0)]


def test_training(xp, rng):
    x, y = rng.standard_normal((20, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 20)
    model, ours = trained(x, y)
    assert all(isinstance(v.data, GpuArray) for v in model.weights)
    with use_device("cpu"):
        _, theirs = trained(x, y)
    assert all(isinstance(value, float) for value in ours[0])
    assert isinstance(ours[-1], np.ndarray)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
