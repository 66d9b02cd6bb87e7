"""Softmax, its logarithm and cross-entropies: one row at a time, so that a row is read from memory once."""

from __future__ import annotations

import math

from deepcore.kernels.numba.elementary import difference, exp
from deepcore.kernels.numba.jit import inline, parallel, part_of

PROBABILITY_EPSILON = 1e-7  # as in backend/contract.py


@inline
def row_max(x, row):
    largest = x[row, 0]
    for column in range(1, x.shape[1]):
        largest = x[row, column] if x[row, column] > largest else largest
    return largest


@inline
def softmax_row(x, y, row, largest):
    """Writes the softmax of a row and returns the sum of its exponentials."""
    total = type(largest)(0)
    for column in range(x.shape[1]):
        y[row, column] = exp(difference(x[row, column], largest))
        total += y[row, column]
    scale = type(largest)(1) / total
    for column in range(x.shape[1]):
        y[row, column] *= scale
    return total


@parallel
def softmax_fprop(piece, x, y):
    """y = softmax(x), both [rows, classes]."""
    for row in part_of(piece, x.shape[0]):
        softmax_row(x, y, row, row_max(x, row))


@inline
def softmax_dgrad_row(dy, y, dx, row):
    dot = type(y[row, 0])(0)
    for column in range(y.shape[1]):
        dot += dy[row, column] * y[row, column]
    for column in range(y.shape[1]):
        dx[row, column] = y[row, column] * (dy[row, column] - dot)


@parallel
def softmax_dgrad(piece, dy, y, dx):
    """dx = y * (dy - sum(dy * y)), all [rows, classes]."""
    for row in part_of(piece, y.shape[0]):
        softmax_dgrad_row(dy, y, dx, row)


@inline
def log_softmax_row(x, y, row, largest):
    total = type(largest)(0)
    for column in range(x.shape[1]):
        total += exp(difference(x[row, column], largest))
    shift = math.log(total)
    for column in range(x.shape[1]):
        y[row, column] = difference(difference(x[row, column], largest), shift)


@parallel
def log_softmax_fprop(piece, x, y):
    """y = log(softmax(x)), both [rows, classes]."""
    for row in part_of(piece, x.shape[0]):
        log_softmax_row(x, y, row, row_max(x, row))


@inline
def log_softmax_dgrad_row(dy, y, dx, row):
    total = type(y[row, 0])(0)
    for column in range(y.shape[1]):
        total += dy[row, column]
    for column in range(y.shape[1]):
        dx[row, column] = dy[row, column] - exp(y[row, column]) * total


@parallel
def log_softmax_dgrad(piece, dy, y, dx):
    """dx = dy - exp(y) * sum(dy), all [rows, classes]."""
    for row in part_of(piece, y.shape[0]):
        log_softmax_dgrad_row(dy, y, dx, row)


@parallel
def cross_entropy_of_classes_fprop(piece, logits, targets, loss, probabilities):
    """loss [rows] and probabilities [rows, classes] of logits [rows, classes] for integer targets [rows]."""
    for row in part_of(piece, logits.shape[0]):
        largest = row_max(logits, row)
        total = softmax_row(logits, probabilities, row, largest)
        loss[row] = difference(math.log(total), difference(logits[row, targets[row]], largest))


@inline
def weighted_loss(logits, targets, row, largest, log_total):
    total = type(largest)(0)
    for column in range(logits.shape[1]):
        total += targets[row, column] * difference(log_total, difference(logits[row, column], largest))
    return total


@parallel
def cross_entropy_of_weights_fprop(piece, logits, targets, loss, probabilities):
    """The same for floating targets [rows, classes]."""
    for row in part_of(piece, logits.shape[0]):
        largest = row_max(logits, row)
        total = softmax_row(logits, probabilities, row, largest)
        loss[row] = weighted_loss(logits, targets, row, largest, math.log(total))


@inline
def cross_entropy_of_classes_dgrad_row(dloss, probabilities, targets, dlogits, row):
    for column in range(probabilities.shape[1]):
        dlogits[row, column] = dloss[row] * probabilities[row, column]
    # Not a subtraction from the product: p - 1 is exact near p = 1.
    target = targets[row]
    dlogits[row, target] = dloss[row] * (probabilities[row, target] - type(dloss[row])(1))


@parallel
def cross_entropy_of_classes_dgrad(piece, dloss, probabilities, targets, dlogits):
    """dlogits = dloss * (probabilities - one_hot(targets))."""
    for row in part_of(piece, probabilities.shape[0]):
        cross_entropy_of_classes_dgrad_row(dloss, probabilities, targets, dlogits, row)


