"""Optimizer steps: every element of the parameter and its state is read once and written once."""

from __future__ import annotations

import math

from deepcore.kernels.numba.jit import inline, parallel, prange


@inline
def sgd_element(p, g, learning_rate, i):
    p[i] -= learning_rate * g[i]


@parallel
def sgd(p, g, learning_rate):
    for i in prange(p.shape[0]):
        sgd_element(p, g, learning_rate, i)


@inline
def momentum_element(p, g, v, learning_rate, momentum, nesterov, i):
    step = learning_rate * g[i]
    velocity = momentum * v[i] - step
    v[i] = velocity
    p[i] += momentum * velocity - step if nesterov else velocity


@parallel
def momentum(p, g, v, learning_rate, momentum, nesterov):
    for i in prange(p.shape[0]):
        momentum_element(p, g, v, learning_rate, momentum, nesterov, i)


@inline
def adagrad_element(p, g, accumulator, learning_rate, epsilon, i):
    total = accumulator[i] + g[i] * g[i]
    accumulator[i] = total
    p[i] -= learning_rate * g[i] / math.sqrt(total + epsilon)


@parallel
def adagrad(p, g, accumulator, learning_rate, epsilon):
    for i in prange(p.shape[0]):
        adagrad_element(p, g, accumulator, learning_rate, epsilon, i)


@inline
def rmsprop_element(
    p, g, mean_square, mean_gradient, momenta, learning_rate, rho, one_less_rho, momentum, epsilon, centered, moving, i
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
            i,
        )


@inline
def adam_element(p, g, m, v, alpha, one_less_beta_1, one_less_beta_2, epsilon, i):
    first = m[i] + one_less_beta_1 * (g[i] - m[i])
    second = v[i] + one_less_beta_2 * (g[i] * g[i] - v[i])
    m[i] = first
    v[i] = second
    p[i] -= alpha * first / (math.sqrt(second) + epsilon)


@parallel
def adam(p, g, m, v, alpha, one_less_beta_1, one_less_beta_2, epsilon):
    for i in prange(p.shape[0]):
        adam_element(p, g, m, v, alpha, one_less_beta_1, one_less_beta_2, epsilon, i)
