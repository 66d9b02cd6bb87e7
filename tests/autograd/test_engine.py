"""The tape and the way back over it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from deepcore import Tensor, grad, no_grad, ops, value_and_grad
from deepcore.autograd import backward, gradients
from deepcore.autograd.primitive import primitive


def leaf(*values):
    return Tensor(list(values), requires_grad=True)


def test_gradients_add_up_over_uses_and_over_passes():
    x = leaf(3.0)
    (x * x + x).sum().backward()
    assert x.grad.tolist() == [7.0]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [9.0]


def test_a_node_waits_for_all_of_its_gradients():
    x = leaf(2.0)
    a = x * x
    b = a * a  # a is used early and late
    c = b * a
    (c + a).sum().backward()
    assert x.grad.tolist() == [6 * 2.0**5 + 2 * 2.0]


def test_deep_chains_do_not_recurse():
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1.0]


def test_only_leaves_get_grad():
    x = leaf(1.0)
    y = x * 2
    y.sum().backward()
    assert y.grad is None
    assert x.grad is not None


def test_an_output_of_many_elements_needs_its_gradient():
    x = leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(ValueError, match=r"Only a scalar.*\(2,\)"):
        y.backward()
    with pytest.raises(ValueError, match=r"shape \(2,\); got shape \(1,\)"):
        y.backward(Tensor([1.0]))
    y.backward(Tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2.0, 40.0]


def test_what_was_not_recorded_cannot_go_back():
    with pytest.raises(RuntimeError, match="was not recorded"):
        Tensor([1.0]).sum().backward()
    with no_grad():
        y = leaf(1.0) * 2
    assert not y.requires_grad
    with pytest.raises(RuntimeError, match="no_grad"):
        y.sum().backward()


def test_no_grad_decorates():
    @no_grad()
    def double(x):
        return x * 2

    assert not double(leaf(1.0)).requires_grad


def test_a_second_pass_needs_retain_graph():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12.0]
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_detach_cuts_the_tape():
    x = leaf(3.0)
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [3.0]


def test_gradients_leave_grad_alone_and_walk_only_between():
    calls = []

    @primitive
    def watched(backend, x):
        return x * 1

    @watched.gradient("x")
    def _(dy):
        calls.append("walked")
        return dy

    x, w = leaf(2.0), leaf(5.0)
    y = (watched(x) * w).sum()
    (dw,) = gradients(y, [w], retain_graph=True)
    assert dw.tolist() == [2.0]
    assert calls == []
    assert x.grad is None
    assert w.grad is None
    (dx,) = gradients(y, [x])
    assert dx.tolist() == [5.0]
    assert calls == ["walked"]


def test_gradients_at_tensors_in_between():
    x = leaf(3.0)
    middle = x * x
    y = (middle * middle).sum()
    dmiddle, dx = gradients(y, [middle, x])
    assert dmiddle.tolist() == [18.0]
    assert dx.tolist() == [108.0]


def test_an_input_that_does_not_matter_has_zeros():
    x, other = leaf(1.0), leaf(1.0, 2.0)
    (found,) = gradients((x * 2).sum(), [other])
    assert found.tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match=r"input 0.*requires_grad=True"):
        gradients((x * 2).sum(), [Tensor([1.0])])


def test_backward_of_several_outputs_at_once():
    x = leaf(2.0)
    shared = x * x
    backward([shared.sum(), (shared * 3).sum()])
    assert x.grad.tolist() == [16.0]


def test_grad_of_grad():
    assert float(grad(grad(grad(lambda x: x**4)))(Tensor(2.0))) == 48.0
    value, (dx, dy) = value_and_grad(lambda x, y: x * x * y, argnums=(0, 1))(Tensor(3.0), Tensor(2.0))
    assert (float(value), float(dx), float(dy)) == (18.0, 12.0, 9.0)
    assert not value.requires_grad
    assert not dx.requires_grad


def test_grad_inside_a_function_that_is_differentiated():
    def inner_slope_times_x(x):
        return grad(lambda y: y * y * x)(x) * x  # d/dy y²x = 2yx, at y = x: 2x³ in all

    assert float(grad(inner_slope_times_x)(Tensor(2.0))) == pytest.approx(24.0)


def test_value_and_grad_with_aux_and_arrays():
    (value, aux), slope = value_and_grad(lambda x: ((x * x).sum(), "more"), has_aux=True)(np.ones(2, np.float32))
    assert (value.item(), aux, slope.tolist()) == (2.0, "more", [2.0, 2.0])
    with pytest.raises(ValueError, match="scalar"):
        grad(lambda x: x * 2)(leaf(1.0, 2.0))
    with pytest.raises(TypeError, match="takes a function"):
        grad(leaf(1.0))


def test_create_graph_records_into_grad():
    x = leaf(3.0)
    (x * x * x).sum().backward(create_graph=True)
    x.grad.sum().backward()
    assert x.grad.tolist() == [27.0 + 18.0]


def test_memory_is_freed_as_backward_goes():
    """When a node's gradient runs, the arrays that later nodes kept are gone."""
    kept: list[weakref.ref] = []
    alive: list[int] = []

    @primitive
    def step(backend, x):
        y = x * 1.0
        kept.append(weakref.ref(y))
        return y

    @step.gradient("x")
    def _(dy, y):
        alive.append(sum(ref() is not None for ref in kept))
        return dy

    x = Tensor(np.ones(4, np.float32), requires_grad=True)
    y = x
    gc.disable()
    try:
        for _ in range(5):
            y = step(y)
        total = y.sum()
        del y
        total.backward()
    finally:
        gc.enable()
    assert alive == [5, 4, 3, 2, 1]


