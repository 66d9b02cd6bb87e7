"""One optimizer step on one array, in float64 and out of place, as Keras 3 documents it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def sgd(p, g, learning_rate):
    return (p - learning_rate * g,)


def momentum(p, g, v, learning_rate, momentum, nesterov):
    v = momentum * v - learning_rate * g
    return (p + momentum * v - learning_rate * g if nesterov else p + v), v


def adagrad(p, g, a, learning_rate, epsilon):
    a = a + g**2
    return p - learning_rate * g / np.sqrt(a + epsilon), a


def rmsprop(p, g, s, a, m, learning_rate, rho, momentum, epsilon):
    s = rho * s + (1 - rho) * g**2
    denominator = s + epsilon
    if a is not None:
        a = rho * a + (1 - rho) * g
        denominator = denominator - a**2
    step = learning_rate * g / np.sqrt(denominator)
    if m is not None:
        step = m = momentum * m + step
    return p - step, s, a, m


def adam(p, g, m, v, learning_rate, beta_1, beta_2, epsilon, step, largest=None):
    alpha = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m = m + (g - m) * (1 - beta_1)
    v = v + (g**2 - v) * (1 - beta_2)
    if largest is not None:
        largest = np.maximum(largest, v)
    return p - m * alpha / (np.sqrt(v if largest is None else largest) + epsilon), m, v, largest


def adadelta(p, g, s, d, learning_rate, rho, epsilon):
    s = rho * s + (1 - rho) * g**2
    step = g * np.sqrt((d + epsilon) / (s + epsilon))
    return p - learning_rate * step, s, rho * d + (1 - rho) * step**2


def adamax(p, g, m, u, learning_rate, beta_1, beta_2, epsilon, step):
    m, u = beta_1 * m + (1 - beta_1) * g, np.maximum(beta_2 * u, np.abs(g))
    return p - learning_rate * m / ((1 - beta_1**step) * (u + epsilon)), m, u


def nadam(p, g, m, v, learning_rate, beta_1, beta_2, epsilon, step, product):
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    now, following = (beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
    mean = following * m / (1 - product * following) + (1 - now) * g / (1 - product)
    return p - learning_rate * mean / (np.sqrt(v / (1 - beta_2**step)) + epsilon), m, v


def lion(p, g, m, learning_rate, beta_1, beta_2):
    return p - learning_rate * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g


def ftrl(p, g, a, z, learning_rate, power, l1, l2, shrinkage, beta):
    n = a + g**2
    z = z + g + 2 * shrinkage * p - (n**-power - a**-power) / learning_rate * p
    divisor = n**-power / learning_rate + 2 * (l2 + beta / (2 * learning_rate))
    return np.where(np.abs(z) > l1, (np.sign(z) * l1 - z) / divisor, 0.0), n, z


def blend(p, value, keep, share):
    return (keep * p + share * value,)


@dataclass(frozen=True)
class Case:
    """One variant of a rule: which of its lists of states there are, and its numbers."""

    op: str
    reference: Callable
    present: tuple[bool, ...]
    scalars: tuple
    counted: bool = False  # whether the step, from 1, follows the numbers
    last: tuple = ()  # what follows that
    late: bool = False  # whether the last list of states is an argument after all others
    loose: float = 1.0  # how much more than usual the rounding of float32 may show

    def split(self, lists, step):
        """The arguments of the update: lists, and what follows them."""
        numbers = (*self.scalars, *((step,) if self.counted else ()), *self.last)
        return (lists[:-1], (*numbers, lists[-1])) if self.late else (lists, numbers)


CASES = {
    "sgd": Case("sgd_update", sgd, (), (0.1,)),
    "momentum": Case("momentum_update", momentum, (True,), (0.1, 0.9, False)),
    "nesterov": Case("momentum_update", momentum, (True,), (0.1, 0.9, True)),
    "adagrad": Case("adagrad_update", adagrad, (True,), (0.1, 1e-7)),
    "adadelta": Case("adadelta_update", adadelta, (True, True), (0.1, 0.9, 1e-3)),
    "adam": Case("adam_update", adam, (True, True), (0.1, 0.9, 0.999, 1e-7), counted=True),
    "amsgrad": Case("adam_update", adam, (True, True, True), (0.1, 0.9, 0.5, 1e-7), counted=True, late=True),
    "adamax": Case("adamax_update", adamax, (True, True), (0.1, 0.9, 0.8, 1e-7), counted=True),
    "nadam": Case("nadam_update", nadam, (True, True), (0.1, 0.9, 0.999, 1e-7), counted=True, last=(0.3,)),
    "lion": Case("lion_update", lion, (True,), (0.1, 0.9, 0.99)),
    "ftrl": Case("ftrl_update", ftrl, (True, True), (0.1, -0.5, 0.0, 0.0, 0.0, 0.0), loose=10),
    "ftrl-all": Case("ftrl_update", ftrl, (True, True), (0.1, -0.4, 0.3, 0.2, 0.1, 0.5), loose=10),
    "blend": Case("blend_update", blend, (), (0.9, 0.2)),
    "rmsprop": Case("rmsprop_update", rmsprop, (True, False, False), (0.1, 0.9, 0.0, 1e-7)),
    "rmsprop-momentum": Case("rmsprop_update", rmsprop, (True, False, True), (0.1, 0.9, 0.5, 1e-7)),
    # s - a**2 cancels where the gradients of all steps are alike.
    "rmsprop-centered": Case("rmsprop_update", rmsprop, (True, True, False), (0.1, 0.9, 0.0, 1e-3), loose=100),
    "rmsprop-both": Case("rmsprop_update", rmsprop, (True, True, True), (0.1, 0.9, 0.5, 1e-3), loose=100),
}


def expected_step(case, p, g, states, step, before=None, scale=1.0, decay=0.0):
    """The parameter and its states (None where the variant has none) after a step, in float64."""
    g = g * scale
    if before is not None:
        g, p = np.clip(g * before.factor, -before.limit, before.limit), p - decay * p
    states, numbers = case.split(list(states), step)
    return case.reference(p, g, *states, *numbers)


def check_steps(update, case, shapes, dtype, rng, lists, steps=3, before=None, scale=1.0):
    """Some steps of ``update`` on ``lists(fill, count)`` of arrays, each step held against the formula."""
    (parameters,) = lists(rng.standard_normal, 1)
    made = iter(lists(np.ones, sum(case.present)))
    kept = [next(made) if there else None for there in case.present]
    wanted = [
        [p.astype(np.float64), *(None if state is None else state[i].astype(np.float64) for state in kept)]
        for i, p in enumerate(parameters)
    ]
    for step in range(1, steps + 1):
        (gradients,) = lists(rng.standard_normal, 1)
        untouched = [gradient.copy() for gradient in gradients]
        states, numbers = case.split(kept, step)
        options = {} if before is None else {"before": before}
        assert update(parameters, gradients, *states, *numbers, **options) is None
        decays = [0.0] * len(shapes) if before is None or before.decay is None else before.decay
        wanted = [
            list(expected_step(case, values[0], np.float64(g), values[1:], step, before, scale, decay))[: len(values)]
            for values, g, decay in zip(wanted, gradients, decays, strict=True)
        ]
        assert all(np.array_equal(a, b) for a, b in zip(gradients, untouched, strict=True))
    tolerance = (20 if dtype == "float32" else 100) * np.finfo(dtype).eps * case.loose
    for i, values in enumerate(wanted):
        for actual, value in zip([parameters, *kept], values, strict=True):
            if actual is not None:
                assert actual[i].dtype == dtype
                np.testing.assert_allclose(actual[i], value, rtol=tolerance, atol=tolerance)
