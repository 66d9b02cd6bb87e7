"""Optimizer steps: every element of the parameter and its state is read once and written once.

One element is the unit of a core's loop and of a GPU's thread, so the bodies serve both as they are.
"""

from __future__ import annotations

import math

from deepcore.kernels.numba.jit import inline, parallel, prange


@inline
def sgd_element(i, p, g, learning_rate):
    p[i] -= learning_rate * g[i]


@parallel
def sgd(p, g, learning_rate):
    for i in prange(p.shape[0]):
        sgd_element(i, p, g, learning_rate)


@inline
def momentum_element(i, p, g, v, learning_rate, momentum, nesterov):
    step = learning_rate * g[i]
    velocity = momentum * v[i] - step
    v[i] = velocity
    p[i] += momentum * velocity - step if nesterov else velocity


@parallel
def momentum(p, g, v, learning_rate, momentum, nesterov):
    for i in prange(p.shape[0]):
        momentum_element(i, p, g, v, learning_rate, momentum, nesterov)


@inline
def adagrad_element(i, p, g, accumulator, learning_rate, epsilon):
    total = accumulator[i] + g[i] * g[i]
    accumulator[i] = total
    p[i] -= learning_rate * g[i] / math.sqrt(total + epsilon)


@parallel
def adagrad(p, g, accumulator, learning_rate, epsilon):
    for i in prange(p.shape[0]):
        adagrad_element(i, p, g, accumulator, learning_rate, epsilon)


@inline
def rmsprop_element(
    i, p, g, mean_square, mean_gradient, momenta, learning_rate, rho, one_less_rho, momentum, epsilon, centered, moving
):
    square = rho * mean_square[i] + one_less_rho * g[i] * g[i]
    mean_square[i] = square
    denominator = square + epsilon
    if centered:
        mean = rho * mean_gradient[i] + one_less_rho * g[i]
        mean_gradient[i] = mean
        denominator -= mean * mean
    step = learning_rate * g[i] / math.sqrt(denominator)
    if moving:
        step += momentum * momenta[i]
        momenta[i] = step
    p[i] -= step


@parallel
def rmsprop(p, g, mean_square, mean_gradient, momenta, learning_rate, rho, one_less_rho, momentum, epsilon):
    """``mean_gradient`` is empty unless centered, ``momenta`` unless there is momentum."""
    centered = mean_gradient.shape[0] > 0
    moving = momenta.shape[0] > 0
    for i in prange(p.shape[0]):
        rmsprop_element(
            i,
            p,
            g,
            mean_square,
            mean_gradient,
            momenta,
            learning_rate,
            rho,
            one_less_rho,
            momentum,
            epsilon,
            centered,
            moving,
        )


@inline
def adam_element(i, p, g, m, v, alpha, one_less_beta_1, one_less_beta_2, epsilon):
    first = m[i] + one_less_beta_1 * (g[i] - m[i])
    second = v[i] + one_less_beta_2 * (g[i] * g[i] - v[i])
    m[i] = first
    v[i] = second
    p[i] -= alpha * first / (math.sqrt(second) + epsilon)


@parallel
def adam(p, g, m, v, alpha, one_less_beta_1, one_less_beta_2, epsilon):
    for i in prange(p.shape[0]):
        adam_element(i, p, g, m, v, alpha, one_less_beta_1, one_less_beta_2, epsilon)
