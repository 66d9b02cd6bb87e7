"""One optimizer step on one array, in float64 and out of place, as Keras 3 documents it."""

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


def adam(p, g, m, v, learning_rate, beta_1, beta_2, epsilon, step):
    alpha = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m = m + (g - m) * (1 - beta_1)
    v = v + (g**2 - v) * (1 - beta_2)
    return p - m * alpha / (np.sqrt(v) + epsilon), m, v