@inline
def cross_entropy_of_weights_dgrad_row(dloss, probabilities, targets, dlogits, row):
    total = type(dloss[row])(0)
    for column in range(probabilities.shape[1]):
        total += targets[row, column]
    for column in range(probabilities.shape[1]):
        dlogits[row, column] = dloss[row] * (probabilities[row, column] * total - targets[row, column])


@parallel
def cross_entropy_of_weights_dgrad(piece, dloss, probabilities, targets, dlogits):
    """dlogits = dloss * (probabilities * sum(targets) - targets)."""
    for row in part_of(piece, probabilities.shape[0]):
        cross_entropy_of_weights_dgrad_row(dloss, probabilities, targets, dlogits, row)


@inline
def row_sum(x, row):
    total = type(x[row, 0])(0)
    for column in range(x.shape[1]):
        total += x[row, column]
    return total


@inline
def is_within(share):
    """Whether a share of a row's sum is not held at one of its limits; true of NaN, which so flows on."""
    return not (share < type(share)(PROBABILITY_EPSILON) or share > type(share)(1 - PROBABILITY_EPSILON))


@inline
def log_share(share):
    """The logarithm of a share of a row's sum, held between its limits."""
    if share < type(share)(PROBABILITY_EPSILON):
        return math.log(type(share)(PROBABILITY_EPSILON))
    return math.log(type(share)(1 - PROBABILITY_EPSILON) if share > type(share)(1 - PROBABILITY_EPSILON) else share)


@parallel
def probability_loss_of_classes_fprop(piece, probabilities, targets, loss):
    """loss [rows] of probabilities [rows, classes], whose sum is divided out, for integer targets [rows]."""
    for row in part_of(piece, probabilities.shape[0]):
        loss[row] = -log_share(probabilities[row, targets[row]] / row_sum(probabilities, row))


@inline
def weighted_probability_loss(probabilities, targets, row):
    total, loss = row_sum(probabilities, row), type(probabilities[row, 0])(0)
    for column in range(probabilities.shape[1]):
        share, weight = probabilities[row, column] / total, targets[row, column]
        # Most weights are zeros of one-hot rows: their logarithms are not taken, but NaN flows on.
        loss -= weight * (log_share(share) if weight != 0 else share)
    return loss


@parallel
def probability_loss_of_weights_fprop(piece, probabilities, targets, loss):
    """The same for floating targets [rows, classes]."""
    for row in part_of(piece, probabilities.shape[0]):
        loss[row] = weighted_probability_loss(probabilities, targets, row)


@inline
def probability_loss_of_classes_dgrad_row(dloss, probabilities, targets, dprobabilities, row):
    total, target, zero = row_sum(probabilities, row), targets[row], type(dloss[row])(0)
    factor = dloss[row] if is_within(probabilities[row, target] / total) else zero
    for column in range(probabilities.shape[1]):
        dprobabilities[row, column] = factor / total
    if factor != 0:
        dprobabilities[row, target] -= factor / probabilities[row, target]


@parallel
def probability_loss_of_classes_dgrad(piece, dloss, probabilities, targets, dprobabilities):
    """dprobabilities = dloss * (1 / sum(probabilities) - one_hot(targets) / probabilities)."""
    for row in part_of(piece, probabilities.shape[0]):
        probability_loss_of_classes_dgrad_row(dloss, probabilities, targets, dprobabilities, row)


@inline
def probability_loss_of_weights_dgrad_row(dloss, probabilities, targets, dprobabilities, row):
    total, weight, zero = row_sum(probabilities, row), type(dloss[row])(0), type(dloss[row])(0)
    for column in range(probabilities.shape[1]):
        weight += targets[row, column] if is_within(probabilities[row, column] / total) else zero
    for column in range(probabilities.shape[1]):
        p = probabilities[row, column]
        slope = targets[row, column] / p if is_within(p / total) else zero
        dprobabilities[row, column] = dloss[row] * (weight / total - slope)


@parallel
def probability_loss_of_weights_dgrad(piece, dloss, probabilities, targets, dprobabilities):
    """dprobabilities = dloss * (sum(targets) / sum(probabilities) - targets / probabilities)."""
    for row in part_of(piece, probabilities.shape[0]):
        probability_loss_of_weights_dgrad_row(dloss, probabilities, targets, dprobabilities, row)
