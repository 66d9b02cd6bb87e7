"""A trace makes the calls of a computation again for other arrays, or says that it cannot."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from deepcore import ops, random
from deepcore.autograd import gradients
from deepcore.autograd.trace import Draw, Trace
from deepcore.backend import numpy_backend
from deepcore.tensor import Tensor
from deepcore.variable import Variable


def traced(function, *inputs, variables=()):
    """The result of ``function``, and the program of what it computed."""
    with Trace(inputs, variables) as trace:
        found = function(*inputs)
    return found, trace.program([found])


def again(program, *arrays):
    (found,) = program.run(numpy_backend(), [np.float32(array) for array in arrays])
    return found


def test_the_calls_are_made_for_other_arrays():
    weight = Variable([2.0, 3.0])
    found, program = traced(lambda x: ops.relu(x * weight + 1.0), Tensor([1.0, -4.0]), variables=[weight])
    assert found.tolist() == [3.0, 0.0]
    assert again(program, [-5.0, 5.0]).tolist() == [0.0, 16.0]
    weight.assign([1.0, 1.0])
    assert again(program, [-5.0, 5.0]).tolist() == [0.0, 6.0]


def test_gradients_are_part_of_it():
    weight = Variable([2.0, 3.0])

    def slope(x):
        (found,) = gradients((ops.square(weight) * x).sum(), [weight])
        return found

    found, program = traced(slope, Tensor([1.0, 2.0]), variables=[weight])
    assert found.tolist() == [4.0, 12.0]
    weight.assign([1.0, 1.0])
    assert again(program, [5.0, 7.0]).tolist() == [10.0, 14.0]


def test_numbers_are_drawn_anew_and_by_both_passes_alike():
    stream, other = random.Generator(7), random.Generator(7)
    weight = Variable(np.ones(64, np.float32))

    def slope(x, stream):
        (found,) = gradients(ops.dropout(weight * x, 0.5, stream).sum(), [weight])
        return found

    ones = np.ones(64, np.float32)
    _, program = traced(lambda x: slope(x, stream), Tensor(ones), variables=[weight])
    slope(Tensor(ones), other)
    for _ in range(3):
        np.testing.assert_array_equal(again(program, ones), slope(Tensor(ones), other).numpy())
        assert stream.offset == other.offset


def test_streams_that_happen_to_agree_are_told_apart():
    first, second = random.Generator(3), random.Generator(3)
    ones = np.ones(64, np.float32)
    found, program = traced(lambda x: ops.dropout(x, 0.5, first) - ops.dropout(x, 0.5, second), Tensor(ones))
    assert not found.numpy().any()
    second.draw(8)
    assert again(program, ones).any()


def test_writes_and_refusals_happen_again():
    total = Variable([0.0])

    def add(x):
        total.assign(total + x)
        return total * 2.0

    _, program = traced(add, Tensor([1.0]), variables=[total])
    assert again(program, [4.0]).tolist() == [10.0]
    assert total.tolist() == [5.0]

    logits, labels = Tensor(np.zeros((2, 3), np.float32)), Tensor([0, 2])
    with Trace([logits, labels], []) as trace:
        loss = ops.softmax_cross_entropy(logits, labels)
    program = trace.program([loss])
    arrays = logits.numpy(), np.array([1, 3], np.int32)
    with pytest.raises(ValueError, match="Class numbers must be from 0 to 2"):
        program.run(numpy_backend(), arrays)


def test_what_has_no_gradient_is_noted_too():
    found, program = traced(lambda x: ops.where(x > 1.0, x, 0.0), Tensor([1.0, 2.0]))
    assert found.tolist() == [0.0, 2.0]
    assert again(program, [3.0, -1.0]).tolist() == [3.0, 0.0]


def test_a_single_number_is_an_array_and_what_numpy_warns_of_is_silent():
    _, program = traced(lambda x: ops.log(x).sum() * 2.0, Tensor([1.0, 2.0]))
    found = again(program, [0.0, 1.0])
    assert isinstance(found, np.ndarray)
    assert found == -np.inf


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * Tensor([2.0, 3.0]),  # where do these come from?
        lambda x: x * Tensor(x.numpy() + 1),
        lambda x: x * random.Generator(1).uniform((2,)),
        lambda x: ops.scatter([[0], [1]], x, (3,)),  # positions are an attribute
        lambda x: x * float(random.Generator(1).reserve(4)),
        lambda x: Tensor([2.0]),
    ],
)
def test_what_nobody_noted_ends_the_trace(function):
    found, program = traced(function, Tensor([1.0, 2.0]))
    assert isinstance(found, Tensor)
    assert program is None


@pytest.mark.parametrize("attribute", [Tensor([2.0]), np.ones(1), [(np.ones(1),)], Draw(7, 0)])
def test_attributes_that_may_be_others_the_next_time_end_the_trace(attribute):
    x, y = Tensor([1.0]), Tensor([2.0])
    with Trace([x], []) as trace:
        trace.call(lambda backend, array, scale: array * 2, [x], {"scale": attribute}, y)
    assert trace.program([y]) is None


@pytest.mark.parametrize(("size", "kept"), [(64, True), (65, False)])
def test_constants_are_few_numbers(size, kept):
    x, number = Tensor(np.ones(size, np.float32)), Tensor(np.full(size, 2.0, np.float32))
    with Trace([x], []) as trace:
        trace.constant(number)
        y = x * number
    assert (trace.program([y]) is not None) is kept


def test_one_array_in_two_places_cannot_be_told_apart():
    x = Tensor([1.0])
    with Trace([x, x.detach()], []) as trace:
        y = x * 2.0
    assert trace.program([y]) is None


def test_a_change_by_an_unnoted_value_ends_the_trace():
    total = Variable([0.0])
    with Trace([], [total]) as trace:
        total.assign_add(1.0)
    assert trace.program([]) is None


def test_outside_of_the_block_nothing_is_noted():
    x = Tensor([1.0])
    with Trace([x], []) as trace:
        y = x * 2.0
    z = y * 2.0
    assert trace.program([z]) is None


def test_arrays_live_as_long_as_somebody_reads_them():
    x = Tensor(np.ones(8, np.float32))
    alive = []

    def look(backend, array):
        alive.append([reference() is not None for reference in made])
        return array + 1

    made = []

    def make(backend, array):
        made.append(weakref.ref(result := array * 2))
        return result

    with Trace([x], []) as trace:
        tensors = [x]
        for function in (make, look, look):
            result = Tensor(function(None, tensors[-1].numpy()))
            trace.call(function, tensors[-1:], {}, result)
            tensors.append(result)
    program = trace.program(tensors[-1:])
    del tensors
    made.clear(), alive.clear()
    (found,) = program.run(numpy_backend(), [x.numpy()])
    assert found.tolist() == [4.0] * 8
    assert alive == [[True], [False]]


def test_a_result_that_nobody_reads_does_not_live():
    x, unread, last = Tensor(np.ones(8, np.float32)), Tensor(np.ones(8, np.float32)), Tensor([0.0])
    made, alive = [], []

    def make(backend, array):
        results = array * 2, array * 3
        made.append(weakref.ref(results[1]))
        return results

    def look(backend, array):
        alive.append(made[0]() is not None)
        return array + 1

    first, second = Tensor([2.0]), Tensor([3.0])
    with Trace([x], []) as trace:
        trace.call(make, [x], {}, (first, unread))
        trace.call(look, [first], {}, second)
        trace.call(look, [second], {}, last)
    trace.program([last]).run(numpy_backend(), [x.numpy()])
    assert alive == [False, False]
