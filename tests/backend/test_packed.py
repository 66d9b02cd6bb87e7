"""What is made of a weight and kept is never that of other values than it has now."""

from __future__ import annotations

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import deepcore
from deepcore import layers, ops, optimizers
from deepcore.autograd import no_grad
from deepcore.backend.numpy import packed as module
from deepcore.backend.numpy.packed import packed
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class Make:
    """Doubles an array, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, array):
        self.calls += 1
        return array * 2


def keep(array, key, make):
    """Asks twice, as inference does: from the second time on, what is made is kept."""
    packed(array, key, make)
    return packed(array, key, make)


def kept(variable: Variable) -> bool:
    """Whether what is made of it is looked up the third time; checks that it is of the values now."""
    make = Make()
    for _ in range(3):
        np.testing.assert_array_equal(packed(variable._array, "double", make), variable._array * 2)
    return make.calls < 3


@pytest.fixture
def variable() -> Variable:
    made = Variable(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert kept(made)
    return made


WRITES = {
    "assign": lambda v: v.assign(v + 1),
    "assign_add": lambda v: v.assign_add(1.0),
    "assign_sub": lambda v: v.assign_sub(1.0),
    "assign of a plain tensor of the same memory": lambda v: v.detach().assign(np.ones((2, 3))),
    "assign of a view": lambda v: ops.reshape(v.detach(), (6,)).assign(np.ones(6)),
    "assign of an alias": lambda v: _assign_alias(v),
    "load": lambda v: v.assign({"0": np.ones((2, 3))}["0"]),
    "sgd": lambda v: optimizers.SGD(0.5).apply([Tensor(np.ones((2, 3), np.float32))], [v]),
    "lamb, which has no rule": lambda v: optimizers.Lamb(0.5).apply([Tensor(np.ones((2, 3), np.float32))], [v]),
    "constraint": lambda v: _with_constraint(v),
    "overwrite_with_gradient": lambda v: _overwritten(v),
    "average": lambda v: _averaged(v),
}


def _assign_alias(v):
    with no_grad():
        v.value.assign(np.ones((2, 3)))


def _with_constraint(v):
    v.constraint = lambda w: w * 0.5
    optimizers.SGD(0.0).apply([Tensor(np.ones((2, 3), np.float32))], [v])


def _overwritten(v):
    v.overwrite_with_gradient = True
    optimizers.SGD(0.5).apply([Tensor(np.ones((2, 3), np.float32))], [v])


def _averaged(v):
    optimizer = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    for _ in range(2):
        optimizer.apply([Tensor(np.ones((2, 3), np.float32))], [v])
        assert kept(v)
    optimizer.finalize_variable_values([v])


@pytest.mark.parametrize("name", WRITES)
def test_every_write_through_the_library_gives_up_what_was_made(variable, name):
    before = variable.numpy()
    WRITES[name](variable)
    assert (variable.numpy() != before).any()
    assert kept(variable)  # and is of the new values


ESCAPES = {
    "data": lambda v: v.data,
    "value.data": lambda v: v.value.data,
    "value.numpy()": lambda v: v.value.numpy(),
    "asarray(value)": lambda v: np.asarray(v.value),
    "detach().numpy()": lambda v: v.detach().numpy(),
    "a view": lambda v: ops.reshape(v, (3, 2)).numpy().reshape(2, 3),
    "a transposed view": lambda v: ops.transpose(v).numpy().T,
    "a part": lambda v: v[:, :].numpy(),
    "dlpack": lambda v: np.from_dlpack(v),
    "dlpack of the value": lambda v: np.from_dlpack(v.value),
    "a tensor that shares it": lambda v: Tensor(v).numpy(),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_is_kept_of_an_array_that_can_be_written_to_from_outside(variable, name):
    outside = ESCAPES[name](variable)
    assert np.shares_memory(outside, variable._array)
    assert not kept(variable)
    if outside.flags.writeable:
        outside[0, 0] = 99
        assert not kept(variable)
    variable.assign(variable + 1)
    assert not kept(variable)


@pytest.mark.parametrize(
    "read", [lambda v: v.numpy(), np.asarray, repr, lambda v: v.tolist(), lambda v: v[0, 0].item()]
)
def test_reading_a_variable_hands_out_nothing_that_can_be_written_to(variable, read):
    seen = read(variable)
    if isinstance(seen, np.ndarray):
        seen[...] = 99
    assert kept(variable)


def test_set_weights_load_weights_and_swapped_averages(tmp_path):
    layer = layers.Dense(3)
    model = deepcore.Sequential([layers.Input((2,)), layer])
    model.compile(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), "mean_squared_error")
    other = [np.full((2, 3), 7.0), np.zeros(3)]
    assert kept(layer.kernel)
    model.set_weights(other)
    assert kept(layer.kernel)
    model.save_weights(tmp_path / "w.weights.h5")
    model.set_weights([other[0] + 1, other[1]])
    assert kept(layer.kernel)
    model.load_weights(tmp_path / "w.weights.h5")
    assert kept(layer.kernel)
    seen = []

    class Look(deepcore.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(kept(layer.kernel))

        def on_epoch_end(self, epoch, logs=None):
            seen.append(kept(layer.kernel))

    swap = deepcore.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(np.ones((8, 2)), np.ones((8, 3)), 4, epochs=2, verbose=0, callbacks=[Look(), swap, Look()])
    assert seen
    assert all(seen)
    assert kept(layer.kernel)


def test_arrays_that_nobody_registered_are_made_of_every_time():
    make = Make()
    array = np.ones(3)
    packed(array, "double", make)
    array[0] = 5
    assert packed(array, "double", make)[0] == 10
    assert make.calls == 2


def test_a_view_of_a_variable_is_not_the_variable(variable):
    make = Make()
    for _ in range(2):
        packed(variable._array[:1], "double", make)
        packed(variable._array.T, "double", make)
    assert make.calls == 4


def test_keys_are_kept_apart(variable):
    assert keep(variable._array, ("scale", 3), lambda a: a * 3)[0, 1] == 3
    assert keep(variable._array, ("scale", 4), lambda a: a * 4)[0, 1] == 4
    assert packed(variable._array, ("scale", 3), lambda a: a * 5)[0, 1] == 3


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_are_right_and_have_their_own(variable, duplicate):
    other = duplicate(variable)
    other.assign(other * 3)
    assert kept(other)
    assert kept(variable)


def test_entries_die_with_their_array():
    module._kept.clear()
    module._owned.clear()
    module._bytes = 0
    variable = Variable(np.ones(4))
    packed(variable._array, "double", Make())
    assert module._bytes == 0  # a step of training asks once and writes
    packed(variable._array, "double", Make())
    assert module._bytes == 32
    assert len(module._owned) == 1
    del variable
    gc.collect()
    assert (module._bytes, len(module._owned), len(module._kept)) == (0, 0, 0)


def test_what_was_used_longest_ago_goes_first(monkeypatch):
    first, second, third = (Variable(np.ones(4)) for _ in range(3))
    monkeypatch.setattr(module, "LIMIT", module._bytes + 64)
    make = Make()
    keep(first._array, "double", make)
    keep(second._array, "double", make)
    packed(first._array, "double", make)
    assert make.calls == 4
    keep(third._array, "double", make)
    packed(first._array, "double", make)
    packed(third._array, "double", make)
    assert make.calls == 6
    packed(second._array, "double", make)
    assert make.calls == 7
    assert module._bytes <= module.LIMIT


def test_what_exceeds_the_limit_is_not_kept(monkeypatch, variable):
    monkeypatch.setattr(module, "LIMIT", 8)
    make = Make()
    for _ in range(2):
        assert packed(variable._array, "large", make)[0, 1] == 2
    assert make.calls == 2


def test_a_write_while_something_is_made_gives_it_up(variable):
    def interrupted(array):
        made = array * 2
        variable.assign(array + 1)
        return made

    packed(variable._array, "other", interrupted)
    np.testing.assert_array_equal(packed(variable._array, "other", lambda a: a * 2), variable._array * 2)


def test_a_write_that_fails_gives_up_what_was_made(variable):
    make = Make()
    packed(variable._array, "double again", make)

    def fail():
        with module.writing(variable._array):
            variable._array[0] = 5
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert packed(variable._array, "double again", make)[0, 0] == 10


def test_many_threads_see_values_that_were_there(variable):
    errors = []

    variable.assign(np.zeros((2, 3)))
    lock = threading.Lock()  # a write and the making of something are not atomic to each other, so each is by itself

    def guarded(array):
        with lock:
            return array * 2

    def read_guarded():
        for _ in range(300):
            made = packed(variable._array, "guarded", guarded)
            if not (made[0, 0] == made).all():
                errors.append(made)

    def write():
        for i in range(100):
            with lock:
                variable.assign(np.full((2, 3), i))

    threads = [threading.Thread(target=target) for target in (read_guarded, read_guarded, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    np.testing.assert_array_equal(packed(variable._array, "guarded", guarded), np.full((2, 3), 198.0))
