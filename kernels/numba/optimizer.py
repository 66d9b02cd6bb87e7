"""Optimizer steps: every element of the parameter and its state is read once and written once.

One element is the unit of a core's loop and of a GPU's thread, so the bodies serve both as they are. ``before`` is what
happens to the element on its way into the rule: (decay of the parameter, scale of the gradient, limit of its
magnitude). A state that a variant does without is None, which leaves its branch out of the loop, or on a GPU an empty
array.

A core's loop serves all parameters of one dtype in one call: a row of ``parts`` [parts, 1 + arrays] has the size of a
piece of a parameter and where that piece begins in each of the arrays; ``decays`` has its decay. True or None says
whether there is a state that only a variant has.
"""

from __future__ import annotations

import math

from numba import carray, types
from numba.extending import intrinsic

from deepcore.kernels.numba.jit import called, index, inline, parallel, part_of


@intrinsic
def pointer(typing, address, like):  # type: ignore[no-untyped-def]
    """``address`` as a pointer to numbers of the type of ``like``."""
    signature = types.CPointer(like)(address, like)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return signature, generate


@inline
def array_at(parts, part, column, like):
    return carray(pointer(parts[part, column], like), (parts[part, 0],))


@inline
def prepared(i, p, g, before):
    """The parameter and the gradient that the rule starts from."""
    decay, scale, limit = before
    weight = p[i] - decay * p[i] if decay != 0 else p[i]
    scaled = scale * g[i]
    clipped = limit if scaled > limit else scaled  # no comparison is true of NaN, so it stays
    return weight, -limit if clipped < -limit else clipped


@inline
def sgd_element(i, p, g, learning_rate, before):
    weight, gradient = prepared(i, p, g, before)
    p[i] = weight - learning_rate * gradient