def test_the_tape_is_freed_without_the_garbage_collector():
    array = np.ones(3, np.float32)
    x = Tensor(array, requires_grad=True)
    gc.disable()
    try:
        middle = ops.exp(x)
        ref = weakref.ref(middle.data)
        z = (middle * middle).sum()
        del middle
        assert ref() is not None
        z.backward()
        assert ref() is None
        unused = ops.exp(ops.tanh(x))
        ref = weakref.ref(unused.data)
        del unused
        assert ref() is None
    finally:
        gc.enable()


def test_only_what_a_gradient_reads_is_kept():
    x = Tensor(np.ones((1, 4, 4, 2), np.float32), requires_grad=True)
    w = Tensor(np.ones((3, 3, 2, 2), np.float32))
    frozen = ops.conv2d(x, w)
    assert kept_names(frozen) == {"w"}
    w.requires_grad = True
    assert kept_names(ops.conv2d(x, w)) == {"x", "w"}
    assert kept_names(ops.conv2d(x.detach(), w)) == {"x"}
    assert kept_names(ops.conv2d(x.detach(), w, activation="relu")) == {"x", "y"}
    assert kept_names(x + w.sum()) == set()
    assert kept_names(ops.relu(x)) == {"y"}
    assert kept_names(ops.dropout(x, 0.5, seed=1)) == set()


def kept_names(tensor):
    node = tensor.node
    names = {name for name, kept in zip(node.primitive.inputs, node.inputs, strict=False) if kept is not None}
    return names | {name for name, kept in zip(node.primitive.outputs, node.outputs, strict=True) if kept is not None}


def test_gradient_functions_say_what_they_read_or_are_refused():
    @primitive
    def double(backend, x):
        return x * 2

    with pytest.raises(TypeError, match=r"cannot have the parameter 'z'.*input \('x',\)"):

        @double.gradient("x")
        def _(dy, z):
            return dy

    with pytest.raises(TypeError, match="has no input 'w'"):
        double.gradient("w")


def test_an_operation_may_have_any_number_of_results():
    seen = []

    @primitive(outputs=("*parts",))
    def multiples(backend, x, *, count):
        return tuple(x * n for n in range(1, count + 1))

    @multiples.gradient("x")
    def _(dparts):
        seen.append([part.tolist() for part in dparts])
        return sum((part * n for n, part in enumerate(dparts[1:], 2)), dparts[0])

    x = leaf(1.0, 2.0)
    parts = multiples(x, count=3)
    assert [part.tolist() for part in parts] == [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]
    (parts[0] * parts[2]).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [6.0, 12.0]  # of 3 x²
    assert seen == [[[3.0, 6.0], [0.0, 0.0], [1.0, 2.0]]]  # zeros where no gradient arrives
    (at_second,) = gradients(parts[1].sum() * 5, [parts[1]])
    assert at_second.tolist() == [5.0, 5.0]
    with no_grad():
        assert [part.requires_grad for part in multiples(x, count=2)] == [False, False]
    with pytest.raises(TypeError, match=r"cannot have the parameter 'dx'.*an output parts"):

        @multiples.gradient("x")
        def _(dx):
            return dx


def test_threads_have_their_own_recording_state():
    import threading

    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
        thread.start()
        thread.join()
        assert not (leaf(1.0) * 2).requires_grad
    assert seen == [True]
