"""Optimizers against their formulas, step by step in float64."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import optimizers
from deepcore.tensor import Tensor
from deepcore.variable import Variable

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

STEPS = 6


def sgd(w, gradients, rate=0.01, momentum=0.0, nesterov=False):
    v = 0.0
    for g in gradients:
        v = momentum * v - rate * g
        w = w + (momentum * v - rate * g if nesterov else v)
    return w


def adagrad(w, gradients, rate=0.001, start=0.1, epsilon=1e-7):
    a = start
    for g in gradients:
        a = a + g * g
        w = w - rate * g / np.sqrt(a + epsilon)
    return w


def rmsprop(w, gradients, rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    v = mean = m = 0.0
    for g in gradients:
        v = rho * v + (1 - rho) * g * g
        mean = rho * mean + (1 - rho) * g
        step = rate * g / np.sqrt((v - mean**2 if centered else v) + epsilon)
        m = momentum * m + step
        w = w - m
    return w


def adam(w, gradients, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        w = w - rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
    return w


def adadelta(w, gradients, rate=0.001, rho=0.95, epsilon=1e-7):
    a = d = 0.0
    for g in gradients:
        a = rho * a + (1 - rho) * g**2
        step = np.sqrt((d + epsilon) / (a + epsilon)) * g
        d = rho * d + (1 - rho) * step**2
        w = w - rate * step
    return w


def amsgrad(w, gradients, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = top = 0.0
    for t, g in enumerate(gradients, 1):
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        top = np.maximum(top, v)
        w = w - rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(top) + epsilon)
    return w


def adamax(w, gradients, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = u = 0.0
    for t, g in enumerate(gradients, 1):
        m, u = beta_1 * m + (1 - beta_1) * g, np.maximum(beta_2 * u, np.abs(g))
        w = w - rate * m / ((1 - beta_1**t) * (u + epsilon))
    return w


def nadam(w, gradients, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = 0.0
    factors = [beta_1 * (1 - 0.5 * 0.96**t) for t in range(1, len(gradients) + 2)]
    for t, g in enumerate(gradients, 1):
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        ahead = factors[t] * m / (1 - np.prod(factors[: t + 1]))
        mean = ahead + (1 - factors[t - 1]) * g / (1 - np.prod(factors[:t]))
        w = w - rate * mean / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return w


def lion(w, gradients, rate=0.001, beta_1=0.9, beta_2=0.99):
    m = 0.0
    for g in gradients:
        w = w - rate * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g
    return w


def ftrl(w, gradients, rate=0.001, power=-0.5, start=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    n, z = start, 0.0
    for g in gradients:
        grown, before = (n + g * g) ** -power, n**-power
        z = z + g + 2 * shrinkage * w - (grown - before) / rate * w
        n = n + g * g
        w = np.where(np.abs(z) > l1, (np.sign(z) * l1 - z) / (grown / rate + 2 * l2 + beta / rate), 0.0)
    return w


def lamb(w, gradients, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        step = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        lengths = np.linalg.norm(w), np.linalg.norm(step)
        w = w - rate * (lengths[0] / lengths[1] if min(lengths) > 0 else 1.0) * step
    return w


def adafactor(w, gradients, rate=0.001, decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, threshold=1.0):
    r = c = v = 0.0
    for t, g in enumerate(gradients, 1):
        keep, square = 1 - t**decay, g * g + epsilon_1
        if w.ndim > 1:
            r, c = keep * r + (1 - keep) * square.mean(-1), keep * c + (1 - keep) * square.mean(-2)
            v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
        else:
            v = keep * v + (1 - keep) * square
        u = g / np.sqrt(v)
        u = u / max(1.0, np.sqrt((u * u).mean()) / threshold)
        w = w - max(epsilon_2, np.sqrt((w * w).mean())) * min(rate, t**-0.5) * u
    return w


CASES = [
    (optimizers.Lamb(), lamb, {}),
    (optimizers.Lamb(0.1, 0.8, 0.9, 1e-3), lamb, {"rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    (optimizers.Adafactor(), adafactor, {}),
    (
        optimizers.Adafactor(0.5, -0.6, 1e-10, 0.1, 0.7, relative_step=False),
        adafactor,
        {"rate": 0.5, "decay": -0.6, "epsilon_1": 1e-10, "epsilon_2": 0.1, "threshold": 0.7},
    ),
    (optimizers.Adadelta(), adadelta, {}),
    (optimizers.Adadelta(1.0, 0.8, 1e-3), adadelta, {"rate": 1.0, "rho": 0.8, "epsilon": 1e-3}),
    (optimizers.Adam(0.1, amsgrad=True), amsgrad, {"rate": 0.1}),
    (optimizers.Adamax(0.1, 0.8, 0.9), adamax, {"rate": 0.1, "beta_1": 0.8, "beta_2": 0.9}),
    (optimizers.Nadam(0.1, 0.8, 0.9), nadam, {"rate": 0.1, "beta_1": 0.8, "beta_2": 0.9}),
    (optimizers.Lion(0.1, 0.8, 0.9), lion, {"rate": 0.1, "beta_1": 0.8, "beta_2": 0.9}),
    (optimizers.Ftrl(0.1), ftrl, {"rate": 0.1}),
    (
        optimizers.Ftrl(0.1, -0.4, 0.2, 0.3, 0.2, 0.1, 0.5),
        ftrl,
        {"rate": 0.1, "power": -0.4, "start": 0.2, "l1": 0.3, "l2": 0.2, "shrinkage": 0.1, "beta": 0.5},
    ),
    (optimizers.SGD(), sgd, {}),
    (optimizers.SGD(0.1, momentum=0.9), sgd, {"rate": 0.1, "momentum": 0.9}),
    (optimizers.SGD(0.1, momentum=0.9, nesterov=True), sgd, {"rate": 0.1, "momentum": 0.9, "nesterov": True}),
    (optimizers.Adagrad(), adagrad, {}),
    (optimizers.Adagrad(0.5, initial_accumulator_value=0.0), adagrad, {"rate": 0.5, "start": 0.0}),
    (optimizers.RMSprop(), rmsprop, {}),
    (optimizers.RMSprop(0.01, rho=0.8, momentum=0.5), rmsprop, {"rate": 0.01, "rho": 0.8, "momentum": 0.5}),
    (optimizers.RMSprop(0.01, centered=True), rmsprop, {"rate": 0.01, "centered": True}),
    (optimizers.Adam(), adam, {}),
    (optimizers.Adam(0.1, 0.8, 0.9, 1e-3), adam, {"rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
]
SHAPES = [(3, 4), (4,), (), (2, 1, 5)]


def run(optimizer, starts, gradients, dtype):
    """The variables after one step for each list of gradients."""
    variables = [Variable(w.astype(dtype), name=f"w{i}") for i, w in enumerate(starts)]
    memory = [v.data for v in variables]
    for step in gradients:
        optimizer.apply_gradients(zip([Tensor(g.astype(dtype)) for g in step], variables, strict=True))
    assert all(v.data is array for v, array in zip(variables, memory, strict=True))
    return variables


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case[0]).__name__}-{case[2]}")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_steps_follow_the_formula(case, dtype, rng):
    made, formula, arguments = case
    optimizer = type(made).from_config(made.get_config())
    starts = [rng.standard_normal(shape) for shape in SHAPES]
    gradients = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(STEPS)]
    variables = run(optimizer, starts, gradients, dtype)
    # The learning rate is kept in float32, as in Keras.
    arguments = {**arguments, "rate": float(np.float32(arguments.get("rate", made.get_config()["learning_rate"])))}
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    for i, (variable, start) in enumerate(zip(variables, starts, strict=True)):
        expected = formula(start, [step[i] for step in gradients], **arguments)
        assert variable.dtype == dtype
        np.testing.assert_allclose(variable.numpy(), expected, rtol=tolerance, atol=tolerance)
    assert int(optimizer.iterations) == STEPS


@pytest.mark.parametrize(
    ("clipping", "clip"),
    [
        ({"clipvalue": 0.3}, lambda gs: [np.clip(g, -0.3, 0.3) for g in gs]),
        ({"clipnorm": 0.7}, lambda gs: [g * min(1, 0.7 / np.linalg.norm(g)) for g in gs]),
        (
            {"global_clipnorm": 0.7},
            lambda gs: [g * min(1, 0.7 / np.sqrt(sum((h * h).sum() for h in gs))) for g in gs],
        ),
    ],
)
@pytest.mark.parametrize("scale", [1e-2, 10.0])
def test_clipping(clipping, clip, scale, rng):
    starts = [rng.standard_normal(shape) for shape in SHAPES]
    gradients = [rng.standard_normal(shape) * scale for shape in SHAPES]
    variables = run(optimizers.SGD(0.5, **clipping), starts, [gradients], "float64")
    for variable, start, gradient in zip(variables, starts, clip(gradients), strict=True):
        np.testing.assert_allclose(variable.numpy(), start - 0.5 * gradient, rtol=1e-12)


def test_weight_decay_is_decoupled_and_can_leave_variables_out():
    optimizer = optimizers.SGD(0.5, weight_decay=0.1)
    kernel, bias = Variable([2.0], name="kernel"), Variable([2.0], name="bias")
    optimizer.build([kernel, bias])
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([Tensor([1.0]), Tensor([1.0])])
    assert kernel.numpy() == pytest.approx([2 - 2 * 0.1 * 0.5 - 0.5])
    assert bias.numpy() == pytest.approx([1.5])
    assert optimizers.AdamW().weight_decay == 0.004


def test_the_learning_rate_can_be_assigned_and_scheduled():
    weight = Variable([0.0])
    optimizer = optimizers.SGD(1.0)
    optimizer.apply([Tensor([1.0])], [weight])
    optimizer.learning_rate = 0.5
    optimizer.apply([Tensor([1.0])], [weight])
    optimizer.learning_rate.assign(0.25)
    optimizer.apply([Tensor([1.0])], [weight])
    assert weight.tolist() == [-1.75]
    optimizer.learning_rate = lambda step: 0.125 * step
    optimizer.apply([Tensor([1.0])], [weight])
    assert weight.tolist() == [-1.75 - 0.125 * 3]
    assert float(optimizer.learning_rate) == 0.5, "four steps are done"


def test_a_subset_of_the_variables_keeps_its_own_state():
    both, alone = [Variable([1.0], name="a"), Variable([1.0], name="b")], Variable([1.0], name="c")
    optimizer, reference = optimizers.SGD(0.1, momentum=0.9), optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(both)
    for _ in range(3):
        optimizer.apply([Tensor([1.0])], both[1:])
        reference.apply([Tensor([1.0])], [alone])
    assert both[0].tolist() == [1.0]
    assert both[1].tolist() == alone.tolist()


def test_a_gradient_of_none_leaves_its_variable():
    a, b = Variable([1.0]), Variable([1.0])
    with pytest.warns(UserWarning, match="no gradients for"):
        optimizers.SGD(1.0).apply([None, Tensor([1.0])], [a, b])
    assert (a.tolist(), b.tolist()) == ([1.0], [0.0])


def test_a_step_changes_the_version_that_the_tape_looks_at():
    weight = Variable([1.0])
    y = (weight * weight).sum()
    optimizers.SGD().apply([Tensor([1.0])], [weight])
    with pytest.raises(RuntimeError, match="assigned a new value"):
        y.backward()


def test_variables_are_named_and_ordered_as_in_keras():
    weights = [Variable([1.0], name="a"), Variable([1.0], name="b")]
    adam, rms = optimizers.Adam(name="adam"), optimizers.RMSprop(momentum=0.5, name="rms")
    for optimizer in (adam, rms):
        optimizer.build(weights)
    assert [v.path for v in adam.variables] == [
        "adam/iteration",
        "adam/learning_rate",
        "adam/a_momentum",
        "adam/a_velocity",
        "adam/b_momentum",
        "adam/b_velocity",
    ]
    assert [v.name for v in rms.variables[2:]] == ["a_velocity", "b_velocity", "a_momentum", "b_momentum"]


def test_what_does_not_fit_is_said_before_anything_changes():
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    optimizer = optimizers.SGD(1.0)
    with pytest.raises(ValueError, match="2 variables need as many gradients; got 1"):
        optimizer.apply([Tensor([1.0])], [a, b])
    with pytest.raises(ValueError, match="No gradient was given"):
        optimizer.apply([None], [a])
    optimizer.build([a])
    with pytest.raises(ValueError, match="'b' is not one that this optimizer was built for"):
        optimizer.apply([Tensor([1.0]), Tensor([1.0])], [a, b])
    with pytest.raises(ValueError, match=r"'a' has shape \(1,\); its gradient has \(2,\)"):
        optimizer.apply([Tensor([1.0, 2.0])], [a])
    assert (a.tolist(), b.tolist()) == ([1.0], [1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.SGD(-1.0), "learning_rate must be a number that is not negative"),
        (lambda: optimizers.SGD(float("nan")), "learning_rate"),
        (lambda: optimizers.SGD(momentum=1.5), "momentum must be from 0 to 1"),
        (lambda: optimizers.Adam(beta_1=1.0), "beta_1 must be from 0 to 1, 1 excluded"),
        (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "Only one of clipnorm, clipvalue"),
        (lambda: optimizers.Adam(clipnorm=0), "clipnorm must be positive"),
        (lambda: optimizers.Adam(weight_decay=-1), "weight_decay must not be negative"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "initial_accumulator_value"),
        (lambda: optimizers.AdamW(weight_decay=None), "AdamW needs a weight_decay"),
        (lambda: optimizers.get("adan"), "Unknown optimizer 'adan'. Did you mean 'adam'"),
    ],
)
def test_impossible_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "name",
    [
        "SGD",
        "sgd",
        "Adam",
        "adam",
        "rmsprop",
        "RMSprop",
        "adagrad",
        "adamw",
        "adadelta",
        "Adamax",
        "nadam",
        "ftrl",
        "lion",
        "lamb",
        "adafactor",
    ],
)
def test_names_and_configurations(name):
    optimizer = optimizers.get(name)
    assert type(optimizer).__name__.lower() == name.lower()
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()


def test_gathered_gradients_make_one_step_by_their_mean():
    weight, optimizer = Variable([1.0]), optimizers.SGD(0.5, gradient_accumulation_steps=2)
    seen = []
    for gradient in (1.0, 3.0, 2.0, 6.0):
        optimizer.apply([Tensor([gradient])], [weight])
        seen.append(weight.tolist()[0])
    assert seen == [1.0, 0.0, 0.0, -2.0]
    assert int(optimizer.iterations) == 2


def test_averages_begin_with_the_first_weights_and_overwrite_them():
    weight = Variable([1.0])
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
    seen = []
    for _ in range(3):
        optimizer.apply([Tensor([1.0])], [weight])
        seen.append(weight.tolist()[0])
    assert seen == [0.0, -1.0, 0.5 * -0.5 + 0.5 * -2.0]
    weight.assign([7.0])
    optimizer.finalize_variable_values([weight])
    assert weight.tolist() == [-1.25]
    with pytest.raises(ValueError, match="1 averages are kept, but 2"):
        optimizer.finalize_variable_values([weight, weight])


def test_gradients_of_a_scaled_loss_are_scaled_back():
    weight, optimizer = Variable([1.0]), optimizers.SGD(1.0, loss_scale_factor=8.0)
    assert optimizer.scale_loss(3.0) == 24.0
    optimizer.apply([Tensor([4.0])], [weight])
    assert weight.tolist() == [0.5]


def test_the_constraint_comes_after_the_step():
    weight = Variable([1.0])
    weight.constraint = lambda w: w * 0.0 + 0.25
    optimizers.SGD(1.0).apply([Tensor([1.0])], [weight])
    assert weight.tolist() == [0.25]


def test_variables_of_every_kind_keep_the_order_of_keras():
    weights = [Variable([1.0], name="a"), Variable([1.0], name="b")]
    optimizer = optimizers.Adam(lambda: 0.1, amsgrad=True, use_ema=True, gradient_accumulation_steps=2)
    optimizer.build(weights)
    assert [v.name for v in optimizer.variables] == [
        "iteration",
        *(f"{w}_average" for w in "ab"),
        *(f"{w}_gradient_accumulator" for w in "ab"),
        *(f"{w}_{slot}" for w in "ab" for slot in ("momentum", "velocity")),
        *(f"{w}_velocity_hat" for w in "ab"),
    ]
    nadam = optimizers.Nadam()
    nadam.build(weights[:1])
    assert [v.name for v in nadam.variables[2:]] == ["a_momentum", "a_velocity", "variable"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(1),
        lambda: optimizers.SGD(momentum=1),
        lambda: optimizers.Adam(unheard_of=3),
        lambda: optimizers.Adam(gradient_accumulation_steps=1),
        lambda: optimizers.Adam(use_ema=True, ema_momentum=2),
        lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=0.5),
        lambda: optimizers.Lion(beta_1=0.0),
        lambda: optimizers.Ftrl(learning_rate_power=0.5),
        lambda: optimizers.Ftrl(l1_regularization_strength=-1.0),
        lambda: optimizers.SGD().apply([Tensor([1.0])]),
    ],
)
def test_what_keras_refuses(make):
    with pytest.raises(ValueError, match=r"must|does not know|needs a built"):
        make()