@parallel
def sgd(piece, parts, decays, learning_rate, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            sgd_element(index(i), p, g, learning_rate, before)


@inline
def momentum_element(i, p, g, v, learning_rate, momentum, nesterov, before):
    weight, gradient = prepared(i, p, g, before)
    step = learning_rate * gradient
    velocity = momentum * v[i] - step
    v[i] = velocity
    p[i] = weight + (momentum * velocity - step if nesterov else velocity)


@parallel
def momentum(piece, parts, decays, learning_rate, momentum, nesterov, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        v = array_at(parts, part, 3, learning_rate)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            momentum_element(index(i), p, g, v, learning_rate, momentum, nesterov, before)


@inline
def adagrad_element(i, p, g, accumulator, learning_rate, epsilon, before):
    weight, gradient = prepared(i, p, g, before)
    total = accumulator[i] + gradient * gradient
    accumulator[i] = total
    p[i] = weight - learning_rate * gradient / math.sqrt(total + epsilon)


@parallel
def adagrad(piece, parts, decays, learning_rate, epsilon, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        accumulator = array_at(parts, part, 3, learning_rate)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            adagrad_element(index(i), p, g, accumulator, learning_rate, epsilon, before)


@inline
def rmsprop_element(
    i, p, g, mean_square, mean_gradient, momenta, learning_rate, rho, one_less_rho, momentum, epsilon, before
):
    weight, gradient = prepared(i, p, g, before)
    square = rho * mean_square[i] + one_less_rho * gradient * gradient
    mean_square[i] = square
    denominator = square + epsilon
    if mean_gradient is not None and mean_gradient.shape[0] > 0:
        mean = rho * mean_gradient[i] + one_less_rho * gradient
        mean_gradient[i] = mean
        denominator -= mean * mean
    step = learning_rate * gradient / math.sqrt(denominator)
    if momenta is not None and momenta.shape[0] > 0:
        step += momentum * momenta[i]
        momenta[i] = step
    p[i] = weight - step


@called
def rmsprop_part(
    p, g, mean_square, mean_gradient, momenta, learning_rate, rho, one_less_rho, momentum, epsilon, before
):
    for i in range(p.shape[0]):
        rmsprop_element(
            index(i),
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
            before,
        )


@parallel
def rmsprop(
    piece,
    parts,
    decays,
    centered,
    with_momentum,
    learning_rate,
    rho,
    one_less_rho,
    momentum,
    epsilon,
    scale,
    limit,
):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        mean_square = array_at(parts, part, 3, learning_rate)
        mean_gradient = None if centered is None else array_at(parts, part, 4, learning_rate)
        momenta = None if with_momentum is None else array_at(parts, part, 5, learning_rate)
        rmsprop_part(
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
            (decays[part], scale, limit),
        )


@inline
def adadelta_element(i, p, g, mean_square, mean_change, learning_rate, rho, one_less_rho, epsilon, before):
    weight, gradient = prepared(i, p, g, before)
    square = rho * mean_square[i] + one_less_rho * gradient * gradient
    step = math.sqrt(mean_change[i] + epsilon) * gradient / math.sqrt(square + epsilon)
    mean_square[i] = square
    mean_change[i] = rho * mean_change[i] + one_less_rho * step * step
    p[i] = weight - learning_rate * step


@parallel
def adadelta(piece, parts, decays, learning_rate, rho, one_less_rho, epsilon, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        mean_square = array_at(parts, part, 3, learning_rate)
        mean_change = array_at(parts, part, 4, learning_rate)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            adadelta_element(
                index(i), p, g, mean_square, mean_change, learning_rate, rho, one_less_rho, epsilon, before
            )


@inline
def adam_element(i, p, g, m, v, largest, alpha, one_less_beta_1, one_less_beta_2, epsilon, before):
    weight, gradient = prepared(i, p, g, before)
    first = m[i] + one_less_beta_1 * (gradient - m[i])
    second = v[i] + one_less_beta_2 * (gradient * gradient - v[i])
    m[i] = first
    v[i] = second
    if largest is not None and largest.shape[0] > 0:
        second = largest[i] if second <= largest[i] else second
        largest[i] = second
    p[i] = weight - alpha * first / (math.sqrt(second) + epsilon)


@called
def adam_part(p, g, m, v, largest, alpha, one_less_beta_1, one_less_beta_2, epsilon, before):
    for i in range(p.shape[0]):
        adam_element(index(i), p, g, m, v, largest, alpha, one_less_beta_1, one_less_beta_2, epsilon, before)


@parallel
def adam(piece, parts, decays, amsgrad, alpha, one_less_beta_1, one_less_beta_2, epsilon, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, alpha)
        g = array_at(parts, part, 2, alpha)
        m = array_at(parts, part, 3, alpha)
        v = array_at(parts, part, 4, alpha)
        largest = None if amsgrad is None else array_at(parts, part, 5, alpha)
        adam_part(p, g, m, v, largest, alpha, one_less_beta_1, one_less_beta_2, epsilon, (decays[part], scale, limit))


@inline
def adamax_element(i, p, g, m, norm, alpha, one_less_beta_1, beta_2, epsilon, before):
    weight, gradient = prepared(i, p, g, before)
    first = m[i] + one_less_beta_1 * (gradient - m[i])
    size, faded = math.fabs(gradient), beta_2 * norm[i]
    largest = faded if faded > size or faded != faded else size
    m[i] = first
    norm[i] = largest
    p[i] = weight - alpha * first / (largest + epsilon)


@parallel
def adamax(piece, parts, decays, alpha, one_less_beta_1, beta_2, epsilon, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, alpha)
        g = array_at(parts, part, 2, alpha)
        m = array_at(parts, part, 3, alpha)
        norm = array_at(parts, part, 4, alpha)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            adamax_element(index(i), p, g, m, norm, alpha, one_less_beta_1, beta_2, epsilon, before)


@inline
def nadam_element(i, p, g, m, v, ahead, now, one_less_beta_1, one_less_beta_2, correction, epsilon, before):
    weight, gradient = prepared(i, p, g, before)
    first = m[i] + one_less_beta_1 * (gradient - m[i])
    second = v[i] + one_less_beta_2 * (gradient * gradient - v[i])
    m[i] = first
    v[i] = second
    p[i] = weight - (ahead * first + now * gradient) / (math.sqrt(correction * second) + epsilon)


@parallel
def nadam(piece, parts, decays, ahead, now, one_less_beta_1, one_less_beta_2, correction, epsilon, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, ahead)
        g = array_at(parts, part, 2, ahead)
        m = array_at(parts, part, 3, ahead)
        v = array_at(parts, part, 4, ahead)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            nadam_element(
                index(i), p, g, m, v, ahead, now, one_less_beta_1, one_less_beta_2, correction, epsilon, before
            )


@inline
def lion_element(i, p, g, m, learning_rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2, before):
    weight, gradient = prepared(i, p, g, before)
    direction = beta_1 * m[i] + one_less_beta_1 * gradient
    m[i] = beta_2 * m[i] + one_less_beta_2 * gradient
    # Neither above nor below zero: zero or NaN, and the sign of either is itself.
    step = learning_rate if direction > 0 else learning_rate * direction
    p[i] = weight - (-learning_rate if direction < 0 else step)


@parallel
def lion(piece, parts, decays, learning_rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        m = array_at(parts, part, 3, learning_rate)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            lion_element(index(i), p, g, m, learning_rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2, before)


@inline
def ftrl_element(i, p, g, accumulator, linear, learning_rate, power, l1, twice_l2, twice_shrinkage, beta, before):
    weight, gradient = prepared(i, p, g, before)
    total = accumulator[i] + gradient * gradient
    grown = total**power
    slope = (grown - accumulator[i] ** power) / learning_rate
    z = linear[i] + (gradient + twice_shrinkage * weight - slope * weight)
    clipped = l1 if z > l1 else z
    clipped = -l1 if clipped < -l1 else clipped
    accumulator[i] = total
    linear[i] = z
    p[i] = (clipped - z) / (grown / learning_rate + (twice_l2 + beta / learning_rate))


@parallel
def ftrl(piece, parts, decays, learning_rate, power, l1, twice_l2, twice_shrinkage, beta, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, learning_rate)
        g = array_at(parts, part, 2, learning_rate)
        accumulator = array_at(parts, part, 3, learning_rate)
        linear = array_at(parts, part, 4, learning_rate)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            ftrl_element(
                index(i), p, g, accumulator, linear, learning_rate, power, l1, twice_l2, twice_shrinkage, beta, before
            )


@inline
def blend_element(i, p, value, keep, share, before):
    weight, addend = prepared(i, p, value, before)
    p[i] = keep * weight + share * addend


@parallel
def blend(piece, parts, decays, keep, share, scale, limit):
    for part in part_of(piece, parts.shape[0]):
        p = array_at(parts, part, 1, keep)
        value = array_at(parts, part, 2, keep)
        before = decays[part], scale, limit
        for i in range(p.shape[0]):
            blend_element(index(i), p, value, keep, share, before)
