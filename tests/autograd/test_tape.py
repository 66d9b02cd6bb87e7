"""GradientTape: gradients by hand, tapes within tapes and beside each other, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import deepcore
from deepcore import GradientTape, Tensor, Variable, ops


def test_variables_are_watched_and_structures_kept():
    a, b, still = Variable([1.0, 2.0]), Variable(3.0), Variable(5.0, trainable=False)
    with GradientTape() as tape:
        loss = ops.sum(a * a) * b * still
    found = tape.gradient(loss, {"a": a, "others": [b, still]})
    np.testing.assert_allclose(found["a"].numpy(), [30, 60])
    assert float(found["others"][0]) == 25
    assert found["others"][1] is None
    assert a.grad is None, "gradients are given, and not added up"


def test_tensors_are_watched_from_watch_on():
    x = Tensor(3.0)
    with GradientTape() as tape:
        before = x * x
        tape.watch([x])
        after = x * x * x
    assert before.requires_grad is False
    assert float(tape.gradient(after, x)) == 27


def test_a_tape_within_a_tape_gives_second_derivatives():
    x = Variable(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = x * x * x
        slope = inner.gradient(y, x)
        penalty = ops.square(slope - 1.0)
    assert float(slope) == 12
    assert float(outer.gradient(penalty, x)) == 2 * 11 * 12


def test_two_tapes_share_what_was_computed():
    g, d = Variable(2.0), Variable(3.0)
    with GradientTape() as first, GradientTape() as second:
        fake = g * 5.0
        score = fake * d
        one, two = -score, score * score
    assert float(first.gradient(one, [g])[0]) == -15
    assert float(second.gradient(two, [d])[0]) == 2 * 30 * 10


def test_a_persistent_tape_answers_again():
    x = Variable(2.0)
    with GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert (float(tape.gradient(z, x)), float(tape.gradient(y, x)), float(tape.gradient(z, y))) == (32, 4, 8)
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)


def test_targets_of_any_shape_are_summed_or_weighted():
    x = Variable([1.0, 2.0])
    with GradientTape(persistent=True) as tape:
        y = x * x
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [2, 4])
    np.testing.assert_allclose(tape.gradient([y, y], x).numpy(), [4, 8])
    np.testing.assert_allclose(tape.gradient(y, x, output_gradients=Tensor([1.0, 10.0])).numpy(), [2, 40])


def test_what_is_not_connected():
    x, other = Variable([1.0]), Variable([[1.0, 2.0]])
    with GradientTape(persistent=True) as tape:
        y = ops.sum(x)
        with tape.stop_recording():
            unseen = ops.sum(x)
    assert tape.gradient(y, other) is None
    assert tape.gradient(unseen, [x]) == [None]
    np.testing.assert_array_equal(tape.gradient(y, other, unconnected_gradients="zero").numpy(), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="'none' or 'zero'; got 'zeros'"):
        tape.gradient(y, other, unconnected_gradients="zeros")


def test_it_records_within_no_grad():
    x = Variable(2.0)
    with deepcore.no_grad():
        with GradientTape() as tape:
            y = x * x
        assert not (x * x).requires_grad
        assert float(tape.gradient(y, x)) == 4


def test_what_is_no_tensor_is_not_watched():
    with GradientTape() as tape, pytest.raises(TypeError, match="watch takes tensors; got 3"):
        tape.watch(3)
    with GradientTape() as tape, pytest.raises(RuntimeError, match="Only floating tensors"):
        tape.watch(Tensor([1, 2]))
